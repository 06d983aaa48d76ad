"""FLOPs and parameters of the DARTS evaluation network on CIFAR-10."""

from __future__ import annotations

import torch
from torch import Tensor

RESOLUTION = 32
CLASSES = 10
STEM_MULTIPLIER = 3
KERNELS = {"sep_conv_3x3": 3, "sep_conv_5x5": 5, "dil_conv_3x3": 3, "dil_conv_5x5": 5}

Cost = tuple[int, int]


def _pointwise(width_in: int, width_out: int, area: int) -> Cost:
    """FLOPs and parameters of 1x1 convolutions with one normalisation; a factorised reduction costs the same."""
    return 2 * width_in * width_out * area, width_in * width_out + 2 * width_out


def operation_cost(op: str, width: int, area: int, strided: bool) -> Cost:
    """FLOPs and parameters of one operation of `width` channels with `area` output positions."""
    if op in KERNELS:
        weights = KERNELS[op] ** 2 * width + width**2
        stacks = 2 if op.startswith("sep") else 1
        return stacks * 2 * weights * area, stacks * (weights + 2 * width)
    return _pointwise(width, width, area) if op == "skip_connect" and strided else (0, 0)


def network_cost(
    sources: Tensor, ops: Tensor, names: tuple[str, ...], starts: tuple[int, int], channels: int, num_cells: int
) -> dict[str, Tensor]:
    """Costs of cells given as sources and ops int64 [B, 2, 8]; see :meth:`graphnas.spaces.darts.DARTS.cost`."""
    device, places = ops.device, torch.arange(8, device=ops.device)
    vertex = torch.zeros(len(ops), num_cells, 22, 2, dtype=torch.int64, device=device)
    width, area = channels, RESOLUTION**2
    before = last = STEM_MULTIPLIER * channels  # channels of c_{k-2} and c_{k-1}
    for index in range(num_cells):
        reduces = index in (num_cells // 3, 2 * num_cells // 3)
        width *= 1 + reduces
        inputs = [_pointwise(before, width, area), _pointwise(last, width, area)]
        vertex[:, index, 1:3] = torch.tensor(inputs, device=device)
        area //= 4 if reduces else 1
        kind = int(reduces)
        table = torch.tensor(
            [[operation_cost(op, width, area, strided) for op in names] for strided in (False, True)], device=device
        )
        strided = (reduces & (sources[:, kind] < 2)).long()
        vertex[:, index, starts[kind] + places] = table[strided, ops[:, kind]]
        before, last = last, 4 * width
    flops, params = (vertex.sum((1, 2)) + torch.tensor(_skeleton(channels, last), device=device)).unbind(1)
    return {"flops": flops, "params": params, "vertex_flops": vertex[..., 0], "vertex_params": vertex[..., 1]}


def _skeleton(channels: int, last: int) -> Cost:
    """FLOPs and parameters of stem and classifier."""
    stem = STEM_MULTIPLIER * channels
    weights = 27 * stem
    return 2 * weights * RESOLUTION**2 + 2 * last * CLASSES, weights + 2 * stem + last * CLASSES + CLASSES
