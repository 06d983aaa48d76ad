"""FLOPs and parameters of the ENAS macro child network."""

from __future__ import annotations

import torch
from torch import Tensor

KERNELS = (3, 3, 5, 5, 0, 0)  # of the six operations in vocabulary order
SEPARABLE = (False, True, False, True, False, False)
RESOLUTION = 32
CLASSES = 10


def network_cost(ops: Tensor, skips: Tensor, filters: int) -> dict[str, Tensor]:
    """Costs of layer operations int64 [B, L] in 0..5 and skip counts int64 [B, L]; see `ENAS.cost`."""
    num_layers = ops.shape[1]
    cuts = (num_layers // 3, 2 * num_layers // 3)  # the layer that follows each reduction
    stages = [sum(layer >= cut for cut in cuts) for layer in range(num_layers)]
    width = torch.tensor([filters << stage for stage in stages], device=ops.device)
    area = torch.tensor([(RESOLUTION >> stage) ** 2 for stage in stages], device=ops.device)

    kernel, separable = torch.tensor(KERNELS, device=ops.device)[ops], torch.tensor(SEPARABLE, device=ops.device)[ops]
    mixing = torch.where(separable, width, kernel**2 * width) * width  # [B, L]: weights that join channels
    weights = width**2 + mixing + torch.where(separable, kernel**2 * width, 0)
    norms = 1 + (kernel > 0).long()
    squeeze = (skips > 0).long()
    weights = weights + squeeze * (skips + 1) * width**2
    params = weights + 2 * width * (norms + squeeze)
    flops = 2 * weights * area

    base_flops, base_params = _skeleton(num_layers, cuts, filters)
    vertex_flops, vertex_params = (torch.nn.functional.pad(part, (1, 1))[:, None] for part in (flops, params))
    return {
        "flops": flops.sum(1) + base_flops,
        "params": params.sum(1) + base_params,
        "vertex_flops": vertex_flops,
        "vertex_params": vertex_params,
    }


def _skeleton(num_layers: int, cuts: tuple[int, int], filters: int) -> tuple[int, int]:
    """FLOPs and parameters of stem, factorised reductions and classifier, the same for every architecture."""
    weights, area = 27 * filters, RESOLUTION**2
    flops, params = 2 * weights * area, weights + 2 * filters
    for stage, cut in enumerate(cuts):
        width, area = filters << stage, (RESOLUTION >> stage + 1) ** 2
        maps = cut + 1  # the stem and the layers before the cut, each reduced with weights of its own
        flops += maps * 2 * (2 * width * width) * area
        params += maps * (2 * width * width + 2 * 2 * width)
    classifier = CLASSES * 4 * filters
    return flops + 2 * classifier, params + classifier
