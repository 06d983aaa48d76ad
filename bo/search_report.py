"""What one search has found: tables, pictures, and where in the latent space it looked."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from graphnas.bo.codes import LatentCodes
from graphnas.bo.comparison_report import best_label
from graphnas.bo.config import SearchConfig
from graphnas.bo.pareto import costs_of, first_front
from graphnas.bo.search import Evaluation, History, in_unit
from graphnas.bo.setting import Setting
from graphnas.checkpoint import write_text
from graphnas.plot import grid_of_architectures, latent_map
from graphnas.plot.front import pareto_front
from graphnas.plot.search_curves import search_curves
from graphnas.spaces import Architectures

DRAWN = 6
BACKGROUND = 5000
OWN_COLUMNS = ("architecture", "seconds", "failure", "answered", "batch")
"""Columns of tables of evaluations that are no labels."""


def ranked(history: History) -> list[Evaluation]:
    """Successful evaluations, best first; of those that were answered with the same architecture the first."""
    good = {evaluation.found: evaluation for evaluation in reversed(history.evaluations) if not evaluation.error}
    return sorted(reversed(good.values()), key=lambda evaluation: -evaluation.value)


def label_titles(setting: Setting) -> tuple[str, str]:
    """Columns of what is searched for and of what is reported: the names of the metrics, told from our own columns."""
    first, second = (f"label {name}" if name in OWN_COLUMNS else name for name in (setting.metric, setting.reported))
    return first, second


def labels_of(setting: Setting, evaluations: list[Evaluation]) -> list[dict[str, Any]]:
    """Values of evaluations as rows of a table, in the unit of the metric and under its name; beside it what is
    reported, where that is known of any."""
    metric, reported = label_titles(setting)
    tested = reported != metric and not all(math.isnan(one.test) for one in evaluations)
    return [
        {metric: one.value} | ({reported: one.test} if tested else {})
        for one in in_unit(evaluations, setting.config.oracle.sign)
    ]


def shown(setting: Setting, evaluations: list[Evaluation]) -> list[dict[str, Any]]:
    """Evaluations as rows of a table: values, and the architecture that has them."""
    values = labels_of(setting, evaluations)
    return [row | {"architecture": one.found} for row, one in zip(values, evaluations, strict=True)]


def evaluation_rows(setting: Setting, history: History) -> list[dict[str, Any]]:
    """Everything that is known of the evaluations of either space of a search as rows of a table, in their order."""
    rows = []
    for one, values in zip(history.evaluations, labels_of(setting, history.evaluations), strict=True):
        paid = {"seconds": one.seconds, "failure": one.error, "answered": one.answered, "batch": one.batch}
        rows.append({"architecture": one.arch} | values | paid)
    return rows


def top_rows(setting: Setting, history: History, count: int) -> list[dict[str, Any]]:
    """The best architectures as rows of a table."""
    return shown(setting, ranked(history)[:count])


def network_costs(setting: Setting, evaluations: list[Evaluation]) -> Tensor:
    """The second objective of what was found, float64 [B]."""
    assert setting.config.cost is not None
    return costs_of(setting.space, setting.space.parse([one.found for one in evaluations]), setting.config.cost)


def front_rows(setting: Setting, history: History) -> list[dict[str, Any]]:
    """The Pareto front as rows of a table, cheapest first."""
    good, name = ranked(history), setting.config.cost
    if not good:
        return []
    costs = network_costs(setting, good)
    first = first_front(torch.tensor([one.value for one in good]), costs)
    rows = shown(setting, [good[row] for row in first.tolist()])
    return [{f"network_{name}": int(cost)} | row for cost, row in zip(costs[first].tolist(), rows, strict=True)]


def report_folder(config: SearchConfig, folder: Path) -> Path:
    """Where the report of one of the searches in a folder lies."""
    return folder / "reports" / f"{config.method}-{config.seed}"


def write_search_report(setting: Setting, history: History, folder: Path) -> list[Path]:
    """evaluations.csv, curve.png and best.png; the latent map where there is a model, the front where there is a cost.

    Args:
        setting: what was searched in.
        history: every evaluation; in all files values are in the unit of the metric.
        folder: to write into.
    """
    config, sign = setting.config, setting.config.oracle.sign
    good = in_unit(ranked(history), sign)
    rows = evaluation_rows(setting, history)
    if config.cost is not None:
        costs = network_costs(setting, history.evaluations)
        rows = [row | {f"network_{config.cost}": int(cost)} for row, cost in zip(rows, costs.tolist(), strict=True)]
    paths = [write_text(folder / "evaluations.csv", as_csv(rows))]
    if not good:
        return paths
    curve = {config.method: {config.seed: [sign * value for value in history.best_so_far()]}}
    title = best_label(setting.named)
    paths.append(search_curves(curve, folder / "curve.png", title, falling=sign < 0))
    best = setting.space.parse([one.found for one in good[:DRAWN]])
    titles = [f"{one.value:.5g}" for one in good[:DRAWN]]
    paths.append(grid_of_architectures(best, setting.space.vocabulary, folder / "best.png", titles))
    if setting.model is not None:
        archs = setting.space.parse([one.found for one in good])
        paths.append(draw_latent(setting.latent, archs, good, setting.metric, folder))
    if config.cost is not None:
        costs = network_costs(setting, good)
        values = torch.tensor([one.value for one in good])
        points = {config.method: (values, costs)}
        paths.append(pareto_front(points, folder / "front.png", setting.metric, config.cost, falling=sign < 0))
        paths.append(write_text(folder / "front.csv", as_csv(front_rows(setting, history))))
    return paths


def draw_latent(
    codes: LatentCodes, archs: Architectures, evaluations: list[Evaluation], metric: str, folder: Path
) -> Path:
    """Pool and evaluated architectures on two principal components, the latter coloured by value."""
    from graphnas.train.evaluate import encode_all

    background = codes.codes[:: max(1, len(codes.codes) // BACKGROUND)]
    points = torch.cat([background, encode_all(codes.model, archs).cpu()])
    values = torch.full((len(points),), math.nan)
    values[len(background) :] = torch.tensor([one.value for one in evaluations])
    return latent_map(points, folder / "latent.png", values, f"{metric} of what was evaluated")


def as_csv(rows: list[dict[str, Any]]) -> str:
    """Rows of equal keys; NaN is left empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: "" if value != value else value for key, value in row.items()} for row in rows)
    return text.getvalue()
