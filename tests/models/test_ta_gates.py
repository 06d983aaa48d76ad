"""TA-GATES against its plain restatement."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from graphnas import create_model
from graphnas.errors import GraphnasError
from graphnas.models import Predictor
from graphnas.testing import mixed_batch
from tests.models.plain_flow import TINY, assert_closed_vertices_are_absent, assert_same_results, loud
from tests.models.predictor_checks import PredictorChecks, StatesChecks

KINDS: list[tuple[str, dict[str, Any]]] = [
    ("nb101", {}),
    ("nb101", {"costs": True, "flow": "edge", "live_only": True}),
    ("nb201", {"flow": "edge", "steps": 4, "closed_ops": ["none"], "open_ops": ["skip_connect"]}),
    ("darts", {"steps": 2, "readout": "output"}),
]


def label(kind: tuple[str, dict[str, Any]]) -> str:
    return "-".join([kind[0], *kind[1]])


class TestContract(PredictorChecks, StatesChecks):
    @pytest.fixture(params=KINDS[:3], ids=label)
    def model(self, request: pytest.FixtureRequest) -> Predictor:
        return loud("ta_gates", request.param[0], **request.param[1])


@pytest.mark.parametrize("kind", KINDS, ids=label)
def test_same_as_restatement(kind: tuple[str, dict[str, Any]]) -> None:
    assert_same_results("ta_gates", kind[0], **kind[1])


def test_closed_vertices_are_absent() -> None:
    assert_closed_vertices_are_absent("ta_gates")


def test_one_step_is_gates() -> None:
    model, gates = loud("ta_gates", "nb101", steps=1), create_model("gates", "nb101", **TINY)
    gates.load_state_dict(model.state_dict())
    archs = mixed_batch(model.space)
    assert torch.equal(model(archs), gates.eval()(archs))


def test_updates_pass_no_gradient_to_the_states_they_start_from() -> None:
    """Of what the update reads, only the backward flow is learnt through: with its weights at 0 nothing is."""
    model = loud("ta_gates", "nb101", steps=2)
    archs, width = model.prepare(mixed_batch(model.space)), TINY["op_dim"] + TINY["layer_dim"]
    update: Any = model.update
    with torch.no_grad():
        update[0].weight[:, width:] = 0
    model(archs).sum().backward()
    turn: Any = model.turn
    assert bool((turn[0].weight.grad == 0).all()) and bool((update[0].weight.grad != 0).any())
    with torch.no_grad():
        update[0].weight[:, width:] = 0.3
    model.zero_grad()
    model(archs).sum().backward()
    assert bool((turn[0].weight.grad != 0).any())


def test_wrong_options() -> None:
    with pytest.raises(GraphnasError, match="steps"):
        create_model("ta_gates", "toy", steps=0)
