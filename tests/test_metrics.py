"""Metrics against values worked out by hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import isnan, nan, sqrt

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphnas import metrics
from graphnas.errors import InvalidValues
from graphnas.spaces import Architectures

Metric = Callable[..., float]
PAIRS = (metrics.kendall_tau, metrics.spearman, metrics.pearson, metrics.rmse)
CORRELATIONS = PAIRS[:3]


def chain(ops: list[int]) -> Architectures:
    size = len(ops)
    adj = torch.diag(torch.ones(size - 1), 1).bool()[None]
    return Architectures(torch.tensor([ops], dtype=torch.uint8), adj, torch.tensor([size]))


def test_exact_match_of_architectures_ignores_padding() -> None:
    a = Architectures.concat([chain([0, 2, 1]), chain([0, 3, 1]), chain([0, 1])])
    b = Architectures.concat([chain([0, 2, 1]), chain([0, 2, 1]), chain([0, 1]).widen(9)])
    assert metrics.exact_match(a, b) == pytest.approx(2 / 3)


def test_exact_match_of_keys() -> None:
    assert metrics.exact_match(["a", "b", "c", "d"], ["a", "c", "b", "d"]) == 0.5


def test_exact_match_refuses_what_it_cannot_compare() -> None:
    with pytest.raises(InvalidValues, match="got 1 and 2"):
        metrics.exact_match(["a"], ["a", "b"])
    with pytest.raises(InvalidValues, match="got 0 and 0"):
        metrics.exact_match([], [])
    with pytest.raises(InvalidValues, match="canonical_keys"):
        metrics.exact_match(chain([0, 1]), ["a"])


def test_uniqueness_and_novelty() -> None:
    keys = ["a", "a", "b", "c"]
    assert metrics.uniqueness(keys) == 0.75
    assert metrics.novelty(keys, ["b", "x"]) == 0.75
    assert metrics.novelty(keys, {"a"}) == 0.5
    assert metrics.novelty(keys, iter(keys)) == 0.0
    assert isnan(metrics.uniqueness([])) and isnan(metrics.novelty([], ["a"]))


def test_novelty_of_the_published_size_takes_no_time() -> None:
    """Released: all pairs of 10,000 decodes and 17,118 training graphs, 23 minutes."""
    begin = time.process_time()
    assert metrics.novelty([f"new {row}" for row in range(10_000)], [f"old {row}" for row in range(17_118)]) == 1
    assert time.process_time() - begin < 1


def test_kendall_tau_counts_ties_as_tau_b() -> None:
    assert metrics.kendall_tau([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx((5 - 1) / 6)
    # x = 1 1 2 3, y = 1 2 3 2: of six pairs 3 concordant, 1 discordant, one tied in x and one tied in y
    assert metrics.kendall_tau([1, 1, 2, 3], [1, 2, 3, 2]) == pytest.approx((3 - 1) / sqrt(5 * 5))


def test_spearman_uses_mean_ranks() -> None:
    assert metrics.spearman([10, 20, 30, 400], [1, 8, 27, 64]) == pytest.approx(1.0)
    assert metrics.spearman([1, 2, 3, 4, 5], [2, 1, 4, 3, 5]) == pytest.approx(1 - 6 * 4 / (5 * 24))
    # ranks 1.5 1.5 3 against 1 2 3: covariance 1.5, variances 1.5 and 2
    assert metrics.spearman([1, 1, 2], [1, 2, 3]) == pytest.approx(1.5 / sqrt(1.5 * 2))


def test_pearson() -> None:
    assert metrics.pearson([1, 2, 3], [2, 4, 5]) == pytest.approx(3 / sqrt(2 * 14 / 3))
    assert metrics.pearson([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    assert metrics.pearson([1e-300, 2e-300, 3e-300], [1e300, 2e300, 3e300]) == pytest.approx(1)


def test_rmse() -> None:
    assert metrics.rmse([1, 2, 3], [1, 4, 7]) == pytest.approx(sqrt(20 / 3))


def test_precision_at() -> None:
    actual = [5, 4, 3, 2, 1]
    assert metrics.precision_at([5, 4, 3, 2, 1], actual, 2) == 1
    assert metrics.precision_at([1, 5, 4, 3, 2], actual, 2) == 0.5
    assert metrics.precision_at([1, 2, 3, 4, 5], actual, 2) == 0
    assert metrics.precision_at([1, 2, 3, 4, 5], actual, 5) == 1


def test_precision_at_shares_ties() -> None:
    assert metrics.precision_at([7, 7, 7, 7], [4, 3, 2, 1], 1) == pytest.approx(1 / 4)
    assert metrics.precision_at([9, 7, 7, 1], [4, 3, 2, 1], 2) == pytest.approx((1 + 1 / 2) / 2)


@pytest.mark.parametrize("k", [0, 4, -1])
def test_precision_at_refuses_k_outside_the_list(k: int) -> None:
    with pytest.raises(InvalidValues, match=f"from 1 to the 3 values .got {k}"):
        metrics.precision_at([1, 2, 3], [1, 2, 3], k)


def test_confidence_interval() -> None:
    mean, low, high = interval = metrics.mean_confidence_interval([1, 2, 3, 4, 5])
    half = 2.7764451051977987 * sqrt(2.5) / sqrt(5)  # t table: 97.5 % point with 4 degrees of freedom
    assert (mean, low, high) == pytest.approx((3, 3 - half, 3 + half))
    assert interval.half_width == pytest.approx(half) and str(interval) == "3 ± 2"
    wider = metrics.mean_confidence_interval([1, 2, 3, 4, 5], level=0.99)
    assert wider.half_width == pytest.approx(4.604094871415897 * sqrt(0.5))


def test_confidence_interval_of_one_run_has_no_ends() -> None:
    mean, low, high = metrics.mean_confidence_interval([0.5])
    assert mean == 0.5 and isnan(low) and isnan(high)
    with pytest.raises(InvalidValues, match="level"):
        metrics.mean_confidence_interval([1, 2], level=95)


@pytest.mark.parametrize("metric", CORRELATIONS)
def test_constant_input_gives_nan(metric: Metric) -> None:
    assert isnan(metric([1, 1, 1], [1, 2, 3])) and isnan(metric([1, 2, 3], [2, 2, 2])) and isnan(metric([1], [2]))


@pytest.mark.parametrize("metric", PAIRS)
def test_nan_goes_through(metric: Metric) -> None:
    assert isnan(metric([1, nan, 3], [1, 2, 3])) and isnan(metric([1, 2, 3], [nan, 2, 3]))


def test_nan_and_infinity_elsewhere() -> None:
    assert isnan(metrics.precision_at([1, nan], [1, 2], 1))
    assert isnan(metrics.mean_confidence_interval([1, nan]).mean)
    assert isnan(metrics.pearson([1, 2, np.inf], [1, 2, 3]))
    assert metrics.spearman([1, 2, np.inf], [1, 2, 3]) == pytest.approx(1)
    assert metrics.kendall_tau([1, 2, np.inf], [1, 2, 3]) == pytest.approx(1)


@pytest.mark.parametrize("metric", PAIRS)
def test_shapes_are_checked(metric: Metric) -> None:
    for a, b in (([1, 2], [1, 2, 3]), ([], []), ([[1, 2]], [[1, 2]])):
        with pytest.raises(InvalidValues, match="got"):
            metric(a, b)


@pytest.mark.parametrize("metric", PAIRS)
def test_lists_arrays_and_tensors_agree(metric: Metric) -> None:
    a, b = [1.0, 5.0, 2.0, 2.0], [2.0, 3.0, 3.0, 1.0]
    expected = metric(a, b)
    for result in (
        metric(np.array(a), np.array(b)),
        metric(torch.tensor(a, requires_grad=True), torch.tensor(b).bfloat16()),
    ):
        assert type(result) is float and result == pytest.approx(expected)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=2, max_size=30))
def test_rank_metrics_see_only_ranks(pairs: list[tuple[int, int]]) -> None:
    x, y = np.array(pairs, dtype=float).T
    for metric in (metrics.kendall_tau, metrics.spearman):
        value = metric(x, y)
        assert metric(x**3, np.exp(y)) == pytest.approx(value, nan_ok=True)
        assert metric(-x, y) == pytest.approx(-value, nan_ok=True)
        assert isnan(value) or -1 <= value <= 1
    k = 1 + len(x) // 2
    assert metrics.precision_at(x**3, y, k) == pytest.approx(metrics.precision_at(x, y, k))
    assert 0 <= metrics.precision_at(x, y, k) <= 1
