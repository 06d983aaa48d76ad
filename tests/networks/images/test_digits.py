from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from graphnas.errors import InvalidValues
from graphnas.networks.images import ImageData, load_images
from graphnas.networks.images.digits import split

INDICES = {
    "train": "d104ce4ce0a5236a602ddaadeda5f3555df070f6c23fea7b97eeacdfe5c781f3",
    "validation": "b3d96fd214c53f6f97e3bdb30e0e7e604c4cef65befcc49bdda86d6f76279490",
    "test": "8c3b12c1e158628d4322104689dc1492b92457f427fcbed55dbc2bfba50b4b38",
}
IMAGES = "8f26b2bd9d135c256808f68f14fdabddde6d9c7f869ae419704b051f0f14b3b3"


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return load_images("digits")


def digest(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def bundled() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    raw = load_digits()
    return raw.images, raw.target.astype(np.int64)


def test_indices_are_the_same_for_ever() -> None:
    """A changed digest here means that no earlier accuracy on the digits can be compared any more."""
    parts = dict(zip(INDICES, split(bundled()[1], 300), strict=True))
    assert {name: digest(index.astype("<i8")) for name, index in parts.items()} == INDICES


def test_images_are_those_of_the_package(digits: ImageData) -> None:
    images, labels = bundled()
    assert digest(images.astype(np.uint8)) == IMAGES
    for part, index in zip((digits.train, digits.validation, digits.test), split(labels, 300), strict=True):
        assert np.array_equal(part.images[:, 0].numpy(), images[index]) and np.array_equal(part.labels, labels[index])


def test_sizes(digits: ImageData) -> None:
    assert (len(digits.train), len(digits.validation), len(digits.test)) == (300, 997, 500)
    assert digits.shape == (1, 8, 8) and digits.num_classes == 10
    assert int(digits.train.images.max()) == digits.scale == 16
    assert digits.train.images.is_contiguous()


@pytest.mark.parametrize("train_size", [10, 300, 301, 897, 1297])
def test_parts_are_disjoint_and_whole(train_size: int) -> None:
    labels = bundled()[1]
    train, validation, test = split(labels, train_size)
    assert len(train) == train_size and len(test) == 500
    assert np.array_equal(np.sort(np.concatenate([train, validation, test])), np.arange(1797))
    for part in (train, validation, test):
        wanted = np.bincount(labels) / 1797 * len(part)
        assert np.all(np.abs(np.bincount(labels[part], minlength=10) - wanted) <= 1.5)


def test_test_images_do_not_depend_on_the_size() -> None:
    labels = bundled()[1]
    small, large = split(labels, 100), split(labels, 600)
    assert np.array_equal(small[2], large[2])
    assert np.array_equal(small[0], large[0][:100]), "a smaller training part is contained in a larger one"


def test_the_split_leaves_and_uses_no_global_seed() -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    first = load_images("digits")
    draws = torch.rand(3), np.random.rand()
    torch.manual_seed(0)
    np.random.seed(0)
    assert torch.equal(draws[0], torch.rand(3)) and draws[1] == np.random.rand()
    second = load_images("digits")
    assert torch.equal(first.train.images, second.train.images) and torch.equal(first.test.labels, second.test.labels)


def test_training_pixels_have_mean_0_and_deviation_1(digits: ImageData) -> None:
    pixels = digits.normalise(digits.train.images, torch.float64)
    assert float(pixels.mean()) == pytest.approx(0, abs=1e-12)
    assert float(pixels.std(correction=0)) == pytest.approx(1, abs=1e-12)


def test_no_test_image_is_a_training_image(digits: ImageData) -> None:
    """The digits hold no exact copies, so the parts share no pixels either."""
    rows = [{image.numpy().tobytes() for image in part.images} for part in (digits.train, digits.validation)]
    tests = {image.numpy().tobytes() for image in digits.test.images}
    assert not tests & rows[0] and not tests & rows[1] and not rows[0] & rows[1]


@pytest.mark.parametrize("train_size", [9, 1298, -1, 300.0, "300"])
def test_other_sizes_are_refused(train_size: object) -> None:
    with pytest.raises(InvalidValues, match=r"train_size to be from 10 to 1,297 \(got"):
        load_images("digits", train_size=train_size)
