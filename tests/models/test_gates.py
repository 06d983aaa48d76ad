"""GATES against its plain restatement, and what its options mean."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from graphnas import create_model, get_space
from graphnas.errors import GraphnasError, InvalidArchitecture
from graphnas.models import Predictor
from graphnas.models.gates import live_vertices
from graphnas.models.layers.contract import contract, op_flags
from tests.models.plain_async import graph_of
from tests.models.plain_flow import TINY, assert_closed_vertices_are_absent, assert_same_results, dead_ends, loud
from tests.models.predictor_checks import PredictorChecks, StatesChecks

KINDS: list[tuple[str, dict[str, Any]]] = [
    ("nb101", {}),
    ("nb101", {"flow": "edge", "costs": True, "readout": "sum", "head_layers": 0}),
    ("nb101", {"closed_ops": ["maxpool3x3"], "live_only": True}),
    ("nb201", {"flow": "edge", "closed_ops": ["none"], "open_ops": ["skip_connect"], "readout": "output"}),
    ("darts", {"closed_ops": ["max_pool_3x3"], "live_only": True, "costs": True}),
    ("enas6", {"flow": "edge", "live_only": True, "head_layers": 2}),
]


def label(kind: tuple[str, dict[str, Any]]) -> str:
    return "-".join([kind[0], *kind[1]])


class TestContract(PredictorChecks, StatesChecks):
    @pytest.fixture(params=KINDS[:4], ids=label)
    def model(self, request: pytest.FixtureRequest) -> Predictor:
        return loud("gates", request.param[0], **request.param[1])


@pytest.mark.parametrize("kind", KINDS, ids=label)
def test_same_as_restatement(kind: tuple[str, dict[str, Any]]) -> None:
    assert_same_results("gates", kind[0], **kind[1])


@pytest.mark.parametrize("options", [{}, {"flow": "edge"}, {"readout": "output"}], ids=str)
def test_closed_vertices_are_absent(options: dict[str, Any]) -> None:
    """Released FLAN: the index of `none` is 130, so that such vertices and padding are averaged in."""
    assert_closed_vertices_are_absent("gates", **options)


def test_flow_on_edges_is_the_published_layer_over_cell_nodes() -> None:
    """NAS-Bench-201 as four nodes and six operations: y_j = sum over i < j of gate(op of i, j) x_i W + x_j W + b."""
    space = get_space("nb201")
    text = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|nor_conv_3x3~2|"
    options: dict[str, Any] = {"flow": "edge", "closed_ops": ["none"], "open_ops": ["skip_connect"], "layers": 4}
    model = loud("gates", space, readout="output", **options)
    cell = space.parse(text)
    pairs = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
    kinds = {pair: space.vocabulary[op] for pair, op in zip(pairs, cell.ops[0, 1:7].tolist(), strict=True)}
    stack: Any = model.stack
    with torch.no_grad():
        given, other = model.start(model.input_embedding), model.start(model.other_embedding)
        nodes, source = [other] * 4, given
        for number, layer in enumerate(stack.layers):
            rows = slice(8 * number, 8 * number + 8)
            if number:
                nodes, source = [node.relu() for node in nodes], source.relu()
            new = [layer.weight(node) + layer.bias for node in nodes]
            new[0] = new[0] + layer.weight(source)  # the cell input reaches node 0 through an open gate
            for (i, j), kind in kinds.items():
                gate = stack.gates(model.op_embedding.weight[:, space.vocabulary.index(kind)])[rows].sigmoid()
                if kind != "none":
                    new[j] = new[j] + (1.0 if kind == "skip_connect" else gate) * layer.weight(nodes[i])
            nodes, source = new, layer.weight(source) + layer.bias
        torch.testing.assert_close(model.embed(cell)[0], nodes[3], atol=1e-5, rtol=1e-5)


def test_open_operations_are_alike_and_closed_ones_too() -> None:
    options: dict[str, Any] = {"closed_ops": ["none", "avg_pool_3x3"], "open_ops": ["skip_connect", "nor_conv_1x1"]}
    model, space = loud("gates", "nb201", **options), get_space("nb201")
    cells = space.parse([f"|nor_conv_3x3~0|+|{op}~0|{op}~1|+|none~0|none~1|{op}~2|" for op in space.vocabulary[2:]])
    with torch.no_grad():
        scores = dict(zip(space.vocabulary[2:], model(cells).tolist(), strict=True))
    assert scores["skip_connect"] == pytest.approx(scores["nor_conv_1x1"], abs=1e-6)
    assert scores["none"] == pytest.approx(scores["avg_pool_3x3"], abs=1e-6)
    assert abs(scores["none"] - scores["nor_conv_3x3"]) > 1e-3 < abs(scores["skip_connect"] - scores["nor_conv_3x3"])


def test_bypassed_operations_give_the_graphs_of_brp_nas() -> None:
    """The same scores as without the option on graphs prepared beforehand, whose idle vertices are averaged in."""
    space = get_space("nb201")
    model = loud("gates", space, closed_ops=["none"], bypassed_ops=["skip_connect"])
    plain = loud("gates", space)
    plain.load_state_dict(model.state_dict())
    cells = space.sample(20, torch.Generator().manual_seed(0))
    prepared = contract(cells, op_flags(space, ["none"]), op_flags(space, ["skip_connect"]))
    with torch.no_grad():
        assert torch.allclose(model(cells), plain(prepared), atol=1e-6)
        assert not torch.allclose(model(cells), plain(cells), atol=1e-3)


def test_live_vertices() -> None:
    for ops, edges in (
        ([0, 2, 2, 2, 1], [(0, 1), (1, 2), (2, 4), (0, 3), (1, 4)]),
        ([0, 2, 2, 1], [(0, 1), (2, 3)]),
        ([0, 1], []),
        ([0] + [2] * 9 + [1], [(v, v + 1) for v in range(10)]),
    ):
        graph = graph_of(ops, edges, 12)
        last = torch.arange(12)[None] == len(ops) - 1
        expected = [v < len(ops) and v not in dead_ends(len(ops), set(edges)) for v in range(12)]
        assert live_vertices(graph.adj, last)[0].tolist() == expected


def test_starts_as_published() -> None:
    model = create_model("gates", "nb101")
    state = model.state_dict()
    assert bool((state["other_embedding"] == 0).all()) and bool((state["input_embedding"] != 0).all())
    assert [tuple(state[f"stack.layers.{k}.weight.weight"].shape) for k in range(4)] == [(128, 96)] + [(128, 128)] * 3
    assert tuple(state["head.0.0.weight"].shape) == (200, 128) and tuple(state["stack.gates.weight"].shape) == (512, 48)


def test_wrong_options() -> None:
    for options, pattern in (
        ({"layers": 0}, "layers"),
        ({"dropout": 1.0}, "dropout"),
        ({"flow": "both"}, "flow"),
        ({"readout": "max"}, "readout"),
    ):
        with pytest.raises(GraphnasError, match=pattern):
            create_model("gates", "toy", **TINY | options)
    with pytest.raises(InvalidArchitecture, match="none"):
        create_model("gates", "nb101", closed_ops=["none"])
