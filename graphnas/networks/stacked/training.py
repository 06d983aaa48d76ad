"""Training many NAS-Bench-201 networks at once, each exactly as it would be trained alone."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim import SGD

from graphnas.errors import InvalidValues
from graphnas.networks.base import Images, build_network
from graphnas.networks.batches import epoch_batches, steps_per_epoch
from graphnas.networks.images.base import ImageData
from graphnas.networks.nb201 import NB201Network
from graphnas.networks.recipe import Recipe
from graphnas.networks.stacked.network import StackedNB201
from graphnas.spaces import Architectures, SearchSpace

EVALUATED_AT_ONCE = 160  # images, so that activations stay in the processor's cache


class Counts(NamedTuple):
    """Correctly classified images after every evaluated epoch, int64 [n, epochs] each.

    Those of the training part were counted while it was learned from.
    """

    train: Tensor
    validation: Tensor
    test: Tensor


def initial_networks(
    space: SearchSpace, archs: Architectures, data: ImageData, recipe: Recipe, seed: int
) -> list[NB201Network]:
    """Every architecture's network as it is at the start of a run with that seed."""
    channels, size, _ = data.shape
    images = Images(channels, size, data.num_classes)
    networks: list[NB201Network] = []
    for row in range(len(archs)):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = build_network(space, archs[row : row + 1], images, **recipe.network)
        if not isinstance(network, NB201Network):
            raise InvalidValues(f"only NAS-Bench-201 networks can be stacked (got a {type(network).__name__})")
        networks.append(network.to(getattr(torch, recipe.dtype)))
    return networks


def check_stackable(recipe: Recipe) -> None:
    """Refuse what this trainer does not do.

    Raises:
        InvalidValues: naming the field.
    """
    for name, wanted in (("optimizer", "sgd"), ("clip_norm", 0), ("mixup", 0), ("drop_path", 0)):
        if getattr(recipe, name) != wanted:
            raise InvalidValues(f"networks trained together need {name} {wanted!r} (got {getattr(recipe, name)!r})")


def train_stacked(
    space: SearchSpace, archs: Architectures, data: ImageData, recipe: Recipe, seed: int, every_epoch: bool = True
) -> Counts:
    """Learning curves of n architectures, the same as when each is trained alone with that recipe and seed.

    Args:
        space: NAS-Bench-201.
        archs: n architectures.
        data: images.
        recipe: SGD without clipping, mixup and drop-path.
        seed: of initial weights, order and augmentation.
        every_epoch: evaluate after every epoch; otherwise only after the last.

    Raises:
        InvalidValues: a recipe this trainer cannot follow, or another space.
    """
    check_stackable(recipe)
    model = StackedNB201(initial_networks(space, archs, data, recipe, seed))
    optimizer = SGD(
        model.parameters(),
        recipe.learning_rate,
        recipe.momentum,
        0.0,
        recipe.weight_decay,
        recipe.nesterov,
        foreach=True,
    )
    steps = steps_per_epoch(len(data.train), recipe)
    dtype = getattr(torch, recipe.dtype)
    held_out = [(data.normalise(part.images, dtype), part.labels) for part in (data.validation, data.test)]
    curves: list[list[Tensor]] = [[], [], []]
    for epoch in range(recipe.epochs):
        model.train()
        correct = torch.zeros(len(archs), dtype=torch.int64)
        for step, (images, labels) in enumerate(epoch_batches(data, recipe, seed, epoch)):
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate(epoch, step, steps)
            correct += train_step(model, optimizer, images, labels, recipe.label_smoothing)
        if not every_epoch and epoch + 1 < recipe.epochs:
            continue
        curves[0].append(correct)
        for part, (images, labels) in enumerate(held_out, 1):
            curves[part].append(count_correct(model, images, labels))
    train, validation, test = (torch.stack(curve, 1) for curve in curves)
    return Counts(train, validation, test)


def train_step(model: StackedNB201, optimizer: SGD, images: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """One step of every network; how many images of the batch each had right before it: int64 [n]."""
    optimizer.zero_grad()
    logits = model(images)  # [n, K, B]
    targets = labels.expand(len(model), -1)
    loss = cross_entropy(logits, targets, reduction="sum", label_smoothing=smoothing) / len(labels)
    loss.backward()
    optimizer.step()
    return (logits.detach().argmax(1) == labels).sum(1)


@torch.no_grad()
def count_correct(model: StackedNB201, images: Tensor, labels: Tensor) -> Tensor:
    """How many images every network classifies correctly: int64 [n]."""
    model.eval()
    correct = torch.zeros(len(model), dtype=torch.int64)
    for part, wanted in zip(images.split(EVALUATED_AT_ONCE), labels.split(EVALUATED_AT_ONCE), strict=True):
        correct += (model(part).argmax(1) == wanted).sum(1)
    return correct
