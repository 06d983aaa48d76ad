"""Convolutions over rows of pixels against torch's own, in values and gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Generator, Tensor
from torch.nn.functional import avg_pool2d, conv2d

from graphnas.networks.stacked.rows import (
    HalvingConvolution,
    average_pool,
    even_and_odd,
    halved,
    row_convolution,
    row_matrices,
)

NETWORKS, BATCH, INPUTS, OUTPUTS = 3, 4, 2, 5
WIDTHS = pytest.mark.parametrize("width", [8, 4, 2])
Form = Callable[..., Tensor]


def as_rows(maps: Tensor) -> Tensor:
    """[n, B, C, H, W] -> [n, C W, H B]."""
    count, batch, channels, height, width = maps.shape
    return maps.permute(0, 2, 4, 3, 1).reshape(count, channels * width, height * batch)


def as_maps(rows: Tensor, width: int) -> Tensor:
    """[n, C W, H B] -> [n, B, C, H, W]."""
    return rows.view(len(rows), -1, width, rows.shape[2] // BATCH, BATCH).permute(0, 4, 1, 3, 2)


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=Generator().manual_seed(seed))


def draw_inputs(width: int, size: int) -> list[Tensor]:
    """Maps of all networks and their kernels."""
    return [draw(NETWORKS, BATCH, INPUTS, width, width, seed=0), draw(NETWORKS, OUTPUTS, INPUTS, size, size, seed=1)]


def each(form: Form) -> Form:
    """A form of one network, for n of them."""
    return lambda *inputs: torch.stack([form(*parts) for parts in zip(*inputs, strict=True)])


def compare(found: Form, expected: Form, inputs: Sequence[Tensor]) -> None:
    """The same values and the same gradients of every input."""
    inputs = [value.requires_grad_() for value in inputs]
    one, other = found(*inputs), expected(*inputs)
    assert one.shape == other.shape
    assert torch.allclose(one, other, rtol=0, atol=1e-12)
    towards = draw(*one.shape, seed=9)
    for mine, plain in zip(
        torch.autograd.grad(one, inputs, towards), torch.autograd.grad(other, inputs, towards), strict=True
    ):
        assert torch.allclose(mine, plain, rtol=0, atol=1e-11)


@WIDTHS
@pytest.mark.parametrize("size", [3, 1])
def test_row_convolution(size: int, width: int) -> None:
    def found(maps: Tensor, kernels: Tensor) -> Tensor:
        return as_maps(row_convolution(as_rows(maps), kernels, width, BATCH), width)

    expected = each(lambda maps, kernels: conv2d(maps, kernels, padding=size // 2))
    maps, kernels = (
        draw(NETWORKS, BATCH, INPUTS, width, width, seed=0),
        draw(NETWORKS, OUTPUTS, INPUTS, size, size, seed=1),
    )
    compare(found, expected, [maps, kernels])


@pytest.mark.parametrize("height", [1, 2, 5])
def test_maps_need_not_be_square(height: int) -> None:
    def found(maps: Tensor, kernels: Tensor) -> Tensor:
        return as_maps(row_convolution(as_rows(maps), kernels, 4, BATCH), 4)

    expected = each(lambda maps, kernels: conv2d(maps, kernels, padding=1))
    compare(found, expected, [draw(2, BATCH, 1, height, 4, seed=0), draw(2, 3, 1, 3, 3, seed=1)])


def test_images_get_no_gradient() -> None:
    """The stem reads images, which all networks share and nobody differentiates."""
    images, kernels = draw(1, BATCH, 1, 8, 8, seed=0), draw(2, 3, 1, 3, 3, seed=1).requires_grad_()
    rows = as_rows(images).expand(2, -1, -1)
    out = as_maps(row_convolution(rows, kernels, 8, BATCH), 8)
    expected = torch.stack([conv2d(images[0], kernel, padding=1) for kernel in kernels])
    assert torch.allclose(out, expected, rtol=0, atol=1e-12)
    towards = draw(*out.shape, seed=2)
    (mine,), (plain,) = (torch.autograd.grad(form, kernels, towards) for form in (out, expected))
    assert torch.allclose(mine, plain, rtol=0, atol=1e-11)


@WIDTHS
def test_halving_convolution(width: int) -> None:
    def found(maps: Tensor, kernels: Tensor) -> Tensor:
        even, odd = even_and_odd(as_rows(maps), BATCH)
        return as_maps(HalvingConvolution.apply(even, odd, row_matrices(kernels, width, 2), BATCH), width // 2)

    expected = each(lambda maps, kernels: conv2d(maps, kernels, stride=2, padding=1))
    compare(
        found,
        expected,
        draw_inputs(width, 3),
    )


@WIDTHS
def test_average_pool(width: int) -> None:
    def found(maps: Tensor) -> Tensor:
        return as_maps(average_pool(as_rows(maps), width, BATCH), width)

    expected = each(lambda maps: avg_pool2d(maps, 3, stride=1, padding=1, count_include_pad=False))
    compare(found, expected, [draw(NETWORKS, BATCH, INPUTS, width, width, seed=4)])


@WIDTHS
def test_halved(width: int) -> None:
    def found(maps: Tensor, kernels: Tensor) -> Tensor:
        return as_maps(halved(*even_and_odd(as_rows(maps), BATCH), kernels, width), width // 2)

    expected = each(lambda maps, kernels: conv2d(avg_pool2d(maps, 2), kernels))
    compare(
        found,
        expected,
        draw_inputs(width, 1),
    )


@WIDTHS
def test_even_and_odd(width: int) -> None:
    maps = draw(NETWORKS, BATCH, INPUTS, width, width, seed=7)
    for first, part in enumerate(even_and_odd(as_rows(maps), BATCH)):
        assert torch.equal(part, as_rows(maps[:, :, :, first::2]))
    compare(
        lambda maps: torch.cat(even_and_odd(as_rows(maps), BATCH), 1),
        lambda maps: torch.cat([as_rows(maps[:, :, :, first::2]) for first in (0, 1)], 1),
        [maps],
    )
