"""How well latent codes carry a label, beside what the label gives away without any code."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from graphnas.bo.converged_gp import Scale, check_rows, fit_converged_gp
from graphnas.bo.raw_features import ROWS, scores, split_parts
from graphnas.bo.sparse_gp import LegacySparseGP
from graphnas.errors import InvalidValues
from graphnas.models.features import raw_features
from graphnas.spaces import Architectures, SearchSpace

Fit = Callable[[int], Tensor]


def latent_predictivity(
    train_codes: Tensor,
    train_y: Tensor,
    test_codes: Tensor,
    test_y: Tensor,
    seeds: Sequence[int] = tuple(range(10)),
    legacy_epochs: int = 100,
    num_inducing: int = 500,
    fit_points: int = 2000,
    max_points: int | None = None,
) -> dict[str, float]:
    """RMSE and Pearson's r of two Gaussian processes on test codes, targets standardised by the training set.

    "legacy" is the sparse GP of the D-VAE protocol (Zhang et al. 2019), stopped long before it converges; "converged"
    an exact GP with fitted hyper-parameters. Means over `seeds`, and their sample standard deviation under `*_sd` (NaN
    for one seed). The seeds vary the regression only, never the codes: repeat the autoencoder for its own spread.

    Args:
        train_codes: float [N, Z].
        train_y: float [N].
        test_codes: float [M, Z].
        test_y: float [M].
        seeds: one regression each.
        legacy_epochs: passes over the training codes of the sparse GP.
        num_inducing: its inducing points.
        fit_points: rows for the hyper-parameters of the exact GP.
        max_points: rows for its posterior; None takes all.

    Raises:
        InvalidValues: no seed, shapes that do not fit, values that are not finite, constant training targets.
    """
    train_codes, train_y = check_rows(train_codes, train_y)
    test_codes, test_y = check_rows(test_codes, test_y)
    if train_codes.shape[1] != test_codes.shape[1]:
        raise InvalidValues(f"codes of {train_codes.shape[1]} and {test_codes.shape[1]} dimensions")
    if not seeds:
        raise InvalidValues("expected at least one seed")
    scale = Scale.of(train_y)
    y, actual = scale.standardise(train_y), scale.standardise(test_y).numpy()
    fits: dict[str, Fit] = {
        "legacy": lambda seed: (
            LegacySparseGP(train_codes, y, num_inducing, seed).fit(legacy_epochs).predict(test_codes)[0]
        ),
        "converged": lambda seed: fit_converged_gp(train_codes, y, seed, fit_points, max_points).predict(test_codes)[0],
    }
    found: dict[str, float] = {}
    for name, fit in fits.items():
        runs = [scores(fit(seed).numpy(), actual) for seed in seeds]
        for metric in ("rmse", "pearson"):
            found |= _summary(f"{name}_{metric}", [run[metric] for run in runs])
    return found


def raw_feature_rows(
    space: SearchSpace, train: Architectures, train_y: Tensor, test: Architectures, test_y: Tensor, seed: int = 0
) -> list[dict[str, str | float]]:
    """RMSE and Pearson's r of regressions on the architectures themselves, the rows to print beside any latent result.

    Each is {"features": name, "rmse": float, "pearson": float}: the training mean (r is NaN), ridge regression, ridge
    with all products of two features, gradient boosting. Targets are standardised by the training set.

    Raises:
        InvalidValues: architectures and targets of different numbers, values that are not finite, constant training
            targets, fewer than 3 training rows.
    """
    x, train_y = check_rows(raw_features(space, train), train_y)
    held_out, test_y = check_rows(raw_features(space, test), test_y)
    scale = Scale.of(train_y)
    parts = split_parts(x.numpy(), scale.standardise(train_y).numpy(), held_out.numpy(), seed)
    actual = scale.standardise(test_y).numpy()
    return [{"features": name, **scores(predict(parts), actual)} for name, predict in ROWS.items()]


def _summary(name: str, values: list[float]) -> dict[str, float]:
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
    return {name: float(np.mean(values)), f"{name}_sd": spread}
