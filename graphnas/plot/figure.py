"""What all figures share: palette, type sizes, and how a file is written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from graphnas.checkpoint import write_atomically
from graphnas.errors import InvalidValues

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito's palette (yellow darkened, grey for black), told apart with every common colour vision deficiency.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#B8A800", "#7F7F7F")
INK, LINE, FAINT, GRID, ALERT = "#2B3440", "#66717F", "#8A94A0", "#E8EBEF", "#D55E00"
TITLE, TEXT, SMALL = 11, 9, 8  # points
DPI = 160


def new_figure(width: float, height: float, layout: str | None = "constrained") -> Figure:
    """An empty figure of that size in inches, drawn without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout=layout, facecolor="white")  # type: ignore[arg-type]
    FigureCanvasAgg(figure)
    return figure


def style(ax: Axes, x_label: str, y_label: str) -> None:
    """Labels, light grid, two spines."""
    ax.set_xlabel(x_label, fontsize=TEXT, color=INK)
    ax.set_ylabel(y_label, fontsize=TEXT, color=INK)
    ax.tick_params(labelsize=SMALL, colors=INK, length=3)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(FAINT)
    ax.grid(color=GRID, lw=0.7)
    ax.set_axisbelow(True)


def save(figure: Figure, path: Path | str) -> Path:
    """Writes the file whole or not at all.

    Raises:
        InvalidValues: a suffix that is no format matplotlib writes.
        GraphnasError: the file could not be written.
    """
    target = Path(path)
    kinds = sorted(figure.canvas.get_supported_filetypes())
    kind = target.suffix[1:].lower()
    if kind not in kinds:
        raise InvalidValues(f"expected a file name that ends in one of {', '.join(kinds)} (got {target.name!r})")
    return write_atomically(target, lambda draft: figure.savefig(draft, format=kind, dpi=DPI))


def vector(values: ArrayLike | Tensor, length: int | None = None) -> NDArray[Any]:
    """One-dimensional values as an array.

    Raises:
        InvalidValues: another shape, or another length than `length`.
    """
    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    if array.ndim != 1 or (length is not None and len(array) != length):
        wanted = "" if length is None else f" of {length} values"
        raise InvalidValues(f"expected a vector{wanted} (got shape {list(array.shape)})")
    return array
