"""Every augmentation against a slow reference that goes image by image."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from graphnas.errors import InvalidValues
from graphnas.networks.images import Augmentation, cutout, load_images, mixup, random_crop, random_flip
from graphnas.networks.images.augment import crop, cut_out, flip, mix

KINDS = [torch.uint8, torch.float32, torch.bfloat16]


def seeded(seed: int = 0) -> Generator:
    return torch.Generator().manual_seed(seed)


def batch(number: int = 40, height: int = 6, width: int = 5, dtype: torch.dtype = torch.float32) -> Tensor:
    """Positive pixels, all different in one image."""
    size = 3 * height * width
    pixels = torch.rand(number, size, generator=seeded(9)).argsort(dim=1) + 1
    return pixels.reshape(number, 3, height, width).to(dtype)


def slow_crop(image: Tensor, padding: int, row: int, column: int) -> Tensor:
    out = torch.zeros_like(image)
    height, width = image.shape[1:]
    for y in range(height):
        for x in range(width):
            source_y, source_x = y + row - padding, x + column - padding
            if 0 <= source_y < height and 0 <= source_x < width:
                out[:, y, x] = image[:, source_y, source_x]
    return out


def slow_cut(image: Tensor, size: int, row: int, column: int) -> Tensor:
    """The published form for even sizes: from centre - size / 2 to centre + size / 2, clipped."""
    out = image.clone()
    top, left = row - size // 2, column - size // 2
    out[:, max(top, 0) : max(top + size, 0), max(left, 0) : max(left + size, 0)] = 0
    return out


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("padding", [1, 2, 4])
def test_crop(padding: int, dtype: torch.dtype) -> None:
    images = batch(dtype=dtype)
    before = images.clone()
    places = torch.randint(2 * padding + 1, (len(images), 2), generator=seeded())
    got = crop(images, padding, places)
    for image, new, (row, column) in zip(images, got, places.tolist(), strict=True):
        assert torch.equal(new, slow_crop(image, padding, row, column))
    assert got.dtype == dtype and torch.equal(images, before)


@pytest.mark.parametrize("dtype", KINDS)
def test_flip(dtype: torch.dtype) -> None:
    images = batch(dtype=dtype)
    chosen = torch.rand(len(images), generator=seeded()) < 0.5
    got = flip(images, chosen)
    for image, new, mirrored in zip(images, got, chosen.tolist(), strict=True):
        assert torch.equal(new, image[:, :, [4, 3, 2, 1, 0]] if mirrored else image)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("size", [1, 2, 3, 4, 20])
def test_cut_out(size: int, dtype: torch.dtype) -> None:
    images = batch(dtype=dtype)
    before = images.clone()
    centres = torch.stack(
        [torch.randint(6, (40,), generator=seeded(1)), torch.randint(5, (40,), generator=seeded(2))], 1
    )
    got = cut_out(images, size, centres)
    for image, new, (row, column) in zip(images, got, centres.tolist(), strict=True):
        assert torch.equal(new, slow_cut(image, size, row, column))
    assert got.dtype == dtype and torch.equal(images, before)


def test_mix() -> None:
    images = batch()
    partners = torch.randperm(40, generator=seeded())
    got = mix(images, partners, 0.3)
    for number in range(40):
        torch.testing.assert_close(got[number], 0.3 * images[number] + 0.7 * images[partners[number]])


@pytest.mark.parametrize(
    ("function", "draws"),
    [
        (lambda images, draws: crop(images, 2, draws), torch.randint(5, (40, 2), generator=seeded())),
        (flip, torch.rand(40, generator=seeded()) < 0.5),
        (lambda images, draws: cut_out(images, 3, draws), torch.randint(5, (40, 2), generator=seeded())),
    ],
)
def test_the_order_of_a_batch_does_not_matter(function: Any, draws: Tensor) -> None:
    images, order = batch(), torch.randperm(40, generator=seeded(5))
    assert torch.equal(function(images[order], draws[order]), function(images, draws)[order])
    assert torch.equal(function(images[:1], draws[:1]), function(images, draws)[:1])


# -- the draws --------------------------------------------------------------------------------------------------------
def test_crops_have_all_places_equally_often() -> None:
    image = torch.arange(1, 5, dtype=torch.float32).reshape(1, 1, 2, 2)
    number = 9000
    seen = Counter(tuple(new.ravel().tolist()) for new in random_crop(image.expand(number, 1, 2, 2), 1, seeded()))
    places = {tuple(slow_crop(image[0], 1, row, column).ravel().tolist()) for row in range(3) for column in range(3)}
    assert len(places) == 9 and set(seen) == places
    assert all(abs(count - number / 9) < 5 * (number / 9) ** 0.5 for count in seen.values())


def test_half_of_the_images_are_flipped() -> None:
    images = torch.tensor([1.0, 2.0]).expand(10_000, 1, 1, 2)
    flipped = int((random_flip(images, seeded())[:, 0, 0, 0] == 2).sum())
    assert abs(flipped - 5000) < 250


def test_squares_have_all_centres_equally_often() -> None:
    number = 12_000
    got = cutout(torch.ones(number, 1, 3, 4), 1, seeded())
    assert torch.equal(got.sum(dim=(1, 2, 3)), torch.full((number,), 11.0))
    counts = (got == 0).sum(dim=0)
    assert bool(((counts - number / 12).abs() < 5 * (number / 12) ** 0.5).all())


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_weights_of_mixup_are_beta(alpha: float) -> None:
    generator = seeded()
    images = torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1)
    weights = []
    while len(weights) < 1000:
        mixed, _ = mixup(images, torch.eye(2), alpha, generator)
        if mixed[0].item() != 0 or mixed[1].item() != 1:  # where the partner is the image itself nothing is seen
            weights.append(mixed[1].item())
    values = torch.tensor(weights, dtype=torch.float64)
    variance = 1 / (4 * (2 * alpha + 1))
    assert abs(float(values.mean()) - 0.5) < 5 * (variance / 1000) ** 0.5
    assert float(values.var()) == pytest.approx(variance, rel=0.15)


def test_mixup_mixes_images_and_targets_alike() -> None:
    images, labels = batch(8), torch.arange(8)
    mixed, targets = mixup(images, torch.eye(8)[labels], 0.4, seeded(3))
    assert mixed.shape == images.shape and torch.allclose(targets.sum(dim=1), torch.ones(8))
    for image, target in zip(mixed, targets, strict=True):
        torch.testing.assert_close(image, torch.einsum("n,nchw->chw", target, images))


@pytest.mark.parametrize(
    "function",
    [
        lambda images, generator: random_crop(images, 2, generator),
        random_flip,
        lambda images, generator: cutout(images, 3, generator),
        lambda images, generator: mixup(images, torch.eye(40), 0.5, generator)[0],
        Augmentation(crop_padding=2, cutout=2),
    ],
)
def test_draws_come_from_the_generator_alone(function: Any) -> None:
    images = batch()
    first = function(images, seeded(7))
    torch.manual_seed(123)
    state = torch.get_rng_state()
    assert torch.equal(function(images, seeded(7)), first)
    assert torch.equal(torch.get_rng_state(), state)
    generator = seeded(7)
    function(images, generator)
    assert not torch.equal(function(images, generator), first)


# -- all together -----------------------------------------------------------------------------------------------------
def test_augmentation_crops_then_flips_then_cuts_out() -> None:
    images = batch()
    generator = seeded(2)
    wanted = cutout(random_flip(random_crop(images, 2, generator), generator), 4, generator)
    assert torch.equal(Augmentation(crop_padding=2, flip=True, cutout=4)(images, seeded(2)), wanted)


def test_raw_images_are_padded_black_and_cut_out_to_the_mean_colour() -> None:
    data = load_images("digits")
    images = data.train.images
    generator = seeded(2)
    wanted = data.normalise(random_flip(random_crop(images, 1, generator), generator), torch.float64)
    wanted = cutout(wanted, 2, generator)
    got = Augmentation(crop_padding=1, flip=True, cutout=2).prepare(images, data, seeded(2), torch.float64)
    assert torch.equal(got, wanted) and got.dtype == torch.float64
    black = Augmentation(crop_padding=8, flip=False).prepare(images, data, seeded(2))[:, 0]
    assert float(black.min()) == pytest.approx(-data.mean[0] / data.std[0])


@pytest.mark.parametrize("dtype", KINDS)
def test_nothing_switched_on_changes_nothing(dtype: torch.dtype) -> None:
    images = batch(dtype=dtype)
    assert torch.equal(Augmentation(crop_padding=0, flip=False, cutout=0)(images, seeded()), images)


@pytest.mark.parametrize(("name", "value"), [("crop_padding", -1), ("cutout", -2), ("cutout", 1.5)])
def test_bad_sizes(name: str, value: Any) -> None:
    with pytest.raises(InvalidValues, match=rf"expected {name} .*\(got {value}\)"):
        Augmentation(**{name: value})


def test_bad_mixtures() -> None:
    with pytest.raises(InvalidValues, match="alpha to be above 0"):
        mixup(batch(), torch.eye(40), 0.0, seeded())
    with pytest.raises(InvalidValues, match=r"in floats \(got torch.uint8"):
        mixup(batch(dtype=torch.uint8), torch.eye(40), 1.0, seeded())
    with pytest.raises(InvalidValues, match=r"torch.int64\)"):
        mixup(batch(), torch.eye(40).long(), 1.0, seeded())
