"""Searches without a model: random, regularised evolution, local search."""

from __future__ import annotations

import torch
from torch import Generator

from graphnas.bo.searcher import Searcher
from graphnas.spaces import Architectures, SearchSpace


class RandomSearch(Searcher):
    """Architectures as the space draws them, or uniformly from a pool.

    Args:
        space: name or object.
        seed: of all draws.
        pool: the only architectures that may be asked for.
    """

    def __init__(self, space: SearchSpace | str, seed: int = 0, pool: Architectures | None = None) -> None:
        super().__init__(space, seed)
        self.pool = pool

    def propose(self, n: int, generator: Generator) -> Architectures:
        if self.pool is None:
            return self.space.sample(n, generator)
        return self.pool[torch.randint(len(self.pool), (n,), generator=generator)]


class RegularisedEvolution(Searcher):
    """Mutants of the best of a random tournament among the youngest (Real et al. 2019, arXiv 1802.01548).

    Unlike the published algorithm it does not pay twice for the same architecture: known mutants are mutated on.

    Args:
        space: name or object.
        seed: of all draws.
        initial: random architectures to start from.
        population: P, the youngest that may become parents.
        tournament: of them drawn, with replacement, per child.
    """

    def __init__(
        self, space: SearchSpace | str, seed: int = 0, initial: int = 10, population: int = 30, tournament: int = 10
    ) -> None:
        super().__init__(space, seed)
        self.initial, self.population, self.tournament = initial, population, tournament

    def propose(self, n: int, generator: Generator) -> Architectures:
        if len(self.values) < self.initial:
            return self.space.sample(n, generator)
        archs, values = self.known()
        first = max(0, len(values) - self.population)
        draws = torch.randint(first, len(values), (n, self.tournament), generator=generator)
        parents = draws.gather(1, values[draws].argmax(1, keepdim=True))[:, 0]
        children = self.space.mutate(archs[parents], generator)
        for _ in range(3):  # a known mutant's mutants come next, in case all neighbours of the parent are known
            known = torch.tensor([key in self.seen for key in self.space.fingerprints(children).tolist()])
            if not bool(known.any()):
                break
            children = children.replaced(known.nonzero().flatten(), self.space.mutate(children, generator))
        return children


class LocalSearch(Searcher):
    """Neighbours of the best architecture that has unknown ones, in random order (White et al. 2020, arXiv 2005.02960).

    The first improvement becomes the new centre; at a local minimum the search goes on from the best architecture whose
    neighbours are not all known.

    Args:
        space: name or object.
        seed: of all draws.
        initial: random architectures to start from.
    """

    def __init__(self, space: SearchSpace | str, seed: int = 0, initial: int = 10) -> None:
        super().__init__(space, seed)
        self.initial = initial

    def propose(self, n: int, generator: Generator) -> Architectures:
        if len(self.values) < self.initial:
            return self.space.sample(n, generator)
        archs, values = self.known()
        for row in values.argsort(descending=True, stable=True).tolist():
            around = self.space.neighbors(archs[row : row + 1])
            if self.allowed is not None:
                around = around[self.allowed(around)]
            keys = self.space.fingerprints(around).tolist()
            new = torch.tensor([place for place, key in enumerate(keys) if key not in self.seen], dtype=torch.int64)
            if len(new):
                return around[new[torch.randperm(len(new), generator=generator)][:n]]
        return Architectures.empty(self.space.max_nodes)
