"""What a card says of a model: every value with its 95 % interval, how many graphs it rests on, and which."""

from __future__ import annotations

from typing import Any

from graphnas.bo.converged_gp import Scale, fit_converged_gp
from graphnas.bo.vae_board import BoardSizes, Labels, independent, labelled_cells
from graphnas.bo.zoo_intervals import (
    correlation_interval,
    error_interval,
    kendall_interval,
    mean_interval,
    share_interval,
)
from graphnas.metrics import pearson, rmse
from graphnas.models import GraphVAE
from graphnas.spaces import Architectures, SearchSpace
from graphnas.train.data import Prepared, random_rows
from graphnas.train.evaluate import encode_all, evaluate_vae, prediction

SHARES = ("exact", "exact_isomorphic", "exact_unmasked")
PRIOR_SHARES = ("validity", "validity_masked", "novelty_masked")
Metric = dict[str, Any]


def vae_values(model: GraphVAE, data: Prepared, sizes: BoardSizes) -> dict[str, float]:
    """Reconstruction of the test part, decodes of the prior, and what a regression head foretells of the test part."""
    values = evaluate_vae(model, data.archs[data.split.train], data.archs[data.split.test], sizes.evaluation)
    if data.y is not None and model.predicts:
        rows = judged_rows(data, sizes)
        values |= prediction(model, data.archs[rows], data.y[rows])
    return values


def judged_rows(data: Prepared, sizes: BoardSizes) -> Any:
    """Rows of the test part that are looked at, int64 [n]."""
    return random_rows(data.split.test, sizes.evaluation.num_graphs, sizes.evaluation.seed)


def vae_metrics(values: dict[str, float], data: Prepared, sizes: BoardSizes) -> dict[str, Metric]:
    """The values of :func:`vae_values` for the card."""
    graphs = len(judged_rows(data, sizes))
    test = f"{graphs:,} architectures of the test part, none of which was trained on"
    found = {name: metric(values[name], test, share_interval(values[name], graphs)) for name in SHARES}
    found["reconstruction"] = metric(
        values["reconstruction"], test, mean_interval(values["reconstruction"], values["reconstruction_ci"], 0.0, 1.0)
    )
    found["nll"] = metric(values["nll"], f"{test}; nats per graph", mean_interval(values["nll"], values["nll_ci"], 0.0))
    found |= prior_metrics(values, sizes)
    if "prediction_pearson" in values:
        r, archs = values["prediction_pearson"], data.archs[judged_rows(data, sizes)]
        functions, where = independent(data.space, archs), f"{test}{among(data.space, archs)}"
        tau, error = values["prediction_kendall"], values["prediction_rmse"]
        found["prediction_pearson"] = metric(r, where, correlation_interval(r, functions))
        found["prediction_kendall"] = metric(tau, where, kendall_interval(tau, functions))
        found["prediction_rmse"] = metric(error, where, error_interval(error, functions))
    return found


def prior_metrics(values: dict[str, float], sizes: BoardSizes) -> dict[str, Metric]:
    """Shares of decodes of the prior; their intervals count the decodes of one point as one, which is too wide."""
    count = sizes.evaluation.prior_points
    points = f"{count:,} points of the prior, decoded {sizes.evaluation.decodings} times each"
    found = {name: metric(values[name], points, share_interval(values[name], count)) for name in PRIOR_SHARES}
    unique, half = values["uniqueness_masked"], values["uniqueness_masked_ci"]
    return found | {"uniqueness_masked": metric(unique, points, mean_interval(unique, half, 0.0, 1.0))}


def latent_metrics(model: GraphVAE, data: Prepared, sizes: BoardSizes) -> dict[str, Metric]:
    """How well a converged Gaussian process foretells the built-in labels of the space from codes; empty without them.

    Root-mean-square errors are in units of the spread of the training labels.
    """
    cells = labelled_cells(data, Labels(), sizes.max_labels)
    if cells is None:
        return {}
    labels = f"{len(cells.test):,} test labels of the built-in table{among(data.space, cells.test)}"
    where = f"Gaussian process on {len(cells.train):,} codes, {labels}"
    scale = Scale.of(cells.train_y)
    gp = fit_converged_gp(
        encode_all(model, cells.train), scale.standardise(cells.train_y), 0, sizes.fit_points, sizes.gp_points
    )
    foretold, actual = gp.predict(encode_all(model, cells.test))[0], scale.standardise(cells.test_y)
    found = {"converged_pearson": pearson(foretold, actual), "converged_rmse": rmse(foretold, actual)}
    return latent_rows(found, independent(data.space, cells.test), where)


def latent_rows(values: dict[str, float], functions: int, where: str) -> dict[str, Metric]:
    """r and RMSE of the converged Gaussian process over so many different functions for the card."""
    r, error = values["converged_pearson"], values["converged_rmse"]
    return {
        "latent_r": metric(r, where, correlation_interval(r, functions)),
        "latent_rmse": metric(error, where, error_interval(error, functions)),
    }


def among(space: SearchSpace, archs: Architectures) -> str:
    """In words, how many functions there are where they are fewer than the architectures."""
    count = independent(space, archs)
    return "" if count == len(archs) else f", {count:,} different functions"


def metric(value: float, measured_on: str, interval: tuple[float, float] | None = None) -> Metric:
    """One entry of a card."""
    return {"value": value, "ci95": None if interval is None else list(interval), "measured_on": measured_on}
