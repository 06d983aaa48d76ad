"""FLOPs and parameters of NB201 networks, in the three conventions in use."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from graphnas.errors import UnknownName

KERNELS = (0, 0, 1, 3, 0)  # of none, skip_connect, nor_conv_1x1, nor_conv_3x3, avg_pool_3x3; 0: nothing to multiply
WIDTHS = (16, 32, 64)
CELLS_PER_STAGE = 5
DATASETS = {"cifar10": (32, 10), "cifar10-valid": (32, 10), "cifar100": (32, 100), "ImageNet16-120": (16, 120)}


class Convention(NamedTuple):
    """FLOPs of one multiply-accumulate and of one batch-normalised element, and what else is counted."""

    per_mac: int
    per_norm: int
    counts_pooling: bool
    counts_bias: bool


CONVENTIONS = {
    "macs+bn": Convention(1, 2, True, False),
    "macs": Convention(1, 0, False, True),
    "flops": Convention(2, 0, False, False),
}


def network_cost(choices: Tensor, dataset: str, convention: str) -> dict[str, Tensor]:
    """Costs of int64 choices [B, 6], the operation of every edge; see :meth:`graphnas.spaces.nb201.NB201.cost`."""
    if dataset not in DATASETS:
        raise UnknownName("NB201 data set", dataset, DATASETS)
    if convention not in CONVENTIONS:
        raise UnknownName("FLOP convention", convention, CONVENTIONS)
    rule, (resolution, classes) = CONVENTIONS[convention], DATASETS[dataset]
    areas = [(resolution >> stage) ** 2 for stage in range(3)]
    per_edge = torch.tensor(
        [[_edge(kernel, width, area, rule) for kernel in KERNELS] for width, area in zip(WIDTHS, areas, strict=True)]
    )  # [stage, op, (flops, params)]
    edges = per_edge.to(choices.device)[:, choices].permute(1, 0, 2, 3)  # [B, 3, 6, 2]
    cells = edges.repeat_interleave(CELLS_PER_STAGE, 1)
    vertex = torch.nn.functional.pad(cells, (0, 0, 1, 1))  # [B, 15, 8, 2]: input and output cost nothing
    skeleton = torch.tensor(_skeleton(areas, classes, rule), device=choices.device)
    flops, params = (cells.sum((1, 2)) + skeleton).unbind(1)
    return {"flops": flops, "params": params, "vertex_flops": vertex[..., 0], "vertex_params": vertex[..., 1]}


def _edge(kernel: int, width: int, area: int, rule: Convention) -> tuple[int, int]:
    """FLOPs and parameters of a ReLU-conv-BN of `width` channels; nothing for kernel 0."""
    if kernel == 0:
        return 0, 0
    weights = kernel**2 * width**2
    return (rule.per_mac * weights + rule.per_norm * width) * area, weights + 2 * width


def _skeleton(areas: list[int], classes: int, rule: Convention) -> tuple[int, int]:
    """FLOPs and parameters of stem, two residual reduction blocks, last normalisation, pooling and classifier."""
    weights, last = 27 * WIDTHS[0], WIDTHS[-1]
    flops, params = (rule.per_mac * weights + rule.per_norm * WIDTHS[0]) * areas[0], weights + 2 * WIDTHS[0]
    for old, new, area in zip(WIDTHS, WIDTHS[1:], areas[1:], strict=False):
        weights = 9 * old * new + 9 * new * new + old * new  # two 3x3 convolutions and the 1x1 of the shortcut
        flops += (rule.per_mac * weights + rule.per_norm * 2 * new) * area
        params += weights + 2 * 2 * new
    flops += rule.per_norm * last * areas[-1] + rule.per_mac * last * classes
    flops += last * areas[-1] if rule.counts_pooling else 0
    flops += classes if rule.counts_bias else 0
    return flops, params + 2 * last + last * classes + classes
