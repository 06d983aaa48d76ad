"""Every number graphnas reports, defined once: numpy arrays, tensors or lists in, floats out.

NaN policy. A NaN among the values makes the result NaN, as does a quantity that is undefined for these values (the
correlation with a constant, a rank among too few values, an interval of one value). Nothing is dropped silently and no
warning is raised; leave missing values out before the call. Empty input and unequal lengths are errors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from graphnas.errors import InvalidValues
from graphnas.spaces.architectures import Architectures

Values = ArrayLike | Tensor
NAN = float("nan")


class Interval(NamedTuple):
    """A mean with the two ends of its confidence interval."""

    mean: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Distance from the mean to either end."""
        return (self.high - self.low) / 2

    def __str__(self) -> str:
        return f"{self.mean:.4g} ± {self.half_width:.2g}"


# -- sets of architectures ------------------------------------------------------------------------------------------


def exact_match(a: Architectures | Sequence[Hashable], b: Architectures | Sequence[Hashable]) -> float:
    """Share of rows in which `a` and `b` agree.

    Architectures are compared index-wise (the same types and edges at the same indices); for equality up to isomorphism
    pass `space.canonical_keys` of both.
    """
    if len(a) != len(b) or not len(a):
        raise InvalidValues(f"expected two batches of the same positive length (got {len(a)} and {len(b)})")
    if isinstance(a, Architectures) and isinstance(b, Architectures):
        return float(a.equal(b).double().mean())
    if isinstance(a, Architectures) or isinstance(b, Architectures):
        raise InvalidValues("expected architectures twice or keys twice (got one of each): pass canonical_keys of both")
    return sum(left == right for left, right in zip(a, b, strict=True)) / len(a)


def uniqueness(keys: Collection[Hashable]) -> float:
    """Distinct keys / keys. NaN where there are none, for example because nothing valid was decoded."""
    return len(set(keys)) / len(keys) if len(keys) else NAN


def uniqueness_half_width(keys: Sequence[Hashable], groups: Sequence[int]) -> float:
    """Half of a 95 % interval of the uniqueness of keys that were drawn in independent groups, by the jackknife.

    Leaving out a group loses its keys, and of the distinct ones those that no other group has. On the mean too wide
    rather than too narrow (Efron and Stein 1981). NaN where fewer than two groups are left.
    """
    owners: dict[Hashable, int | None] = {}
    for key, group in zip(keys, groups, strict=True):
        owners[key] = group if owners.get(key, group) == group else None
    sizes, own = Counter(groups), Counter(owners.values())
    if len(sizes) < 2:
        return NAN
    left_out = np.array([(len(owners) - own[group]) / (len(keys) - size) for group, size in sizes.items()])
    return float(1.96 * np.sqrt((len(sizes) - 1) * left_out.var()))


def novelty(keys: Collection[Hashable], known_keys: Iterable[Hashable]) -> float:
    """Keys not among `known_keys` / keys, counted with repetition as in Zhang et al. 2019 (D-VAE). NaN where none."""
    known = known_keys if isinstance(known_keys, set | frozenset) else set(known_keys)
    return sum(key not in known for key in keys) / len(keys) if len(keys) else NAN


# -- agreement of two lists of values -------------------------------------------------------------------------------


def kendall_tau(a: Values, b: Values) -> float:
    """Kendall's tau-b, which corrects for ties, in O(n log n). NaN where either input is constant."""
    from scipy.stats import kendalltau

    x, y = _pair(a, b)
    return float(kendalltau(x, y, variant="b").statistic) if _varies(x, y) else NAN


def spearman(a: Values, b: Values) -> float:
    """Pearson's r of the ranks, ties at their mean rank. NaN where either input is constant."""
    from scipy.stats import rankdata

    x, y = _pair(a, b)
    return pearson(rankdata(x), rankdata(y)) if _varies(x, y) else NAN


def pearson(a: Values, b: Values) -> float:
    """Pearson's r. NaN where either input is constant or infinite."""
    x, y = _pair(a, b)
    if not _varies(x, y) or not np.isfinite([x, y]).all():
        return NAN
    x, y = x - x.mean(), y - y.mean()
    x, y = x / np.abs(x).max(), y / np.abs(y).max()  # keeps the squares of very large and very small values in range
    return float(np.clip(x @ y / np.sqrt((x @ x) * (y @ y)), -1.0, 1.0))


def rmse(predicted: Values, actual: Values) -> float:
    """Root of the mean squared error, in the unit of the values."""
    x, y = _pair(predicted, actual)
    return float(np.sqrt(np.mean((x - y) ** 2)))


def precision_at(predicted: Values, actual: Values, k: int) -> float:
    """Share of the `k` best predicted that are among the `k` best actual; higher is better in both.

    Values that tie at the border count with the probability that a random order of the tied ones puts them in, so the
    result does not depend on the order of the rows and a constant prediction gets k / n.
    """
    x, y = _pair(predicted, actual)
    if not 1 <= k <= len(x):
        raise InvalidValues(f"expected k from 1 to the {len(x)} values (got {k})")
    if np.isnan([x, y]).any():
        return NAN
    return float(_in_top(x, k) @ _in_top(y, k) / k)


# -- repeated runs --------------------------------------------------------------------------------------------------


def mean_confidence_interval(values: Values, level: float = 0.95) -> Interval:
    """Mean of independent runs and its two-sided Student t interval; the ends are NaN for a single run."""
    from scipy.stats import t

    x = _vector(values)
    if not 0 < level < 1:
        raise InvalidValues(f"expected a level between 0 and 1 (got {level})")
    mean = float(x.mean())
    if len(x) < 2:
        return Interval(mean, NAN, NAN)
    half = float(t.ppf((1 + level) / 2, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x)))
    return Interval(mean, mean - half, mean + half)


def _vector(values: Values) -> NDArray[np.float64]:
    array = (
        values.detach().cpu().double().numpy() if isinstance(values, Tensor) else np.asarray(values, dtype=np.float64)
    )
    if array.ndim != 1 or not array.size:
        raise InvalidValues(f"expected a non-empty vector of values (got shape {list(array.shape)})")
    return array


def _pair(a: Values, b: Values) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = _vector(a), _vector(b)
    if len(x) != len(y):
        raise InvalidValues(f"expected two vectors of the same length (got {len(x)} and {len(y)} values)")
    return x, y


def _varies(x: NDArray[np.float64], y: NDArray[np.float64]) -> bool:
    """Whether a correlation is defined: no NaN, and at least two different values on both sides."""
    return not np.isnan([x, y]).any() and bool(x.min() < x.max() and y.min() < y.max())


def _in_top(values: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """[n]: probability to be among the `k` largest when ties are broken at random; sums to k."""
    border = np.partition(values, -k)[-k]
    above, tied = values > border, values == border
    return above + tied * ((k - above.sum()) / tied.sum())
