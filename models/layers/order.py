"""What the order of a DAG says about its vertices: who can reach whom, and how deep each lies."""

from __future__ import annotations

import torch
from torch import Tensor


def closure(adj: Tensor) -> Tensor:
    """bool [B, N, N]: [b, u, v] where a path of one edge or more leads from u to v; adj strictly upper triangular."""
    reach = adj.clone()
    for vertex in range(1, adj.shape[1] - 1):  # paths through `vertex`, which is later than all before it
        reach |= reach[:, :, vertex, None] & reach[:, vertex, None, :]
    return reach


def depths(adj: Tensor) -> Tensor:
    """int64 [B, N]: edges of the longest path that ends at each vertex; adj strictly upper triangular."""
    depth = torch.zeros(adj.shape[:2], dtype=torch.int64, device=adj.device)
    for vertex in range(1, adj.shape[1]):
        depth[:, vertex] = ((depth[:, :vertex] + 1) * adj[:, :vertex, vertex]).amax(1)
    return depth
