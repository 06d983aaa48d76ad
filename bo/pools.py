"""The candidates of the published extrapolation: the best cell of seven vertices grown by one, and random ones."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Generator, Tensor

from graphnas.errors import InvalidValues
from graphnas.spaces import OUTPUT, Architectures, SearchSpace

PUBLISHED_BASE = (
    "0110101/0000010/0001000/0000100/0000010/0000001/0000000:"
    "conv3x3-bn-relu,conv3x3-bn-relu,conv3x3-bn-relu,conv3x3-bn-relu,conv1x1-bn-relu"
)
"""The NAS-Bench-101 cell that SVGe's pools grow from, its best one of seven vertices."""
PAIRS = 40
FAMILIES = ("before the output", "behind the input", "random")


class Pool(NamedTuple):
    """P candidates, valid or not; family int64 [P] are places in :data:`FAMILIES`."""

    archs: Architectures
    family: Tensor


def published_pool(base: Architectures, space: SearchSpace, generator: Generator, random_graphs: int = 1000) -> Pool:
    """The pools of SVGe (https://arxiv.org/abs/2010.04683), from a seed; limits on edges and validity are not asked.

    With K operations and a base of n vertices: K 2^(n-1) graphs with a new vertex before the output, which takes all
    edges the output had, feeds it, and may or may not be joined there by any of the n - 1 older ones; as many with a
    new input in front, whose old one becomes an operation that it feeds, and which may or may not feed any of the other
    n - 1; and random ones of random operations and 40 random pairs of vertices, lower to higher, equal ones counted
    once. For NAS-Bench-101 these are 192 + 192 + 1,000.

    Args:
        base: a batch of one with one vertex fewer than the space allows.
        space: of the candidates.
        generator: of the random ones.
        random_graphs: their number.

    Raises:
        InvalidValues: another base.
    """
    size = space.max_nodes
    if len(base) != 1 or int(base.num_nodes) != size - 1:
        raise InvalidValues(f"expected one architecture of {size - 1} vertices (got {base!r})")
    base = base.widen(size)
    parts = [grown_at_output(base, space), grown_at_input(base, space), random_dense(random_graphs, space, generator)]
    family = torch.arange(len(parts)).repeat_interleave(torch.tensor([len(part) for part in parts]))
    return Pool(Architectures.concat(parts), family)


def choices(size: int, space: SearchSpace) -> tuple[Tensor, Tensor]:
    """Every operation with every set of n - 1 edges: uint8 [P] and bool [P, n - 1] for a base of n = `size` - 1."""
    old = size - 2
    bits = (torch.arange(2**old)[:, None] >> torch.arange(old)) & 1
    ops = torch.arange(OUTPUT + 1, space.num_ops, dtype=torch.uint8)
    return ops.repeat_interleave(len(bits)), bits.bool().repeat(len(ops), 1)


def grown_at_output(base: Architectures, space: SearchSpace) -> Architectures:
    """A new vertex before the output of a batch of one that is padded by one vertex."""
    size = space.max_nodes
    op, bits = choices(size, space)
    ops, adj = base.ops.repeat(len(op), 1), base.adj.repeat(len(op), 1, 1)
    ops[:, size - 2], ops[:, size - 1] = op, OUTPUT  # the old output's column is the new vertex's now
    adj[:, : size - 2, size - 1] = bits
    adj[:, size - 2, size - 1] = True
    return Architectures(ops, adj, torch.full((len(op),), size))


def grown_at_input(base: Architectures, space: SearchSpace) -> Architectures:
    """A new input in front of a batch of one that is padded by one vertex; the old one becomes an operation."""
    size = space.max_nodes
    op, bits = choices(size, space)
    ops, adj = base.ops.roll(1, 1).repeat(len(op), 1), torch.zeros(len(op), size, size, dtype=torch.bool)
    adj[:, 1:, 1:] = base.adj[:, :-1, :-1]
    ops[:, 0], ops[:, 1] = 0, op
    adj[:, 0, 1], adj[:, 0, 2:] = True, bits
    return Architectures(ops, adj, torch.full((len(op),), size))


def random_dense(count: int, space: SearchSpace, generator: Generator) -> Architectures:
    """Random operations, and :data:`PAIRS` random pairs of vertices as edges."""
    size = space.max_nodes
    source, target = torch.triu_indices(size, size, offset=1)
    drawn = torch.randint(len(source), (count, PAIRS), generator=generator)
    adj = torch.zeros(count, size, size, dtype=torch.bool)
    adj[torch.arange(count)[:, None], source[drawn], target[drawn]] = True
    ops = torch.randint(OUTPUT + 1, space.num_ops, (count, size), generator=generator, dtype=torch.uint8)
    ops[:, 0], ops[:, -1] = 0, OUTPUT
    return Architectures(ops, adj, torch.full((count,), size))


def valid_classes(pool: Pool, space: SearchSpace) -> Pool:
    """The first candidate of every class of the space."""
    rows = space.is_valid(pool.archs).nonzero().flatten()
    seen: dict[str, int] = {}
    for row, key in zip(rows.tolist(), space.canonical_keys(pool.archs[rows]), strict=True):
        seen.setdefault(key, row)
    kept = torch.tensor(sorted(seen.values()), dtype=torch.int64)
    return Pool(pool.archs[kept], pool.family[kept])
