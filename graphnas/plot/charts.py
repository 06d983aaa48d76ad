"""Latent maps, learning curves and scatter plots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from graphnas.errors import InvalidValues
from graphnas.metrics import kendall_tau, spearman
from graphnas.plot.figure import COLOURS, FAINT, INK, SMALL, TEXT, TITLE, new_figure, save, style, vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection, PolyCollection
    from matplotlib.figure import Figure

# -- latent spaces --------------------------------------------------------------------------------------------------


def latent_map(
    codes: ArrayLike | Tensor,
    path: Path | str,
    values: ArrayLike | Tensor | None = None,
    label: str = "value",
    title: str | None = None,
) -> Path:
    """Latent codes on their first two principal components.

    Args:
        codes: float [B, Z], Z >= 2.
        path: file to write.
        values: [B], colour of the points; where NaN the point is grey. Without values the density is drawn.
        label: what the values are.
        title: heading of the figure.
    """
    points, share = _principal_components(codes)
    figure = new_figure(6.2, 5.0)
    ax = figure.add_subplot()
    names = [f"principal component {i + 1} ({100 * share[i]:.1f} % of variance)" for i in range(2)]
    style(ax, *names)
    ax.set_aspect("equal", adjustable="datalim")  # distances on the page are distances in the plane
    if values is None:
        drawn: Any = _draw_density(ax, points)
        label = "architectures per cell"
    else:
        drawn = _draw_values(ax, points, vector(values, len(points)).astype(float))
    bar = figure.colorbar(drawn, ax=ax, pad=0.02, aspect=30, format="%g")
    bar.set_label(label, fontsize=TEXT, color=INK)
    bar.ax.tick_params(labelsize=SMALL, colors=INK, length=2)
    bar.ax.minorticks_off()
    bar.outline.set_visible(False)  # type: ignore[operator]
    _heading(figure, title)
    return save(figure, path)


def _draw_density(ax: Axes, points: NDArray[np.float64]) -> PolyCollection:
    spread = np.ptp(points, axis=0).clip(1e-12)
    cells = np.sqrt(len(points) / 6).clip(10, 50)  # about six points to a cell, as far as the eye resolves
    across = np.array([1.0, 1 / np.sqrt(3)]) * cells * spread / spread.max()
    grid = tuple(np.maximum(across.round().astype(int), 2).tolist())
    drawn = ax.hexbin(
        *points.T, gridsize=grid, cmap="YlGnBu", bins="log", mincnt=1, linewidths=0.3, edgecolors="#9FB0BA"
    )
    return drawn


def _draw_values(ax: Axes, points: NDArray[np.float64], values: NDArray[np.float64]) -> PathCollection:
    known = np.isfinite(values)
    size = float(np.clip(12000 / len(points), 3, 30))
    ax.scatter(points[~known, 0], points[~known, 1], s=size, c="#D5D9DE", linewidths=0, rasterized=True)
    # drawn in a random order, so that no range of values hides another
    shown = np.flatnonzero(known)[np.random.default_rng(0).permutation(int(known.sum()))]
    x, y = points[shown].T
    return ax.scatter(x, y, s=size, c=values[shown], cmap="viridis", linewidths=0, rasterized=True)


def _principal_components(codes: ArrayLike | Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """float [B, 2] coordinates, and the share of the variance each of the two explains."""
    matrix = codes.detach().cpu().double().numpy() if isinstance(codes, Tensor) else np.asarray(codes, dtype=np.float64)
    if matrix.ndim != 2 or len(matrix) < 2 or matrix.shape[1] < 2 or not np.isfinite(matrix).all():
        raise InvalidValues(f"expected finite codes [B >= 2, Z >= 2] (got shape {list(matrix.shape)})")
    centred = matrix - matrix.mean(0)
    variance, axes = np.linalg.eigh(centred.T @ centred)
    axes, variance = axes[:, ::-1][:, :2], variance[::-1].clip(0)
    axes = axes * np.where(axes[np.abs(axes).argmax(0), [0, 1]] < 0, -1, 1)  # the sign of an axis is arbitrary: fix it
    return centred @ axes, variance[:2] / max(variance.sum(), np.finfo(float).tiny)


# -- runs -----------------------------------------------------------------------------------------------------------


def learning_curves(
    records: Iterable[Mapping[str, Any]],
    path: Path | str,
    x: str = "step",
    metrics: Sequence[str] | None = None,
    title: str | None = None,
) -> Path:
    """Metrics over a run, one panel per metric.

    `train/loss` and `valid/loss` share the panel `loss`; a key without a slash has its own.

    Args:
        records: one dict per step, such as the lines of metrics.jsonl; a record may hold only some of the metrics.
        path: file to write.
        x: key of the horizontal axis.
        metrics: keys to draw; every numeric one if not given.
        title: heading of the figure.

    Raises:
        InvalidValues: nothing to draw.
    """
    rows = [record for record in records if x in record]
    keys = list(
        metrics or dict.fromkeys(key for row in rows for key, value in row.items() if key != x and _is_number(value))
    )
    curves = {key: [(row[x], row[key]) for row in rows if _is_number(row.get(key))] for key in keys}
    empty = [key for key, points in curves.items() if not points]
    if not curves or empty:
        raise InvalidValues(
            f"expected records with {x!r} and numbers to draw (got none for {', '.join(empty) or 'any metric'})"
        )
    panels: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for key, points in curves.items():
        part, _, name = key.rpartition("/")
        panels.setdefault(name, {})[part] = points
    parts = ["", *dict.fromkeys(part for lines in panels.values() for part in lines if part)]
    columns = {1: 1, 2: 2, 4: 2}.get(len(panels), 3)
    figure = new_figure(0.5 + 3.4 * columns, 0.3 + 2.5 * ceil(len(panels) / columns))
    for i, (name, lines) in enumerate(panels.items(), 1):
        ax = figure.add_subplot(ceil(len(panels) / columns), columns, i)
        for part, points in lines.items():
            _draw_curve(ax, points, part, parts.index(part))
        if any(lines):
            ax.legend(fontsize=SMALL, frameon=False, labelcolor=INK)
        style(ax, x, name)
    _heading(figure, title)
    return save(figure, path)


def _draw_curve(ax: Axes, points: Sequence[tuple[float, float]], label: str, rank: int) -> None:
    at, value = np.array(points, dtype=float).T
    colour = COLOURS[(rank - 1) % len(COLOURS)] if label else INK
    dash = ("-", "--", ":", "-.")[max(rank - 1, 0) % 4]
    marker = "o" if len(points) <= 25 else None
    ax.plot(at, value, dash, color=colour, lw=1.6, marker=marker, ms=3, label=label or None)
    if (at == at.round()).all():
        ax.locator_params(axis="x", integer=True)


def scatter(
    x: ArrayLike | Tensor,
    y: ArrayLike | Tensor,
    path: Path | str,
    x_label: str = "actual",
    y_label: str = "predicted",
    title: str | None = None,
    diagonal: bool = False,
) -> Path:
    """Two values of every architecture against each other, with their rank correlations.

    Args:
        x: [B].
        y: [B].
        path: file to write.
        x_label: what x is, unit included.
        y_label: what y is, unit included.
        title: heading of the figure.
        diagonal: draws y = x and gives both axes one scale, for predictions in the unit of the label.
    """
    across, up = vector(x).astype(float), vector(y, len(vector(x))).astype(float)
    both = np.isfinite(across) & np.isfinite(up)
    if not both.any():
        raise InvalidValues(f"expected at least one pair of finite values (got {len(across)} pairs, none finite)")
    across, up = across[both], up[both]
    figure = new_figure(4.6, 4.8)
    ax = figure.add_subplot()
    style(ax, x_label, y_label)
    size = float(np.clip(6000 / len(across), 3, 26))
    faint = 0.85 if len(across) < 200 else 0.4
    ax.scatter(across, up, s=size, c=COLOURS[0], alpha=faint, linewidths=0, rasterized=True)
    if diagonal:
        low, high = float(min(across.min(), up.min())), float(max(across.max(), up.max()))
        rim = 0.04 * (high - low) or 0.5
        ax.axline((low, low), slope=1, ls="--", color=FAINT, lw=1.1, zorder=1)
        ax.set(xlim=(low - rim, high + rim), ylim=(low - rim, high + rim), aspect="equal")
    left_out = f" ({len(both) - both.sum()} not finite)" if not both.all() else ""
    ranks = f"Kendall τ {kendall_tau(across, up):.3f},  Spearman ρ {spearman(across, up):.3f}"
    ax.set_title(f"{ranks},  n {len(across)}{left_out}", fontsize=SMALL, color=INK, pad=6)
    _heading(figure, title)
    return save(figure, path)


def _heading(figure: Figure, title: str | None) -> None:
    if title:
        figure.suptitle(title, fontsize=TITLE, color=INK)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
