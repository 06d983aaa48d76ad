"""What an image data set is, and the one door that loads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graphnas.errors import InvalidValues
from graphnas.registry import Registry


@dataclass(frozen=True)
class ImageSplit:
    """One part of a data set.

    Attributes:
        images: uint8 [n, C, H, W].
        labels: int64 [n].
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if self.images.dim() != 4 or self.labels.shape != self.images.shape[:1]:
            raise InvalidValues(
                "expected images [n, C, H, W] and one label for each "
                f"(got {tuple(self.images.shape)} and {tuple(self.labels.shape)})"
            )
        if self.images.dtype != torch.uint8 or self.labels.dtype != torch.int64:
            raise InvalidValues(
                f"expected uint8 images and int64 labels (got {self.images.dtype} and {self.labels.dtype})"
            )

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class ImageData:
    """A data set of images cut in three, with what brings its pixels to mean 0 and deviation 1.

    Attributes:
        name: of the data set.
        train: what weights are learned from.
        validation: what choices are made on; may be empty.
        test: what is reported.
        num_classes: labels are 0 .. num_classes - 1.
        scale: pixels / scale lie in [0, 1].
        mean: of the scaled pixels, one a channel.
        std: their standard deviation, one a channel.
    """

    name: str
    train: ImageSplit
    validation: ImageSplit
    test: ImageSplit
    num_classes: int
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of an image."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    def normalise(self, images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """(pixels / scale - mean) / std of each channel, [n, C, H, W] -> [n, C, H, W] of a float `dtype`.

        Half precision is reached by rounding once, at the end.

        Raises:
            InvalidValues: images of another type or number of channels.
        """
        if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[1] != len(self.mean):
            raise InvalidValues(
                f"expected uint8 images [n, {len(self.mean)}, H, W] (got {images.dtype} {tuple(images.shape)})"
            )
        working = torch.float64 if dtype == torch.float64 else torch.float32
        moments = torch.tensor([self.mean, self.std], dtype=torch.float64) * self.scale
        mean, std = moments.to(images.device, working)[:, None, :, None, None]  # each [1, C, 1, 1]
        return images.to(working).sub_(mean).div_(std).to(dtype)


Loader = Callable[..., ImageData]
IMAGES = Registry[Loader]("image data set")
"""Name -> loader `(root: Path | None, **options) -> ImageData`."""


def list_images() -> list[str]:
    """Names `load_images` knows; all but the bundled digits work once their files are there."""
    return IMAGES.names()


def load_images(name: str, root: str | Path | None = None, **options: object) -> ImageData:
    """A data set of images.

    >>> load_images("digits").shape
    (1, 8, 8)

    Args:
        name: one of `list_images()`.
        root: where its files are, a folder or an archive; by default the data folder in which `graphnas data download`
            puts them. The bundled digits need none.
        options: of its loader: `train_size` (digits), `train_fraction` (cifar10, cifar100).

    Raises:
        UnknownName: no such data set.
        MissingData: its files are not there, saying how to get them.
        CorruptFile: a file is damaged or not of the official form.
        InvalidValues: options it does not have or cannot satisfy.
    """
    loader = IMAGES[name]
    try:
        return loader(None if root is None else Path(root).expanduser(), **options)
    except TypeError as error:
        if "keyword argument" not in str(error):
            raise
        raise InvalidValues(f"the loader of {name} has no such option: {error}") from error


def stratified_order(labels: NDArray[np.integer], seed: int) -> NDArray[np.int64]:
    """A shuffled order of all images in which any run of consecutive ones holds the classes in proportion.

    Images are shuffled inside their class; the r-th of a class with n images then stands at (r + 1/2) / n of the whole.
    Made from the raw output of PCG64, which NumPy keeps the same for ever, so that a split depends on nothing else.

    Args:
        labels: [n], whole numbers.
        seed: of the shuffling.

    Returns:
        indices [n].
    """
    draws = np.random.PCG64(seed).random_raw(len(labels))
    shuffled = np.lexsort((draws, labels))  # class after class, each in the order of its draws
    _, first, inverse, counts = np.unique(labels[shuffled], return_index=True, return_inverse=True, return_counts=True)
    ranks = np.arange(len(labels)) - first[inverse]
    places = (ranks + 0.5) / counts[inverse]
    order: NDArray[np.int64] = shuffled[np.lexsort((draws[shuffled], places))]
    return order
