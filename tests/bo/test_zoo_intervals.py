"""Intervals of the cards: against tables, and they hold the truth as often as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from graphnas.bo.zoo_intervals import (
    correlation_interval,
    error_interval,
    kendall_interval,
    mean_interval,
    share_interval,
)
from graphnas.metrics import kendall_tau, uniqueness, uniqueness_half_width


def test_against_tables() -> None:
    """The rule of three, a table of Fisher's transform, and chi-square of 10: 3.247 and 20.483."""
    assert share_interval(1.0, 781) == pytest.approx((1 - 3.69 / 781, 1.0), abs=1e-4)
    assert share_interval(0.0, 50)[0] == 0 and share_interval(0.5, 100) == pytest.approx((0.3983, 0.6017), abs=1e-4)
    assert correlation_interval(0.5, 28) == pytest.approx((0.1563, 0.7358), abs=1e-3)
    assert error_interval(2.0, 10) == pytest.approx((2 * math.sqrt(10 / 20.483), 2 * math.sqrt(10 / 3.247)), rel=1e-3)


def test_means_stay_in_their_range() -> None:
    assert mean_interval(0.99, 0.02, 0.0, 1.0) == (0.97, 1.0) and mean_interval(0.5, 1.0, 0.0) == (0.0, 1.5)


def test_interval_of_kendalls_tau_holds_the_truth() -> None:
    """Normal pairs of correlation r have tau = 2 / pi * arcsin(r)."""
    draw, r = np.random.default_rng(0), 0.8
    truth, held = 2 / math.pi * math.asin(r), 0
    for _ in range(300):
        x, noise = draw.standard_normal((2, 60))
        low, high = kendall_interval(kendall_tau(x, r * x + math.sqrt(1 - r * r) * noise), 60)
        held += low <= truth <= high
    assert 0.9 <= held / 300 <= 0.99


def test_jackknife_of_uniqueness_covers_the_spread_of_repeated_draws() -> None:
    """Groups of five keys, each from its own part of 400 kinds, so that keys of one group are alike."""
    draw = np.random.default_rng(1)
    found, halves = [], []
    for _ in range(200):
        keys = (draw.integers(0, 390, (100, 1)) + draw.integers(0, 10, (100, 5))).ravel().tolist()
        found.append(uniqueness(keys))
        halves.append(uniqueness_half_width(keys, np.arange(100).repeat(5).tolist()))
    assert 1.0 <= np.mean(halves) / (1.96 * np.std(found)) <= 2.0


def test_jackknife_needs_two_groups() -> None:
    assert math.isnan(uniqueness_half_width([1, 2], [0, 0])) and math.isnan(uniqueness_half_width([], []))
    assert uniqueness_half_width([1, 2, 3, 4], [0, 0, 1, 1]) == 0.0
