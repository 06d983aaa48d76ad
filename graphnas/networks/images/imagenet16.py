"""ImageNet16-120: the first 120 classes of ImageNet at 16x16 pixels, the third data set of NAS-Bench-201.

Chrabaszcz et al., A downsampled variant of ImageNet, 2017, https://arxiv.org/abs/1707.08819; Dong and Yang, ICLR 2020,
https://arxiv.org/abs/2001.00326. The official files are pickles of a dictionary with `data`, uint8 [n, 3 * 16 * 16],
and `labels`, n numbers from 1 to 1,000. They are read as plain data, nothing in them is executed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from graphnas.errors import CorruptFile
from graphnas.networks.images.base import IMAGES, ImageData, ImageSplit, stratified_order
from graphnas.networks.images.sources import SOURCES, find
from graphnas.pickles import PlainReader
from graphnas.sources import Source

SEED = 16120  # of the validation / test cut, fixed for ever
SHAPE = (3, 16, 16)
SCALE = 255.0
ALL_CLASSES, NUM_CLASSES = 1000, 120
MEAN, STD = (122.68, 116.66, 104.01), (63.22, 61.26, 65.09)  # of NAS-Bench-201
Part = tuple[NDArray[np.uint8], NDArray[np.int64]]


@dataclass(frozen=True)
class Counts:
    """How many images of the first 120 classes there are: train (ten files) and held_out (`val_data`)."""

    train: int = 151_700
    held_out: int = 6_000


OFFICIAL = Counts()


@IMAGES.register("imagenet16")
def load_imagenet16(root: Path | None = None, verify: bool = True) -> ImageData:
    """ImageNet16-120: 157,700 colour images of 16x16 pixels in 120 classes.

    | part | images |
    |---|---|
    | train | 151,700 |
    | validation | 3,000, 25 a class, of the 6,000 in `val_data` |
    | test | the other 3,000 |

    NAS-Bench-201 cuts the 6,000 by a list of its own, which is not available here. This is another cut, drawn once from
    a constant seed: accuracies compare with those of the benchmark as two samples of one distribution, not image by
    image. Mean and deviation are the constants of NAS-Bench-201.

    Args:
        root: the folder `ImageNet16` or one that has it; by default the data folder.
        verify: compare the eleven files with their published MD5 first.

    Raises:
        MissingData: no such folder.
        CorruptFile: a file that is missing, damaged, not the published one, or of another form; UnsafeFile where
            reading it would execute code.
    """
    return read_imagenet16(find("imagenet16", root, "val_data"), SOURCES["imagenet16"], OFFICIAL, verify)


def read_imagenet16(folder: Path, source: Source, counts: Counts, verify: bool) -> ImageData:
    """The data set in a folder with the files `source` names, the held-out one last; errors are those of the loader."""
    problem = source.mismatch(folder) if verify and folder.is_dir() else ""
    if problem:
        raise CorruptFile(f"{folder} is not as published: {problem}. Get that file again from {source.page}")
    *names, held_out_name = [name for name, _ in source.members]
    train = _join([_read(folder / name) for name in names])
    held_out = _join([_read(folder / held_out_name)])
    for part, wanted in ((train, counts.train), (held_out, counts.held_out)):
        if len(part.labels) != wanted:
            raise CorruptFile(
                f"{folder}: expected {wanted:,} images of the first {NUM_CLASSES} classes (got {len(part.labels):,}): "
                f"get the official files from {source.page}"
            )
    order = torch.from_numpy(stratified_order(held_out.labels.numpy(), SEED))
    validation, test = (ImageSplit(held_out.images[half], held_out.labels[half]) for half in order.tensor_split(2))
    return ImageData(
        "imagenet16",
        train,
        validation,
        test,
        num_classes=NUM_CLASSES,
        scale=SCALE,
        mean=tuple(value / SCALE for value in MEAN),
        std=tuple(value / SCALE for value in STD),
    )


def _join(parts: list[Part]) -> ImageSplit:
    images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return ImageSplit(torch.from_numpy(images.reshape(-1, *SHAPE)), torch.from_numpy(labels))


def _read(path: Path) -> Part:
    """Pixels [n, 768] and labels [n] of the first 120 classes in a file; the rest of it is let go."""
    if not path.is_file():
        raise CorruptFile(f"{path.parent} has no {path.name}: get it from {SOURCES['imagenet16'].page}")
    with path.open("rb") as stream:
        content = PlainReader(stream, str(path)).read()
    if not isinstance(content, dict):
        raise CorruptFile(f"{path}: expected a dictionary with data and labels (got {type(content).__name__})")
    pixels = content.get("data")
    if not (isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8 and pixels.shape[1:] == (int(np.prod(SHAPE)),)):
        got = f"{pixels.dtype} {pixels.shape}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise CorruptFile(f"{path}: expected data to be uint8 [n, {np.prod(SHAPE)}] (got {got})")
    labels = _labels(path, content.get("labels"), len(pixels))
    kept = labels <= NUM_CLASSES
    return pixels[kept], labels[kept] - 1


def _labels(path: Path, values: Any, number: int) -> NDArray[np.int64]:
    """The labels of a file, 1 to 1,000, checked."""
    whole = isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "iu"
    if not whole and not (isinstance(values, list) and all(type(value) is int for value in values)):
        raise CorruptFile(f"{path}: expected labels to be a list of whole numbers (got {type(values).__name__})")
    if len(values) != number:
        raise CorruptFile(f"{path}: expected a label for each of the {number:,} images (got {len(values):,})")
    wrong = [value for value in values if not 1 <= value <= ALL_CLASSES]
    if wrong:
        raise CorruptFile(f"{path}: expected labels from 1 to {ALL_CLASSES:,} (got {wrong[0]})")
    return np.asarray(values, dtype=np.int64)
