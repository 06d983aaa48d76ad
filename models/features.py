"""Architectures as plain numbers, without anything learned: their entries, or the paths through them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from graphnas.errors import InvalidValues
from graphnas.spaces import Architectures, SearchSpace

MOST_PATHS = 4096
"""Longer path features have to be asked for."""


def raw_features(space: SearchSpace, archs: Architectures) -> Tensor:
    """Entries of the architectures as numbers: float64 [B, N * T + N * (N - 1) / 2 + 1], on their device.

    The type of every vertex one-hot (zero where padded), the bits of the upper triangle of the adjacency row by row,
    and the number of vertices; N and T are those of the space.
    """
    archs = archs.widen(space.max_nodes).clean()
    above = torch.triu_indices(space.max_nodes, space.max_nodes, offset=1, device=archs.device)
    types = archs.one_hot(space.num_ops).flatten(1)
    bits = archs.adj[:, above[0], above[1]]
    return torch.cat([types.double(), bits.double(), archs.num_nodes[:, None].double()], 1)


def place_features(space: SearchSpace, archs: Architectures) -> dict[str, Tensor]:
    """What stands where, for spaces whose vertices have places of their own: types [B, N * T] and edges, float32.

    The parts of :func:`raw_features` as groups, so that a kernel can weigh them apart.
    """
    entries, types = raw_features(space, archs).float(), space.max_nodes * space.num_ops
    return {"types": entries[:, :types], "edges": entries[:, types:-1]}


def path_count(space: SearchSpace, length: int) -> int:
    """F, the possible sequences of up to `length` operations."""
    return sum((space.num_ops - 2) ** size for size in range(length + 1))


def default_path_length(space: SearchSpace) -> int:
    """The longest path of the space, or the longest of which there are no more than 4,096."""
    lengths = range(space.max_nodes - 1)
    return max(length for length in lengths if length == 0 or path_count(space, length) <= MOST_PATHS)


def path_features(space: SearchSpace, archs: Architectures, length: int | None = None) -> Tensor:
    """Which sequences of operations lie on a path from input to output: bool [B, F] (White et al. 2020).

    With K operations, o_i the place of the i-th one from the input behind `input` and `output` in the vocabulary, the
    path has the place sum over i of K^i (o_i + 1); the edge from input to output has place 0, and paths of one length
    lie side by side. Isomorphic architectures have the same features.

    Args:
        space: the space.
        archs: B architectures.
        length: operations of the longest path that is looked at, by default of the longest whose features number 4,096
            at most.

    Raises:
        InvalidValues: a negative length.
    """
    length = default_path_length(space) if length is None else length
    if length < 0:
        raise InvalidValues(f"path length must be at least 0 (got {length})")
    archs = archs.clean()
    kinds = one_hot((archs.ops.long() - 2).clamp(min=0), space.num_ops - 2).bool()  # [B, N, K]
    sizes = [kinds.shape[2] ** size for size in range(length + 1)]
    # sent[u][l], bool [B, K^l]: sequences of l operations on the way from the input up to and with u
    sent = [[torch.zeros(len(archs), size, dtype=torch.bool, device=archs.device) for size in sizes]]
    sent[0][0][:] = True
    for vertex in range(1, archs.max_nodes):
        arrived, own = _arrived(archs.adj[:, :vertex, vertex], sent), kinds[:, vertex, :, None]
        longer = [(own & part[:, None]).flatten(1) for part in arrived[:-1]]
        sent.append([torch.zeros_like(arrived[0]), *longer])
    rows = torch.arange(len(archs), device=archs.device)
    return torch.cat(_arrived(archs.adj[rows, :, archs.num_nodes - 1], sent), 1)


def _arrived(edges: Tensor, sent: list[list[Tensor]]) -> list[Tensor]:
    """Sequences of every length that come in over the edges bool [B, n] from the first n vertices."""
    arrived = [torch.zeros_like(part) for part in sent[0]]
    for source, parts in enumerate(sent):
        for size, part in enumerate(parts[: source + 1]):  # no longer one ends at this vertex
            arrived[size] |= part & edges[:, source, None]
    return arrived
