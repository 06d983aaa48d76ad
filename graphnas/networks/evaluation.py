"""How well a network classifies, and what it costs."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from graphnas.networks.base import Network
from graphnas.networks.images.base import ImageData, ImageSplit

EVALUATED_AT_ONCE = 256  # images
FLOPS_CONVENTION = "2 per multiply-accumulate of convolutions and linear maps, one image"


class Score(NamedTuple):
    """Share of images classified correctly, and their mean cross entropy."""

    accuracy: float
    loss: float


@torch.no_grad()
def evaluate(network: nn.Module, part: ImageSplit, data: ImageData, dtype: torch.dtype = torch.float32) -> Score | None:
    """Score of a network in evaluation mode on a part of a data set, None on an empty one; the mode is left as it was.

    Args:
        network: maps images [B, C, H, W] to logits [B, K].
        part: its images, on the CPU.
        data: whose normalisation the network was trained with.
        dtype: of the network.
    """
    if not len(part):
        return None
    training, device = network.training, next(network.parameters()).device
    network.eval()
    correct, loss = 0, 0.0
    for images, labels in zip(
        part.images.split(EVALUATED_AT_ONCE), part.labels.to(device).split(EVALUATED_AT_ONCE), strict=True
    ):
        logits = network(data.normalise(images.to(device), dtype))
        correct += int((logits.argmax(1) == labels).sum())
        loss += float(cross_entropy(logits, labels, reduction="sum"))
    network.train(training)
    return Score(correct / len(part), loss / len(part))


@torch.no_grad()
def count_flops(network: Network, images: Tensor) -> int:
    """FLOPs per image as `FLOPS_CONVENTION` says, counted in evaluation mode, so without an auxiliary head.

    Normalisations, activations, poolings and additions are left out, and so is what the network does not compute.

    Args:
        network: its mode is left as it was.
        images: [B, C, H, W] on its device and of its type; what they show does not matter.
    """
    counts: list[int] = []

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        places = out[0, 0].numel()  # positions of a convolution's map, 1 of a linear layer
        counts.append(2 * layer.weight.numel() * places)

    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    training = network.training
    try:
        network.eval()(images[:1])
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    return sum(counts)
