"""What searches have found against what they have spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from graphnas.errors import InvalidValues
from graphnas.metrics import mean_confidence_interval
from graphnas.plot.figure import COLOURS, FAINT, SMALL, TEXT, new_figure, save, style


def search_curves(
    curves: Mapping[str, Mapping[int, Sequence[float]]], path: Path | str, label: str, ceiling: float | None = None,
    falling: bool = False,
) -> Path:  # fmt: skip
    """Mean over seeds against the number of evaluations, with the 95 % interval as a band.

    Args:
        curves: method -> seed -> value after every evaluation; one that ended sooner keeps its last value.
        path: file to write.
        label: what the values are.
        ceiling: a horizontal line, such as the optimum.
        falling: whether lower values are better, such as a regret.

    Raises:
        InvalidValues: no curve, or an empty one.
    """
    if not curves or not all(runs and all(runs.values()) for runs in curves.values()):
        raise InvalidValues("expected at least one curve, none of them empty")
    figure = new_figure(6.4, 4.4)
    ax = figure.add_subplot(1, 1, 1)
    style(ax, "evaluations", label)
    for number, (method, runs) in enumerate(curves.items()):
        length = max(map(len, runs.values()))
        values = np.array([[*run, *[run[-1]] * (length - len(run))] for run in runs.values()])
        colour, steps = COLOURS[number % len(COLOURS)], np.arange(1, length + 1)
        ax.plot(steps, values.mean(0), color=colour, label=f"{method} ({len(runs)})", linewidth=1.6)
        if len(runs) > 1:
            half = np.array([mean_confidence_interval(column).half_width for column in values.T])
            ax.fill_between(steps, values.mean(0) - half, values.mean(0) + half, color=colour, alpha=0.15, linewidth=0)
    if ceiling is not None:
        ax.axhline(ceiling, color=FAINT, linestyle="--", linewidth=1.2, label="optimum")
    if (limits := value_limits(curves, ceiling, falling)) is not None:
        ax.set_ylim(*limits)
    ax.legend(fontsize=SMALL, frameon=False, loc="upper right" if falling else "lower right")
    ax.yaxis.label.set_fontsize(TEXT)
    return save(figure, path)


def value_limits(
    curves: Mapping[str, Mapping[int, Sequence[float]]], ceiling: float | None, falling: bool
) -> tuple[float, float] | None:
    """Lowest and highest value to show: the first few evaluations, which would flatten the rest, are cut off."""
    late = [value for runs in curves.values() for run in runs.values() for value in run[len(run) // 15 :]]
    values = np.array([*late, np.nan if ceiling is None else ceiling]) * (-1 if falling else 1)
    values = values[np.isfinite(values)]
    if not len(values) or values.max() == values.min():
        return None
    low, high = float(np.quantile(values, 0.05)), float(values.max())
    margin = 0.05 * (high - low)
    low, high = low - margin, high + margin
    return (-high, -low) if falling else (low, high)
