"""The training batches of an epoch: a function of the data, the recipe, the seed and the epoch alone."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Generator, Tensor

from graphnas.networks.images.augment import Augmentation
from graphnas.networks.images.base import ImageData
from graphnas.networks.recipe import Recipe

EPOCHS_APART = 1 << 20
"""Epoch e of seed s draws from a generator seeded with s * EPOCHS_APART + e, folded into 32 bits."""


def epoch_generator(seed: int, epoch: int) -> Generator:
    """The generator of everything random that happens to the data in one epoch."""
    place = seed * EPOCHS_APART + epoch
    folded = (place ^ (place >> 32) * 0x9E3779B1) % 2**32  # all that torch's generator on the CPU takes of a seed
    return torch.Generator().manual_seed(folded)


def steps_per_epoch(num_images: int, recipe: Recipe) -> int:
    """Steps in an epoch."""
    full, rest = divmod(num_images, recipe.batch_size)
    return full + (rest > 0 and not recipe.drop_last)


def epoch_batches(
    data: ImageData, recipe: Recipe, seed: int, epoch: int, generator: Generator | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Augmented, normalised images [B, C, H, W] and labels [B] of every step, in a new random order.

    Args:
        data: its training part is used.
        recipe: batch size, augmentation and dtype.
        seed: of the run.
        epoch: from 0.
        generator: the epoch's own by default; whoever draws more for a step, such as mixup, passes it in to share it.
    """
    draws = epoch_generator(seed, epoch) if generator is None else generator
    dtype = getattr(torch, recipe.dtype)
    crop_and_flip = Augmentation(recipe.crop_padding, recipe.flip)
    order = torch.randperm(len(data.train), generator=draws)
    for step in range(steps_per_epoch(len(order), recipe)):
        rows = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
        images = data.normalise(crop_and_flip(data.train.images[rows], draws), dtype)
        yield Augmentation(0, False, recipe.cutout)(images, draws), data.train.labels[rows]
