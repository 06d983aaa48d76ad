"""The graph convolutions against one graph at a time, and the graphs they see."""

from __future__ import annotations

import time
from typing import cast

import pytest
import torch
from torch import Tensor
from torch.nn.functional import layer_norm, one_hot

from graphnas import get_space
from graphnas.errors import GraphnasError
from graphnas.models import GCN, Predictor
from graphnas.models.gcn import DirectedMean, GlobalVertex
from graphnas.models.layers.contract import contract, op_flags
from graphnas.models.layers.distinct import same_states
from graphnas.spaces import Architectures
from graphnas.testing import mixed_batch, seeded
from graphnas.train.objectives import score_all
from tests.models.predictor_checks import PredictorChecks, StatesChecks, make

REWIRED = {"closed_ops": ("none",), "open_ops": ("skip_connect",)}
SMALL = {"hidden_dim": 16, "layers": 3}
KINDS = [("toy", {}), ("nb101", {"costs": True}), ("nb201", REWIRED), ("toy", {"directed_mean": True})]


class TestContract(PredictorChecks, StatesChecks):
    @pytest.fixture(params=KINDS, ids=lambda kind: f"{kind[0]}-{'-'.join(kind[1])}")
    def model(self, request: pytest.FixtureRequest) -> Predictor:
        space, options = request.param
        return make("gcn", space, **SMALL, **options)


def one_graph(model: GCN, archs: Architectures) -> tuple[Tensor, Tensor]:
    """Types, and places where the space is ordered, [n, T + 1 (+ N)] and edges [n, n] of the only graph of a batch."""
    space, size = model.space, int(archs.num_nodes[0])
    types = one_hot(archs.ops[0, :size].long(), space.num_ops + 1).float()
    if space.ordered:
        types = torch.cat([types, torch.eye(space.max_nodes)[:size]], 1)
    return types, archs.adj[0, :size, :size].float()


def slow_score(model: GCN, archs: Architectures) -> Tensor:
    """A X W + b, LayerNorm, relu with the extra vertex as row 0 of full matrices."""
    graph = cast(GlobalVertex, model.graph)
    types, edges = one_graph(model, archs)
    size = len(types)
    adj = torch.zeros(size + 1, size + 1)
    adj[0], adj[1:, 1:] = 1, edges
    adj.fill_diagonal_(1)
    x = torch.zeros(size + 1, types.shape[1] + 1)
    x[0, -1], x[1:, :-1] = 1, types
    for linear, norm in zip(graph.layers, graph.norms, strict=True):
        x = adj @ x @ cast(Tensor, linear.weight).T + cast(Tensor, linear.bias)
        x = layer_norm(x, x.shape[1:], cast(Tensor, norm.weight), cast(Tensor, norm.bias)).relu()
    return cast(Tensor, model.head(x[:1]))[0]


def slow_directed(model: GCN, archs: Architectures) -> Tensor:
    """Wen et al. with full matrices."""
    graph = cast(DirectedMean, model.graph)
    x, edges = one_graph(model, archs)
    near = edges + torch.eye(len(edges))
    for down, up in zip(graph.down, graph.up, strict=True):
        ahead = (near / near.sum(1, keepdim=True)) @ (x @ cast(Tensor, down.weight).T)
        back = (near.T / near.T.sum(1, keepdim=True)) @ (x @ cast(Tensor, up.weight).T)
        x = (ahead.relu() + back.relu()) / 2
    return cast(Tensor, model.head(x.mean(0, keepdim=True)))[0]


@pytest.mark.parametrize("space", ["toy", "nb101", "enas6"])
def test_equals_one_graph_at_a_time(space: str) -> None:
    archs = mixed_batch(get_space(space), 20)
    for options, slow in (({}, slow_score), ({"directed_mean": True}, slow_directed)):
        model = cast(GCN, make("gcn", space, **SMALL, **options))
        with torch.no_grad():
            expected = torch.cat([slow(model, archs[row]) for row in range(len(archs))])
            assert torch.allclose(model(archs), expected, atol=1e-5)


def test_training_computes_what_evaluation_does() -> None:
    """Where nothing is dropped: all vertices packed one by one, or the different ones only."""
    archs = get_space("nb201").enumerate()[::50]
    model = make("gcn", "nb201", **SMALL, **REWIRED, dropout=0.0)
    slow = make("gcn", "nb201", **SMALL, **REWIRED, dropout=1e-12).train()  # drops nothing, but may
    assert torch.allclose(slow(archs), model(archs), atol=1e-5)
    assert make("gcn", "nb201", **SMALL).train()(archs).ne(model(archs)).any()


