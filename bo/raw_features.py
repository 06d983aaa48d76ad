"""How far a label is known without any learnt code: plain regressions on the entries of the architecture itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from graphnas.errors import InvalidValues
from graphnas.metrics import pearson, rmse
from graphnas.train.data import random_rows

Matrix = NDArray[np.float64]
ALPHAS: Matrix = np.logspace(-3, 4, 8)
TREES = 500
VALIDATION = 0.1


class Part(NamedTuple):
    """Features [n, F] and standardised targets [n] of the same rows."""

    x: Matrix
    y: Matrix


class Parts(NamedTuple):
    """Rows to fit, rows to choose with, both together, and the features [m, F] of the rows to predict."""

    fit: Part
    choose: Part
    train: Part
    test: Matrix


Predictor = Callable[[Parts], Matrix]


def split_parts(x: Matrix, y: Matrix, test: Matrix, seed: int = 0) -> Parts:
    """Parts with a random tenth of the training rows kept for choices, columns constant on the training rows dropped.

    Raises:
        InvalidValues: fewer than 3 training rows.
    """
    if len(y) < 3:
        raise InvalidValues(f"expected at least 3 rows, of which one is kept for choices (got {len(y)})")
    varying = x.min(0) < x.max(0)
    x, test = x[:, varying], test[:, varying]
    order = random_rows(torch.arange(len(y)), len(y), seed).numpy()
    kept = max(1, round(VALIDATION * len(y)))
    choose, fit = order[:kept], order[kept:]
    return Parts(Part(x[fit], y[fit]), Part(x[choose], y[choose]), Part(x, y), test)


def scores(predicted: Matrix, actual: Matrix) -> dict[str, float]:
    """RMSE in the unit of the values and Pearson's r, NaN for a constant prediction."""
    return {"rmse": rmse(predicted, actual), "pearson": pearson(predicted, actual)}


# -- rows -----------------------------------------------------------------------------------------------------------


def _mean(parts: Parts) -> Matrix:
    return np.full(len(parts.test), parts.train.y.mean())


def _ridge(parts: Parts) -> Matrix:
    """The penalty is chosen on the kept rows, the weights are those of all training rows."""
    errors = [rmse(predicted, parts.choose.y) for predicted in _ridge_path(parts.fit, parts.choose.x, ALPHAS)]
    best = int(np.argmin(errors))
    return _ridge_path(parts.train, parts.test, ALPHAS[best : best + 1])[0]


def _ridge_pairs(parts: Parts) -> Matrix:
    """The features and the product of any two of them: F * (F + 1) / 2 columns, less those constant in training."""
    every = _with_pairs(parts.train.x)
    varying = every.min(0) < every.max(0)
    del every
    fit, choose, train = (Part(_with_pairs(part.x)[:, varying], part.y) for part in parts[:3])
    return _ridge(Parts(fit, choose, train, _with_pairs(parts.test)[:, varying]))


def _boosting(parts: Parts) -> Matrix:
    """Up to 500 trees; as many as are best on the kept rows, then grown anew from all training rows."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    if not parts.train.x.shape[1]:
        return _mean(parts)
    options = {"early_stopping": False, "random_state": 0}
    model = HistGradientBoostingRegressor(max_iter=TREES, **options).fit(*parts.fit)
    errors = [rmse(predicted, parts.choose.y) for predicted in model.staged_predict(parts.choose.x)]
    best = int(np.argmin(errors)) + 1
    predicted: Matrix = HistGradientBoostingRegressor(max_iter=best, **options).fit(*parts.train).predict(parts.test)
    return predicted


ROWS: dict[str, Predictor] = {
    "mean": _mean,
    "ridge": _ridge,
    "ridge + pairs": _ridge_pairs,
    "gradient boosting": _boosting,
}


def _with_pairs(x: Matrix) -> Matrix:
    """[n, F * (F + 1) / 2]: the columns and their products; no squares, which for bits are the columns again."""
    left, right = np.triu_indices(x.shape[1], 1)
    return np.concatenate([x, x[:, left] * x[:, right]], 1)


def _ridge_path(train: Part, test: Matrix, alphas: Matrix) -> list[Matrix]:
    """Predictions [m] for every penalty, the intercept free of it: one eigendecomposition serves them all."""
    center, offset = train.x.mean(0), train.y.mean()
    x, y = train.x - center, train.y - offset
    values, vectors = np.linalg.eigh(x.T @ x)
    values = values.clip(min=0)
    target, rotated = vectors.T @ (x.T @ y), (test - center) @ vectors
    return [rotated @ (target / (values + alpha)) + offset for alpha in alphas]
