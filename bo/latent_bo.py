"""Bayesian optimisation on the codes of a trained graph VAE."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Generator, Tensor

from graphnas.bo.acquisition import ACQUISITIONS
from graphnas.bo.codes import REDUCED_DIM, LatentCodes
from graphnas.bo.decoding import most_common_decode
from graphnas.bo.searcher import Searcher
from graphnas.bo.surrogates import SURROGATES, Posterior
from graphnas.errors import InvalidValues, OutsideSpace, SpaceMismatch
from graphnas.models import GraphVAE
from graphnas.models.layers.normal_scores import NormalScores
from graphnas.spaces import Architectures, SearchSpace, get_space
from graphnas.train.data import seeded

POOL_LIMIT = 50_000
GRID = 10_000
REGION = (0.8, 0.5**7)
PATIENCE = 5

Proposal = Literal["codes", "box", "trust_region"]


def default_pool(space: SearchSpace, seed: int, limit: int = POOL_LIMIT) -> Architectures:
    """All architectures of a space that can be enumerated, or a sample: `limit` rows at most."""
    try:
        pool = space.enumerate()
    except OutsideSpace:
        pool = space.sample(limit, seeded(seed))
    if len(pool) <= limit:
        return pool
    return pool[torch.randperm(len(pool), generator=seeded(seed))[:limit]]


class LatentBO(Searcher):
    """A Gaussian process on latent codes chooses what is evaluated next; higher values are better.

    Values become normal scores first, so that a few failed networks do not set the scale. A batch is filled one by one,
    each architecture believed to have its predicted value (kriging believer) before the next is chosen. What is asked
    for is never asked for again, up to isomorphism.

    `codes` scores the codes of a pool, the whole space where it is small, and needs no decoder. `box` draws 10,000
    points in the box of the pool's codes and decodes the best; `trust_region` draws them around the best architecture,
    from a cube that halves after every five batches without improvement (TuRBO, arXiv 1910.01739). Both decode to the
    most common of `draws` masked decodes, which is valid by construction.

    Args:
        model: a trained VAE of the space.
        space: name or object.
        acquisition: `logei`, `ucb`, `thompson` or `mean`.
        seed: of all draws.
        surrogate: `gp`, `rbf` or `legacy`.
        proposal: `codes`, `box` or `trust_region`.
        pool: architectures whose codes make pool and box; by default the space, or 50,000 of it.
        initial: random architectures before the first fit.
        dim: principal coordinates of the codes that the surrogate sees.
        draws: decodes per point.
        codes: made beforehand, instead of `pool` and `dim`; many searches of one model share them.

    Raises:
        SpaceMismatch: a model of another space.
        InvalidValues: an unknown proposal.
        UnknownName: an unknown acquisition or surrogate.

    >>> from graphnas import create_model, get_space
    >>> space = get_space("toy")
    >>> search = LatentBO(create_model("svge", space, node_dim=16, latent_dim=4), space, seed=0)
    >>> archs = search.ask(3)
    >>> search.tell(archs, space.score(archs))
    >>> len(search.best()[0])
    1
    """

    def __init__(
        self, model: GraphVAE, space: SearchSpace | str, acquisition: str = "logei", seed: int = 0,
        surrogate: str = "gp", proposal: Proposal = "codes", pool: Architectures | None = None, initial: int = 10,
        dim: int = REDUCED_DIM, draws: int = 20, codes: LatentCodes | None = None,
    ) -> None:  # fmt: skip
        super().__init__(space, seed)
        if model.space.name != get_space(space).name:
            raise SpaceMismatch(f"the model is about {model.space.name}, the search about {self.space.name}")
        if proposal not in ("codes", "box", "trust_region"):
            raise InvalidValues(f"proposal must be codes, box or trust_region (got {proposal!r})")
        self.acquisition, self.fit = ACQUISITIONS[acquisition], SURROGATES[surrogate]
        self.proposal, self.initial, self.draws = proposal, initial, draws
        self.codes = codes or LatentCodes(model, default_pool(self.space, seed) if pool is None else pool, dim)
        self.pool_keys = self.space.fingerprints(self.codes.archs)
        self.points = torch.zeros(0, self.codes.dim, dtype=torch.float64)

    def tell(self, archs: Architectures, values: Tensor) -> None:
        super().tell(archs, values)
        self.points = torch.cat([self.points, self.codes.place(archs)])

    def propose(self, n: int, generator: Generator) -> Architectures:
        _, values = self.known()
        if len(values) < self.initial or bool((values == values[0]).all()):
            return self.spare(n, generator)
        y = NormalScores(values).scores
        posterior = self.fit(self.points, (y - y.mean()) / y.std(), self.seed)
        if self.proposal == "codes":
            return self.from_pool(posterior, n, generator)
        return self.decoded(posterior, n, generator)

    def spare(self, n: int, generator: Generator) -> Architectures:
        return self.codes.archs[torch.randint(len(self.codes.archs), (n,), generator=generator)]

    def from_pool(self, posterior: Posterior, n: int, generator: Generator) -> Architectures:
        """The most promising unknown architectures of the pool."""
        known = torch.tensor(sorted(self.seen), dtype=torch.int64)
        open_rows = (~torch.isin(self.pool_keys, known)).nonzero().flatten()
        picked = self.pick(posterior, self.codes.points[open_rows], n, generator)
        return self.codes.archs[open_rows[picked]]

    def decoded(self, posterior: Posterior, n: int, generator: Generator) -> Architectures:
        """What the most promising random points decode to."""
        grid = self.codes.draw(GRID, generator)
        if self.proposal == "trust_region":
            center = self.points[int(self.known()[1].argmax())]
            grid = (center + (grid - 0.5) * self.region_width()).clamp(0, 1)
        points = grid[self.pick(posterior, grid, n, generator)]
        return most_common_decode(self.codes.model, self.codes.restore(points), self.draws, generator).archs.to("cpu")

    def region_width(self) -> float:
        """Side of the trust region in units of the box; it starts anew when it has become too small."""
        running = self.known()[1].cummax(0).values
        stale = int((running == running[-1]).sum()) - 1
        widest, narrowest = REGION
        width = widest * 0.5 ** (stale // PATIENCE)
        return width if width >= narrowest else widest

    def pick(self, posterior: Posterior, x: Tensor, n: int, generator: Generator) -> Tensor:
        """Rows int64 [n] of x [B, D], greedily, each believed before the next is chosen."""
        rows: list[int] = []
        taken = torch.zeros(len(x), dtype=torch.bool)
        for number in range(min(n, len(x))):
            if number:
                posterior = posterior.believing(x[rows[-1:]])
            best = float(posterior.predict(torch.cat([self.points, x[rows]]))[0].max())
            promise = self.acquisition(posterior, x, best, generator).masked_fill(taken, -torch.inf)
            rows.append(int(promise.argmax()))
            taken[rows[-1]] = True
        return torch.tensor(rows, dtype=torch.int64)


class LatentRandom(Searcher):
    """Decodes of random codes: what a latent space finds without a surrogate.

    Args:
        codes: model, architectures and box.
        seed: of all draws.
        density: `box` or `normal`, see :meth:`LatentCodes.draw`.
    """

    def __init__(self, codes: LatentCodes, seed: int = 0, density: str = "normal") -> None:
        super().__init__(codes.model.space, seed)
        self.codes, self.density = codes, density

    def propose(self, n: int, generator: Generator) -> Architectures:
        points = self.codes.draw(n, generator, self.density)
        return most_common_decode(self.codes.model, self.codes.restore(points), 1, generator).archs.to("cpu")
