"""Which architectures a dataset holds: all of a space, distinct random ones, or those of a label file."""

from __future__ import annotations

import numpy as np
import torch
from torch import Generator, Tensor

from graphnas.errors import OutsideSpace
from graphnas.spaces import Architectures, SearchSpace
from graphnas.spaces.packing import pack

_ROUNDS = 100


def first_occurrences(archs: Architectures) -> Tensor:
    """Rows that are not index-wise equal to an earlier one: int64, ascending."""
    packed = pack(archs)
    rows = torch.cat([packed.num_nodes[:, None], packed.ops, packed.edges], 1).numpy()
    keys = np.ascontiguousarray(rows).view(f"V{rows.shape[1]}").reshape(-1)
    _, first = np.unique(keys, return_index=True)
    return torch.from_numpy(np.sort(first))


def enumerable(space: SearchSpace) -> bool:
    """Whether `space.enumerate()` answers."""
    return type(space).enumerate is not SearchSpace.enumerate


def sample_distinct(space: SearchSpace, n: int, seed: int) -> Architectures:
    """`n` different random architectures: of an enumerable space without replacement, of others by drawing again.

    Raises:
        OutsideSpace: more than the space has, or than repeated draws find.
        ValueError: less than one.
    """
    if n < 1:
        raise ValueError(f"num_samples must be at least 1 (got {n})")
    if n > space.size:
        raise OutsideSpace(f"{space.name} has {space.size:,} architectures: {n:,} different ones do not exist")
    generator = Generator().manual_seed(seed)
    if enumerable(space):
        return space.enumerate()[torch.randperm(space.size, generator=generator)[:n]]
    found = space.sample(n, generator)
    for _ in range(_ROUNDS):
        found = found[first_occurrences(found)]
        if len(found) == n:
            return found
        found = Architectures.concat([found, space.sample(n - len(found), generator)])
    raise OutsideSpace(
        f"{_ROUNDS} rounds of sampling {space.name} found {len(found):,} of {n:,} architectures: ask for fewer"
    )
