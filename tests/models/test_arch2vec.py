"""arch2vec against a slow, plain restatement of its equations, published sizes, and the faults of the released code."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from graphnas import create_model, get_space, list_spaces
from graphnas.errors import InvalidValues, SpaceMismatch
from graphnas.models import Arch2Vec, Arch2VecConfig
from graphnas.models.arch2vec import GINLayer
from graphnas.spaces import INPUT, OUTPUT, Architectures, SearchSpace
from graphnas.spaces.dag import DagSpace
from graphnas.testing import codes, mixed_batch, seeded


def build(space: str | SearchSpace = "toy", trained: bool = True, **options: Any) -> Arch2Vec:
    """A small model in evaluation mode whose batch statistics have left their initial values."""
    torch.manual_seed(0)
    model = create_model("arch2vec", space, **({"hidden_dim": 12, "latent_dim": 5} | options))
    assert isinstance(model, Arch2Vec)
    if trained:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
            for _ in range(5):
                model.train().loss(model.space.sample(20, seeded(0)))
    return model.eval()


@pytest.mark.parametrize("faithful", [False, True])
@pytest.mark.parametrize(("space", "count"), [("nb101", 122_617), ("nb201", 122_907), ("enas6", 123_052)])
def test_published_parameter_counts(space: str, count: int, faithful: bool) -> None:
    """123,052 was measured with the eight types of ENAS; every type costs 128 weights to read and 17 to write."""
    assert create_model("arch2vec", space, faithful=faithful).num_parameters == count


# -- an independent restatement: one graph, one vertex, one edge at a time ------------------------------------------


def plain_norm(norm: nn.BatchNorm1d, x: Tensor) -> Tensor:
    assert norm.running_mean is not None and norm.running_var is not None
    return (x - norm.running_mean) / torch.sqrt(norm.running_var + norm.eps) * norm.weight + norm.bias


def plain_layer(layer: GINLayer, states: list[Tensor], edges: set[tuple[int, int]]) -> list[Tensor]:
    new = []
    for v, state in enumerate(states):
        total = (1 + layer.eps) * state
        for u, other in enumerate(states):
            if (u, v) in edges or (v, u) in edges:
                total = total + other
        inner = torch.relu(plain_norm(layer.hidden_norm, layer.hidden(total)))
        new.append(torch.relu(plain_norm(layer.out_norm, layer.out(inner))))
    return new


def plain_encode(model: Arch2Vec, ops: list[int], edges: set[tuple[int, int]]) -> tuple[Tensor, Tensor]:
    settings, width, kinds = model.settings, model.space.max_nodes, model.space.num_ops
    states = []
    for v in range(width if settings.faithful else len(ops)):
        x = torch.zeros(kinds + (width if settings.vertex_ids else 0))
        if v < len(ops):
            x[ops[v]] = 1
            if settings.vertex_ids:
                x[kinds + v] = 1
        states.append(x)
    for layer in model.encoder.layers:
        assert isinstance(layer, GINLayer)
        states = plain_layer(layer, states, edges)
    mean, logvar = torch.zeros(width, settings.latent_dim), torch.zeros(width, settings.latent_dim)
    for v, state in enumerate(states):
        mean[v] = model.encoder.heads.mean(state)
        logvar[v] = model.encoder.heads.logvar(state) * (2 if settings.faithful else 1)
    return mean, logvar


def plain_edge(model: Arch2Vec, source: Tensor, target: Tensor) -> Tensor:
    return ((source if model.pairs is None else model.pairs(source)) * target).sum()


def plain_nll(model: Arch2Vec, ops: list[int], edges: set[tuple[int, int]], z: Tensor) -> Tensor:
    total = torch.zeros(())
    for v in range(1, len(ops)):
        if v < model.space.max_nodes - 1:
            total = total - model.types(z[v]).log_softmax(0)[ops[v]]
        for u in range(v):
            p = torch.sigmoid(plain_edge(model, z[u], z[v]).double())
            total = total - torch.log(p if (u, v) in edges else 1 - p)
    return total


def plain_released(model: Arch2Vec, ops: list[int], edges: set[tuple[int, int]], z: Tensor) -> Tensor:
    """Means over all entries, padding and lower triangle included."""
    width, kinds = model.space.max_nodes, model.space.num_ops
    wrong_types = wrong_edges = torch.zeros((), dtype=torch.float64)
    for v in range(width):
        for kind in range(kinds):
            p = torch.sigmoid(model.types(z[v])[kind].double())
            hit = v < len(ops) and ops[v] == kind
            wrong_types = wrong_types - torch.log(p if hit else 1 - p)
        for u in range(v):
            p = torch.sigmoid(plain_edge(model, z[u], z[v]).double())
            wrong_edges = wrong_edges - torch.log(p if (u, v) in edges else 1 - p)
    return (wrong_types / (width * kinds) + wrong_edges / width**2).float()


OPTIONS: list[dict[str, Any]] = [{}, {"vertex_ids": True, "edge_decoder": "bilinear"}, {"faithful": True}]


@pytest.mark.parametrize("options", OPTIONS, ids=["plain", "ids", "faithful"])
@pytest.mark.parametrize("space", list_spaces())
def test_agrees_with_plain_restatement(space: str, options: dict[str, Any]) -> None:
    model = build(space, kl_weight=0.3, **options)
    archs = mixed_batch(model.space, 4)
    count, width = len(archs), model.space.max_nodes
    with torch.no_grad():
        mu, logvar = model.encode(archs)
        losses, scores, embedded = model.loss(archs), model.log_prob(archs, mu), model.embed(archs)
        reconstruction, divergence = [], []
        for row in range(count):
            graph = archs.describe(row)
            ops, edges = graph["ops"], set(graph["edges"])
            expected = plain_encode(model, ops, edges)
            for found, wanted in zip((mu, logvar), expected, strict=True):
                torch.testing.assert_close(found[row].view(width, -1), wanted, atol=1e-5, rtol=1e-5)
            code = expected[0] if model.settings.faithful else expected[0][: len(ops)]
            torch.testing.assert_close(embedded[row], code.mean(0), atol=1e-5, rtol=1e-5)
            z = mu[row].view(width, -1)
            nll = plain_nll(model, ops, edges, z)
            torch.testing.assert_close(-scores[row], nll.float(), atol=1e-5, rtol=1e-5)
            reconstruction.append(plain_released(model, ops, edges, z) if model.settings.faithful else nll.float())
            divergence.append(0.5 * (mu[row] ** 2 + logvar[row].exp() - 1 - logvar[row]).sum())
    torch.testing.assert_close(losses["reconstruction"], torch.stack(reconstruction).mean(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(losses["kl"], torch.stack(divergence).mean(), atol=1e-5, rtol=1e-5)
    weight = 1 / (count * width**2) if model.settings.faithful else 0.3
    total = losses["reconstruction"] + weight * losses["kl"]
    torch.testing.assert_close(losses["total"], total, atol=1e-5, rtol=1e-5)


# -- generation -------------------------------------------------------------------------------------------------------


class Tiny(DagSpace):
    """DAGs of at most three vertices, small enough to sum a distribution over all of them."""

    name, vocabulary, max_nodes, max_edges, size = "tiny", ("input", "output", "op"), 3, 3, 3

    def canonical_keys(self, archs: Architectures) -> list[str]:
        return [key.hex() for key in archs.index_keys()]

    def cost(self, archs: Architectures) -> dict[str, Tensor]:
        return {"params": archs.num_nodes}


def tiny_graphs() -> Architectures:
    """All that unmasked decoding of the tiny space can draw."""
    rows = [([INPUT, OUTPUT], bits) for bits in range(2)]
    rows += [([INPUT, middle, OUTPUT], bits) for middle in (INPUT, 2) for bits in range(8)]
    ops, adj = torch.zeros(len(rows), 3, dtype=torch.uint8), torch.zeros(len(rows), 3, 3, dtype=torch.bool)
    for row, (types, bits) in enumerate(rows):
        ops[row, : len(types)] = torch.tensor(types, dtype=torch.uint8)
        for place, (u, v) in enumerate([(0, 1), (0, 2), (1, 2)]):
            adj[row, u, v] = bool(bits >> place & 1)
    return Architectures(ops, adj, torch.tensor([len(types) for types, _ in rows]))


@pytest.mark.parametrize("options", OPTIONS, ids=["plain", "ids", "faithful"])
def test_log_prob_is_normalised(options: dict[str, Any]) -> None:
    model, archs = build(Tiny(), trained=False, **options), tiny_graphs()
    with torch.no_grad():
        total = model.log_prob(archs, codes(model, 1).expand(len(archs), -1)).exp().sum()
    assert float(total) == pytest.approx(1.0, abs=1e-5)


def test_draw_frequencies_follow_log_prob() -> None:
    model, archs, count = build(Tiny(), trained=False), tiny_graphs(), 20_000
    z = codes(model, 1)
    drawn = model.decode(z, generator=seeded(0), mask=False, repeats=count).index_keys()
    with torch.no_grad():
        expected = model.log_prob(archs, z.expand(len(archs), -1)).exp().tolist()
    for key, p in zip(archs.index_keys(), expected, strict=True):
        assert abs(drawn.count(key) / count - p) < 4.5 * math.sqrt(p * (1 - p) / count)


def test_most_probable_decode_reads_the_logits() -> None:
    """In a space whose types are free, no other choice of one vertex or edge is more probable."""
    model = build("nb101", trained=False)
    z = codes(model, 30)
    best = model.decode(z, sample=False, mask=False)
    types, edges = model.scores(z)
    for row in range(len(best)):
        graph = best.describe(row)
        for v, op in enumerate(graph["ops"][1:], start=1):
            assert v == model.space.max_nodes - 1 or op == int(types[row, v].argmax())
            assert [(u, v) in graph["edges"] for u in range(v)] == (edges[row, :v, v] > 0).tolist()


# -- faults of the released code ---------------------------------------------------------------------------------


def test_stays_variational_after_an_evaluation() -> None:
    """The model never changes its mode itself, and training again draws codes, drops entries and moves statistics."""
    model = build("nb101", latent_dim=16).train()
    archs = mixed_batch(model.space)
    model.loss(archs)
    model.encode(archs)
    model.decode(codes(model, 3), generator=seeded(0))
    assert all(module.training for module in model.modules())
    model.eval()
    model.loss(archs)
    assert not any(module.training for module in model.modules())
    assert torch.equal(model.loss(archs)["total"], model.loss(archs)["total"])
    model.train()
    statistics = model.state_dict()["encoder.layers.0.hidden_norm.running_mean"]
    before = statistics.clone()
    values = {float(model.loss(archs)["reconstruction"].detach()) for _ in range(4)}
    assert len(values) == 4
    assert not torch.equal(before, statistics)


@pytest.mark.parametrize("off", [{"dropout": 0.0}, {"noise_scale": 0.0}])
def test_noise_and_dropout_each_act_in_training(off: dict[str, Any]) -> None:
    model = build("nb101", **off).train()
    archs = mixed_batch(model.space)
    assert float(model.loss(archs)["reconstruction"].detach()) != float(model.loss(archs)["reconstruction"].detach())
    both = build("nb101", dropout=0.0, noise_scale=0.0).train()
    assert float(both.loss(archs)["reconstruction"].detach()) == float(both.loss(archs)["reconstruction"].detach())


def test_types_are_a_softmax_and_sigmoids_only_as_released() -> None:
    """A constant added to all type logits changes sigmoids, not a softmax."""
    archs = mixed_batch(get_space("nb201"))
    for faithful in (False, True):
        model = build("nb201", faithful=faithful)
        before = model.loss(archs)["reconstruction"]
        with torch.no_grad():
            model.types.bias.add_(1.5)
        assert bool((model.loss(archs)["reconstruction"] - before).abs() < 1e-4) != faithful


def test_kl_is_a_sum_per_graph_and_shrinks_only_as_released() -> None:
    archs = mixed_batch(get_space("nb201"))
    for faithful, weight in ((False, 0.5), (True, 1 / (len(archs) * 64))):
        model = build("nb201", faithful=faithful, kl_weight=0.5)
        losses = model.loss(archs)
        torch.testing.assert_close(losses["total"] - losses["reconstruction"], weight * losses["kl"])
        twice = model.loss(Architectures.concat([archs, archs]))
        assert torch.allclose(twice["total"], losses["total"]) != faithful


def test_validity_looks_at_vertex_one_and_at_edges() -> None:
    space = get_space("nb201")
    good = space.sample(1, seeded(0))
    wrong_type, missing_edge = good.ops.clone(), good.adj.clone()
    wrong_type[0, 1] = OUTPUT
    missing_edge[0, 0, 1] = False
    assert bool(space.is_valid(good).all())
    assert not bool(space.is_valid(Architectures(wrong_type, good.adj, good.num_nodes)).any())
    assert not bool(space.is_valid(Architectures(good.ops, missing_edge, good.num_nodes)).any())


def test_masked_decodes_obey_what_the_logits_resist() -> None:
    """A decoder that wants every vertex to be the output, and no edge, still draws valid cells."""
    for name in list_spaces():
        model = build(name, trained=False)
        with torch.no_grad():
            model.types.bias[OUTPUT] += 50
        drawn = model.decode(codes(model, 30), sample=False)
        assert bool(model.space.is_valid(drawn).all())
        plain = model.decode(codes(model, 30), mask=False, sample=False)
        assert bool((plain.num_nodes == 2).all())


# -- padding ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("faithful", [False, True])
def test_batch_statistics_count_real_vertices_only(faithful: bool) -> None:
    """As released, zero rows of the padding pull the statistics."""
    model = build("nb101", trained=False, faithful=faithful)
    archs = mixed_batch(model.space)
    layer = model.encoder.layers[0]
    assert isinstance(layer, GINLayer) and not bool(archs.node_mask.all())
    rows = []
    for row in range(len(archs)):
        graph = archs.describe(row)
        x = torch.zeros(7, 5)
        for v, op in enumerate(graph["ops"]):
            x[v, op] = 1
        total = (1 + layer.eps) * x
        for u, v in graph["edges"]:
            total[u] = total[u] + x[v]
            total[v] = total[v] + x[u]
        rows.append(layer.hidden(total if faithful else total[: len(graph["ops"])]))
    layer.hidden_norm.momentum = 1.0
    model.train().loss(archs)
    torch.testing.assert_close(layer.hidden_norm.running_mean, torch.cat(rows).mean(0), atol=1e-6, rtol=1e-5)


def test_padding_has_the_prior_as_posterior_and_no_say() -> None:
    model = build("nb101")
    archs = mixed_batch(model.space)
    mu, logvar = (part.view(len(archs), 7, -1) for part in model.encode(archs))
    absent = ~archs.node_mask
    assert bool(absent.any()) and not bool(mu[absent].any()) and not bool(logvar[absent].any())
    noisy = (mu + absent[:, :, None] * 3.0).flatten(1)
    torch.testing.assert_close(model.log_prob(archs, noisy), model.log_prob(archs, mu.flatten(1)))


def test_embedding_is_as_wide_as_one_vertex() -> None:
    model = create_model("arch2vec", "nb101")
    assert isinstance(model, Arch2Vec)
    assert model.eval().embed(model.space.sample(3, seeded(0))).shape == (3, 16)
    assert model.latent_dim == 7 * 16


def test_equal_vertices_need_ids() -> None:
    """Swapping two vertices of one type changes nothing in the undirected graph but their order."""
    ops = torch.tensor([[0, 2, 2, 1, 0]], dtype=torch.uint8)
    adj = torch.zeros(1, 5, 5, dtype=torch.bool)
    for u, v in [(0, 1), (0, 2), (1, 3), (2, 3)]:
        adj[0, u, v] = True
    archs = Architectures(ops, adj, torch.tensor([4]))
    for ids in (False, True):
        mu = build("toy", vertex_ids=ids).encode(archs)[0].view(5, -1)
        assert torch.allclose(mu[1], mu[2], atol=1e-6) != ids


# -- the rest ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("faithful", [False, True])
def test_accuracy_head(faithful: bool) -> None:
    model = build("toy", accuracy_head=True, accuracy_weight=0.75, faithful=faithful, kl_weight=0.5)
    archs = mixed_batch(model.space)
    losses = model.loss(archs, torch.linspace(0, 1, len(archs)))
    weight = 1 / (len(archs) * 25) if faithful else 0.5
    evidence = losses["reconstruction"] + weight * losses["kl"]
    torch.testing.assert_close(losses["total"], 0.25 * evidence + 0.75 * losses["accuracy"])
    assert model.predicts and model.predict(archs).shape == (len(archs),)


def test_too_large_graphs_are_refused() -> None:
    wide = get_space("nb101").sample(1, seeded(0)).widen(9)
    wide = Architectures(wide.ops, wide.adj, torch.tensor([9]))
    model = build("nb101")
    for use in (model.encode, model.embed, model.loss):
        with pytest.raises(SpaceMismatch, match="at most 7 vertices"):
            use(wide)
    with pytest.raises(InvalidValues, match="codes of shape"):
        model.decode(torch.zeros(2, 5))


@pytest.mark.parametrize(
    "options", [{"layers": 0}, {"dropout": 1.0}, {"edge_decoder": "outer"}, {"latent_dim": 0}, {"input_scale": 8.0}]
)
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Arch2VecConfig(**options)


@pytest.mark.slow
def test_overfits_eight_architectures() -> None:
    options = {"vertex_ids": True, "edge_decoder": "bilinear", "dropout": 0.0, "noise_scale": 0.1, "kl_weight": 1e-4}
    model = build("nb101", trained=False, hidden_dim=64, latent_dim=16, **options).train()
    archs = get_space("nb101").sample(8, seeded(0))
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 200)
    for _ in range(200):
        optimizer.zero_grad()
        model.loss(archs)["total"].backward()
        optimizer.step()
        schedule.step()
    model.eval()
    assert model.decode(model.encode(archs)[0].detach(), sample=False) == archs


def test_half_precision_under_autocast() -> None:
    model = build("nb101", hidden_dim=32)
    archs = mixed_batch(model.space)
    expected = float(model.loss(archs)["total"].detach())
    with torch.autocast("cpu", torch.bfloat16):
        loss = model.loss(archs)["total"]
        model.train().loss(archs)["total"].backward()
    assert float(loss.detach()) == pytest.approx(expected, rel=0.05)
