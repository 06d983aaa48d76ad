"""What every search is: ask for architectures, tell their values, know the best."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Self

import torch
from torch import Generator, Tensor

from graphnas.errors import InvalidValues, OutsideSpace, SpaceMismatch
from graphnas.spaces import Architectures, SearchSpace, get_space
from graphnas.spaces.architectures import expect_architectures
from graphnas.train.data import seeded

TRIES = 20
"""Rounds of proposals before the rest of a batch is drawn at random, and as many again before the search gives up."""


class Searcher(ABC):
    """Proposes architectures that nobody has paid for yet; higher values are better.

    Everything random depends on the seed and on how many architectures were asked for so far, so that a search which is
    told an earlier one's history goes on as that one would have.

    Args:
        space: name or object.
        seed: of all draws.

    Raises:
        InvalidValues: a seed that is no whole number.

    Attributes:
        archs: N architectures told so far.
        values: float64 [N], NaN where an evaluation failed.
        pool: what is drawn from when nothing new is proposed; None for the whole space.
    """

    pool: Architectures | None = None

    def __init__(self, space: SearchSpace | str, seed: int = 0) -> None:
        if not isinstance(seed, int):
            raise InvalidValues(f"expected a whole number as the seed (got {seed!r})")
        self.space, self.seed = get_space(space), seed
        self.archs = Architectures.empty(self.space.max_nodes)
        self.values = torch.zeros(0, dtype=torch.float64)
        self.seen: set[int] = set()
        self.allowed: Callable[[Architectures], Tensor] | None = None

    def within(self, allowed: Callable[[Architectures], Tensor]) -> Self:
        """The same search, asking only for architectures that `allowed`: [B] -> bool [B] says yes to."""
        self.allowed = allowed
        return self

    def resorting_to(self, pool: Architectures) -> Self:
        """The same search, which draws from `pool` when it finds nothing new by its own means."""
        self.pool = pool
        return self

    def ask(self, n: int = 1) -> Architectures:
        """Up to `n` architectures to evaluate, none of them asked for or told before, isomorphic ones counted as one.

        Fewer come back only where the search finds no other.

        Raises:
            InvalidValues: fewer than one.
            OutsideSpace: nothing is left to evaluate.
        """
        if n < 1:
            raise InvalidValues(f"expected to be asked for at least 1 architecture (got {n})")
        generator = seeded(self.seed * 1_000_003 + len(self.seen))
        chosen = Architectures.empty(self.space.max_nodes)
        for attempt in range(2 * TRIES):
            wanted = n - len(chosen)
            if wanted == 0:
                break
            usual = attempt < TRIES
            found = self.propose(wanted, generator) if usual else self.spare(10 * wanted, generator)
            if usual and not len(found):
                continue
            chosen = Architectures.concat([chosen, self.unseen(found.widen(self.space.max_nodes), wanted)])
        if not len(chosen):
            where = self.space.name if self.pool is None else f"the pool of {len(self.pool)} in {self.space.name}"
            raise OutsideSpace(
                f"nothing new to evaluate in {where} after {len(self.seen)} architectures, isomorphic ones counted once"
            )
        return chosen

    def unseen(self, archs: Architectures, limit: int) -> Architectures:
        """The first `limit` rows that are new, differ and are allowed, which count as seen from now on."""
        new = archs[self.fresh(archs)][:limit]
        self.seen.update(self.space.fingerprints(new).tolist())
        return new

    def fresh(self, archs: Architectures) -> Tensor:
        """Bool [B]: the first of every kind that is allowed and was never asked for or told."""
        may = torch.ones(len(archs), dtype=torch.bool) if self.allowed is None else self.allowed(archs)
        taken, new = set(self.seen), []
        for key, allowed in zip(self.space.fingerprints(archs).tolist(), may.tolist(), strict=True):
            new.append(allowed and key not in taken)
            if allowed:
                taken.add(key)
        return torch.tensor(new, dtype=torch.bool)

    def tell(self, archs: Architectures, values: Tensor) -> None:
        """Values of evaluated architectures, float [B]; NaN says that an evaluation failed.

        Raises:
            InvalidArchitecture: no :class:`Architectures`.
            InvalidValues: another number of values, or an infinite one.
            SpaceMismatch: architectures that are not of the space.
        """
        expect_architectures(archs)
        values = torch.as_tensor(values).detach().cpu().double()
        if values.shape != (len(archs),) or bool(values.isinf().any()):
            raise InvalidValues(f"expected a finite value or NaN for each of {len(archs)} architectures (got {values})")
        if not bool(self.space.is_valid(archs).all()):
            raise SpaceMismatch(f"told about architectures that are not of {self.space.name}")
        archs = archs.to("cpu").widen(self.space.max_nodes)
        self.archs = Architectures.concat([self.archs, archs])
        self.values = torch.cat([self.values, values])
        self.seen.update(self.space.fingerprints(archs).tolist())

    def best(self) -> tuple[Architectures, float]:
        """The architecture with the highest value told so far, a batch of one, and the value.

        Raises:
            InvalidValues: no value was told.
        """
        if not bool((~self.values.isnan()).any()):
            raise InvalidValues("no evaluation has succeeded yet")
        row = int(self.values.nan_to_num(-torch.inf).argmax())
        return self.archs[row : row + 1], float(self.values[row])

    def known(self) -> tuple[Architectures, Tensor]:
        """What was told, failed evaluations with the lowest value of all others."""
        good = ~self.values.isnan()
        low = float(self.values[good].min()) if bool(good.any()) else 0.0
        return self.archs, self.values.nan_to_num(low)

    @cached_property
    def pool_keys(self) -> Tensor:
        """Fingerprints int64 [M] of the pool."""
        assert self.pool is not None
        return self.space.fingerprints(self.pool)

    @cached_property
    def eligible(self) -> Tensor:
        """Whether each of the M in the pool may be asked for: bool [M]."""
        assert self.pool is not None
        return torch.ones(len(self.pool), dtype=torch.bool) if self.allowed is None else self.allowed(self.pool)

    def open_rows(self) -> Tensor:
        """Rows of the pool that may be asked for and were not."""
        known = torch.tensor(sorted(self.seen), dtype=torch.int64)
        return (self.eligible & ~torch.isin(self.pool_keys, known)).nonzero().flatten()

    def spare(self, n: int, generator: Generator) -> Architectures:
        """Random architectures for what :meth:`propose` leaves open; all that may be asked for can come out."""
        if self.pool is None:
            return self.space.sample(n, generator)
        rows = self.open_rows()
        return self.pool[rows[torch.randperm(len(rows), generator=generator)[:n]]]

    @abstractmethod
    def propose(self, n: int, generator: Generator) -> Architectures:
        """About `n` architectures; those that were seen before are dropped by :meth:`ask`, which then asks again."""
