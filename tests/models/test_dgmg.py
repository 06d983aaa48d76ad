"""DGMG against a slow, plain restatement of its equations, published sizes, and the faults of the released code."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from graphnas import create_model, get_space, list_spaces
from graphnas.errors import InvalidValues, SpaceMismatch
from graphnas.models import DGMG, DGMGConfig
from graphnas.models.layers.both_ways import BothWaysGRU, BothWaysRound, ears_of
from graphnas.models.layers.readout import GatedSum
from graphnas.spaces import INPUT, OUTPUT, Architectures
from graphnas.spaces.dag import DagSpace
from graphnas.testing import codes, mixed_batch, seeded

Edges = list[tuple[int, int]]


def build(space: str | DagSpace = "toy", **options: object) -> DGMG:
    torch.manual_seed(0)
    model = create_model("dgmg", space, **{"node_dim": 16, "latent_dim": 6, **options})
    assert isinstance(model, DGMG)
    return model.eval()


@pytest.mark.parametrize(
    ("space", "head", "count"),
    [
        ("nb101", False, 4_872_746),
        ("nb201", False, 4_873_860),
        ("enas6", False, 4_874_417),
        ("nb101", True, 4_872_746 + 2_115),
    ],
)
def test_published_parameter_counts(space: str, head: bool, count: int) -> None:
    assert create_model("dgmg", space, accuracy_head=head).num_parameters == count


# -- an independent restatement: one graph, one vertex, one edge at a time ------------------------------------------


def plain_propagate(module: nn.Module, states: list[Tensor], edges: Edges) -> list[Tensor]:
    """Rounds over one graph: every edge sends a message to its target and, through the other map, to its source."""
    for layer in module.layers:
        new = []
        for v, state in enumerate(states):
            total = torch.zeros(layer.along.out_features, dtype=state.dtype)
            for source, target in edges:
                if target == v:
                    total = total + layer.along(torch.cat([states[source], state]))
                if source == v:
                    total = total + layer.against(torch.cat([states[target], state]))
            new.append(layer.update(total[None], state[None])[0])
        states = new
    return states


def plain_readout(readout: GatedSum, states: list[Tensor], which: int, gated: bool = True) -> Tensor:
    total = torch.zeros(readout.out_dim)
    rows = slice(which * readout.out_dim, (which + 1) * readout.out_dim)
    for state in states:
        gate = torch.sigmoid(readout.gates(state)[which]) if gated else 1.0
        total = total + gate * readout.values(state)[rows]
    return total


def plain_encode(model: DGMG, ops: list[int], edges: Edges) -> tuple[Tensor, Tensor]:
    states = plain_propagate(model.encoder.propagate, [model.encoder.types.weight[op] for op in ops], edges)
    return plain_readout(model.encoder.readout, states, 0), plain_readout(model.encoder.readout, states, 1)


def plain_decoder_loss(model: DGMG, ops: list[int], edges: Edges, z: Tensor) -> tuple[Tensor, Tensor]:
    """Published loss, and the negative log-likelihood."""
    net, table = model.decoder, model.decoder.types.weight
    states = [net.start_out(torch.relu(net.start_hidden(torch.cat([table[ops[0]], z]))))]
    loss = nll = torch.zeros(())
    for new in range(1, len(ops)):
        if new > 1:
            states = plain_propagate(net.propagate, states, [edge for edge in edges if max(edge) < new])
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


@pytest.mark.parametrize("space", list_spaces())
def test_agrees_with_plain_restatement(space: str) -> None:
    model = build(space, node_dim=11, kl_weight=0.3, rounds=3 if space == "toy" else 2)
    archs = mixed_batch(model.space, 4)
    with torch.no_grad():
        mu, logvar = model.encode(archs)
        losses, scores = model.loss(archs), model.log_prob(archs, mu)
        reconstruction, divergence = [], []
        for row in range(len(archs)):
            graph = archs.describe(row)
            expected = plain_encode(model, graph["ops"], graph["edges"])
            torch.testing.assert_close(mu[row], expected[0], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(logvar[row], expected[1], atol=1e-5, rtol=1e-5)
            loss, nll = plain_decoder_loss(model, graph["ops"], graph["edges"], mu[row])
            torch.testing.assert_close(-scores[row], nll, atol=1e-5, rtol=1e-5)
            reconstruction.append(loss)
            divergence.append(0.5 * (mu[row] ** 2 + logvar[row].exp() - 1 - logvar[row]).sum())
        torch.testing.assert_close(losses["reconstruction"], torch.stack(reconstruction).mean(), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(losses["kl"], torch.stack(divergence).mean(), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(losses["total"], losses["reconstruction"] + 0.3 * losses["kl"])


@pytest.mark.parametrize("way", ["types", "folded", "unfolded"])
def test_gradients_are_those_of_the_plain_restatement(way: str) -> None:
    """In double precision, for every form that the weights take."""
    torch.manual_seed(0)
    module, kinds = BothWaysGRU(5, 3).double(), torch.tensor([[0, 2, 2, 1], [1, 0, 2, 2]])
    table = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    adj = torch.zeros(2, 4, 4, dtype=torch.float64)
    edges: list[Edges] = [[(0, 1), (0, 3), (1, 3)], [(1, 2)]]  # vertices without in-edges, out-edges and either
    for row, pairs in enumerate(edges):
        for u, v in pairs:
            adj[row, u, v] = 1
    if way == "types":
        one_hot = nn.functional.one_hot(kinds.T, 3).double()
        (states,) = module.from_types(one_hot, table, adj)
    else:
        weights = module.fold(1000 if way == "folded" else 1)
        assert all((one.update is None) == (way == "folded") for one in weights)
        (states,) = module((table[kinds.T],), adj, weights)
    plain = [torch.stack(plain_propagate(module, list(table[kinds[row]]), edges[row])) for row in range(2)]
    expected = torch.stack(plain, 1)
    torch.testing.assert_close(states, expected)
    weight = torch.randn_like(states)
    leaves = [table, *module.parameters()]
    fast = torch.autograd.grad((states * weight).sum(), leaves)
    for one, other in zip(fast, torch.autograd.grad((expected * weight).sum(), leaves), strict=True):
        torch.testing.assert_close(one, other)


def test_graphs_without_edges_hear_nothing() -> None:
    layer, state = BothWaysRound(4), torch.randn(3, 2, 4)
    module = BothWaysGRU(4, 1)
    module.layers[0] = layer
    assert isinstance(ears_of(torch.zeros(2, 3, 3))[0].rows, Tensor)
    (new,) = module((state,), torch.zeros(2, 3, 3), module.fold(2))
    torch.testing.assert_close(new.flatten(0, 1), layer.update(torch.zeros(6, 8), state.flatten(0, 1)))


class Tiny(DagSpace):
    """DAGs of at most three vertices, small enough to sum a distribution over all of them."""

    name, vocabulary, max_nodes, max_edges, size = "tiny", ("input", "output", "op"), 3, 3, 3

    def canonical_keys(self, archs: Architectures) -> list[str]:
        return [key.hex() for key in archs.index_keys()]

    def cost(self, archs: Architectures) -> dict[str, Tensor]:
        return {"params": archs.num_nodes}


def everything_tiny() -> Architectures:
    """Every graph that unmasked decoding can draw in that space."""
    rows: list[tuple[list[int], Edges]] = [([INPUT, OUTPUT], [(0, 1)])]
    for middle in (INPUT, 2):
        for bits in range(4):
            rows.append(([INPUT, middle, OUTPUT], [(0, 1), *[(u, 2) for u in range(2) if bits >> u & 1]]))
    ops, adj = torch.zeros(len(rows), 3, dtype=torch.uint8), torch.zeros(len(rows), 3, 3, dtype=torch.bool)
    for row, (types, edges) in enumerate(rows):
        ops[row, : len(types)] = torch.tensor(types, dtype=torch.uint8)
        for u, v in edges:
            adj[row, u, v] = True
    return Architectures(ops, adj, torch.tensor([len(types) for types, _ in rows]))


def test_log_prob_is_normalised_and_is_how_often_a_graph_is_drawn() -> None:
    model, archs, count = build(Tiny()), everything_tiny(), 20_000
    z = codes(model, 1)
    with torch.no_grad():
        expected = model.log_prob(archs, z.expand(len(archs), -1)).exp()
    assert float(expected.sum()) == pytest.approx(1.0, abs=1e-5)
    drawn = model.decode(z, generator=seeded(0), mask=False, repeats=count).index_keys()
    share = torch.tensor([drawn.count(key) / count for key in archs.index_keys()])
    assert float(share.sum()) == pytest.approx(1.0)
    assert bool(((share - expected).abs() < 4.5 * (expected * (1 - expected) / count).sqrt()).all())


# -- faults of the released code ---------------------------------------------------------------------------------


def test_edge_scores_do_not_depend_on_batch_mates_but_the_released_ones_do() -> None:
    archs = mixed_batch(get_space("nb101"))
    for faithful in (False, True):
        model = build("nb101", faithful=faithful)
        with torch.no_grad():
            together = model.loss(archs)["reconstruction"]
            alone = torch.stack([model.loss(archs[row])["reconstruction"] for row in range(len(archs))]).mean()
        assert bool((together - alone).abs() < 1e-5) != faithful


def test_a_batch_of_one_is_the_same_function_as_released() -> None:
    archs = get_space("nb101").sample(1, seeded(3))
    plain, faithful = (build("nb101", faithful=flag) for flag in (False, True))
    with torch.no_grad():
        torch.testing.assert_close(plain.loss(archs)["reconstruction"], faithful.loss(archs)["reconstruction"])


def test_kl_weight_does_not_depend_on_the_batch() -> None:
    archs = mixed_batch(get_space("toy"))
    for faithful, factor in ((False, 1), (True, len(archs))):
        losses = build(faithful=faithful, kl_weight=0.25).loss(archs)
        torch.testing.assert_close(losses["total"] - losses["reconstruction"], 0.25 * factor * losses["kl"])


@pytest.mark.parametrize("mask", [False, True])
def test_decoding_ends_within_the_space(mask: bool) -> None:
    """The released decoder runs to 20 vertices and is cut at 9; wild codes and lopsided types reach every corner."""
    for space in ("nb101", "toy", "enas6"):
        model = build(space, faithful=True)
        with torch.no_grad():
            for parameter in model.decoder.type_out.parameters():
                parameter.mul_(20)
        graphs = model.decode(5 * codes(model, 400), generator=seeded(4), mask=mask)
        assert int(graphs.num_nodes.min()) >= 2 and int(graphs.num_nodes.max()) <= model.space.max_nodes
        assert bool((graphs.ops.gather(1, graphs.num_nodes[:, None] - 1) == OUTPUT).all())
        assert not bool(torch.tril(graphs.adj).any())


# -- the rest ----------------------------------------------------------------------------------------------------


def test_accuracy_head_uses_the_mean_and_skips_missing_labels() -> None:
    model = build(accuracy_head=True, accuracy_weight=0.9).train()
    archs = mixed_batch(get_space("toy"))
    y = torch.full((len(archs),), float("nan"))
    y[0] = 0.5
    losses = model.loss(archs, y)
    torch.testing.assert_close(losses["accuracy"], (model.predict(archs)[0] - 0.5) ** 2)
    evidence = losses["reconstruction"] + model.settings.kl_weight * losses["kl"]
    torch.testing.assert_close(losses["total"], 0.1 * evidence + 0.9 * losses["accuracy"])
    with pytest.raises(RuntimeError, match=r"DGMG has no accuracy head.*accuracy_head=True"):
        build().predict(archs)


def test_edge_loss_sum_is_the_negative_log_likelihood() -> None:
    """Up to the type of a vertex at the limit of the space, which decoding does not draw."""
    model, archs = build("nb101", edge_loss="sum"), mixed_batch(get_space("nb101"))
    archs = archs[archs.num_nodes < 7]
    with torch.no_grad():
        expected = -model.log_prob(archs, model.encode(archs)[0]).mean()
        torch.testing.assert_close(model.loss(archs)["reconstruction"], expected)


@pytest.mark.parametrize("options", [{"node_dim": 0}, {"latent_dim": 0}, {"rounds": 0}, {"edge_loss": "max"}])
def test_impossible_settings_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        DGMGConfig(**options)  # type: ignore[arg-type]


def test_rubbish_is_named() -> None:
    model = build("nb101")
    with pytest.raises(InvalidValues, match=r"codes of shape \[B, 6\] \(got"):
        model.decode(torch.zeros(2, 7))
    with pytest.raises(SpaceMismatch, match="nb101"):
        model.encode(get_space("nb201").sample(4, seeded(0)))


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
