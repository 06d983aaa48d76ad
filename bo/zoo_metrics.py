"""What a card says of a model: every value with its 95 % interval, how many graphs it rests on, and which."""

from __future__ import annotations

import math
from typing import Any

from graphnas.bo.converged_gp import Scale, fit_converged_gp
from graphnas.bo.vae_board import BoardSizes, Labels, labelled_cells
from graphnas.metrics import pearson, rmse
from graphnas.models import GraphVAE
from graphnas.spaces import Architectures, SearchSpace
from graphnas.train.data import Prepared, random_rows
from graphnas.train.evaluate import encode_all, evaluate_vae, prediction

LEVEL = 0.95
SHARES = ("exact", "exact_isomorphic", "exact_unmasked")
PRIOR = ("validity", "validity_masked", "uniqueness_masked", "novelty_masked")
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
    points = f"{sizes.evaluation.prior_points:,} points of the prior, decoded {sizes.evaluation.decodings} times each"
    half = values["reconstruction_ci"]
    found = {name: metric(values[name], test, share_interval(values[name], graphs)) for name in SHARES}
    found["reconstruction"] = metric(
        values["reconstruction"], test, (values["reconstruction"] - half, min(1.0, values["reconstruction"] + half))
    )
    found["nll"] = metric(values["nll"], f"{test}; nats per graph")
    found |= {name: metric(values[name], points) for name in PRIOR}
    if "prediction_pearson" in values:
        r, archs = values["prediction_pearson"], data.archs[judged_rows(data, sizes)]
        functions, where = independent(data.space, archs), f"{test}{among(data.space, archs)}"
        found["prediction_pearson"] = metric(r, where, correlation_interval(r, functions))
        found |= {name: metric(values[name], where) for name in ("prediction_kendall", "prediction_rmse")}
    return found


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


def latent_rows(values: dict[str, float], labels: int | None, where: str) -> dict[str, Metric]:
    """r and RMSE of the converged Gaussian process for the card, with an interval where their number is known."""
    r, error = values["converged_pearson"], values["converged_rmse"]
    return {
        "latent_r": metric(r, where, None if labels is None else correlation_interval(r, labels)),
        "latent_rmse": metric(error, where),
    }


def independent(space: SearchSpace, archs: Architectures) -> int:
    """How many different functions there are: architectures that compute the same share one label."""
    return len(space.class_ids(archs).unique())


def among(space: SearchSpace, archs: Architectures) -> str:
    """In words, how many functions there are where they are fewer than the architectures."""
    count = independent(space, archs)
    return "" if count == len(archs) else f", {count:,} different functions"


def metric(value: float, measured_on: str, interval: tuple[float, float] | None = None) -> Metric:
    """One entry of a card."""
    return {"value": value, "ci95": None if interval is None else list(interval), "measured_on": measured_on}


def share_interval(share: float, count: int) -> tuple[float, float]:
    """Clopper and Pearson's exact interval of a share among `count`, which at 100 % is no point either."""
    from scipy.stats import beta

    hits, tail = round(share * count), (1 - LEVEL) / 2
    low = float(beta.ppf(tail, hits, count - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, count - hits)) if hits < count else 1.0
    return low, high


def correlation_interval(r: float, count: int) -> tuple[float, float]:
    """Fisher's interval of Pearson's r over `count` pairs."""
    from scipy.stats import norm

    half = float(norm.ppf((1 + LEVEL) / 2)) / math.sqrt(count - 3)
    centre = math.atanh(max(-1 + 1e-12, min(1 - 1e-12, r)))
    return math.tanh(centre - half), math.tanh(centre + half)
