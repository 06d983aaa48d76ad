"""Single edits of DAGs with typed vertices, each applied to a whole batch at once.

Edits are the steps of mutation and of neighbourhoods. Their results are in topological order, but need not be
connected or within the limits of a space.
"""

from __future__ import annotations

import torch
from torch import Tensor

from graphnas.spaces.architectures import Architectures


def toggle_edge(archs: Architectures, source: Tensor, target: Tensor) -> Architectures:
    """Every row with its edge source -> target (int64 [B] each, source < target) added or, if present, removed."""
    rows = torch.arange(len(archs), device=archs.device)
    adj = archs.adj.clone()
    adj[rows, source, target] = ~adj[rows, source, target]
    return Architectures(archs.ops, adj, archs.num_nodes)


def change_op(archs: Architectures, vertex: Tensor, op: Tensor) -> Architectures:
    """Every row with vocabulary index `op` (int64 [B]) at its vertex `vertex` (int64 [B])."""
    rows = torch.arange(len(archs), device=archs.device)
    ops = archs.ops.clone()
    ops[rows, vertex] = op.to(torch.uint8)
    return Architectures(ops, archs.adj, archs.num_nodes)


def insert_vertex(archs: Architectures, source: Tensor, target: Tensor, op: Tensor, split: Tensor) -> Architectures:
    """Every row with a new vertex that carries `op` and the two edges source -> new -> target (int64 [B] each).

    An edge source -> target goes where `split` (bool [B]) says so. The new vertex stands right after `source`; rows
    need a free place, num_nodes < max_nodes.
    """
    rows = torch.arange(len(archs), device=archs.device)
    place = torch.arange(archs.max_nodes, device=archs.device).expand(len(archs), -1)
    new = source + 1
    old = (place - (place > new[:, None]).long()).clamp(
        min=0
    )  # vertex that moves to each place; the new one is cleared
    ops = archs.ops.gather(1, old)
    adj = archs.adj[rows[:, None, None], old[:, :, None], old[:, None, :]]
    ops[rows, new] = op.to(torch.uint8)
    adj[rows, new, :] = False
    adj[rows, :, new] = False
    adj[rows, source, new] = True
    adj[rows, new, target + 1] = True
    adj[rows, source, target + 1] &= ~split
    return Architectures(ops, adj, archs.num_nodes + 1)


def prune(archs: Architectures) -> tuple[Architectures, Tensor]:
    """Every row without the vertices that lie on no input-output path, and bool [B] where such a path exists.

    Rows are strictly upper triangular with at least two vertices; rows without a path come back unusable.
    """
    archs = archs.clean()
    rows = torch.arange(len(archs), device=archs.device)
    reached, useful = torch.zeros_like(archs.ops, dtype=torch.bool), torch.zeros_like(archs.ops, dtype=torch.bool)
    reached[:, 0] = True
    useful[rows, archs.num_nodes - 1] = True
    for vertex in range(1, archs.max_nodes):
        reached[:, vertex] = (archs.adj[:, :vertex, vertex] & reached[:, :vertex]).any(1)
    for vertex in range(archs.max_nodes - 2, -1, -1):
        useful[:, vertex] |= (archs.adj[:, vertex, vertex + 1 :] & useful[:, vertex + 1 :]).any(1)
    keep = reached & useful
    order = (~keep).byte().argsort(stable=True, dim=1)
    kept = Architectures(
        archs.ops.gather(1, order), archs.adj[rows[:, None, None], order[:, :, None], order[:, None, :]], keep.sum(1)
    )
    return kept.clean(), useful[:, 0]
