"""Panels that compare models: one dot per run, one bar per mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graphnas.errors import InvalidValues
from graphnas.plot.figure import COLOURS, INK, SMALL, TITLE, new_figure, save, style


def bars(
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    path: Path | str,
    marks: Mapping[str, Mapping[str, float | None]] | None = None,
    title: str | None = None,
) -> Path:
    """Side by side, one panel per quantity: the mean of every model as a bar and its runs as dots.

    Args:
        panels: quantity -> model -> values of its runs; models stand from top to bottom in the order given.
        path: file to write.
        marks: quantity -> name -> value of a vertical line, such as a baseline's; None is left out.
        title: heading of the figure.

    Raises:
        InvalidValues: no panel.
    """
    if not panels:
        raise InvalidValues("expected at least one panel (got none)")
    models = list(dict.fromkeys(model for values in panels.values() for model in values))
    figure = new_figure(1.2 + 2.9 * len(panels), 1.6 + 0.32 * len(models))
    legend: dict[str, Any] = {}
    for place, (quantity, values) in enumerate(panels.items()):
        ax = figure.add_subplot(1, len(panels), place + 1)
        style(ax, quantity, "")
        for row, model in enumerate(models):
            runs = list(values.get(model, ()))
            if runs:
                ax.barh(row, sum(runs) / len(runs), height=0.62, color=COLOURS[0], alpha=0.35)
                ax.plot(runs, [row] * len(runs), "o", color=COLOURS[0], markersize=3.5)
        for number, (name, value) in enumerate((marks or {}).get(quantity, {}).items()):
            if value is not None:
                ax.axvline(value, color=COLOURS[(number + 1) % len(COLOURS)], linewidth=1, label=name)
        ax.set_yticks(range(len(models)), models if place == 0 else [""] * len(models), fontsize=SMALL, color=INK)
        ax.set_ylim(len(models) - 0.5, -0.5)
        ax.grid(visible=False, axis="y")
        handles, names = ax.get_legend_handles_labels()
        legend |= dict(zip(names, handles, strict=True))
    if legend:
        figure.legend(
            legend.values(), legend, fontsize=SMALL, frameon=False, loc="outside lower center", ncols=len(legend)
        )
    if title is not None:
        figure.suptitle(title, fontsize=TITLE, color=INK)
    return save(figure, path)
