"""Blocks that several networks are made of. Maps are [B, C, H, W]; no convolution has a bias."""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from graphnas.errors import InvalidValues
from graphnas.networks.base import Images


class ConvNorm(nn.Sequential):
    """Convolution and batch normalisation.

    Args:
        inputs: channels in.
        outputs: channels out.
        kernel: height and width of the kernel, odd; with stride 1 padding keeps the size.
        stride: of the convolution.
        momentum: weight of a new batch in the running statistics.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, momentum: float = 0.1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(outputs, momentum=momentum),
        )


class ReluConvNorm(nn.Sequential):
    """ReLU in front of a :class:`ConvNorm`."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, momentum: float = 0.1) -> None:
        super().__init__(nn.ReLU(), *ConvNorm(inputs, outputs, kernel, stride, momentum))


class SeparableConv(nn.Sequential):
    """ReLU, depthwise convolution, 1x1 convolution, batch normalisation; channels stay.

    Args:
        channels: in and out.
        kernel: height and width of the depthwise kernel, odd.
        stride: of the depthwise convolution.
        dilation: likewise; padding grows with it.
    """

    def __init__(self, channels: int, kernel: int, stride: int = 1, dilation: int = 1) -> None:
        padding = dilation * (kernel // 2)
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )


class FactorizedReduce(nn.Module):
    """Halves height and width with two 1x1 convolutions of stride 2, of which the second sees the maps one pixel on.

    Their outputs stand side by side under one batch normalisation. An odd size is rounded up, as by the other
    operations of stride 2: what the second convolution reads beyond the edge is zero.

    Shapes: [B, inputs, H, W] -> [B, outputs, ceil(H / 2), ceil(W / 2)].
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.even = nn.Conv2d(inputs, outputs - outputs // 2, 1, stride=2, bias=False)
        self.odd = nn.Conv2d(inputs, outputs // 2, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, maps: Tensor) -> Tensor:
        height, width = maps.shape[2:]
        shifted = pad(maps, (0, width % 2, 0, height % 2))[:, :, 1:, 1:]
        return self.norm(torch.cat([self.even(maps), self.odd(shifted)], 1))


def drop_path(maps: Tensor, probability: float) -> Tensor:
    """The maps, each row zero with that probability and otherwise scaled so that the expectation stays.

    Raises:
        InvalidValues: a probability outside [0, 1).
    """
    if not 0 <= probability < 1:
        raise InvalidValues(f"expected a probability of dropping a path in [0, 1) (got {probability})")
    keep = 1 - probability
    mask = torch.full((len(maps), 1, 1, 1), keep, dtype=maps.dtype, device=maps.device).bernoulli()
    return maps * (mask / keep)


def add(parts: list[Tensor]) -> Tensor:
    """The sum of one or more tensors of the same shape."""
    return reduce(torch.add, parts)


def check_halvings(images: Images, halvings: int) -> None:
    """Passes images that can be halved that often.

    Raises:
        InvalidValues: smaller images.
    """
    if images.size < 2**halvings:
        raise InvalidValues(
            f"a network that halves its maps {halvings} times needs images of at least {2**halvings}x{2**halvings} "
            f"pixels (got {images.size}x{images.size})"
        )
