"""Bayesian optimisation over the codes of a pool of architectures."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Generator, Tensor

from graphnas.bo import deep_kernel, sparse_surrogates  # noqa: F401  (register themselves)
from graphnas.bo.acquisition import ACQUISITIONS
from graphnas.bo.codes import Codes
from graphnas.bo.converged_gp import Scale
from graphnas.bo.searcher import Searcher
from graphnas.bo.surrogates import SURROGATES, Posterior
from graphnas.errors import InvalidValues
from graphnas.models.layers.normal_scores import NormalScores
from graphnas.spaces import Architectures

Targets = Literal["normal_scores", "standardised"]


class PoolBO(Searcher):
    """A Gaussian process on codes chooses from a pool what is evaluated next; higher values are better.

    Values become normal scores first, so that a few failed networks do not set the scale. A batch is filled one by one,
    each architecture believed to have its predicted value (kriging believer) before the next is chosen. What is asked
    for is never asked for again, up to isomorphism.

    Args:
        codes: the pool and its points: :class:`LatentCodes` of a VAE, or :class:`RawCodes`.
        acquisition: `logei`, `ucb`, `thompson` or `mean`.
        seed: of all draws.
        surrogate: `gp`, `rbf`, `deep_kernel`, `svgp` or `legacy`.
        initial: random architectures before the first fit.
        targets: what the surrogate learns, `normal_scores` of the values or `standardised` values.

    Raises:
        UnknownName: an unknown acquisition or surrogate.
        InvalidValues: other targets.
    """

    def __init__(
        self, codes: Codes, acquisition: str = "logei", seed: int = 0, surrogate: str = "gp", initial: int = 10,
        targets: Targets = "normal_scores",
    ) -> None:  # fmt: skip
        super().__init__(codes.space, seed)
        self.resorting_to(codes.archs)
        if targets not in ("normal_scores", "standardised"):
            raise InvalidValues(f"targets must be normal_scores or standardised (got {targets!r})")
        self.codes, self.initial, self.targets = codes, initial, targets
        self.acquisition, self.fit = ACQUISITIONS[acquisition], SURROGATES[surrogate]
        self.points = torch.zeros(0, codes.dim, dtype=torch.float64)
        self.fitted: Posterior | None = None

    def tell(self, archs: Architectures, values: Tensor) -> None:
        super().tell(archs, values)
        self.points = torch.cat([self.points, self.codes.place(archs)])
        self.fitted = None

    def propose(self, n: int, generator: Generator) -> Architectures:
        _, values = self.known()
        if len(values) < self.initial or bool((values == values[0]).all()):
            return self.at_random(n, generator)
        if self.fitted is None:  # one fit serves all rounds of an ask
            self.fitted = self.fit_to(values)
        return self.promising(self.fitted, n, generator)

    def fit_to(self, values: Tensor) -> Posterior:
        """The posterior given values [N] of all architectures told so far."""
        y = NormalScores(values).scores if self.targets == "normal_scores" else values
        return self.fit(self.points, Scale.of(y).standardise(y), self.seed)

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

    def pick(self, posterior: Posterior, x: Tensor, n: int, generator: Generator) -> Tensor:
        """Rows int64 [n] of x [B, D], greedily, each believed before the next is chosen."""
        rows: list[int] = []
        taken = torch.zeros(len(x), dtype=torch.bool)
        for _ in range(min(n, len(x))):
            best = float(posterior.predict(torch.cat([self.points, x[rows]]))[0].max())
            promise = self.acquisition(posterior, x, best, generator).masked_fill(taken, -torch.inf)
            rows.append(int(promise.argmax()))
            taken[rows[-1]] = True
            if len(rows) < n:
                posterior = posterior.believing(x[rows[-1:]])
        return torch.tensor(rows, dtype=torch.int64)
