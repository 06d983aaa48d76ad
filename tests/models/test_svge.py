"""SVGE against a slow, plain restatement of its equations, published sizes, and the faults of the released code."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from graphnas import create_model, get_space, list_spaces
from graphnas.errors import InvalidArchitecture, InvalidValues, SpaceMismatch
from graphnas.models import SVGE, SVGEConfig
from graphnas.models.layers.gru import MessageGRU
from graphnas.models.layers.readout import GatedSum
from graphnas.models.layers.union import reverse_graphs, union
from graphnas.spaces import INPUT, OUTPUT, Architectures
from graphnas.spaces.dag import DagSpace
from graphnas.testing import codes, mixed_batch, seeded


def build(space: str = "toy", **options: object) -> SVGE:
    torch.manual_seed(0)
    model = create_model("svge", space, **{"node_dim": 16, "latent_dim": 6, **options})
    assert isinstance(model, SVGE)
    return model.eval()


@pytest.mark.parametrize(
    ("space", "head", "count"),
    [
        ("nb101", False, 2_245_121),
        ("nb201", False, 2_245_985),
        ("enas6", False, 2_246_417),
        ("nb101", True, 2_245_121 + 2_115),
    ],
)
def test_published_parameter_counts(space: str, head: bool, count: int) -> None:
    assert create_model("svge", space, accuracy_head=head).num_parameters == count


# -- an independent restatement: one graph, one vertex, one edge at a time ------------------------------------------


def plain_round(layer: MessageGRU, states: list[Tensor], edges: list[tuple[int, int]]) -> list[Tensor]:
    """Synchronous update of one graph: messages W [h_u ; h_v] + b summed over u -> v, then the GRU cell."""
    new = []
    for v, state in enumerate(states):
        total = torch.zeros(layer.message.out_features)
        for u, target in edges:
            if target == v:
                total = total + layer.message(torch.cat([states[u], state]))
        new.append(layer.update(total[None], state[None])[0])
    return new


def plain_streams(
    module: nn.Module, along: list[Tensor], against: list[Tensor], edges: list[tuple[int, int]]
) -> list[Tensor]:
    flipped = [(v, u) for u, v in edges]
    for one, other in zip(module.along, module.against, strict=True):
        along, against = plain_round(one, along, edges), plain_round(other, against, flipped)
    return [torch.cat(pair) for pair in zip(along, against, strict=True)]


def plain_readout(readout: GatedSum, states: list[Tensor], which: int, gated: bool = True) -> Tensor:
    total = torch.zeros(readout.out_dim)
    rows = slice(which * readout.out_dim, (which + 1) * readout.out_dim)
    for state in states:
        gate = torch.sigmoid(readout.gates(state)[which]) if gated else 1.0
        total = total + gate * readout.values(state)[rows]
    return total


def plain_encode(model: SVGE, ops: list[int], edges: list[tuple[int, int]]) -> tuple[Tensor, Tensor]:
    start = [model.encoder.types.weight[op] for op in ops]
    states = plain_streams(model.encoder.propagate, start, list(start), edges)
    return plain_readout(model.encoder.readout, states, 0), plain_readout(model.encoder.readout, states, 1)


def plain_decoder_loss(model: SVGE, ops: list[int], edges: set[tuple[int, int]], z: Tensor) -> tuple[Tensor, Tensor]:
    """Published loss of one direction, and the negative log-likelihood."""
    net, half = model.decoder, model.decoder.node_dim // 2
    table = net.types.weight
    states = [net.start_out(torch.relu(net.start_hidden(torch.cat([table[ops[0]], z]))))]
    loss = nll = torch.zeros(())
    for new in range(1, len(ops)):
        if new > 1:
            known = [edge for edge in edges if max(edge) < new]
            halves = [state[:half] for state in states], [state[half:] for state in states]
            states = plain_streams(net.propagate, *halves, known)
        graph, graph_init = (plain_readout(net.readout, states, which, gated=new > 1) for which in (0, 1))
        logits = net.type_out(torch.relu(net.type_hidden(torch.cat([graph, z]))))
        wrong_type = -logits.log_softmax(0)[ops[new]]
        state = net.init_out(torch.relu(net.init_hidden(torch.cat([table[ops[new]], graph_init, z]))))
        loss = loss + wrong_type
        nll = nll + (0 if new == model.space.max_nodes - 1 else wrong_type)
        if new > 1:
            wrong = []
            for u in range(new):
                logit = net.edge_out(torch.relu(net.edge_hidden(torch.cat([states[u], state, graph, z]))))[0]
                wrong.append(nn.functional.softplus(-logit if (u, new) in edges else logit))
            loss = loss + torch.stack(wrong).mean()
            nll = nll + torch.stack(wrong).sum()
        states = [*states, state]
    return loss, nll


@pytest.mark.parametrize("space", [name for name in list_spaces() if name != "darts"])
def test_agrees_with_plain_restatement(space: str) -> None:
    model = build(space, node_dim=12, kl_weight=0.3, rounds=3 if space == "toy" else 2)
    archs = mixed_batch(model.space, 4)
    with torch.no_grad():
        mu, logvar = model.encode(archs)
        losses, scores = model.loss(archs), model.log_prob(archs, mu)
        reconstruction, divergence = [], []
        for row in range(len(archs)):
            graph = archs.describe(row)
            ops, edges = graph["ops"], graph["edges"]
            expected = plain_encode(model, ops, edges)
            torch.testing.assert_close(mu[row], expected[0], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(logvar[row], expected[1], atol=1e-5, rtol=1e-5)
            last = len(ops) - 1
            forward, nll = plain_decoder_loss(model, ops, set(edges), mu[row])
            mirror = {(last - v, last - u) for u, v in edges}
            backward, _ = plain_decoder_loss(model, ops[::-1], mirror, mu[row])
            torch.testing.assert_close(-scores[row], nll, atol=1e-4, rtol=1e-5)
            reconstruction.append(forward + backward)
            divergence.append(0.5 * (mu[row] ** 2 + logvar[row].exp() - 1 - logvar[row]).sum())
        torch.testing.assert_close(losses["reconstruction"], torch.stack(reconstruction).mean(), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(losses["kl"], torch.stack(divergence).mean(), atol=1e-5, rtol=1e-5)
        total = losses["reconstruction"] + 0.3 * losses["kl"]
        torch.testing.assert_close(losses["total"], total)


class Tiny(DagSpace):
    """DAGs of at most three vertices, small enough to sum a distribution over all of them."""

    name, vocabulary, max_nodes, max_edges, size = "tiny", ("input", "output", "op"), 3, 3, 3

    def canonical_keys(self, archs: Architectures) -> list[str]:
        return [key.hex() for key in archs.index_keys()]

    def cost(self, archs: Architectures) -> dict[str, Tensor]:
        return {"params": archs.num_nodes}


def test_log_prob_is_normalised() -> None:
    """Every sequence that unmasked decoding can produce in the forward direction, summed."""
    model = build(Tiny())  # type: ignore[arg-type]
    rows = [([INPUT, OUTPUT], [(0, 1)])]
    for middle in (INPUT, 2):
        for bits in range(4):
            extra = [(u, 2) for u in range(2) if bits >> u & 1]
            rows.append(([INPUT, middle, OUTPUT], [(0, 1), *extra]))
    ops, adj = torch.zeros(len(rows), 3, dtype=torch.uint8), torch.zeros(len(rows), 3, 3, dtype=torch.bool)
    for row, (types, edges) in enumerate(rows):
        ops[row, : len(types)] = torch.tensor(types, dtype=torch.uint8)
        for u, v in edges:
            adj[row, u, v] = True
    archs = Architectures(ops, adj, torch.tensor([len(types) for types, _ in rows]))
    z = codes(model, 1).expand(len(rows), -1)
    with torch.no_grad():
        total = model.log_prob(archs, z).exp().sum()
    assert float(total) == pytest.approx(1.0, abs=1e-5)


def test_draw_frequencies_follow_log_prob() -> None:
    model = build(Tiny(), faithful=False)  # type: ignore[arg-type]
    z = codes(model, 1)
    forward = model.decode(z, generator=seeded(0), mask=False, repeats=20_000)
    two = (forward.num_nodes == 2).float().mean()
    arch = Architectures(
        torch.tensor([[0, 1, 0]], dtype=torch.uint8), torch.zeros(1, 3, 3, dtype=torch.bool), torch.tensor([2])
    )
    arch.adj[0, 0, 1] = True
    with torch.no_grad():
        expected = float(model.log_prob(arch, z).exp())
    assert abs(float(two) - expected) < 4 * math.sqrt(expected * (1 - expected) / 20_000)


def test_repeats_share_work_but_not_randomness() -> None:
    model = build("nb101")
    draws = model.decode(codes(model, 2), generator=seeded(0), repeats=50)
    assert len(set(draws[:50].index_keys())) > 10
    assert draws[:50] != draws[50:]


# -- faults of the released code ---------------------------------------------------------------------------------


def graph_of(ops: list[int], edges: list[tuple[int, int]], width: int = 7) -> Architectures:
    op_row, adj = torch.zeros(1, width, dtype=torch.uint8), torch.zeros(1, width, width, dtype=torch.bool)
    op_row[0, : len(ops)] = torch.tensor(ops, dtype=torch.uint8)
    for u, v in edges:
        adj[0, u, v] = True
    return Architectures(op_row, adj, torch.tensor([len(ops)]))


def test_union_adds_every_edge_of_the_mirrored_decoding() -> None:
    forward = graph_of([0, 2, 3, 1], [(0, 1), (1, 2), (2, 3)])
    mirrored = reverse_graphs(graph_of([0, 2, 3, 1], [(0, 1), (0, 2), (1, 3)]))
    both = union(forward, mirrored, None)
    assert both.describe(0)["edges"] == [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)]
    released = union(forward, mirrored, None, faithful=True)
    assert released == forward  # every extra edge shares an end with a forward edge


def test_union_under_a_mask_stays_in_the_space() -> None:
    space = get_space("nb101")
    full = graph_of([0, 2, 2, 2, 2, 2, 1], [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (0, 6), (1, 6)])
    extra = graph_of([0, 2, 2, 2, 2, 2, 1], [(0, 2), (0, 3), (0, 4)])
    merged = union(full, reverse_graphs(extra), space)
    assert bool(space.is_valid(merged)) and int(merged.num_edges) == 9
    assert int(union(full, reverse_graphs(extra), None).num_edges) == 11


def test_mirror_uses_the_node_count_even_when_the_last_vertex_has_no_input() -> None:
    mirrored = graph_of([1, 2, 3, 0], [(0, 1), (1, 2)])  # its last vertex hears nothing
    forward = graph_of([0, 3, 2, 1], [(0, 1)])
    assert (2, 3) in union(forward, mirrored, None).describe(0)["edges"]
    assert (2, 3) not in union(forward, mirrored, None, faithful=True).describe(0)["edges"]


def test_reverse_is_its_own_inverse() -> None:
    archs = mixed_batch(get_space("nb101"))
    assert reverse_graphs(reverse_graphs(archs)) == archs.clean()
    assert bool((reverse_graphs(archs).ops[:, 0] == OUTPUT).all())


def test_edge_scores_do_not_depend_on_batch_mates_but_the_released_ones_do() -> None:
    archs = mixed_batch(get_space("nb101"))
    for faithful in (False, True):
        model = build("nb101", faithful=faithful)
        with torch.no_grad():
            together = model.loss(archs)["reconstruction"]
            alone = torch.stack([model.loss(archs[row])["reconstruction"] for row in range(len(archs))]).mean()
        assert bool((together - alone).abs() < 1e-5) != faithful


def test_a_batch_of_one_is_the_same_function_as_released() -> None:
    """The mix-up of rows needs batch mates: alone, the two variants have the same reconstruction loss."""
    archs = get_space("nb101").sample(1, seeded(3))
    plain, faithful = (build("nb101", faithful=flag) for flag in (False, True))
    with torch.no_grad():
        torch.testing.assert_close(plain.loss(archs)["reconstruction"], faithful.loss(archs)["reconstruction"])


def test_kl_weight_does_not_depend_on_the_batch() -> None:
    archs = mixed_batch(get_space("toy"))
    for faithful, factor in ((False, 1), (True, len(archs))):
        losses = build(faithful=faithful, kl_weight=0.25).loss(archs)
        torch.testing.assert_close(losses["total"] - losses["reconstruction"], 0.25 * factor * losses["kl"])


def test_noise_scale_is_what_the_config_says() -> None:
    archs = mixed_batch(get_space("toy"))
    mu, logvar = build().encode(archs)
    for scale in (0.0, 0.01, 1.0):
        model = build(noise_scale=scale).train()
        torch.manual_seed(1)
        draws = torch.stack([model._draw(mu, logvar) for _ in range(2000)])
        expected = scale * (0.5 * logvar).exp()
        torch.testing.assert_close(draws.std(0), expected, rtol=0.15, atol=1e-6)


@pytest.mark.parametrize("faithful", [False, True])
@pytest.mark.parametrize("mask", [False, True])
def test_decoding_never_raises(faithful: bool, mask: bool) -> None:
    """Untrained weights and wild codes reach every corner: graphs of one step, mirrored decodes that stop early."""
    for space in ("nb101", "toy", "enas6"):
        model = build(space, faithful=faithful)
        with torch.no_grad():
            for parameter in model.decoder.type_out.parameters():
                parameter.mul_(20)
        graphs = model.decode(5 * codes(model, 400), generator=seeded(4), mask=mask)
        assert len(graphs) == 400 and bool((graphs.num_nodes >= 2).all())
        assert not bool(torch.tril(graphs.adj).any())


def test_accuracy_head_uses_the_mean_and_skips_missing_labels() -> None:
    model = build(accuracy_head=True, accuracy_weight=0.9).train()
    archs = mixed_batch(get_space("toy"))
    y = torch.full((len(archs),), float("nan"))
    y[0] = 0.5
    losses = model.loss(archs, y)
    torch.testing.assert_close(losses["accuracy"], (model.predict(archs)[0] - 0.5) ** 2)
    evidence = losses["reconstruction"] + model.settings.kl_weight * losses["kl"]
    torch.testing.assert_close(losses["total"], 0.1 * evidence + 0.9 * losses["accuracy"])
    with pytest.raises(RuntimeError, match="accuracy_head=True"):
        build().predict(archs)


def test_larger_graphs_can_be_encoded() -> None:
    """The encoder has no size limit: an 8-vertex cell can be scored by a 7-vertex model."""
    model = build("nb101")
    chain = graph_of([0, 2, 2, 2, 2, 2, 2, 1], [(k, k + 1) for k in range(7)], width=8)
    small = get_space("nb101").sample(3, seeded(0))
    together = model.encode(Architectures.concat([chain, small]))[0]
    torch.testing.assert_close(together[1:], model.encode(small)[0])


def test_architectures_of_another_space_are_refused() -> None:
    with pytest.raises(SpaceMismatch, match="nb101"):
        build("nb101").encode(get_space("nb201").sample(4, seeded(0)))


def test_rubbish_is_named() -> None:
    model = build("nb101")
    for z in (torch.zeros(6), torch.zeros(2, 7)):
        with pytest.raises(InvalidValues, match=r"codes of shape \[B, 6\] \(got"):
            model.decode(z)
    with pytest.raises(InvalidArchitecture, match="expected Architectures \\(got list\\)"):
        model.encode(["0110"])  # type: ignore[arg-type]
    with pytest.raises(InvalidArchitecture, match="sequence of texts"):
        model.space.parse([3])  # type: ignore[list-item]


@pytest.mark.parametrize("options", [{"node_dim": 15}, {"latent_dim": 0}, {"rounds": 0}])
def test_impossible_sizes_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        SVGEConfig(**options)


@pytest.mark.slow
def test_overfits_eight_architectures() -> None:
    model = build("nb101", node_dim=64, latent_dim=16).train()
    archs = get_space("nb101").sample(8, seeded(0))
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(300):
        optimizer.zero_grad()
        model.loss(archs)["total"].backward()
        optimizer.step()
    model.eval()
    assert model.decode(model.encode(archs)[0].detach(), sample=False) == archs


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_precisions(dtype: torch.dtype) -> None:
    """Half precision under autocast, with gradients; double throughout."""
    model = build("nb101").train()
    archs = mixed_batch(model.space)
    with torch.no_grad():
        expected = float(model.eval().loss(archs)["total"])
    if dtype == torch.float64:
        model = model.double()
        assert len(model.decode(codes(model, 5).double())) == 5
        assert float(model.loss(archs)["total"].detach()) == pytest.approx(expected, rel=1e-5)
        return
    with torch.autocast("cpu", dtype):
        loss = model.loss(archs)["total"]
    loss.backward()
    assert float(loss.detach()) == pytest.approx(expected, rel=0.02)
    assert all(bool(parameter.grad.isfinite().all()) for parameter in model.parameters() if parameter.grad is not None)
