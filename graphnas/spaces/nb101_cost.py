"""FLOPs and parameters of NAS-Bench-101 cells in the network of the benchmark, in closed form."""

from __future__ import annotations

import torch
from torch import Tensor

from graphnas.spaces.architectures import Architectures

CONV3X3, CONV1X1, MAXPOOL3X3 = 2, 3, 4  # vocabulary of the space
CLASSES = 10
CHUNK = 8192  # graphs priced at once, so that intermediates stay in the processor's cache

# (input channels, output channels, positions) of the five modules that differ, and which of them each of the nine is
_SHAPES = ((128, 128, 32 * 32), (128, 256, 16 * 16), (256, 256, 16 * 16), (256, 512, 8 * 8), (512, 512, 8 * 8))
_MODULES = (0, 0, 0, 1, 2, 2, 3, 4, 4)

STEM_PARAMS = 27 * 128 + 2 * 128  # 3x3 convolution of 3 channels and its batch norm
HEAD_PARAMS = 512 * CLASSES + CLASSES
STEM_FLOPS = 2 * 27 * 128 * 32 * 32
POOL_FLOPS = 4 * 128 * 16 * 16 + 4 * 256 * 8 * 8 + 512 * 8 * 8  # two 2x2 poolings and the global one
HEAD_FLOPS = 2 * 512 * CLASSES + CLASSES


def vertex_channels(archs: Architectures, in_channels: int, out_channels: int) -> Tensor:
    """Channels every vertex puts out in a module of that width: int64 [B, N], 0 where padded.

    The interior vertices that feed the output share its channels, the first ones by index taking one more where the
    division leaves a rest; every other interior vertex has as many as the widest interior vertex it feeds.
    """
    rows, last = torch.arange(len(archs), device=archs.device), archs.num_nodes - 1
    place = torch.arange(archs.max_nodes, device=archs.device)
    interior = (place > 0) & (place < last[:, None])
    feeds = archs.adj[rows, :, last] & interior
    count = feeds.sum(1, keepdim=True)
    share, rest = out_channels // count.clamp(min=1), out_channels % count.clamp(min=1)
    channels = torch.where(feeds, share + (feeds.cumsum(1) <= rest), 0)
    for vertex in range(archs.max_nodes - 3, 0, -1):
        widest = (archs.adj[:, vertex] * interior * channels).amax(1)
        channels[:, vertex] = torch.where(feeds[:, vertex] | ~interior[:, vertex], channels[:, vertex], widest)
    channels[:, 0] = in_channels
    channels[rows, last] = out_channels
    return channels


def network_cost(archs: Architectures) -> dict[str, Tensor]:
    """`flops`, `params` int64 [B] of the whole network; `vertex_flops`, `vertex_params` int64 [B, 9, N] per module."""
    shape = (len(archs), len(_MODULES), archs.max_nodes)
    flops, params = (torch.empty(shape, dtype=torch.int64, device=archs.device) for _ in range(2))
    for start in range(0, len(archs), CHUNK):
        rows = slice(start, start + CHUNK)
        distinct = [_module_cost(archs[rows], *module) for module in _SHAPES]
        for module, which in enumerate(_MODULES):
            flops[rows, module], params[rows, module] = distinct[which]
    return {
        "flops": flops.sum((1, 2)) + STEM_FLOPS + POOL_FLOPS + HEAD_FLOPS,
        "params": params.sum((1, 2)) + STEM_PARAMS + HEAD_PARAMS,
        "vertex_flops": flops,
        "vertex_params": params,
    }


def _module_cost(archs: Architectures, in_channels: int, out_channels: int, positions: int) -> tuple[Tensor, Tensor]:
    """FLOPs and parameters of the vertices of one module: int64 [B, N] each.

    An edge from the input carries its own 1x1 projection (convolution, batch norm, ReLU) to the channels of its
    target. The inputs of an interior vertex are added up; those of the output are concatenated and the projected input
    is added.
    """
    rows, last = torch.arange(len(archs), device=archs.device), archs.num_nodes - 1
    channels, ops = vertex_channels(archs, in_channels, out_channels), archs.ops
    projected, fan_in = archs.adj[:, 0].long(), archs.adj.sum(1)
    additions = (fan_in - 1).clamp(min=0)
    additions[rows, last] = projected[rows, last] * (fan_in[rows, last] > 1)
    kernel = 9 * (ops == CONV3X3).long() + (ops == CONV1X1).long()  # 0 without a convolution
    weights = projected * in_channels * channels + kernel * channels * channels
    norms = 2 * channels * (projected + (kernel > 0))
    pooling = 9 * (ops == MAXPOOL3X3)
    return positions * (2 * weights + (additions + pooling) * channels), weights + norms
