from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from graphnas.errors import InvalidValues, MissingData, UnknownName
from graphnas.networks.images import ImageData, ImageSplit, list_images, load_images
from graphnas.networks.images.base import stratified_order


def split(number: int, channels: int = 3) -> ImageSplit:
    images = torch.arange(number * channels * 4, dtype=torch.int64) % 256
    return ImageSplit(images.to(torch.uint8).reshape(number, channels, 2, 2), torch.zeros(number, dtype=torch.int64))


def data(channels: int = 3) -> ImageData:
    mean, std = (0.5, 0.25, 0.125)[:channels], (0.25, 0.5, 1.0)[:channels]
    return ImageData("a", split(30, channels), split(2, channels), split(3, channels), 10, 255.0, mean, std)


def test_names() -> None:
    assert list_images() == ["cifar10", "cifar100", "digits", "imagenet16"]
    with pytest.raises(UnknownName, match="image data set 'cifar': did you mean 'cifar10'"):
        load_images("cifar")


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "imagenet16"])
def test_absent_files_say_how_to_get_them(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHNAS_HOME", str(tmp_path / "home"))
    with pytest.raises(MissingData, match=rf"{name} is not in {tmp_path}/home/data/{name}: .*get .* from https://"):
        load_images(name)
    with pytest.raises(MissingData, match=rf"{name} is not in {tmp_path}: "):
        load_images(name, tmp_path)


def test_unknown_options() -> None:
    with pytest.raises(InvalidValues, match=r"digits has no such option: .*'train_fraction'"):
        load_images("digits", train_fraction=0.5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_normalise(dtype: torch.dtype) -> None:
    images = data()
    got = images.normalise(images.train.images, dtype)
    pixels = images.train.images.numpy() / images.scale
    wanted = np.stack([(pixels[:, c] - images.mean[c]) / images.std[c] for c in range(3)], axis=1)
    assert got.dtype == dtype and got.shape == images.train.images.shape
    torch.testing.assert_close(got, torch.from_numpy(wanted).to(dtype))
    assert images.train.images.dtype == torch.uint8 and torch.equal(images.train.images, split(30).images)


def test_normalise_does_not_depend_on_the_batch() -> None:
    images = data()
    whole = images.normalise(images.train.images)
    assert torch.equal(whole[7:8], images.normalise(images.train.images[7:8]))


@pytest.mark.parametrize(
    "images", [torch.zeros(2, 1, 2, 2, dtype=torch.uint8), torch.zeros(2, 3, 2, 2), torch.zeros(3, 2, 2).byte()]
)
def test_normalise_refuses_other_images(images: torch.Tensor) -> None:
    with pytest.raises(InvalidValues, match=r"expected uint8 images \[n, 3, H, W\] \(got"):
        data().normalise(images)


@pytest.mark.parametrize(
    ("images", "labels", "reason"),
    [
        (torch.zeros(2, 2, 2), torch.zeros(2), "one label for each"),
        (torch.zeros(2, 1, 2, 2), torch.zeros(3), "one label for each"),
        (torch.zeros(2, 1, 2, 2), torch.zeros(2).long(), "uint8 images"),
        (torch.zeros(2, 1, 2, 2).byte(), torch.zeros(2), "int64 labels"),
    ],
)
def test_splits_are_checked(images: torch.Tensor, labels: torch.Tensor, reason: str) -> None:
    with pytest.raises(InvalidValues, match=reason):
        ImageSplit(images, labels)


def test_shape_and_length() -> None:
    assert data().shape == (3, 2, 2) and data(1).shape == (1, 2, 2)
    assert [len(part) for part in (data().train, data().validation, data().test)] == [30, 2, 3]


# -- the order splits are cut from ------------------------------------------------------------------------------------
def test_order_holds_classes_in_proportion_everywhere() -> None:
    generator = np.random.default_rng(1)
    labels = generator.permutation(np.repeat(np.arange(5), [200, 100, 50, 40, 10]))
    order = stratified_order(labels, 3)
    assert np.array_equal(np.sort(order), np.arange(400))
    for first, last in ((0, 40), (0, 200), (120, 320), (399, 400)):
        counts = np.bincount(labels[order[first:last]], minlength=5)
        wanted = np.array([200, 100, 50, 40, 10]) / 400 * (last - first)
        assert np.all(np.abs(counts - wanted) <= 1)


def test_order_is_shuffled_by_the_seed_alone() -> None:
    labels = np.repeat(np.arange(10), 30)
    order = stratified_order(labels, 3)
    assert np.array_equal(order, stratified_order(labels, 3)) and not np.array_equal(order, stratified_order(labels, 4))
    first = order[labels[order] == 0]
    assert not np.array_equal(first, np.sort(first))


def test_order_is_the_same_for_ever() -> None:
    order = stratified_order(np.arange(1000) % 7, 5)
    digest = hashlib.sha256(order.astype("<i8").tobytes()).hexdigest()
    assert digest == "0c477e8499db5683ca0e29cb16de8b7177b8fec00694e87b5dc11ebb0cd5b510"
