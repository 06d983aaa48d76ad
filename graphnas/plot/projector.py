"""A latent space for TensorBoard's projector: codes, metadata and a small picture of every architecture."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from graphnas.checkpoint import PARTIAL, make_folder
from graphnas.errors import InvalidValues
from graphnas.plot.cell import draw_architecture
from graphnas.plot.figure import new_figure
from graphnas.spaces.architectures import Architectures

if TYPE_CHECKING:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

THUMBNAIL = 96  # pixels: the smallest at which operations and edges can be told apart
SPRITE = 8192  # pixels, the largest sprite TensorBoard takes
CONFIG, EVENTS, CODES = "projector_config.pbtxt", "events.out.tfevents.", "00000"


def thumbnails(archs: Architectures, vocabulary: Sequence[str], size: int = THUMBNAIL) -> Tensor:
    """Square pictures of B architectures, float [B, 3, size, size] in 0..1; about 30 ms each.

    Raises:
        InvalidValues: fewer than 16 pixels.
    """
    if size < 16:
        raise InvalidValues(f"a thumbnail takes at least 16 pixels (got {size})")
    figure = new_figure(1, 1, layout=None)
    figure.set_dpi(size)
    canvas = cast("FigureCanvasAgg", figure.canvas)
    ax = figure.add_axes((0, 0, 1, 1))
    pictures = torch.empty(len(archs), 3, size, size)
    for row, arch in enumerate(archs):
        draw_architecture(ax, arch, vocabulary)
        canvas.draw()
        for patch in list(ax.patches):  # much faster than new axes
            patch.remove()
        pixels = np.asarray(canvas.buffer_rgba())[:, :, :3].copy()
        pictures[row] = torch.from_numpy(pixels).permute(2, 0, 1) / 255
    return pictures


def write_projector(
    folder: Path | str,
    codes: Tensor,
    metadata: dict[str, Sequence[object]],
    pictures: Tensor | None = None,
) -> Path:
    """Writes what the projector of `tensorboard --logdir` shows; an earlier export in the folder is replaced.

    Args:
        folder: a log folder of its own.
        codes: float [B, Z].
        metadata: columns of B values each, by name; tabs and line breaks in them become spaces.
        pictures: float [B, 3, h, h] in 0..1.

    Raises:
        InvalidValues: parts of different lengths, a sprite beyond TensorBoard's limit, or a folder with other files.
    """
    target = Path(folder)
    _check(target, codes, metadata, pictures)
    from torch.utils.tensorboard import SummaryWriter

    make_folder(target.parent)
    draft = target.with_name(f".{target.name}.{os.getpid()}{PARTIAL}")
    try:
        rows: list[Any] = [[_cell(value) for value in row] for row in zip(*metadata.values(), strict=True)]
        header = [_cell(name) for name in metadata]
        if len(header) == 1:  # TensorBoard takes the first line of a single column for a row
            rows, header = [cell for (cell,) in rows], []
        with SummaryWriter(str(draft)) as writer:
            writer.add_embedding(codes.cpu(), rows, pictures, metadata_header=header or None)
        if target.exists():
            shutil.rmtree(target)
        draft.replace(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def _check(target: Path, codes: Tensor, metadata: dict[str, Sequence[object]], pictures: Tensor | None) -> None:
    lengths = {name: len(column) for name, column in metadata.items()}
    if codes.dim() != 2 or not len(codes) or not lengths or set(lengths.values()) != {len(codes)}:
        raise InvalidValues(f"expected codes [B >= 1, Z] and B metadata (got {list(codes.shape)} and {lengths})")
    if pictures is not None:
        size, shape = pictures.shape[-1], list(pictures.shape)
        if shape != [len(codes), 3, size, size]:
            raise InvalidValues(f"expected pictures [{len(codes)}, 3, h, h] (got shape {shape})")
        if np.ceil(np.sqrt(len(codes))) * size > SPRITE:
            raise InvalidValues(f"{len(codes)} pictures of {size} pixels exceed a sprite of {SPRITE} x {SPRITE}")
    if target.exists():
        names = [path.name for path in target.iterdir()] if target.is_dir() else [target.name]
        others = [name for name in names if name not in (CONFIG, CODES) and not name.startswith(EVENTS)]
        if others or (names and CONFIG not in names):
            raise InvalidValues(f"{target} holds other files ({', '.join(sorted(others or names))}): it stays as it is")


def _cell(value: object) -> str:
    """Text without a tab or a line break, which would end a column or a row."""
    return " ".join(str(value).split())
