"""Bayesian optimisation on the codes of a trained graph VAE."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Generator, Tensor

from graphnas.bo.codes import REDUCED_DIM, LatentCodes, default_pool
from graphnas.bo.decoding import most_common_decode
from graphnas.bo.pool_bo import PoolBO
from graphnas.bo.searcher import Searcher
from graphnas.bo.surrogate_search import Targets
from graphnas.bo.surrogates import Posterior
from graphnas.bo.uphill import climb
from graphnas.errors import InvalidValues, SpaceMismatch
from graphnas.models import GraphVAE
from graphnas.spaces import Architectures, SearchSpace, get_space
from graphnas.train.evaluate import decode_all

GRID = 2000
REGION = (0.8, 0.5**7)
PATIENCE = 5
RINGS = (0.05, 0.1, 0.2, 0.4)
"""Standard deviations, in widths of the region, of the points tried around one whose architecture is known."""
RING_POINTS = 32

PARENTS = 50
MUTANTS = 2000

Proposal = Literal["codes", "mutants", "box", "trust_region"]


class LatentBO(PoolBO):
    """A Gaussian process on latent codes chooses what is evaluated next; higher values are better.

    How values are learned from and batches filled: :class:`SurrogateSearch`.

    `codes` scores the codes of a pool, the whole space where it is small, and needs no decoder; `mutants` beside them
    those of 2,000 mutants of the 50 best known, for spaces too large to be a pool. `box` draws 2,000
    points in the box of the pool's codes and climbs from the best of them to a maximum of the acquisition (L-BFGS-B);
    `trust_region` does so around the best architecture, in a cube that halves after every five batches without
    improvement (TuRBO, arXiv 1910.01739). Both decode to the most common of `draws` masked decodes, which is valid by
    construction; where that is known, what decodes around the point takes its place.

    Args:
        model: a trained VAE of the space.
        space: name or object; the model's if not given.
        acquisition: `logei`, `ucb`, `thompson` or `mean`.
        seed: of all draws.
        surrogate: `gp`, `rbf`, `deep_kernel`, `svgp` or `legacy`.
        proposal: `codes`, `mutants`, `box` or `trust_region`.
        pool: architectures whose codes make pool and box; by default the space, or 50,000 of it.
        initial: random architectures before the first fit.
        dim: principal coordinates of the codes that the surrogate sees.
        draws: decodes per point.
        codes: made beforehand, instead of `pool` and `dim`; many searches of one model share them.
        targets: `normal_scores` or `standardised`.
        incumbent: what improvement is measured against, the largest posterior mean at the `observed` points or, as in
            the D-VAE protocol, in the whole `box`.

    Raises:
        SpaceMismatch: a model of another space.
        InvalidArchitecture: a pool of another space.
        InvalidValues: an unknown proposal, target or incumbent.
        UnknownName: an unknown acquisition or surrogate.

    >>> from graphnas import create_model, get_space
    >>> space = get_space("toy")
    >>> search = LatentBO(create_model("svge", space, node_dim=16, latent_dim=4), space, seed=0)
    >>> archs = search.ask(3)
    >>> search.tell(archs, space.score(archs))
    >>> len(search.best()[0])
    1
    """

    codes: LatentCodes

    def __init__(
        self, model: GraphVAE, space: SearchSpace | str | None = None, acquisition: str = "logei", seed: int = 0,
        surrogate: str = "gp", proposal: Proposal = "codes", pool: Architectures | None = None, initial: int = 10,
        dim: int = REDUCED_DIM, draws: int = 20, codes: LatentCodes | None = None, targets: Targets = "normal_scores",
        incumbent: Literal["observed", "box"] = "observed",
    ) -> None:  # fmt: skip
        if not isinstance(model, GraphVAE):
            raise InvalidValues(f"expected a graph VAE (got {type(model).__name__}): create_model makes one")
        space = get_space(model.space if space is None else space)
        if model.space.name != space.name:
            raise SpaceMismatch(f"the model is about {model.space.name}, the search about {space.name}")
        if proposal not in get_args(Proposal):
            raise InvalidValues(f"proposal must be {', '.join(get_args(Proposal))} (got {proposal!r})")
        if incumbent not in ("observed", "box"):
            raise InvalidValues(f"incumbent must be observed or box (got {incumbent!r})")
        if pool is not None:
            space.check(pool)
        codes = codes or LatentCodes(model, default_pool(space, seed) if pool is None else pool, dim)
        super().__init__(codes, acquisition, seed, surrogate, initial, targets)
        self.proposal, self.draws, self.incumbent = proposal, draws, incumbent

    def promising(self, posterior: Posterior, n: int, generator: Generator) -> Architectures:
        """Unknown architectures of the pool, or what the most promising points of the region decode to."""
        if self.proposal == "codes":
            return super().promising(posterior, n, generator)
        if self.proposal == "mutants":
            return self.among_mutants(posterior, n, generator)
        low, high = self.region()
        best = self.goal(posterior, low, high, generator)
        chosen = torch.zeros(0, self.codes.dim, dtype=torch.float64)
        for _ in range(n):
            point = self.best_point(posterior, best, low, high, generator)
            with torch.no_grad():
                best = max(best, float(posterior.predict(point)[0]))
            chosen, posterior = torch.cat([chosen, point]), posterior.believing(point)
        archs = most_common_decode(self.codes.model, self.codes.restore(chosen), self.draws, generator).archs.to("cpu")
        fresh = self.fresh(archs)
        if bool(fresh.all()):
            return archs
        around = self.nearby(posterior, best, chosen[~fresh], (low, high), generator)
        return Architectures.concat([archs[fresh], around])

    def among_mutants(self, posterior: Posterior, n: int, generator: Generator) -> Architectures:
        """The most promising unknown architectures of the pool and of mutants up to three edits from the best known."""
        archs, values = self.known()
        best = values.topk(min(PARENTS, len(values))).indices
        family = archs[best[torch.randint(len(best), (MUTANTS // 3,), generator=generator)]]
        found = Architectures.empty(self.space.max_nodes)
        for _ in range(3):
            family = self.space.mutate(family, generator)
            found = Architectures.concat([found, family])
        found, rows = found[self.fresh(found)], self.open_rows()
        chosen = self.pick(posterior, torch.cat([self.codes.points[rows], self.codes.place(found)]), n, generator)
        return Architectures.concat([self.codes.archs[rows], found])[chosen]

    def nearby(
        self, posterior: Posterior, best: float, points: Tensor, box: tuple[Tensor, Tensor], generator: Generator
    ) -> Architectures:
        """Up to K unknown architectures, the most promising first, of those around K points whose own are known.

        Rings around the points [K, D] grow until enough others decode from them.
        """
        low, high = box
        found = Architectures.empty(self.space.max_nodes)
        for radius in RINGS:
            ring = points.repeat_interleave(RING_POINTS, 0)
            noise = torch.randn(ring.shape, generator=generator, dtype=ring.dtype)
            ring = (ring + radius * (high - low) * noise).clamp(low, high)
            with torch.no_grad():
                order = self.acquisition(posterior, ring, best, generator).argsort(descending=True)
            archs = decode_all(self.codes.model, self.codes.restore(ring[order]), sample=False).to("cpu")
            together = Architectures.concat([found, archs.widen(self.space.max_nodes)])
            found = together[self.fresh(together)][: len(points)]
            if len(found) == len(points):
                break
        return found

    def goal(self, posterior: Posterior, low: Tensor, high: Tensor, generator: Generator) -> float:
        """What the first point must promise to exceed."""
        with torch.no_grad():
            best = float(posterior.predict(self.points)[0].max())
        if self.incumbent == "observed":
            return best
        grid = low + (high - low) * self.codes.draw(GRID, generator)
        return max(best, self.highest_mean(posterior, grid, low, high))

    def best_point(self, posterior: Posterior, best: float, low: Tensor, high: Tensor, generator: Generator) -> Tensor:
        """The point [1, D] between `low` and `high` that promises most to exceed `best`."""
        grid = low + (high - low) * self.codes.draw(GRID, generator)
        with torch.no_grad():
            promise = self.acquisition(posterior, grid, best, generator)
        start = grid[promise.argmax()][None]
        if bool(promise.isinf().any()):  # one joint draw, which has no slope to climb
            return start
        return climb(lambda x: self.acquisition(posterior, x, best, generator), start, low, high)

    def highest_mean(self, posterior: Posterior, grid: Tensor, low: Tensor, high: Tensor) -> float:
        """The maximum of the posterior mean between `low` and `high`, climbed to from the best point of the grid."""
        with torch.no_grad():
            start = grid[posterior.predict(grid)[0].argmax()][None]
        return float(posterior.predict(climb(lambda x: posterior.predict(x)[0], start, low, high))[0])

    def region(self) -> tuple[Tensor, Tensor]:
        """Lowest and highest corner [D] of where points are looked for."""
        low, high = torch.zeros(self.codes.dim).double(), torch.ones(self.codes.dim).double()
        if self.proposal == "box":
            return low, high
        center, half = self.points[int(self.known()[1].argmax())], 0.5 * self.region_width()
        return (center - half).clamp(0, 1), (center + half).clamp(0, 1)

    def region_width(self) -> float:
        """Side of the trust region in units of the box; it starts anew when it has become too small."""
        running = self.known()[1].cummax(0).values
        stale = int((running == running[-1]).sum()) - 1
        widest, narrowest = REGION
        width = widest * 0.5 ** (stale // PATIENCE)
        return width if width >= narrowest else widest


class LatentRandom(Searcher):
    """Decodes of random codes: what a latent space finds without a surrogate.

    Args:
        codes: model, architectures and box.
        seed: of all draws.
        density: `box` or `normal`, see :meth:`LatentCodes.draw`.
        draws: decodes per point, of which the most common counts.
    """

    def __init__(self, codes: LatentCodes, seed: int = 0, density: str = "normal", draws: int = 1) -> None:
        super().__init__(codes.model.space, seed)
        self.codes, self.density, self.draws = codes, density, draws

    def propose(self, n: int, generator: Generator) -> Architectures:
        points = self.codes.draw(n, generator, self.density)
        return most_common_decode(self.codes.model, self.codes.restore(points), self.draws, generator).archs.to("cpu")
