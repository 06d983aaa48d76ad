"""Losses of scores against labels, each restated one pair or one place at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations, permutations

import pytest
import torch
from torch import Tensor

from graphnas.errors import UnknownName
from graphnas.testing import seeded
from graphnas.train.losses import LOSSES

Numbers = list[float]


def mean(values: Numbers) -> float:
    return sum(values) / len(values) if values else 0.0


def ordered(s: Numbers, y: Numbers) -> Numbers:
    """Score of the better less that of the worse, for all pairs of different labels."""
    return [s[i] - s[j] for i, j in permutations(range(len(y)), 2) if y[i] > y[j]]


def slow_soft_pairs(s: Numbers, y: Numbers) -> float:
    found = []
    for i, j in combinations(range(len(y)), 2):
        p, q = ([math.exp(x[k]) / (math.exp(x[i]) + math.exp(x[j])) for k in (i, j)] for x in (y, s))
        found.append(sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)))
    return mean(found)


def slow_listmle(s: Numbers, y: Numbers) -> float:
    left = sorted(range(len(y)), key=lambda i: -y[i])
    total = 0.0
    while left:
        total -= math.log(math.exp(s[left[0]]) / sum(math.exp(s[i]) for i in left))
        left = left[1:]
    return total / len(y)


SLOW: dict[str, Callable[[Numbers, Numbers], float]] = {
    "mse": lambda s, y: mean([(a - b) ** 2 for a, b in zip(s, y, strict=True)]),
    "mae": lambda s, y: mean([abs(a - b) for a, b in zip(s, y, strict=True)]),
    "hinge": lambda s, y: mean([max(0.0, 0.1 - gap) for gap in ordered(s, y)]),
    "logistic": lambda s, y: mean([math.log(1 + math.exp(-gap)) for gap in ordered(s, y)]),
    "soft_pairs": slow_soft_pairs,
    "listmle": slow_listmle,
}
ORDERS = ("hinge", "logistic", "listmle")


def rows(count: int, seed: int = 0, ties: bool = False) -> tuple[Tensor, Tensor]:
    scores, y = torch.randn(2, count, generator=seeded(seed))
    return scores, (y * 2).round() if ties else y


@pytest.mark.parametrize("name", SLOW)
@pytest.mark.parametrize("count", [1, 2, 9])
@pytest.mark.parametrize("ties", [False, True])
def test_equals_one_pair_at_a_time(name: str, count: int, ties: bool) -> None:
    for seed in range(3):
        scores, y = rows(count, seed, ties)
        expected = SLOW[name](scores.double().tolist(), y.double().tolist())
        assert float(LOSSES[name](scores, y)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", SLOW)
def test_one_label_and_equal_labels_have_finite_gradients(name: str) -> None:
    for y in (torch.zeros(1), torch.ones(5), torch.tensor([0.0, 1, 1, 2])):
        scores = torch.zeros(len(y), requires_grad=True)
        loss = LOSSES[name](scores, y)
        loss.backward()
        assert loss.shape == () and torch.isfinite(loss) and bool(torch.isfinite(scores.grad).all())  # type: ignore[arg-type]


@pytest.mark.parametrize("name", SLOW)
def test_large_scores_do_not_overflow(name: str) -> None:
    scores = torch.tensor([1e4, -1e4, 0.0], requires_grad=True)
    loss = LOSSES[name](scores, torch.tensor([0.0, 1.0, 2.0]))
    loss.backward()
    assert torch.isfinite(loss) and bool(torch.isfinite(scores.grad).all())  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ORDERS)
def test_only_the_order_of_labels_matters(name: str) -> None:
    scores, y = rows(9)
    assert torch.allclose(LOSSES[name](scores, y), LOSSES[name](scores, y.exp() * 100))
    assert torch.allclose(LOSSES[name](scores + 5, y), LOSSES[name](scores, y), atol=1e-5)


@pytest.mark.parametrize("name", SLOW)
def test_right_is_better_than_wrong_in_any_order_of_rows(name: str) -> None:
    scores, y = rows(9)
    assert LOSSES[name](y, y) < LOSSES[name](-y, y)
    order = torch.randperm(9, generator=seeded(1))
    assert torch.allclose(LOSSES[name](scores[order], y[order]), LOSSES[name](scores, y), atol=1e-6)


def test_every_loss_is_restated() -> None:
    assert set(SLOW) == set(LOSSES)
    with pytest.raises(UnknownName, match="unknown loss 'hing': did you mean 'hinge'"):
        LOSSES["hing"]
