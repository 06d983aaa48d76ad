"""What searches with a surrogate share: values become targets, a posterior is fitted, a batch is picked from points."""

from __future__ import annotations

from abc import abstractmethod
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

SHORTLIST = 1000
Targets = Literal["normal_scores", "standardised"]


class SurrogateSearch(Searcher):
    """A Gaussian process on codes says what is promising; higher values are better.

    Values become normal scores first, so that a few failed networks do not set the scale. A batch is filled one by one,
    each architecture believed to have its predicted value (kriging believer) before the next is chosen.

    Args:
        codes: a pool and its points: :class:`LatentCodes` of a VAE, or :class:`RawCodes`.
        acquisition: `logei`, `ucb`, `thompson` or `mean`.
        seed: of all draws.
        surrogate: `gp`, `rbf`, `deep_kernel`, `svgp` or `legacy`.
        initial: random architectures before the first fit.
        targets: what the surrogate learns, `normal_scores` of the values or `standardised` values.

    Raises:
        UnknownName: an unknown acquisition or surrogate.
        InvalidValues: other targets.

    Attributes:
        points: float64 [N, D], those of what is known.
    """

    def __init__(
        self, codes: Codes, acquisition: str = "logei", seed: int = 0, surrogate: str = "gp", initial: int = 10,
        targets: Targets = "normal_scores",
    ) -> None:  # fmt: skip
        super().__init__(codes.space, seed)
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
        if not self.can_fit():
            return self.at_random(n, generator)
        return self.promising(self.posterior(), n, generator)

    def can_fit(self) -> bool:
        """Whether enough different values are known."""
        _, values = self.known()
        return len(values) >= max(self.initial, 2) and bool((values != values[0]).any())

    def posterior(self) -> Posterior:
        """What is believed of the targets, standardised; fitted once between two tellings."""
        if self.fitted is None:
            values = self.known()[1]
            y = NormalScores(values).scores if self.targets == "normal_scores" else values
            self.fitted = self.fit(self.points, Scale.of(y).standardise(y), self.seed)
        return self.fitted

    def expected(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the value at points x [B, D], float64 [B] each, in the unit of the values.

        Raises:
            InvalidValues: too few values are known, or all are the same.
        """
        values = self.known()[1]
        if not self.can_fit():
            raise InvalidValues(f"expected different values to learn from (got {len(values)})")
        posterior = self.posterior()
        with torch.no_grad():
            mean, variance = posterior.predict(x)
        if self.targets == "standardised":
            mean, variance = Scale.of(values).restore(mean, variance)
            return mean, variance.sqrt()
        scores = NormalScores(values)
        mean, variance = Scale.of(scores.scores).restore(mean, variance)
        return scores.restore(mean), scores.restore_std(mean, variance.sqrt())

    def at_random(self, n: int, generator: Generator) -> Architectures:
        """What is proposed before anything can be fitted."""
        return self.spare(n, generator)

    @abstractmethod
    def promising(self, posterior: Posterior, n: int, generator: Generator) -> Architectures:
        """The most promising unknown architectures."""

    def pick(self, posterior: Posterior, x: Tensor, n: int, generator: Generator) -> Tensor:
        """Rows int64 [n] of x [B, D], greedily, each believed before the next is chosen.

        What an exact posterior promises anywhere only falls while points are believed at their means. So only the most
        promising rows are looked at again, until none of them promises what the first left out did.
        """
        with torch.no_grad():
            best = float(posterior.predict(self.points)[0].max())
            rows, listed, least = torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64), 0.0
            while len(rows) < min(n, len(x)):
                promise = self.acquisition(posterior, x[listed], best, generator) if len(listed) else None
                if promise is None or float(promise.max()) < least:
                    whole = self.acquisition(posterior, x, best, generator).index_fill(0, rows, -torch.inf)
                    listed = whole.topk(min(SHORTLIST, len(x) - len(rows))).indices
                    promise, least = whole[listed], float(whole[listed[-1]]) if len(listed) < len(x) else -torch.inf
                chosen = int(promise.argmax())
                row = listed[chosen : chosen + 1]
                best = max(best, float(posterior.predict(x[row])[0]))
                rows, listed = torch.cat([rows, row]), listed[torch.arange(len(listed)) != chosen]
                posterior = posterior.believing(x[row]) if len(rows) < n else posterior
        return rows
