"""Augmentations of whole batches, without a loop over images.

Each has two halves: one draws from a generator, the other applies what was drawn, image by image alike whatever else is
in the batch and on whatever device. Images are of any type, [n, C, H, W]; what is padded or cut out becomes 0, which is
black in raw pixels and the mean colour in normalised ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor
from torch.nn.functional import pad

from graphnas.errors import InvalidValues
from graphnas.networks.images.base import ImageData


@dataclass(frozen=True)
class Augmentation:
    """What is done to the training images of one step: crop, then flip, then cut out.

    Published trainings pad raw pixels with black (NAS-Bench-101, NAS-Bench-201, DARTS) and cut out after normalising
    (DARTS), which leaves the mean colour: :meth:`prepare` does that. Called as a function, all is done to the images as
    they are.

    Attributes:
        crop_padding: pixels added on every side before an image of the old size is cropped at random; 0 for none.
        flip: whether half of the images are mirrored.
        cutout: side of the square that is set to 0; 0 for none.
    """

    crop_padding: int = 4
    flip: bool = True
    cutout: int = 0

    def __post_init__(self) -> None:
        for name in ("crop_padding", "cutout"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 0:
                raise InvalidValues(f"expected {name} to be a whole number of pixels, 0 for none (got {value!r})")

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """New images of the same shape and type; `images` stay as they are."""
        if self.crop_padding:
            images = random_crop(images, self.crop_padding, generator)
        if self.flip:
            images = random_flip(images, generator)
        if self.cutout:
            images = cutout(images, self.cutout, generator)
        return images

    def prepare(
        self, images: Tensor, data: ImageData, generator: Generator, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """Training images from raw uint8 ones [n, C, H, W]: cropped, flipped, normalised by `data`, then cut out."""
        moved = replace(self, cutout=0)(images, generator)
        return replace(self, crop_padding=0, flip=False)(data.normalise(moved, dtype), generator)


def random_crop(images: Tensor, padding: int, generator: Generator) -> Tensor:
    """Images padded by `padding` zeros on every side and cropped to the old size, all places equally likely."""
    places = torch.randint(2 * padding + 1, (len(images), 2), generator=generator, device=generator.device)
    return crop(images, padding, places)


def crop(images: Tensor, padding: int, places: Tensor) -> Tensor:
    """Images padded by `padding` zeros, cropped to the old size with the upper left corner at `places` [n, 2]."""
    height, width = images.shape[2:]
    padded = pad(images, [padding] * 4)
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # a view [n, C, 2 p + 1, 2 p + 1, H, W]
    rows, columns = places.to(images.device).unbind(1)
    return windows[torch.arange(len(images), device=images.device), :, rows, columns]


def random_flip(images: Tensor, generator: Generator) -> Tensor:
    """Images mirrored left to right, each with probability 1/2."""
    return flip(images, torch.rand(len(images), generator=generator, device=generator.device) < 0.5)


def flip(images: Tensor, chosen: Tensor) -> Tensor:
    """The `chosen` [n] images mirrored left to right."""
    return torch.where(chosen.to(images.device)[:, None, None, None], images.flip(3), images)


def cutout(images: Tensor, size: int, generator: Generator) -> Tensor:
    """Images with a square of zeros, its centre at any pixel with equal probability, clipped at the borders.

    DeVries and Taylor, 2017, https://arxiv.org/abs/1708.04552.
    """
    height, width = images.shape[2:]
    rows = torch.randint(height, (len(images),), generator=generator, device=generator.device)
    columns = torch.randint(width, (len(images),), generator=generator, device=generator.device)
    return cut_out(images, size, torch.stack([rows, columns], dim=1))


def cut_out(images: Tensor, size: int, centres: Tensor) -> Tensor:
    """Images with zeros in the rows and columns from centre - size // 2, `size` of them; `centres` is [n, 2]."""
    starts = centres.to(images.device) - size // 2
    inside = []
    for axis, length in enumerate(images.shape[2:]):
        offsets = torch.arange(length, device=images.device) - starts[:, axis, None]  # [n, length]
        inside.append((offsets >= 0) & (offsets < size))
    square = inside[0][:, None, :, None] & inside[1][:, None, None, :]  # [n, 1, H, W]
    return images.masked_fill(square, 0)


def mixup(images: Tensor, targets: Tensor, alpha: float, generator: Generator) -> tuple[Tensor, Tensor]:
    """Every image mixed with another one of the batch, and its target with that one's.

    x' = w x_i + (1 - w) x_j and y' = w y_i + (1 - w) y_j with one w ~ Beta(alpha, alpha) for the batch and j a random
    permutation, as in the published code of Zhang et al., ICLR 2018, https://arxiv.org/abs/1710.09412.

    Args:
        images: float [n, C, H, W].
        targets: float [n, K], one-hot or already soft.
        alpha: above 0; small values leave images nearly as they are.
        generator: of the weight and the permutation.

    Raises:
        InvalidValues: another alpha, or images or targets that are not floats.
    """
    if not alpha > 0:
        raise InvalidValues(f"expected alpha to be above 0 (got {alpha})")
    if not images.is_floating_point() or not targets.is_floating_point():
        raise InvalidValues(
            f"expected normalised images and one-hot targets in floats (got {images.dtype} and {targets.dtype})"
        )
    from scipy.special import betaincinv

    draw = torch.rand((), generator=generator, device=generator.device, dtype=torch.float64)
    weight = float(betaincinv(alpha, alpha, float(draw)))
    partners = torch.randperm(len(images), generator=generator, device=generator.device).to(images.device)
    return mix(images, partners, weight), mix(targets, partners, weight)


def mix(values: Tensor, partners: Tensor, weight: float) -> Tensor:
    """weight * values + (1 - weight) * values[partners], [n, ...]."""
    return torch.lerp(values[partners], values, weight)
