"""Teacher-forced losses of a vertex-by-vertex generator on a batch of graphs of mixed sizes."""

from __future__ import annotations

import torch
from torch import Tensor

from graphnas.models.layers.node_generator import Context, NodeGenerator, StepLoss, summarise
from graphnas.spaces import Architectures


def teacher_forced(model: NodeGenerator, archs: Architectures, z: Tensor, mixed: bool = False) -> StepLoss:
    """Losses of graphs, in their order, given codes [B, Z]; several blocks of B graphs may share the codes.

    `mixed` scores edges with the released code's mix-up between the rows of a block.
    """
    types, adj = archs.ops.long(), archs.adj.to(model.types.weight.dtype)
    context = model.context(z)
    rows = torch.arange(len(z), device=z.device).repeat(len(archs) // max(1, len(z)))
    if mixed:  # every row takes part in every step, since scores mix the rows
        return _mixed_steps(model, archs, context.pick(rows), len(z))
    order = archs.num_nodes.argsort(descending=True, stable=True)
    active = (archs.num_nodes[:, None] > torch.arange(archs.max_nodes, device=z.device)).sum(0).tolist()
    steps = model(types[order], adj[order], active, context.pick(rows[order]))
    back = order.argsort()
    return StepLoss(*(part[back] for part in steps))


def _mixed_steps(model: NodeGenerator, archs: Architectures, context: Context, block: int) -> StepLoss:
    """Steps as released: all rows in every step, short graphs padded and masked, edge scores mixed up."""
    real, width = archs.node_mask, archs.max_nodes
    types = torch.where(real, archs.ops, archs.ops[:, :1]).long()
    counted = real.to(context.start.dtype)
    adj = archs.adj.to(model.types.weight.dtype)
    total = torch.zeros(len(StepLoss._fields), len(archs), dtype=counted.dtype, device=archs.device)
    steps = model.steps(types, adj, [len(archs)] * width, context, mixed_rows=block)
    for vertex, losses in enumerate(steps, start=1):
        total = total + torch.stack(summarise(*losses, last=vertex == width - 1)) * counted[:, vertex]
    return StepLoss(*total)
