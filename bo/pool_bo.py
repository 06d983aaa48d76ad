"""Bayesian optimisation over the codes of a pool of architectures."""

from __future__ import annotations

import torch
from torch import Generator

from graphnas.bo.codes import Codes
from graphnas.bo.surrogate_search import SurrogateSearch, Targets
from graphnas.bo.surrogates import Posterior
from graphnas.spaces import Architectures


class PoolBO(SurrogateSearch):
    """A Gaussian process on codes chooses from a pool what is evaluated next; higher values are better.

    Arguments, errors, how values are learned from and batches filled: :class:`SurrogateSearch`. What was asked for is
    never asked for again, up to isomorphism.
    """

    def __init__(
        self, codes: Codes, acquisition: str = "logei", seed: int = 0, surrogate: str = "gp", initial: int = 10,
        targets: Targets = "normal_scores",
    ) -> None:  # fmt: skip
        super().__init__(codes, acquisition, seed, surrogate, initial, targets)
        self.resorting_to(codes.archs)

    def promising(self, posterior: Posterior, n: int, generator: Generator) -> Architectures:
        """The most promising unknown architectures of the pool."""
        rows = self.open_rows()
        if not len(rows):
            return Architectures.empty(self.space.max_nodes)
        return self.codes.archs[rows[self.pick(posterior, self.codes.points[rows], n, generator)]]

    def at_random(self, n: int, generator: Generator) -> Architectures:
        """Rows of the pool that may be asked for, known ones among them."""
        rows = self.eligible.nonzero().flatten()
        if not len(rows):
            return Architectures.empty(self.space.max_nodes)
        return self.codes.archs[rows[torch.randint(len(rows), (n,), generator=generator)]]
