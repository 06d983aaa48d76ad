"""The cell and the costs of its modules as square matrices, the view of the Neural Architecture Ranker.

Guo et al., ACM MM 2022, https://arxiv.org/abs/2201.12725.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from graphnas.spaces.architectures import Architectures


class CellLayout(NamedTuple):
    """Sizes and units of :class:`CellMatrices`.

    Attributes:
        modules: M, modules of the network whose costs are told apart.
        width: d, rows of a matrix.
        flops_unit: FLOPs that become 1 where matrices are scaled.
        params_unit: the same for parameters.
    """

    modules: int
    width: int
    flops_unit: float = 1e6
    params_unit: float = 1e4


class CellMatrices(NamedTuple):
    """What lies at row i and column j belongs to the edge i -> j of the cell.

    Attributes:
        types: int64 [B, d, d], code of the operation, 0 without an edge.
        flops: int64 [B, M, d, d], FLOPs of the operation in every module.
        params: int64 [B, M, d, d], its parameters.
    """

    types: Tensor
    flops: Tensor
    params: Tensor


def output_last(archs: Architectures) -> Tensor:
    """int64 [B, N]: the vertex to take for every place so that padding comes just before the output."""
    rows, last = torch.arange(len(archs), device=archs.device), archs.num_nodes - 1
    order = torch.arange(archs.max_nodes, device=archs.device).repeat(len(archs), 1)
    order[rows, last] = archs.max_nodes - 1
    order[rows, -1] = last
    return order


def vertex_matrices(archs: Architectures, codes: Tensor, flops: Tensor, params: Tensor) -> CellMatrices:
    """Matrices of cells with operations on vertices: [i, j] holds what the vertex j is and costs where i -> j.

    Args:
        archs: B architectures.
        codes: int64 [T], the number that stands for each entry of the vocabulary.
        flops: int64 [B, M, N], of every vertex in every module.
        params: the same for parameters.
    """
    archs, order = archs.clean(), output_last(archs)
    rows = torch.arange(len(archs), device=archs.device)[:, None, None]
    adj = archs.adj[rows, order[:, :, None], order[:, None, :]]
    values = torch.cat([codes.to(archs.device)[archs.ops.long()][:, None], flops, params], 1)
    spread = values.gather(2, order[:, None, :].expand(-1, values.shape[1], -1))
    matrices = adj[:, None] * spread[:, :, None, :]  # [B, 1 + 2 M, N, N]
    modules = flops.shape[1]
    return CellMatrices(matrices[:, 0], matrices[:, 1 : 1 + modules], matrices[:, 1 + modules :])
