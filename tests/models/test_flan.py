"""FLAN against its plain restatement, and its attention as released."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from graphnas.models import Predictor
from graphnas.testing import mixed_batch
from tests.models.plain_flow import assert_closed_vertices_are_absent, assert_same_results, loud
from tests.models.predictor_checks import PredictorChecks, StatesChecks

KINDS: list[tuple[str, dict[str, Any]]] = [
    ("nb101", {}),
    ("nb101", {"faithful": True}),
    ("nb201", {"flow": "edge", "closed_ops": ["none"], "costs": True}),
    ("enas6", {"faithful": True, "flow": "edge", "steps": 3, "costs": True}),
    ("darts", {"live_only": True}),
]


def label(kind: tuple[str, dict[str, Any]]) -> str:
    return "-".join([kind[0], *kind[1]])


class TestContract(PredictorChecks, StatesChecks):
    @pytest.fixture(params=KINDS[:3], ids=label)
    def model(self, request: pytest.FixtureRequest) -> Predictor:
        return loud("flan", request.param[0], **request.param[1])


@pytest.mark.parametrize("kind", KINDS, ids=label)
def test_same_as_restatement(kind: tuple[str, dict[str, Any]]) -> None:
    assert_same_results("flan", kind[0], **kind[1])


def test_closed_vertices_are_absent() -> None:
    assert_closed_vertices_are_absent("flan")


def test_faithful_differs_in_the_mask_only() -> None:
    """Same weights, other attention; without attention in the mean, the same scores."""
    ours, theirs = loud("flan", "nb101"), loud("flan", "nb101", faithful=True)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    archs = mixed_batch(ours.space)
    with torch.no_grad():
        assert not torch.allclose(ours(archs), theirs(archs), atol=1e-3)
        for model in (ours, theirs):
            for name, parameter in model.named_parameters():
                if "attention.norm" in name:
                    parameter.zero_()
        assert torch.allclose(ours(archs), theirs(archs), atol=1e-6)
