"""Mirrored graphs, and the union of a forward with a mirrored decoding."""

from __future__ import annotations

import torch
from torch import Tensor

from graphnas.spaces import Architectures, SearchSpace


def reverse_graphs(archs: Architectures, about: Tensor | None = None) -> Architectures:
    """Every graph with vertex k renamed to n-1-k and its edges turned round, so that it is upper triangular again.

    `about` [B] replaces n; vertices and edges that leave the range are dropped.
    """
    size = archs.num_nodes if about is None else about
    width = archs.max_nodes
    index = size[:, None] - 1 - torch.arange(width, device=archs.device)  # [B, N], negative outside
    inside = (index >= 0) & (index < archs.num_nodes[:, None])
    index = index.clamp(0, width - 1)
    ops = archs.ops.gather(1, index) * inside
    rows = archs.adj.gather(1, index[:, :, None].expand(-1, -1, width))
    adj = rows.gather(2, index[:, None, :].expand(-1, width, -1)).transpose(1, 2)
    return Architectures(ops, adj & inside[:, :, None] & inside[:, None, :], size)


def union(
    forward: Architectures, mirrored: Architectures, space: SearchSpace | None, faithful: bool = False
) -> Architectures:
    """The forward graphs with the edges of the mirrored decodings added.

    Args:
        forward: graphs as decoded from the input on.
        mirrored: the same as decoded from the output on, in that order.
        space: if given, an edge is added only if the graph stays valid in it, lowest target first.
        faithful: add an edge only if no forward edge shares its source or its target.
    """
    about = mirror_centre(mirrored) if faithful else forward.num_nodes
    back = reverse_graphs(mirrored, about).adj
    real = forward.node_mask
    extra = back & ~forward.adj & real[:, :, None] & real[:, None, :]
    if faithful:
        extra &= ~forward.adj.any(2)[:, :, None] & ~forward.adj.any(1)[:, None, :]
    if space is None:
        return Architectures(forward.ops, forward.adj | extra, forward.num_nodes)
    return add_while_valid(forward, extra, space)


def mirror_centre(mirrored: Architectures) -> Tensor:
    """Node count the released code mirrors about: one more than the target of the last edge, int64 [B]."""
    has_source = mirrored.adj.any(1)  # [B, N]
    place = torch.arange(mirrored.max_nodes, device=mirrored.device)
    return (has_source * (place + 1)).amax(1)


def add_while_valid(archs: Architectures, extra: Tensor, space: SearchSpace) -> Architectures:
    """Add the edges `extra` [B, N, N] one by one, dropping each that would make its graph invalid."""
    rows = extra.flatten(1).any(1).nonzero().flatten()
    if len(rows) == 0:
        return archs
    part, wanted = archs[rows], extra[rows]
    adj = part.adj.clone()
    for source, target in wanted.any(0).nonzero().tolist():
        asked = wanted[:, source, target]
        adj[asked, source, target] = True
        bad = asked & ~space.is_valid(Architectures(part.ops, adj, part.num_nodes))
        adj[bad, source, target] = False
    merged = archs.adj.clone()
    merged[rows] = adj
    return Architectures(archs.ops, merged, archs.num_nodes)
