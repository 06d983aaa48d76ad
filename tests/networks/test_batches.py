"""The batches of an epoch: a function of data, recipe, seed and epoch alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from graphnas.networks.batches import epoch_batches, epoch_generator, steps_per_epoch
from graphnas.networks.images import ImageData, ImageSplit
from graphnas.networks.recipe import Recipe

PLAIN = Recipe(batch_size=8, crop_padding=0, flip=False)


@pytest.fixture
def data() -> ImageData:
    """30 images whose every pixel is the number of the image, which is its label too."""
    labels = torch.arange(30)
    images = labels.to(torch.uint8)[:, None, None, None].expand(30, 2, 6, 6).contiguous()
    train, rest = ImageSplit(images, labels), ImageSplit(images[:3], labels[:3])
    return ImageData("numbers", train, rest, rest, num_classes=30, scale=1.0, mean=(1.0, 2.0), std=(2.0, 4.0))


def epoch(data: ImageData, recipe: Recipe, seed: int = 0, number: int = 0) -> tuple[list[Tensor], list[Tensor]]:
    images, labels = zip(*epoch_batches(data, recipe, seed, number), strict=True)
    return list(images), list(labels)


def test_every_image_once_with_its_label(data: ImageData) -> None:
    images, labels = epoch(data, PLAIN)
    assert [len(part) for part in labels] == [8, 8, 8, 6]
    assert sorted(torch.cat(labels).tolist()) == list(range(30))
    joined = torch.cat(images)
    assert joined.shape == (30, 2, 6, 6) and joined.dtype == torch.float32
    expected = (torch.cat(labels)[:, None] - torch.tensor([1.0, 2.0])) / torch.tensor([2.0, 4.0])
    assert torch.equal(joined, expected[:, :, None, None].expand_as(joined))


@pytest.mark.parametrize(
    ("number", "size", "drop_last", "steps"),
    [(30, 8, False, 4), (30, 8, True, 3), (32, 8, False, 4), (32, 8, True, 4), (7, 8, False, 1), (7, 8, True, 0)],
)
def test_steps(number: int, size: int, drop_last: bool, steps: int, data: ImageData) -> None:
    recipe = replace(PLAIN, batch_size=size, drop_last=drop_last)
    assert steps_per_epoch(number, recipe) == steps
    if number <= 30:
        few = replace(data, train=ImageSplit(data.train.images[:number], data.train.labels[:number]))
        lengths = [len(labels) for _, labels in epoch_batches(few, recipe, 0, 0)]
        assert len(lengths) == steps and (not drop_last or set(lengths) <= {size})


def test_an_epoch_repeats_and_another_differs(data: ImageData) -> None:
    recipe = Recipe(batch_size=8, crop_padding=2, cutout=3)
    first, again = epoch(data, recipe, 3, 5), epoch(data, recipe, 3, 5)
    assert all(torch.equal(one, two) for one, two in zip(first[0] + first[1], again[0] + again[1], strict=True))
    orders = {
        tuple(torch.cat(epoch(data, PLAIN, seed, number)[1]).tolist()) for seed in range(3) for number in range(3)
    }
    assert len(orders) == 9


def test_global_generators_are_not_used(data: ImageData) -> None:
    recipe, before = Recipe(batch_size=8, cutout=3), torch.get_rng_state()
    first = epoch(data, recipe)[0]
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    assert torch.equal(torch.cat(epoch(data, recipe)[0]), torch.cat(first))


def test_the_type_changes_nothing_else(data: ImageData) -> None:
    recipe = Recipe(batch_size=8, crop_padding=2, cutout=3)
    single, double = epoch(data, recipe)[0], epoch(data, replace(recipe, dtype="float64"))[0]
    assert double[0].dtype == torch.float64
    assert torch.allclose(torch.cat(double).float(), torch.cat(single))


def test_each_augmentation_does_its_part(data: ImageData) -> None:
    """A border of black pixels from the crop, squares of the mean colour from the cutout."""
    black = -torch.tensor([1.0, 2.0]) / torch.tensor([2.0, 4.0])
    data = replace(data, train=ImageSplit(data.train.images[1:], data.train.labels[1:]))
    cropped = torch.cat(epoch(data, replace(PLAIN, crop_padding=1))[0])
    share = (cropped == black[:, None, None]).all(1).float().mean().item()
    assert 0.1 < share < 0.4  # 1 - (8 / 9)^2 or so: a side of six loses one pixel in two of three places
    cut = torch.cat(epoch(replace(data, mean=(0.5, 0.5)), replace(PLAIN, cutout=2))[0])
    holes = (cut == 0).all(1).sum((1, 2))
    assert set(holes.tolist()) <= {1, 2, 4} and 4 in holes.tolist()


def test_a_caller_may_share_the_generator(data: ImageData) -> None:
    plain = epoch(data, PLAIN, 2, 1)
    shared = epoch_generator(2, 1)
    first = next(iter(epoch_batches(data, PLAIN, 2, 1, shared)))
    assert torch.equal(first[1], plain[1][0])
    torch.rand(1, generator=shared)
    assert not torch.equal(shared.get_state(), epoch_generator(2, 1).get_state())


def test_seeds_beyond_a_generators_32_bits_differ() -> None:
    """The CPU's generator takes 32 bits of a seed: 4,096 seeds of 2^20 epochs fill them."""
    draws = {
        torch.randint(2**62, (2,), generator=epoch_generator(seed, number)).sum().item()
        for seed in (0, 1, 4095, 4096, 8192, 2**31, 2**32 - 4096, 2**32 - 1)
        for number in (0, 1, 5)
    }
    assert len(draws) == 24


@pytest.mark.parametrize(("seed", "number"), [(0, 0), (0, 199), (1, 0), (2, 5), (4095, 7)])
def test_small_seeds_are_seed_times_two_to_the_twenty_plus_epoch(seed: int, number: int) -> None:
    plain = torch.Generator().manual_seed(seed * 2**20 + number)
    assert torch.equal(epoch_generator(seed, number).get_state(), plain.get_state())
