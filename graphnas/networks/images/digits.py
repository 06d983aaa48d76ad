"""Real images that need no download: the handwritten digits that come with scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from graphnas.errors import InvalidValues
from graphnas.networks.images.base import IMAGES, ImageData, ImageSplit, stratified_order

SEED = 1797  # of the split, fixed for ever; runs have seeds of their own
TEST_SIZE = 500
SCALE = 16.0


@IMAGES.register("digits")
def load_digits(root: Path | None = None, train_size: int = 300) -> ImageData:
    """1,797 grey 8x8 images of handwritten digits (E. Alpaydin and C. Kaynak, UCI repository, CC BY 4.0).

    | part | images |
    |---|---|
    | train | `train_size` |
    | validation | 1,297 - `train_size` |
    | test | 500, the same for every `train_size` |

    All three hold the ten classes in proportion. A smaller training part is contained in a larger one. Mean and
    standard deviation are those of the training part.

    Args:
        root: not used, the images come with scikit-learn.
        train_size: number of training images, 10 to 1,297.

    Raises:
        InvalidValues: another `train_size`.
    """
    from sklearn.datasets import load_digits as bundled_digits

    raw = bundled_digits()
    images = torch.from_numpy(raw.images.astype(np.uint8))[:, None]  # [n, 1, 8, 8]
    labels = torch.from_numpy(raw.target.astype(np.int64))
    train, validation, test = (
        ImageSplit(images[index], labels[index]) for index in map(torch.from_numpy, split(labels.numpy(), train_size))
    )
    scaled = train.images.double() / SCALE
    return ImageData(
        "digits",
        train,
        validation,
        test,
        num_classes=10,
        scale=SCALE,
        mean=(float(scaled.mean()),),
        std=(float(scaled.std(correction=0)),),
    )


def split(labels: NDArray[np.int64], train_size: int) -> list[NDArray[np.int64]]:
    """Indices of the training, validation and test images; disjoint, and together all of them.

    Raises:
        InvalidValues: a `train_size` outside 10 to 1,297.
    """
    most = len(labels) - TEST_SIZE
    if not isinstance(train_size, int) or not 10 <= train_size <= most:
        raise InvalidValues(f"expected train_size to be from 10 to {most:,} (got {train_size!r})")
    test, train, validation = np.split(stratified_order(labels, SEED), [TEST_SIZE, TEST_SIZE + train_size])
    return [train, validation, test]
