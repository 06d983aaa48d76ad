"""The Bayesian-network space with its BIC as a table: nothing to download."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Generator, Tensor

from graphnas.errors import InvalidValues
from graphnas.spaces.architectures import Architectures
from graphnas.spaces.bn8 import BN8
from graphnas.tables.base import Table

NUM_GRAPHS = 200_000
"""Structures in the table, as many as in the file of D-VAE."""


@dataclass(frozen=True, eq=False)
class ScoredTable(Table):
    """A table of some structures that answers for all others of the space too, as BIC is computed and not measured."""

    def query(self, archs: Architectures, metric: str, budget: int | None = None, run: int | None = None) -> Tensor:
        """BIC of any structure, float32 [B] on the device of `archs`, NaN outside the space; as `Table.query` else."""
        values = super().query(archs, metric, budget, run)
        space = self.space
        assert isinstance(space, BN8)
        other = (values.isnan() & space.is_valid(archs)).nonzero().flatten()
        values[other] = space.score(archs[other])
        return values


def bn8_table(num_graphs: int = NUM_GRAPHS, seed: int = 0) -> Table:
    """Distinct structures drawn as `BN8.sample` does, with their `bic` in nats (negative, higher is better).

    `query` computes the BIC of every other structure too; `rows`, `column` and `optimum` are about the sample. Reading
    the compact form of this table gives the sample alone.

    Args:
        num_graphs: structures; no two have the same edges.
        seed: of the draw.

    Raises:
        InvalidValues: fewer than one graph, or more than a tenth of the space.
    """
    if not 1 <= num_graphs <= BN8.size // 10:
        raise InvalidValues(f"num_graphs must be from 1 to {BN8.size // 10} (got {num_graphs})")
    return _table(num_graphs, seed)


@cache
def _table(num_graphs: int, seed: int) -> Table:
    space = BN8()
    archs = _distinct(space, num_graphs, seed)
    values = space.score(archs)[:, None, None, None]
    source = "BIC on 5,000 rows drawn from the asia network"
    return ScoredTable(space, archs, values, ("bic",), units={"bic": "nats"}, identity="isomorphic", source=source)


def _distinct(space: BN8, count: int, seed: int) -> Architectures:
    generator = Generator().manual_seed(seed)
    found = space.sample(count, generator)
    while True:
        numbers = space.fingerprints(found)
        order = numbers.argsort(stable=True)
        first = torch.ones(len(found), dtype=torch.bool)
        first[order[1:]] = numbers[order[1:]] != numbers[order[:-1]]
        found = found[first]
        if len(found) == count:
            return found
        found = Architectures.concat([found, space.sample(count - len(found), generator)])
