"""What label noise leaves of a perfect ranking."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from graphnas.metrics import kendall_tau
from graphnas.spaces import Architectures, SearchSpace
from graphnas.tables import Table

LEVELS = 10
DRAWS = 5
MIN_RESIDUALS = 50

Vector = NDArray[np.float64]


def noise_ceiling(table: Table, metric: str, seed: int = 0) -> float | None:
    """Kendall's tau-b between labels and the same labels with a second helping of their noise.

    The noise is what repeated runs of a row differ by or, where a row has one, what rows that compute the same function
    differ by; it is drawn from rows of a similar label, because noise is larger where accuracy is low. The figure is
    slightly too high, since noise has spread the labels already.

    Args:
        table: labels.
        metric: which.
        seed: of the draws.

    Returns:
        The mean over 5 draws; None where fewer than 50 rows are repeated in either way.
    """
    y = table.column(metric).double()
    known = ~y.isnan()
    labels, archs = y[known].numpy(), table.architectures[known]
    found = run_residuals(table, metric, known)
    if found is None:
        found = class_residuals(table.space, archs, labels)
    if found is None:
        return None
    at, residuals = found
    edges = np.quantile(labels, np.linspace(0, 1, LEVELS + 1)[1:-1])
    level, where = np.searchsorted(edges, labels), np.searchsorted(edges, at)
    generator = np.random.default_rng(seed)
    taus = []
    for _ in range(DRAWS):
        noise = np.empty_like(labels)
        for step in range(LEVELS):
            pool = residuals[where == step] if (where == step).any() else residuals
            noise[level == step] = generator.choice(pool, int((level == step).sum()))
        taus.append(kendall_tau(labels, labels + noise))
    return float(np.mean(taus))


def run_residuals(table: Table, metric: str, known: Tensor) -> tuple[Vector, Vector] | None:
    """Label of repeated rows, and deviations of their mean: those of single runs over the root of their number."""
    if metric in table.constants:
        return None
    runs = table.repeats(metric)[known].double()
    counts = (~runs.isnan()).sum(1)
    repeated = counts > 1
    if int(repeated.sum()) < MIN_RESIDUALS:
        return None
    runs, counts = runs[repeated], counts[repeated, None]
    mean = runs.nanmean(1, keepdim=True)
    deviation = (runs - mean) * (counts / (counts - 1)).sqrt() / counts.sqrt()
    there = ~runs.isnan()
    return mean.expand_as(runs)[there].numpy(), deviation[there].numpy()


def class_residuals(space: SearchSpace, archs: Architectures, labels: Vector) -> tuple[Vector, Vector] | None:
    """Mean label of functions that several rows compute, and the deviations of the rows from it."""
    _, inverse = np.unique(space.class_ids(archs).numpy(), return_inverse=True)
    counts = np.bincount(inverse)
    mean = (np.bincount(inverse, labels) / counts)[inverse]
    size = counts[inverse]
    repeated = size > 1
    if int(repeated.sum()) < MIN_RESIDUALS:
        return None
    deviation = (labels - mean)[repeated] * np.sqrt(size[repeated] / (size[repeated] - 1))
    return mean[repeated], deviation
