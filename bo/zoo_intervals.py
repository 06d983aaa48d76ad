"""95 % intervals of what the cards report, from a value and the number of independent things it rests on."""

from __future__ import annotations

import math

LEVEL = 0.95
Ends = tuple[float, float]


def share_interval(share: float, count: int) -> Ends:
    """Clopper and Pearson's exact interval of a share among `count`, which at 100 % is no point either."""
    from scipy.stats import beta

    hits, tail = round(share * count), (1 - LEVEL) / 2
    low = float(beta.ppf(tail, hits, count - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, count - hits)) if hits < count else 1.0
    return low, high


def mean_interval(mean: float, half_width: float, least: float = -math.inf, most: float = math.inf) -> Ends:
    """The mean and its half-width on both sides, within the range that the mean can have."""
    return max(least, mean - half_width), min(most, mean + half_width)


def correlation_interval(r: float, count: int) -> Ends:
    """Fisher's interval of Pearson's r over `count` pairs."""
    return _transformed(r, 1 / math.sqrt(count - 3))


def kendall_interval(tau: float, count: int) -> Ends:
    """Interval of Kendall's tau over `count` pairs.

    Fieller, Hartley and Pearson 1957: atanh(tau) is about normal with variance 0.437 / (n - 4).
    """
    return _transformed(tau, math.sqrt(0.437 / (count - 4)))


def error_interval(rmse: float, count: int) -> Ends:
    """Interval of a root-mean-square error over `count` errors, were they normal: n e^2 / sigma^2 is chi-square."""
    from scipy.stats import chi2

    tail = (1 - LEVEL) / 2
    low, high = (float(rmse * math.sqrt(count / chi2.ppf(end, count))) for end in (1 - tail, tail))
    return low, high


def _transformed(value: float, deviation: float) -> Ends:
    """Interval of a correlation whose atanh has this standard deviation."""
    from scipy.stats import norm

    half = float(norm.ppf((1 + LEVEL) / 2)) * deviation
    centre = math.atanh(max(-1 + 1e-12, min(1 - 1e-12, value)))
    return math.tanh(centre - half), math.tanh(centre + half)
