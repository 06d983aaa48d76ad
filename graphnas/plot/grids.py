"""Many architectures in one figure, all at one scale."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from graphnas.errors import InvalidValues
from graphnas.plot.cell import draw_architecture
from graphnas.plot.figure import ALERT, INK, TEXT, TITLE, new_figure, save, vector
from graphnas.spaces.architectures import Architectures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SCALE = 0.7  # inches per box width
RIM, GAP, PAIR_GAP, ABOVE, HEADING = 0.12, 0.22, 0.45, 0.26, 0.34  # inches; ABOVE is the room of a title


def grid_of_architectures(
    archs: Architectures,
    vocabulary: Sequence[str],
    path: Path | str,
    titles: Sequence[str] | None = None,
    columns: int = 5,
    highlight: Collection[int] | None = None,
    title: str | None = None,
) -> Path:
    """Draws all architectures at one scale, row by row.

    Args:
        archs: B architectures, better dozens than hundreds.
        vocabulary: operation names of their space.
        path: file to write.
        titles: B lines to stand above them.
        columns: drawings per row.
        highlight: indices that get a frame.
        title: heading of the figure.
    """
    if not len(archs) or columns < 1:
        raise InvalidValues(f"expected at least one architecture and one column (got {len(archs)} and {columns})")
    if titles is not None and len(titles) != len(archs):
        raise InvalidValues(f"expected one title for each of {len(archs)} architectures (got {len(titles)})")
    framed = set(highlight or ())
    if framed - set(range(len(archs))):
        raise InvalidValues(f"expected highlighted indices below {len(archs)} (got {sorted(framed)})")
    figure = new_figure(1, 1, layout=None)
    axes = [figure.add_axes((0, 0, 1, 1)) for _ in range(len(archs))]
    for i, ax in enumerate(axes):
        draw_architecture(ax, archs[i], vocabulary, titles[i] if titles is not None else None)
    columns = min(columns, len(axes))
    rows = [axes[i : i + columns] for i in range(0, len(axes), columns)]
    _arrange(figure, rows, title)
    for i in framed:
        _frame(axes[i])
    return save(figure, path)


def reconstruction_grid(
    originals: Architectures,
    decoded: Architectures,
    vocabulary: Sequence[str],
    path: Path | str,
    same: ArrayLike | Tensor | None = None,
    columns: int = 3,
    title: str | None = None,
) -> Path:
    """Draws every original beside what was decoded from its code; wrong ones are framed and named.

    Args:
        originals: B architectures.
        decoded: B architectures.
        vocabulary: operation names of their space.
        path: file to write.
        same: bool [B], which pairs count as equal; index-wise equality if not given.
        columns: pairs per row.
        title: heading of the figure; the share of correct pairs if not given.
    """
    if len(originals) != len(decoded) or not len(originals) or columns < 1:
        raise InvalidValues(
            f"expected B >= 1 pairs (got {len(originals)} originals, {len(decoded)} decoded, {columns} columns)"
        )
    correct = vector(originals.equal(decoded) if same is None else same, len(originals)).astype(bool)
    figure = new_figure(1, 1, layout=None)
    axes = [figure.add_axes((0, 0, 1, 1)) for _ in range(2 * len(originals))]
    for i, right in enumerate(correct):
        draw_architecture(axes[2 * i], originals[i], vocabulary, "original")
        draw_architecture(axes[2 * i + 1], decoded[i], vocabulary, "decoded" if right else "decoded: differs")
    rows = [axes[i : i + 2 * columns] for i in range(0, len(axes), 2 * columns)]
    _arrange(figure, rows, title or f"{correct.sum()} of {len(correct)} reconstructed", pair=2)
    for i in np.flatnonzero(~correct).tolist():
        _frame(axes[2 * i + 1])
        axes[2 * i + 1].title.set(color=ALERT, fontweight="bold")
    return save(figure, path)


def _arrange(figure: Figure, rows: Sequence[Sequence[Axes]], title: str | None, pair: int = 1) -> None:
    """Sizes the figure so that every drawing has the same scale, and places the axes from the top left.

    Every column is as wide as its widest drawing or title. Groups of `pair` axes stand closer together.
    """
    from matplotlib.textpath import TextPath

    def text_width(ax: Axes) -> float:
        return float(TextPath((0, 0), ax.get_title(), size=TEXT).get_extents().width) / 72 if ax.get_title() else 0.0

    columns = len(rows[0])
    widths = [max(max(_width(row[i]), text_width(row[i])) for row in rows if i < len(row)) for i in range(columns)]
    heights = [max(_height(ax) for ax in row) for row in rows]
    above = ABOVE if any(ax.get_title() for row in rows for ax in row) else 0.0
    gaps = [PAIR_GAP if pair > 1 and i % pair == 0 else GAP for i in range(1, columns)]
    lefts = RIM + np.concatenate([[0.0], np.cumsum(np.array(widths[:-1]) + gaps)])
    heading = HEADING if title else 0.0
    full_width = float(lefts[-1]) + widths[-1] + RIM
    full_height = heading + sum(heights) + above * len(rows) + GAP * (len(rows) - 1) + 2 * RIM
    figure.set_size_inches(full_width, full_height)
    top = full_height - heading - RIM
    for row, height in zip(rows, heights, strict=True):
        top -= above
        for left, width, ax in zip(lefts, widths, row, strict=False):
            at_left, at_bottom = left + (width - _width(ax)) / 2, top - _height(ax)
            box = np.array([at_left, at_bottom, _width(ax), _height(ax)])
            ax.set_position(tuple(box / [full_width, full_height, full_width, full_height]))
        top -= height + GAP
    if title:
        figure.suptitle(title, fontsize=TITLE, color=INK, y=1 - RIM / full_height, va="top")


def _width(ax: Axes) -> float:
    """Inches the drawing is wide."""
    return SCALE * float(np.ptp(ax.get_xlim()))


def _height(ax: Axes) -> float:
    return SCALE * float(np.ptp(ax.get_ylim()))


def _frame(ax: Axes) -> None:
    from matplotlib.patches import FancyBboxPatch

    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    frame = FancyBboxPatch((left, bottom), right - left, top - bottom, "round,pad=0,rounding_size=0.12", clip_on=False)
    frame.set(facecolor=f"{ALERT}0D", edgecolor=ALERT, linewidth=1.6, zorder=0)
    ax.add_patch(frame)