def test_same_states_are_those_of_the_same_future() -> None:
    """0 -> 1 -> 2 and 3 -> 4 -> 5, where 2 and 5 differ: seen from 1 and 4 after a round, from 0 and 3 after two."""
    inputs = torch.tensor([[0.0], [1], [2], [0], [1], [3]])
    reader, read = torch.tensor([0, 1, 3, 4]), torch.tensor([1, 2, 4, 5])
    levels = same_states(inputs, reader, read, 3)
    assert [level.row.tolist() for level in levels] == [
        [0, 1, 2, 0, 1, 3],
        [0, 1, 2, 0, 3, 4],
        [0, 1, 2, 3, 4, 5],
    ]
    assert [level.vertex.tolist() for level in levels] == [[0, 1, 2, 5], [0, 1, 2, 4, 5], [0, 1, 2, 3, 4, 5]]


def slow_contract(archs: Architectures, closed: list[int], opened: list[int]) -> set[tuple[int, int]]:
    """Edges of one graph: u -> v where a path of opened vertices leads from u to v, both on a way to the ends."""
    size, ops = int(archs.num_nodes[0]), archs.ops[0].tolist()
    edges = {(u, v) for u, v in archs.adj[0].nonzero().tolist() if ops[u] not in closed and ops[v] not in closed}
    for vertex in range(size):
        if ops[vertex] in opened:
            into, out = ([edge for edge in edges if edge[side] == vertex] for side in (1, 0))
            edges = (edges - {*into, *out}) | {(u, v) for u, _ in into for _, v in out}
    fed, used = {0}, {size - 1}
    for _ in range(size):
        fed |= {v for u, v in edges if u in fed}
        used |= {u for u, v in edges if v in used}
    return {(u, v) for u, v in edges if {u, v} <= fed & used}


def test_contraction_equals_one_graph_at_a_time() -> None:
    for name, closed, opened in (("nb201", ["none"], ["skip_connect"]), ("toy", ["pool"], ["conv"]), ("toy", [], [])):
        space = get_space(name)
        archs = space.sample(60, seeded(0))
        seen = contract(archs, op_flags(space, closed), op_flags(space, opened))
        places = [[space.op_index(op) for op in ops] for ops in (closed, opened)]
        for row in range(len(archs)):
            assert {(u, v) for u, v in seen.adj[row].nonzero().tolist()} == slow_contract(archs[row], *places), row


def test_what_computes_the_same_has_the_same_score() -> None:
    """NAS-Bench-201's classes of one function score the same once `none` and `skip_connect` are gone."""
    space = get_space("nb201")
    archs = space.parse([
        "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|nor_conv_1x1~1|avg_pool_3x3~2|",
        "|nor_conv_1x1~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|",
        "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|skip_connect~1|none~2|",
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
    ])  # fmt: skip
    scores = make("gcn", "nb201", **SMALL, **REWIRED)(archs)
    assert torch.allclose(scores[:3], scores[:1].expand(3), atol=1e-6) and abs(scores[3] - scores[0]) > 1e-4


def test_published_sizes_and_first_weights() -> None:
    model = make("gcn", "nb201")
    weights = [p.detach() for name, p in model.named_parameters() if ".layers." in name]
    assert model.embed_dim == 600 and len(weights) == 8 and 1.0e6 < model.num_parameters < 1.2e6
    assert all(float(weight.abs().max()) <= 600**-0.5 < 1.05 * float(weight.abs().max()) for weight in weights)
    directed = make("gcn", "nb201", directed_mean=True)
    assert directed.embed_dim == 144 and [p.shape[0] for p in directed.get_submodule("head").parameters()] == [128, 1]


@pytest.mark.parametrize(
    "options", [{"layers": 0}, {"hidden_dim": 0}, {"dropout": 1.0}, {"head_dim": 0}, {"closed_ops": ("nothing",)}]
)
def test_impossible_options(options: dict[str, object]) -> None:
    with pytest.raises(GraphnasError, match=next(iter({*options} - {"closed_ops"}), "unknown operation 'nothing'")):
        make("gcn", "toy", **options)


@pytest.mark.slow
def test_speed() -> None:
    """All of NAS-Bench-201 in less than 3 s of one thread; more than 2,610 pairs a second in training."""
    archs = get_space("nb201").enumerate()
    model = make("gcn", "nb201", **REWIRED)
    score_all(model, archs[:100])
    begin = time.process_time()
    score_all(model, archs)
    assert time.process_time() - begin < 3
    batches = [archs[torch.randint(len(archs), (32,), generator=seeded(step))] for step in range(10)]
    optimizer = torch.optim.AdamW(model.train().parameters())
    begin = time.process_time()
    for batch in batches:
        optimizer.zero_grad()
        model(batch).sum().backward()
        optimizer.step()
    assert 10 * 32 * 31 / (time.process_time() - begin) > 2610
