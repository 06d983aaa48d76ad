"""Draws one architecture into matplotlib axes: layers from input to output, one colour per operation."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from graphnas.errors import InvalidArchitecture
from graphnas.plot.figure import COLOURS, INK, LINE, TEXT
from graphnas.plot.layout import Layout, layered_layout

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.textpath import TextPath

    from graphnas.spaces.architectures import Architectures

WIDTH, HEIGHT, PITCH, MARGIN = 1.0, 0.4, 0.86, 0.16  # box, distance of layers and rim, in units of the box width
TEXT_HEIGHT, TEXT_WIDTH = 0.155, 0.86  # of an x-height capital letter, and of the longest label
HEAD, HALF_HEAD = 0.12, 0.05


def draw_architecture(ax: Axes, arch: Architectures, vocabulary: Sequence[str], title: str | None = None) -> None:
    """Draws a batch of one architecture and fits the axes to it.

    Vertices stand in layers of their longest path from the input, top down. An edge that skips layers runs in a lane of
    its own, so no edge crosses a box. Sizes are in data coordinates: the picture scales with the axes.

    Raises:
        InvalidArchitecture: not exactly one architecture, or an operation outside the vocabulary.
    """
    ops, adj = _single(arch, vocabulary)
    layout = layered_layout(adj, WIDTH)
    for (source, _), route in layout.routes.items():
        _draw_edge(ax, int(layout.layer[source]), route)
    labels = short_labels(vocabulary)
    scale = _text_scale(labels)
    for vertex, op in enumerate(ops):
        _draw_vertex(ax, layout.x[vertex], -PITCH * layout.layer[vertex], labels[op], op, scale)
    left, right, bottom, top = extent(layout)
    ax.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    ax.axis("off")
    if title is not None:
        ax.set_title(title, fontsize=TEXT, color=INK, pad=5)


def extent(layout: Layout) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of a drawing, rim included."""
    passed = [x for route in layout.routes.values() for x in route]
    left = min([*(layout.x - WIDTH / 2), *passed]) - MARGIN
    right = max([*(layout.x + WIDTH / 2), *passed]) + MARGIN
    return left, right, -PITCH * int(layout.layer.max()) - HEIGHT / 2 - MARGIN, HEIGHT / 2 + MARGIN


def short_labels(vocabulary: Sequence[str]) -> list[str]:
    """A label of at most about ten characters for every operation; those that would coincide stay as they are.

    >>> short_labels(["input", "conv3x3-bn-relu", "nor_conv_1x1", "skip_connect", "dil_conv_5x5", "maxpool3x3"])
    ['input', 'conv 3×3', 'conv 1×1', 'skip', 'dil 5×5', 'max 3×3']
    """
    labels = [_short_label(op) for op in vocabulary]
    count = Counter(labels)
    return [label if count[label] == 1 else op for label, op in zip(labels, vocabulary, strict=True)]


def _short_label(op: str) -> str:
    text = op.lower()
    kinds = ("sep", "dil", "max", "avg", "conv", "skip", "none")
    kind = next((kind for kind in kinds if kind in text), None)
    size = re.search(r"(\d+)x(\d+)", text)
    if kind and (size or kind in ("skip", "none")):
        return f"{kind} {size[1]}×{size[2]}" if size else kind
    plain = op.replace("{", "").replace("}", "")
    spaced = re.sub(r"[_\-]+", " ", plain)
    return plain if len(plain) <= 10 else f"{spaced[:9].rstrip()}…"


def _single(arch: Architectures, vocabulary: Sequence[str]) -> tuple[list[int], NDArray[np.bool_]]:
    if len(arch) != 1:
        raise InvalidArchitecture(f"expected a batch of one architecture (got {len(arch)}): index the batch first")
    size = int(arch.num_nodes[0])
    ops: list[int] = arch.ops[0, :size].tolist()
    if max(ops, default=0) >= len(vocabulary):
        raise InvalidArchitecture(
            f"expected operations below {len(vocabulary)}, the length of the vocabulary (got {ops})"
        )
    return ops, arch.adj[0, :size, :size].cpu().numpy()


# -- vertices -------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def _outline(label: str) -> tuple[TextPath, float, float]:
    """Outlines of a text of ten points, the x of its middle, and its width; kept, as measuring them is slow."""
    from matplotlib.textpath import TextPath

    path = TextPath((0, 0), label, size=10)
    box = path.get_extents()
    return path, float(box.width / 2 + box.x0), float(box.width)


@lru_cache(maxsize=1)
def _capital() -> float:
    """Height of a capital letter of ten points."""
    return float(_outline("X")[0].get_extents().height)


def _text_scale(labels: Sequence[str]) -> float:
    """Data units per point of text: set by the height, less where the longest label would not fit."""
    return min(TEXT_HEIGHT / _capital(), TEXT_WIDTH * WIDTH / max(_outline(label)[2] for label in labels))


def _draw_vertex(ax: Axes, x: float, y: float, label: str, op: int, scale: float) -> None:
    from matplotlib.colors import to_rgb
    from matplotlib.patches import FancyBboxPatch, PathPatch
    from matplotlib.transforms import Affine2D

    terminal = op < 2
    lap, rank = divmod(op - 2, len(COLOURS))
    line = INK if terminal else COLOURS[rank]
    tint = 0.28 if lap == 0 else 0.0  # the palette comes round again without a fill
    fill = line if terminal else tuple(1 - tint + tint * channel for channel in to_rgb(line))
    corner = HEIGHT / 2 if terminal else HEIGHT / 4
    style = f"round,pad=0,rounding_size={corner}"
    box = FancyBboxPatch((x - WIDTH / 2, y - HEIGHT / 2), WIDTH, HEIGHT, style, fc=fill, ec=line, lw=1.2, zorder=3)
    ax.add_patch(box)
    path, middle, _ = _outline(label)
    place = Affine2D().translate(-middle, -_capital() / 2).scale(scale).translate(x, y)
    text = PathPatch(place.transform_path(path), fc="white" if terminal else INK, ec="none", zorder=4)
    ax.add_artist(text)  # add_patch would measure every letter for limits that are set by hand


# -- edges ----------------------------------------------------------------------------------------------------------


def _draw_edge(ax: Axes, layer: int, route: Sequence[float]) -> None:
    """A curve that starts below `layer`, is vertical wherever it passes a layer, and ends in an arrow head."""
    from matplotlib.patches import PathPatch, Polygon
    from matplotlib.path import Path

    x, y = route[0], -PITCH * layer - HEIGHT / 2
    points, codes = [(x, y)], [Path.MOVETO]
    for step, lane in enumerate(route[1:], 1):
        last = step == len(route) - 1
        low = -PITCH * (layer + step) + HEIGHT / 2 + (HEAD if last else 0)
        middle = (y + low) / 2
        points += [(x, middle), (lane, middle), (lane, low)]
        codes += [Path.CURVE4] * 3
        x, y = lane, low
        if not last:
            y -= HEIGHT
            points.append((x, y))
            codes.append(Path.LINETO)
    ax.add_patch(PathPatch(Path(points, codes), fc="none", ec=LINE, lw=1.1, capstyle="butt", zorder=2))
    head = [(x, y - HEAD), (x - HALF_HEAD, y), (x + HALF_HEAD, y)]
    ax.add_patch(Polygon(head, closed=True, fc=LINE, ec="none", zorder=2))
