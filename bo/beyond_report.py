"""What a search beyond its trained space has found: one CSV and a picture of the best."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from graphnas.bo.beyond_run import Beyond
from graphnas.bo.search import History, in_unit
from graphnas.bo.search_report import as_csv, evaluation_rows, label_titles, ranked
from graphnas.checkpoint import write_text
from graphnas.plot import grid_of_architectures

DRAWN = 5


def candidate_rows(found: Beyond) -> list[dict[str, Any]]:
    """The ranking as rows of a table, in the unit of the metric; labels of those that were evaluated under the names of
    the metrics, NaN of the others."""
    (space, archs, expected, deviation), sign = found.ranking, found.setting.config.oracle.sign
    paid = {evaluation.arch: evaluation for evaluation in in_unit(found.outside.evaluations, sign)}
    params, (metric, reported) = space.cost(archs)["params"].tolist(), label_titles(found.setting)
    rows = []
    for place, text in enumerate(space.format(archs)):
        value, test = (one.value, one.test) if (one := paid.get(text)) is not None else (math.nan, math.nan)
        rank = {"rank": place + 1, "expected": sign * float(expected[place]), "deviation": float(deviation[place])}
        labels = {metric: value} if reported == metric else {metric: value, reported: test}
        rows.append(rank | labels | {"network_params": int(params[place]), "architecture": text})
    return rows


def write_beyond_report(found: Beyond) -> list[Path]:
    """candidates.csv, best.png with the five best by value, or by what is expected where none was evaluated; and
    evaluations.csv where some were. All values are in the unit of the metric."""
    space, sign = found.ranking.space, found.setting.config.oracle.sign
    good = ranked(found.outside)[:DRAWN]
    paths = [write_text(found.folder / "candidates.csv", as_csv(candidate_rows(found)))]
    if found.outside.evaluations:
        rows = evaluation_rows(found.setting, found.outside)
        paths.append(write_text(found.folder / "evaluations.csv", as_csv(rows)))
    if good:
        archs, titles = space.parse([one.arch for one in good]), [f"{sign * one.value:.5g}" for one in good]
    else:
        archs = found.ranking.archs[:DRAWN]
        titles = [f"expected {sign * value:.5g}" for value in found.ranking.expected[:DRAWN].tolist()]
    if len(archs):
        paths.append(grid_of_architectures(archs, space.vocabulary, found.folder / "best.png", titles))
    return paths


def best_of(history: History, name: str, sign: float) -> str:
    """One clause on the best of a space, in the unit of the metric."""
    good, failed = ranked(history), sum(bool(evaluation.error) for evaluation in history.evaluations)
    best = f"best {sign * good[0].value:.5g}" if good else "none succeeded"
    return f"{name}: {best} of {len(history.evaluations)} evaluations" + (f", {failed} of them failed" * bool(failed))


def beyond_summary(found: Beyond) -> str:
    """One line on both spaces."""
    config, larger = found.setting.config, found.ranking.space.name
    inside = best_of(found.inside, config.space, config.oracle.sign)
    if found.snapped:
        inside += f", {found.snapped} answered with the nearest labelled architecture"
    if found.reason:
        return f"{inside}; {larger}: nothing evaluated, ranked by expectation only ({found.reason})"
    return f"{inside}; {best_of(found.outside, larger, config.oracle.sign)}"
