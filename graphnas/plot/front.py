"""Pareto fronts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch import Tensor

from graphnas.errors import InvalidValues
from graphnas.plot.figure import COLOURS, SMALL, new_figure, save, style, vector


def pareto_front(
    points: Mapping[str, tuple[Tensor, Tensor]], path: Path | str, value: str, cost: str, falling: bool = False
) -> Path:
    """Values against costs, and the staircase of what nothing else is better than in both.

    Args:
        points: method -> (values [B], costs [B]).
        path: file to write.
        value: what the values are; higher is better.
        cost: what the costs are; lower is better.
        falling: lower values are better as well.

    Raises:
        InvalidValues: no point.
    """
    if not points or not all(len(values) for values, _ in points.values()):
        raise InvalidValues("expected at least one point of every method")
    figure = new_figure(6.0, 4.4)
    ax = figure.add_subplot(1, 1, 1)
    style(ax, cost, value)
    for number, (method, pair) in enumerate(points.items()):
        colour = COLOURS[number % len(COLOURS)]
        values, costs = (vector(part).astype(float) for part in pair)
        order = np.lexsort((values if falling else -values, costs))
        best = (np.minimum if falling else np.maximum).accumulate(values[order])
        ax.plot(costs, values, ".", color=colour, alpha=0.35, markersize=5)
        ax.step(costs[order], best, where="post", color=colour, label=method, linewidth=1.4)
    ax.legend(fontsize=SMALL, frameon=False, loc="upper right" if falling else "lower right")
    return save(figure, path)
