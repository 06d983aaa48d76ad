"""Vertices whose states are the same by construction, so that each is computed once."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

GOLDEN = -7046029254386353131
FIRST, SECOND = -4658895280553007687, -7723592293110705685
"""Constants of splitmix64, a bijective mix of 64 bits, as signed numbers."""


class Level(NamedTuple):
    """Rows of different states: `row` int64 [P] is that of every vertex, `vertex` int64 [U] an example of every row.

    Rows are in the order of their examples.
    """

    row: Tensor
    vertex: Tensor


def mix(keys: Tensor) -> Tensor:
    """splitmix64 of int64 [...], a different pseudo-random number for every key."""
    keys = keys + GOLDEN
    keys = (keys ^ (keys >> 30)) * FIRST  # shifts keep the sign here, and stay bijective
    keys = (keys ^ (keys >> 27)) * SECOND
    return keys ^ (keys >> 31)


def every_vertex(count: int, levels: int, device: torch.device) -> list[Level]:
    """A row for each vertex at all levels."""
    rows = torch.arange(count, device=device)
    return [Level(rows, rows)] * levels


def same_states(inputs: Tensor, reader: Tensor, read: Tensor, levels: int) -> list[Level]:
    """For 0, 1, .. levels - 1 rounds of messages, the vertices that cannot differ after so many.

    Two vertices share a row if their inputs agree and, up to order, so do the rows of all they read from. Keys are
    hashes of 64 bits: others share one with a probability of 2^-64.

    Args:
        inputs: float32 or float64 [P, F] of vertices.
        reader: int64 [E], the vertex at the receiving end of every edge.
        read: int64 [E], the one at the other.
        levels: how many.
    """
    generator = torch.Generator().manual_seed(0)
    bits = inputs.contiguous().view(torch.int32).long()
    salt = torch.randint(-(2**63), 2**63 - 1, (bits.shape[1],), generator=generator).to(inputs.device)
    keys = mix((bits * salt).sum(1))
    found = [level_of(keys)]
    while len(found) < levels:
        keys = mix(keys * FIRST + torch.zeros_like(keys).index_add(0, reader, mix(keys)[read]))
        found.append(level_of(keys))
    return found


def level_of(keys: Tensor) -> Level:
    """Rows of equal keys, int64 [P]."""
    _, row = keys.unique(return_inverse=True)
    places = torch.arange(len(keys), device=keys.device)
    count = int(row.max()) + 1 if len(row) else 0
    vertex = torch.full((count,), len(keys), device=keys.device).scatter_reduce(0, row, places, "amin")
    vertex, order = vertex.sort()
    return Level(order.argsort()[row], vertex)
