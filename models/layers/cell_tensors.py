"""Cell-information tensors: what the Neural Architecture Ranker sees of a cell (Guo et al. 2022, arXiv 2201.12725)."""

from __future__ import annotations

import torch
from torch import Tensor

from graphnas.spaces import Architectures, SearchSpace

CHUNK = 8192  # graphs encoded at once, so that intermediates stay small


def cell_tensors(
    space: SearchSpace, archs: Architectures, raw: bool = False, dataset: str | None = None, costs: bool = True
) -> Tensor:
    """The types and, for every module of the network, the FLOPs and the parameters by edge: float32 [B, P, d, d].

    P = 1 + 2 M: channel 0 has the types, channel 1 + 2k the FLOPs and channel 2 + 2k the parameters of module k. Costs
    are computed on the fly, in units of the space's `cell_layout`.

    Args:
        space: the space.
        archs: B architectures of it.
        raw: FLOPs and parameters as plain counts, which is how NAR was published on NAS-Bench-201; counts of millions
            beside types below 5.
        dataset: which data set's network is meant, where the space knows several.
        costs: False leaves channel 0 alone, P = 1.

    >>> from graphnas.spaces import get_space
    >>> toy = get_space("toy")
    >>> cell_tensors(toy, toy.enumerate()).shape
    torch.Size([787, 3, 5, 5])
    """
    layout = space.cell_layout
    channels = 1 + 2 * layout.modules * costs
    tensors = torch.empty(len(archs), channels, layout.width, layout.width, device=archs.device)
    for start in range(0, len(archs), CHUNK):
        rows = slice(start, start + CHUNK)
        matrices = space.cell_matrices(archs[rows], dataset)
        tensors[rows, 0] = matrices.types.float()
        if costs:
            tensors[rows, 1::2] = matrices.flops / (1.0 if raw else layout.flops_unit)
            tensors[rows, 2::2] = matrices.params / (1.0 if raw else layout.params_unit)
    return tensors
