"""Convolutions of small images as matrix products over whole rows of pixels.

Activations of n networks are kept as [n, C W, H B]: a column is one row of one image, all its channels and pixels; the
columns of a row number lie side by side, image after image. A 3x3 convolution is then three matrices per network, one
for the row above, one for the row itself, one for the row below, and each product runs over all images at the full
rate of the processor. The matrices are banded: for rows of W pixels they hold W / 3 times the multiplications of the
plain sum, which on rows of 2 to 8 pixels costs less than gathering patches would.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function


@cache
def bands(kernel_size: int, width: int, stride: int, dtype: torch.dtype) -> Tensor:
    """Which input pixel a tap of the kernel reads for which output pixel: 0 or 1, [kernel_size, W / stride * W]."""
    table = torch.zeros(kernel_size, width // stride, width, dtype=dtype, device="cpu")
    for tap in range(kernel_size):
        for target in range(width // stride):
            source = target * stride + tap - kernel_size // 2
            if 0 <= source < width:
                table[tap, target, source] = 1
    return table.flatten(1)


@cache
def pooling(width: int, dtype: torch.dtype) -> Tensor:
    """The 3x3 average pooling of a W x W map, padding not counted, as a matrix over its pixels: [W W, W W]."""
    line = bands(3, width, 1, dtype).sum(0).view(width, width)
    line = line / line.sum(1, keepdim=True)
    return torch.kron(line, line)


@cache
def halving(width: int, dtype: torch.dtype) -> Tensor:
    """The share of each pixel of two added rows in their 2x2 average: [W / 2, W]."""
    return torch.eye(width // 2, dtype=dtype, device="cpu").repeat_interleave(2, 1) / 4


def row_matrices(kernels: Tensor, width: int, stride: int = 1) -> Tensor:
    """Kernels [n, O, C, k, k] as matrices over rows of `width` pixels: [k, n, O W / stride, C W]."""
    count, outputs, inputs, size, _ = kernels.shape
    spread = kernels.reshape(-1, size) @ bands(size, width, stride, kernels.dtype)
    spread = spread.view(count, outputs, inputs, size, width // stride, width)
    return spread.permute(3, 0, 1, 4, 2, 5).reshape(size, count, outputs * width // stride, inputs * width)


class RowConvolution(Function):
    """3x3 convolution with padding 1: [n, C W, H B] and matrices [3, n, O W, C W] -> [n, O W, H B]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, matrices: Tensor, batch: int) -> Tensor:
        ctx.save_for_backward(x, matrices)
        ctx.batch = batch
        above, centre, below = matrices.unbind()
        out = torch.bmm(centre, x)
        out[:, :, batch:].baddbmm_(above, x[:, :, :-batch])
        out[:, :, :-batch].baddbmm_(below, x[:, :, batch:])
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, None]:
        (x, matrices), batch, gradient = ctx.saved_tensors, ctx.batch, gradients[0].contiguous()
        for_x = None
        if ctx.needs_input_grad[0]:
            above, centre, below = matrices.transpose(2, 3).unbind()
            for_x = torch.bmm(centre, gradient)
            for_x[:, :, :-batch].baddbmm_(above, gradient[:, :, batch:])
            for_x[:, :, batch:].baddbmm_(below, gradient[:, :, :-batch])
        for_matrices, columns = torch.empty_like(matrices), x.transpose(1, 2)
        torch.bmm(gradient[:, :, batch:], columns[:, :-batch], out=for_matrices[0])
        torch.bmm(gradient, columns, out=for_matrices[1])
        torch.bmm(gradient[:, :, :-batch], columns[:, batch:], out=for_matrices[2])
        return for_x, for_matrices, None


class HalvingConvolution(Function):
    """3x3 convolution of stride 2 and padding 1, from even and odd rows [n, C W, H/2 B] to [n, O W/2, H/2 B]."""

    @staticmethod
    def forward(ctx: Any, even: Tensor, odd: Tensor, matrices: Tensor, batch: int) -> Tensor:
        ctx.save_for_backward(even, odd, matrices)
        ctx.batch = batch
        above, centre, below = matrices.unbind()
        out = torch.bmm(centre, even).baddbmm_(below, odd)
        out[:, :, batch:].baddbmm_(above, odd[:, :, :-batch])
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        (even, odd, matrices), batch, gradient = ctx.saved_tensors, ctx.batch, gradients[0].contiguous()
        above, centre, below = matrices.transpose(2, 3).unbind()
        for_even, for_odd = torch.bmm(centre, gradient), torch.bmm(below, gradient)
        for_odd[:, :, :-batch].baddbmm_(above, gradient[:, :, batch:])
        for_matrices, evens, odds = torch.empty_like(matrices), even.transpose(1, 2), odd.transpose(1, 2)
        torch.bmm(gradient[:, :, batch:], odds[:, :-batch], out=for_matrices[0])
        torch.bmm(gradient, evens, out=for_matrices[1])
        torch.bmm(gradient, odds, out=for_matrices[2])
        return for_even, for_odd, for_matrices, None


def row_convolution(x: Tensor, kernels: Tensor, width: int, batch: int) -> Tensor:
    """Convolution [n, C W, H B] -> [n, O W, H B] with kernels [n, O, C, k, k], k 1 or 3, keeping the size of maps."""
    count, outputs, inputs, size, _ = kernels.shape
    if size == 1:
        mixed: Tensor = torch.bmm(kernels.view(count, outputs, inputs), x.view(count, inputs, -1))
        return mixed.view(count, outputs * width, -1)
    out: Tensor = RowConvolution.apply(x, row_matrices(kernels, width), batch)
    return out


def even_and_odd(x: Tensor, batch: int) -> tuple[Tensor, Tensor]:
    """Rows 0, 2, 4, ... and rows 1, 3, 5, ... of maps [n, C W, H B]: two [n, C W, H/2 B]."""
    pairs = x.view(*x.shape[:2], -1, 2, batch)
    return pairs[:, :, :, 0].flatten(2), pairs[:, :, :, 1].flatten(2)


def average_pool(x: Tensor, width: int, batch: int) -> Tensor:
    """3x3 average pooling of stride 1, padding not counted: [n, C W, W B] -> the same."""
    return torch.matmul(pooling(width, x.dtype), x.view(-1, width * width, batch)).view(x.shape)


def halved(even: Tensor, odd: Tensor, kernels: Tensor, width: int) -> Tensor:
    """2x2 average pooling and a 1x1 convolution [n, O, C, 1, 1]: two [n, C W, H/2 B] -> [n, O W/2, H/2 B]."""
    count, outputs, inputs = kernels.shape[:3]
    shares = halving(width, kernels.dtype).view(1, 1, width // 2, 1, width)
    matrices = (kernels.view(count, outputs, 1, inputs, 1) * shares).reshape(count, -1, inputs * width)
    return torch.bmm(matrices, even + odd)
