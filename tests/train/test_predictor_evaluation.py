"""Tasks, parts and figures of the predictor protocol."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from graphnas.errors import GraphnasError
from graphnas.spaces import Architectures, get_space
from graphnas.train.predictor_evaluation import (
    Labels,
    Task,
    evaluate_predictor,
    measure,
    part_rows,
    read_labels,
)


@pytest.fixture(scope="module")
def labels() -> Labels:
    return read_labels(Task("nb201", "digits201"))


def test_classes_are_never_on_both_sides(labels: Labels) -> None:
    parts = part_rows(labels, Task("nb201", test_size=2000), 500, seed=0)
    ids = labels.space.class_ids(labels.archs)
    assert not set(ids[parts.train].tolist()) & set(ids[parts.test].tolist())
    assert len(parts.train) == 500 and len(parts.test) >= 2000
    assert set(parts.train.tolist()).isdisjoint(parts.test.tolist())


def test_rows_follow_the_published_permutation(labels: Labels) -> None:
    parts = part_rows(labels, Task("nb201", test_size=300, parting="rows"), 40, seed=3)
    order = np.random.default_rng(3).permutation(len(labels.y))
    assert parts.test.tolist() == order[:300].tolist() and parts.train.tolist() == order[300:340].tolist()


@pytest.mark.parametrize("parting", ["classes", "rows"])
def test_fewer_labels_are_a_prefix_of_more(labels: Labels, parting: str) -> None:
    task = Task("nb201", test_size=500, parting=parting)  # type: ignore[arg-type]
    few, many = part_rows(labels, task, 30, 1), part_rows(labels, task, 90, 1)
    assert torch.equal(many.train[:30], few.train) and torch.equal(many.test, few.test)
    assert not torch.equal(part_rows(labels, task, 30, 2).train, few.train)


def test_equal_functions_stay_together() -> None:
    """Every label of a class is judged where one is: strings of NAS-Bench-201 that compute the same."""
    space = get_space("nb201")
    archs = space.enumerate()[:3000]
    parts = part_rows(Labels(space, archs, torch.arange(3000.0).double()), Task("nb201", test_size=1000), 1, seed=0)
    ids = space.class_ids(archs)
    tested = torch.isin(ids, ids[parts.test])
    assert int(tested.sum()) == len(parts.test) < 3000


def test_too_many_labels_are_refused(labels: Labels) -> None:
    with pytest.raises(GraphnasError, match="asked for 5000"):
        part_rows(labels, Task("nb201", test_size=2000), 5000, seed=0)


def test_a_perfect_ranking_and_its_reverse() -> None:
    y = torch.arange(200.0).double()
    best, worst = measure(y, y), measure(-y, y)
    assert best["kendall"] == best["kendall_top"] == best["top_1"] == best["top_10"] == best["best_rank_at_1"] == 1
    assert worst["kendall"] == -1 and worst["top_10"] == 0
    assert worst["best_rank_at_1"] == 200 and worst["best_rank_at_10"] == 191
    assert best["rmse"] == 0 and worst["rmse"] > 100


def test_a_constant_prediction_is_no_ranking() -> None:
    values = measure(torch.zeros(50).double(), torch.arange(50.0).double())
    assert math.isnan(values["kendall"])


def test_names_tell_tasks_apart() -> None:
    names = {
        Task("nb201", "a.csv", "x").name,
        Task("nb201", "a.csv", "y").name,
        Task("nb201", "a.csv", "x", parting="rows").name,
        Task("nb101", "a.csv", "x").name,
    }
    assert len(names) == 4 and all("/" not in name for name in names)


def test_missing_labels_are_named() -> None:
    with pytest.raises(GraphnasError, match="no labels of darts"):
        read_labels(Task("darts"))
    with pytest.raises(GraphnasError, match="nothing"):
        read_labels(Task("nb201", "digits201", "nothing"))


def test_uncertainty_is_judged_by_squares_and_by_coverage() -> None:
    class Sure:
        def predict(self, archs: Architectures) -> Tensor:
            return torch.zeros(len(archs), dtype=torch.float64)

        def predict_std(self, archs: Architectures) -> Tensor:
            return torch.full((len(archs),), 2.0, dtype=torch.float64)

    y = torch.tensor([1.0, -3.9, 4.0, 20.0], dtype=torch.float64)
    values = evaluate_predictor(Sure(), get_space("toy").enumerate()[:4], y)  # type: ignore[arg-type]
    assert values["z_square"] == pytest.approx((1 + 3.9**2 + 16 + 400) / 16) and values["coverage"] == 0.5
