"""Quality against the number of labels, one line per model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from graphnas.errors import InvalidValues
from graphnas.plot.figure import COLOURS, FAINT, SMALL, TITLE, new_figure, save, style


def label_curves(
    curves: Mapping[str, Mapping[int, Sequence[float]]],
    path: Path | str,
    y_label: str = "Kendall's tau-b",
    ceiling: float | None = None,
    title: str | None = None,
) -> Path:
    """Mean over runs of every model against the number of labels (logarithmic), runs as dots.

    Args:
        curves: model -> number of labels -> values of its runs.
        path: file to write.
        y_label: what the values are.
        ceiling: a horizontal line for the best that label noise allows.
        title: heading of the figure.

    Raises:
        InvalidValues: no value.
    """
    if not any(runs for sizes in curves.values() for runs in sizes.values()):
        raise InvalidValues("expected at least one value (got none)")
    figure = new_figure(6.4, 4.4)
    ax = figure.add_subplot(1, 1, 1)
    style(ax, "labelled architectures", y_label)
    markers = "osD^v"
    for number, (model, sizes) in enumerate(curves.items()):
        points = sorted((size, list(runs)) for size, runs in sizes.items() if runs)
        colour, marker = COLOURS[number % len(COLOURS)], markers[number // len(COLOURS) % len(markers)]
        means = [sum(runs) / len(runs) for _, runs in points]
        ax.plot([size for size, _ in points], means, marker=marker, markersize=4, color=colour, label=model)
        for size, runs in points:
            ax.plot([size] * len(runs), runs, ".", color=colour, markersize=2.5, alpha=0.5)
    if ceiling is not None:
        ax.axhline(ceiling, color=FAINT, linestyle="--", linewidth=1.2, label="label noise")
    ax.set_xscale("log")
    ax.grid(color=FAINT, linewidth=0.4)
    ax.legend(fontsize=SMALL - 1, frameon=False, ncols=2, loc="lower right")
    if title is not None:
        ax.set_title(title, fontsize=TITLE)
    return save(figure, path)
