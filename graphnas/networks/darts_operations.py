"""The operations of DARTS cells as layers (Liu, Simonyan and Yang 2019, arXiv 1806.09055)."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from graphnas.networks.layers import FactorizedReduce, SeparableConv


def _skip_connect(channels: int, stride: int) -> nn.Module:
    """Nothing, or with stride 2 a factorised reduction behind a ReLU."""
    return nn.Identity() if stride == 1 else nn.Sequential(nn.ReLU(), FactorizedReduce(channels, channels))


def _twice(channels: int, kernel: int, stride: int) -> nn.Module:
    """The separable convolution of DARTS: two in a row, the first with the stride."""
    return nn.Sequential(SeparableConv(channels, kernel, stride), SeparableConv(channels, kernel))


OPERATIONS: dict[str, Callable[[int, int], nn.Module]] = {
    "max_pool_3x3": lambda _, stride: nn.MaxPool2d(3, stride, 1),
    "avg_pool_3x3": lambda _, stride: nn.AvgPool2d(3, stride, 1, count_include_pad=False),
    "skip_connect": _skip_connect,
    "sep_conv_3x3": lambda channels, stride: _twice(channels, 3, stride),
    "sep_conv_5x5": lambda channels, stride: _twice(channels, 5, stride),
    "dil_conv_3x3": lambda channels, stride: SeparableConv(channels, 3, stride, dilation=2),
    "dil_conv_5x5": lambda channels, stride: SeparableConv(channels, 5, stride, dilation=2),
}
"""Name -> layer of so many channels and that stride: [B, C, H, W] -> [B, C, ceil(H / stride), ceil(W / stride)]."""
