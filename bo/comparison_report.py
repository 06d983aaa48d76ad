"""Searches compared: curves, means with intervals, paired tests, as Markdown, CSV and plot."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ttest_rel, wilcoxon

from graphnas.bo.config import OracleConfig, SearchConfig
from graphnas.bo.pareto import costs_of, hypervolume
from graphnas.bo.search import History
from graphnas.checkpoint import write_text
from graphnas.errors import InvalidValues
from graphnas.metrics import mean_confidence_interval
from graphnas.plot.search_curves import search_curves
from graphnas.spaces import get_space
from graphnas.train.board_text import interval_text, table_head, table_line

SHARES = (1 / 6, 1 / 3, 2 / 3, 1.0)
"""Of the budget, at which the tables look."""

FEWEST_DIGITS, MOST_DIGITS = 3, 6

SETTINGS_FENCE = "\n```json\n"
"""Before the settings at the end of comparison.md."""
SCALE = (
    ": the share, from 0 to 1, of the rectangle between the worst and the best value and cost found by any of these "
    "searches that the front so far dominates"
)

Curves = dict[str, dict[int, list[float]]]
"""method -> seed -> value after every evaluation."""


def value_curves(histories: Mapping[str, Mapping[int, History]]) -> Curves:
    """Reported value of the best so far, higher is better, see :meth:`History.best_so_far`."""
    return {
        method: {seed: history.best_so_far() for seed, history in runs.items()} for method, runs in histories.items()
    }


def best_label(oracle: OracleConfig) -> str:
    """What curves show, in words."""
    by = "" if oracle.label == oracle.value_label else f" by {oracle.value_label}"
    return f"{oracle.label} of the best{by} so far"


def times(curves: Curves, sign: float) -> Curves:
    """The same with all values multiplied."""
    return {
        method: {seed: [sign * value for value in curve] for seed, curve in runs.items()}
        for method, runs in curves.items()
    }


def hypervolume_curves(histories: Mapping[str, Mapping[int, History]], config: SearchConfig) -> Curves:
    """Share of the rectangle of all values and costs found by anyone that is dominated so far."""
    assert config.cost is not None
    space = get_space(config.space)
    points: dict[tuple[str, int], NDArray[np.float64]] = {}
    for method, runs in histories.items():
        for seed, history in runs.items():
            archs = space.parse([one.found for one in history.evaluations])
            cost = costs_of(space, archs, config.cost).numpy()
            points[method, seed] = np.stack([[one.value for one in history.evaluations], cost], 1)
    every = np.concatenate(list(points.values()))
    every = every[np.isfinite(every[:, 0])]
    if not len(every):
        return {
            method: {seed: [0.0] * len(points[method, seed]) for seed in runs} for method, runs in histories.items()
        }
    worst, best = (every[:, 0].min(), every[:, 1].max()), (every[:, 0].max(), every[:, 1].min())
    found: Curves = {}
    for (method, seed), rows in points.items():
        found.setdefault(method, {})[seed] = hypervolume_curve(rows, worst, best)
    return found


def hypervolume_curve(rows: NDArray[np.float64], worst: tuple[float, float], best: tuple[float, float]) -> list[float]:
    """Hypervolume after every row of (value, cost); failed evaluations add nothing."""
    import torch

    values, costs = (torch.from_numpy(rows[:, column].copy()) for column in (0, 1))
    values = values.nan_to_num(-np.inf)
    return [hypervolume(values[:count], costs[:count], worst, best) for count in range(1, len(rows) + 1)]


def looks(config: SearchConfig) -> dict[str, float]:
    """Where the tables look: title -> evaluations, or simulated seconds where the budget is of these."""
    if config.max_seconds is not None:
        return {f"after {share * config.max_seconds:.3g} s": share * config.max_seconds for share in SHARES}
    counts = sorted({max(1, round(share * config.queries)) for share in SHARES})
    return {f"after {count}": count for count in counts}


def spent_by(history: History, config: SearchConfig, limit: float) -> int:
    """How many evaluations of a search there were within so many evaluations, or simulated seconds."""
    if config.max_seconds is None:
        return min(int(limit), len(history.evaluations))
    seconds = np.cumsum([one.seconds for one in history.evaluations])
    return int((seconds <= limit).sum()) if limit < config.max_seconds else len(seconds)


def rows_of(
    curves: Curves, histories: Mapping[str, Mapping[int, History]], config: SearchConfig, sign: float = 1.0
) -> list[dict[str, str]]:
    """One row per method, best first: mean and interval at shares of the budget, paired tests against the first.

    Args:
        curves: higher is better.
        histories: behind them.
        config: says what the budget was.
        sign: by which values are multiplied for display.
    """
    final = {method: {seed: curve[-1] for seed, curve in runs.items()} for method, runs in curves.items()}
    means = {method: float(np.mean(list(values.values()))) for method, values in final.items()}
    order = sorted(final, key=lambda method: (np.isnan(means[method]), -means[method]))
    digits, rows = digits_of([list(values.values()) for values in final.values()]), []
    for method in order:
        runs = curves[method]
        row = {"method": method, "seeds": str(len(runs))}
        for title, limit in looks(config).items():
            spent = {seed: spent_by(histories[method][seed], config, limit) for seed in runs}
            values = [sign * curve[spent[seed] - 1] for seed, curve in runs.items()] if all(spent.values()) else []
            row[title] = interval_text(values, digits)  # none before every seed has ended its first evaluation
        rows.append(row | paired_tests(final[order[0]], final[method]))
    return rows


def digits_of(values: Sequence[Sequence[float]]) -> int:
    """Decimals that leave two figures of the usual interval: three, more where the intervals of methods are small."""
    widths = [mean_confidence_interval(own).half_width for own in values if len(own) > 1]
    widths = [width for width in widths if 0 < width < np.inf]
    if not widths:
        return FEWEST_DIGITS
    return min(max(1 - math.floor(math.log10(float(np.median(widths)))), FEWEST_DIGITS), MOST_DIGITS)


def paired_tests(first: Mapping[int, float], other: Mapping[int, float]) -> dict[str, str]:
    """Two-sided p-values that `other` differs from `first` on the seeds both have."""
    seeds = sorted(set(first) & set(other))
    a, b = ([runs[seed] for seed in seeds] for runs in (first, other))
    if len(seeds) < 3 or a == b or not np.isfinite([a, b]).all():
        return {"t-test p": "–", "Wilcoxon p": "–"}
    return {"t-test p": f"{ttest_rel(a, b).pvalue:.2g}", "Wilcoxon p": f"{wilcoxon(a, b).pvalue:.2g}"}


def above_start(runs: Mapping[int, History]) -> str:
    """How many searches have found more than the best that was known before they began."""
    better = [any(one.value > run.best_known for one in run.evaluations) for run in runs.values()]
    return f"{sum(better)} of {len(better)}"


def share_snapped(runs: Mapping[int, History]) -> str:
    """Share of the evaluations that got the value of the nearest labelled architecture, in %."""
    every = [bool(one.answered) for run in runs.values() for one in run.evaluations]
    return f"{100 * sum(every) / len(every):.0f} %"


def markdown(rows: Sequence[Mapping[str, str]]) -> str:
    """The table."""
    titles = list(rows[0])
    return "\n".join([*table_head(titles), *(table_line([row[title] for title in titles]) for row in rows)]) + "\n"


def write_report(histories: Mapping[str, Mapping[int, History]], config: SearchConfig, folder: Path) -> list[Path]:
    """comparison.md, curves.csv and curves.png of finished searches.

    Args:
        histories: method -> seed -> history.
        config: what they share.
        folder: to write into.

    Raises:
        InvalidValues: no search, or one without an evaluation.
    """
    if not histories or not all(len(history.evaluations) for runs in histories.values() for history in runs.values()):
        raise InvalidValues("expected at least one search, and an evaluation of each")
    sign, label = config.oracle.sign, best_label(config.oracle)
    curves, scale = value_curves(histories), ""
    if config.cost is not None:
        curves, sign, scale = hypervolume_curves(histories, config), 1.0, SCALE
        label = f"hypervolume of {config.oracle.value_label} and {config.cost}"
    rows = rows_of(curves, histories, config, sign)
    if config.start:
        rows = [row | {"above the start": above_start(histories[row["method"]])} for row in rows]
    if any(one.answered for runs in histories.values() for run in runs.values() for one in run.evaluations):
        rows = [row | {"answered by the nearest": share_snapped(histories[row["method"]])} for row in rows]
    text = markdown(rows)
    note = f"\n{label}{scale}; mean and 95 % interval over seeds; two-sided paired tests against the first row.\n"
    shared = {name: value for name, value in asdict(config).items() if name not in ("method", "seed")}
    settings = SETTINGS_FENCE + json.dumps(shared, indent=1) + "\n```\n"
    shown = times(curves, sign)
    return [
        write_text(folder / "comparison.md", text + note + settings),
        write_text(folder / "curves.csv", curves_csv(shown, "hypervolume" if config.cost else config.oracle.label)),
        search_curves(shown, folder / "curves.png", label, falling=sign < 0),
    ]


def curves_csv(curves: Curves, name: str) -> str:
    """method, seed, evaluations, and the value under its name."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["method", "seed", "evaluations", name])
    for method, runs in curves.items():
        for seed, curve in runs.items():
            writer.writerows(
                [method, seed, count, "" if np.isnan(value) else value] for count, value in enumerate(curve, 1)
            )
    return text.getvalue()
