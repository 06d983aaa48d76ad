"""The masked transformer against one graph at a time, and the order of a DAG."""

from __future__ import annotations

import math
from typing import cast

import pytest
import torch
from torch import Tensor
from torch.nn.functional import gelu, one_hot

from graphnas import get_space
from graphnas.errors import GraphnasError
from graphnas.models import Predictor, Transformer
from graphnas.models.layers.order import closure, depths
from graphnas.spaces import Architectures
from graphnas.testing import mixed_batch
from tests.models.predictor_checks import PredictorChecks, StatesChecks, make

SMALL = {"hidden_dim": 16, "heads": 4, "layers": 2, "feedforward_dim": 24, "head_dim": 8}
KINDS = [
    ("toy", {}),
    ("toy", {"edge_bias": True}),
    ("nb101", {"costs": True}),
    ("nb201", {"readout": "output", "attend": "ancestors"}),
]


class TestContract(PredictorChecks, StatesChecks):
    @pytest.fixture(params=KINDS, ids=lambda kind: f"{kind[0]}-{'-'.join(kind[1])}")
    def model(self, request: pytest.FixtureRequest) -> Predictor:
        space, options = request.param
        return make("transformer", space, **SMALL, **options)


def walk(archs: Architectures) -> tuple[set[tuple[int, int]], list[int]]:
    """Pairs joined by a path and the longest way to every vertex of the only graph of a batch."""
    size = int(archs.num_nodes[0])
    edges = archs.adj[0].nonzero().tolist()
    reach: set[tuple[int, int]] = set()
    depth = [0] * size
    for vertex in range(size):
        for u, v in edges:
            if v == vertex:
                reach |= {(u, v)} | {(w, v) for w in range(u) if (w, u) in reach}
                depth[v] = max(depth[v], depth[u] + 1)
    return reach, depth


@pytest.mark.parametrize("space", ["toy", "nb101", "nb201", "darts"])
def test_closure_and_depths_equal_a_walk(space: str) -> None:
    archs = mixed_batch(get_space(space), 20)
    reach, depth = closure(archs.adj), depths(archs.adj)
    for row in range(len(archs)):
        pairs, longest = walk(archs[row])
        assert {(u, v) for u, v in reach[row].nonzero().tolist()} == pairs
        assert depth[row, : len(longest)].tolist() == longest


def slow_score(model: Transformer, archs: Architectures) -> Tensor:
    """One graph, one vertex and one head at a time."""
    reach, depth = walk(archs)
    size, dim, heads = len(depth), SMALL["hidden_dim"], SMALL["heads"]
    wide, edges = dim // heads, archs.adj[0]
    types = one_hot(archs.ops[0, :size].long(), model.space.num_ops + 1).float()
    x = model.types(types) + model.places(torch.tensor(depth))
    for block in model.blocks:
        query, key, value = block.project(block.attention_norm(x)).split(dim, 1)
        mixed = torch.zeros(size, dim)
        for v in range(size):
            down = [u for u in range(size) if (v, u) in reach] if model.attend != "ancestors" else []
            up = [u for u in range(size) if (u, v) in reach] if model.attend != "descendants" else []
            seen = [v, *up, *down]
            for head in range(heads):
                part = slice(head * wide, (head + 1) * wide)
                logits = key[seen, part] @ query[v, part] / math.sqrt(wide)
                if block.bias is not None:
                    joined = torch.tensor([[edges[v, u], edges[u, v]] for u in seen]).float()
                    logits = logits + joined @ block.bias[:, head]
                weights = logits.softmax(0)
                mixed[v, part] = weights @ value[seen, part]
        x = x + block.out(mixed)
        x = x + block.mlp[3](gelu(block.mlp[0](block.mlp_norm(x))))
    states = model.norm(x)
    return cast(Tensor, model.head(states[-1:] if model.readout == "output" else states.mean(0, keepdim=True)))[0]


@pytest.mark.parametrize("attend", ["both", "ancestors", "descendants"])
@pytest.mark.parametrize("readout", ["mean", "output"])
def test_equals_one_vertex_at_a_time(attend: str, readout: str) -> None:
    for space in ("toy", "nb101"):
        archs = mixed_batch(get_space(space), 8)
        model = cast(Transformer, make("transformer", space, **SMALL, attend=attend, readout=readout, edge_bias=True))
        with torch.no_grad():
            for block in model.blocks:
                cast(Tensor, block.bias).normal_()
            expected = torch.cat([slow_score(model, archs[row]) for row in range(len(archs))])
            assert torch.allclose(model(archs), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"heads": 3}, "multiple of heads, 3"),
        ({"layers": 0}, "layers"),
        ({"dropout": 1.5}, "dropout"),
        ({"attend": "all"}, "attend"),
        ({"readout": "sum"}, "readout"),
    ],
)
def test_impossible_options(options: dict[str, object], named: str) -> None:
    with pytest.raises(GraphnasError, match=named):
        make("transformer", "toy", **options)
