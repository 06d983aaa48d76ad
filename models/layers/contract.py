"""Graphs without the vertices that carry no signal, or carry it unchanged."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from graphnas.spaces import Architectures, SearchSpace


def op_flags(space: SearchSpace, ops: Sequence[str]) -> Tensor:
    """bool [T]: which entries of the vocabulary are among `ops`.

    Raises:
        InvalidArchitecture: an operation the space does not have.
    """
    flags = torch.zeros(space.num_ops, dtype=torch.bool)
    flags[[space.op_index(op) for op in ops]] = True
    return flags


def contract(archs: Architectures, closed: Tensor, opened: Tensor, hidden: Tensor | None = None) -> Architectures:
    """The same vertices at the same places with other edges, none of them at a vertex that does not count.

    Vertices of `closed` types (bool [T]) lose their edges; those of `opened` types are bypassed, every predecessor
    joined to every successor; of the rest only those between input and output keep edges. Vertices bool [B, N] `hidden`
    are kept whatever their type. Padding loses its edges too.
    """
    ops, rows = archs.ops.long(), torch.arange(len(archs), device=archs.device)
    known = archs.node_mask if hidden is None else archs.node_mask & ~hidden
    shut, through = closed[ops] & known, opened[ops] & known
    stays = archs.node_mask & ~shut
    adj = archs.adj & stays[:, :, None] & stays[:, None, :]
    for vertex in range(1, archs.max_nodes):  # one vertex of all graphs at a time, in topological order
        around = adj[:, :, vertex, None] & adj[:, vertex, None, :]
        adj = adj | (around & through[:, vertex, None, None])
    stays = stays & ~through
    adj = adj & stays[:, :, None] & stays[:, None, :]
    fed, used = torch.zeros_like(stays), torch.zeros_like(stays)
    fed[:, 0] = True
    used[rows, archs.num_nodes - 1] = True
    for vertex in range(1, archs.max_nodes):
        fed[:, vertex] |= (fed & adj[:, :, vertex]).any(1)
    for vertex in range(archs.max_nodes - 2, -1, -1):
        used[:, vertex] |= (used & adj[:, vertex]).any(1)
    kept = fed & used
    return Architectures(archs.ops, adj & kept[:, :, None] & kept[:, None, :], archs.num_nodes)
