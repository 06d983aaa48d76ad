"""NAR's search on the toy space, where the truth is known."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from graphnas import get_space
from graphnas.bo.tier_search import (
    NARSearchConfig,
    NARSearchResult,
    judge_search,
    nar_search,
    predicted_tiers,
    rank_candidates,
    unknown_rows,
)
from graphnas.errors import InvalidValues, OutsideSpace
from graphnas.spaces import Architectures
from graphnas.spaces.toy import Toy
from graphnas.testing import seeded
from graphnas.train.fitted import FittedPredictor
from graphnas.train.predictor import fit_predictor

CONFIG = NARSearchConfig(rounds=4, batch_size=20, bins=4)
NETWORK: dict[str, Any] = {
    "hidden_dim": 16, "inner_dim": 24, "layers": 1, "heads": 2, "score_dim": 12, "tier_dim": 10, "dropout": 0.0,
    "epochs": 60, "batch_size": 40, "learning_rate": 3e-3,
}  # fmt: skip


@pytest.fixture(scope="module")
def space() -> Toy:
    space = get_space("toy")
    assert isinstance(space, Toy)
    return space


@pytest.fixture(scope="module")
def fitted(space: Toy) -> FittedPredictor:
    archs = space.enumerate()[torch.randperm(787, generator=seeded())[:120]]
    return fit_predictor("nar", archs, space.score(archs), space, device="cpu", **NETWORK)


@pytest.fixture(scope="module")
def result(fitted: FittedPredictor) -> NARSearchResult:
    return nar_search(fitted, CONFIG, seeded())


def test_candidates_are_new_different_and_ranked_by_prediction(
    space: Toy, fitted: FittedPredictor, result: NARSearchResult
) -> None:
    classes = space.class_ids(result.archs)
    assert len(result.archs) == 80 == len(classes.unique()) and result.labels == 120
    assert not bool(torch.isin(classes, space.class_ids(fitted.archs)).any())
    assert torch.allclose(fitted.predict(result.archs), result.scores)
    top, rest = result.scores[: result.in_best_tier], result.scores[result.in_best_tier :]
    assert bool((top.diff() <= 0).all()) and bool((rest.diff() <= 0).all())
    assert 0 < result.in_best_tier < 80
    tiers = predicted_tiers(fitted, result.archs)
    assert torch.equal(tiers == 0, torch.arange(80) < result.in_best_tier)
    assert set(result.traits) == {"flops", "params", "nodes", "ops"}


def test_searches_repeat(fitted: FittedPredictor, result: NARSearchResult) -> None:
    assert nar_search(fitted, CONFIG, seeded()).archs == result.archs


def test_search_leaves_the_tier_statistics_alone(fitted: FittedPredictor, result: NARSearchResult) -> None:
    before = fitted.members[0].network.get_buffer("tier_sums").clone()
    nar_search(fitted, CONFIG, seeded(1))
    assert torch.equal(fitted.members[0].network.get_buffer("tier_sums"), before)


def test_no_true_label_chooses(space: Toy, result: NARSearchResult) -> None:
    """The published search reports the best of its candidates by test accuracy."""
    asked: list[Architectures] = []

    def query(archs: Architectures) -> torch.Tensor:
        asked.append(archs)
        return space.score(archs)

    report = judge_search(result, query, k=5)
    assert len(asked) == 1 and asked[0] == result.archs[:5]
    labels = space.score(result.archs[:5])
    assert report.blind == pytest.approx(float(labels[0])) and report.best == pytest.approx(float(labels.max()))
    assert (report.queries, report.labels) == (5, 120) and math.isnan(report.kendall)
    assert report.best > float(space.score(space.enumerate()).quantile(0.9))


def test_fewer_candidates_than_queries(space: Toy, fitted: FittedPredictor, result: NARSearchResult) -> None:
    """The published top-k fails when fewer than k are predicted to be in the best tier."""
    report = judge_search(result, space.score, k=1000)
    assert report.queries == 80 and report.best == pytest.approx(float(space.score(result.archs).max()))
    few = rank_candidates(fitted, result.archs[-3:], result.traits)
    assert judge_search(few, space.score, k=10).queries == 3


def test_tau_is_measured_on_strangers(space: Toy, fitted: FittedPredictor, result: NARSearchResult) -> None:
    known = torch.isin(space.class_ids(space.enumerate()), space.class_ids(fitted.archs))
    strangers = space.enumerate()[~known]
    report = judge_search(result, space.score, held_out=(strangers, space.score(strangers)), fitted=fitted)
    assert report.kendall > 0.4
    constant = judge_search(result, space.score, held_out=(strangers, torch.ones(len(strangers))), fitted=fitted)
    assert math.isnan(constant.kendall)  # the published tau counts ties as agreement
    with pytest.raises(InvalidValues, match="learned from"):
        judge_search(result, space.score, held_out=(space.enumerate(), torch.zeros(787)), fitted=fitted)
    with pytest.raises(InvalidValues, match="pass fitted"):
        judge_search(result, space.score, held_out=(strangers, torch.zeros(len(strangers))))


def test_every_function_is_drawn_from_once() -> None:
    space = get_space("nb201")
    table = space.enumerate()
    free = unknown_rows(space, table, table[:50])
    classes = space.class_ids(table)
    assert int(free.sum()) == len(classes[free].unique()) == 4930 - len(classes[:50].unique())


def test_other_predictors_rank_by_score(space: Toy) -> None:
    archs = space.enumerate()[torch.randperm(787, generator=seeded())[:60]]
    fitted = fit_predictor("gin", archs, space.score(archs), space, device="cpu", epochs=2)
    result = nar_search(fitted, CONFIG, seeded())
    assert result.in_best_tier == 80 and bool((result.scores.diff() <= 0).all())


def test_spaces_that_cannot_be_enumerated_are_sampled() -> None:
    space = get_space("enas12")
    archs = space.sample(30, seeded())
    fitted = fit_predictor("gin", archs, torch.rand(30, generator=seeded()), space, device="cpu", epochs=1)
    config = NARSearchConfig(rounds=1, batch_size=10, pool=200, threshold=0.0)
    assert len(nar_search(fitted, config, seeded()).archs) == 10


def test_impossible_searches_are_refused(fitted: FittedPredictor) -> None:
    with pytest.raises(OutsideSpace, match="667 unknown architectures"):
        nar_search(fitted, NARSearchConfig(rounds=10, batch_size=100))
    for options in ({"rounds": 0}, {"uniform": 1.5}, {"low_tiers": 5}, {"threshold": -1.0}):
        with pytest.raises(InvalidValues, match=next(iter(options))):
            NARSearchConfig(**options)
