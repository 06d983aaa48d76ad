"""Searches for a Pareto front: high values at a low cost that is known beforehand."""

from __future__ import annotations

import warnings
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import torch
from botorch.utils.multi_objective.hypervolume import Hypervolume
from botorch.utils.multi_objective.pareto import is_non_dominated
from linear_operator.utils.warnings import NumericalWarning
from torch import Generator, Tensor

from graphnas.bo.acquisition import CONFIDENCE
from graphnas.bo.baselines import RegularisedEvolution
from graphnas.bo.codes import Codes
from graphnas.bo.pool_bo import PoolBO
from graphnas.bo.searcher import Searcher
from graphnas.bo.surrogates import ExactPosterior
from graphnas.errors import UnknownName
from graphnas.spaces import Architectures, SearchSpace

if TYPE_CHECKING:
    from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement

CANDIDATES = 400
DRAWS = 64


def front_numbers(values: Tensor, costs: Tensor) -> Tensor:
    """int64 [B]: 0 for points that no other has a higher value and a lower cost than, 1 for those behind them, ..."""
    pairs = list(zip(costs.tolist(), (-values).tolist(), strict=True))
    ends: list[float] = []
    fronts, last = torch.zeros(len(pairs), dtype=torch.int64), -1
    previous: tuple[float, float] | None = None
    for row in sorted(range(len(pairs)), key=pairs.__getitem__):
        if pairs[row] != previous:  # equal points share a front
            # ends: minus the highest value of every front so far, which rises from front to front
            last, previous = bisect_right(ends, pairs[row][1]), pairs[row]
            ends[last : last + 1] = [pairs[row][1]]
        fronts[row] = last
    return fronts


def costs_of(space: SearchSpace, archs: Architectures, cost: str) -> Tensor:
    """What architectures cost, float64 [B].

    Raises:
        UnknownName: a cost that the space does not count.
    """
    costs = space.cost(archs)
    if cost not in costs:
        raise UnknownName("cost", cost, costs)
    return costs[cost].double()


def first_front(values: Tensor, costs: Tensor) -> Tensor:
    """Rows int64 [F] of the points that no other has a higher value and a lower cost than, cheapest first."""
    rows = (front_numbers(values, costs) == 0).nonzero().flatten()
    return rows[costs[rows].argsort(stable=True)]


class Front(NamedTuple):
    """F architectures that no other known one has a higher value and a lower cost than, cheapest first.

    Shapes: archs [F]; values and costs float64 [F].
    """

    archs: Architectures
    values: Tensor
    costs: Tensor


def front_of(searcher: Searcher, cost: str = "params") -> Front:
    """The front of what any search was told, failed evaluations left out.

    Args:
        searcher: that was told something.
        cost: `params` or `flops`, as :meth:`SearchSpace.cost` gives them.

    Raises:
        UnknownName: another cost.
    """
    good = ~searcher.values.isnan()
    archs, values = searcher.archs[good], searcher.values[good]
    costs = costs_of(searcher.space, archs, cost)
    rows = first_front(values, costs)
    return Front(archs[rows], values[rows], costs[rows])


def hypervolume(values: Tensor, costs: Tensor, worst: tuple[float, float], best: tuple[float, float]) -> float:
    """Share of the rectangle between `worst` and `best`, pairs of value and cost, that the points [B] dominate."""
    low, high = torch.tensor(worst).double(), torch.tensor(best).double()
    points = (torch.stack([values.double(), costs.double()], 1) - low) / (high - low)
    points = points[(points > 0).all(1)].clamp(max=1)
    return Hypervolume(torch.zeros(2).double()).compute(points[is_non_dominated(points)]) if len(points) else 0.0


class ParetoBO(PoolBO):
    """Noisy expected hypervolume improvement of value and cost over a pool (qLogNEHVI, arXiv 2105.08195, 2310.20708).

    The value has a Matern GP on the codes; the cost of every candidate is known and stands beside its code. The 400
    candidates of the pool on the first fronts of upper confidence bound and cost are scored.

    Args:
        codes: the pool and its points.
        cost: `params` or `flops`, as :meth:`SearchSpace.cost` gives them.
        seed: of all draws.
        initial: random architectures before the first fit.

    Raises:
        UnknownName: another cost.
    """

    def __init__(self, codes: Codes, cost: str = "params", seed: int = 0, initial: int = 10) -> None:
        super().__init__(codes, seed=seed, initial=initial)
        costs = costs_of(self.space, codes.archs, cost)
        self.cost, self.least, self.most = cost, float(costs.min()), float(costs.max())
        self.pool_costs = self.scaled(costs)

    def scaled(self, costs: Tensor) -> Tensor:
        """Costs [B] with those of the pool between 0 and 1."""
        return (costs.double() - self.least) / max(self.most - self.least, 1.0)

    def propose(self, n: int, generator: Generator) -> Architectures:
        rows = self.open_rows()
        if not self.can_fit() or not len(rows):
            return self.at_random(n, generator)
        archs, posterior = self.known()[0], self.posterior()
        assert isinstance(posterior, ExactPosterior)
        mean, variance = posterior.predict(self.codes.points[rows])
        fronts = front_numbers(mean + CONFIDENCE * variance.sqrt(), self.pool_costs[rows])
        rows = rows[fronts.argsort(stable=True)[:CANDIDATES]]
        known = torch.cat([self.points, self.scaled(costs_of(self.space, archs, self.cost))[:, None]], 1)
        candidates = torch.cat([self.codes.points[rows], self.pool_costs[rows, None]], 1)
        seed = int(torch.randint(2**31, (), generator=generator))
        promise = improvement(posterior, known, float(posterior.y.min()), seed)
        return self.codes.archs[rows[greedy(promise, candidates, n)]]


def improvement(
    posterior: ExactPosterior, known: Tensor, lowest: float, seed: int
) -> qLogNoisyExpectedHypervolumeImprovement:
    """The acquisition on points [..., D + 1], whose last column is the cost."""
    from botorch.acquisition.multi_objective import logei
    from botorch.models import ModelList
    from botorch.models.deterministic import GenericDeterministicModel
    from botorch.models.transforms.input import FilterFeatures
    from botorch.sampling.index_sampler import IndexSampler
    from botorch.sampling.list_sampler import ListSampler
    from botorch.sampling.normal import SobolQMCNormalSampler

    # BoTorch would compile a faster loop with the user's compiler: a minute at the first search, and other roundings
    logei._load_attempted = True
    dim = posterior.x.shape[1]
    posterior.model.input_transform = FilterFeatures(torch.arange(dim))
    models = ModelList(posterior.model, GenericDeterministicModel(lambda x: -x[..., -1:]))
    shape = torch.Size([DRAWS])
    sampler = ListSampler(SobolQMCNormalSampler(shape, seed=seed), IndexSampler(shape, seed=seed))
    with quiet_jitter():
        return logei.qLogNoisyExpectedHypervolumeImprovement(
            models, ref_point=[lowest, -1.0], X_baseline=known, sampler=sampler, prune_baseline=True, cache_root=False
        )


@contextmanager
def quiet_jitter() -> Iterator[None]:
    """Without the warning of jitter on a covariance: between points next to each other it is right."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NumericalWarning)
        yield


@torch.no_grad()
def greedy(promise: qLogNoisyExpectedHypervolumeImprovement, candidates: Tensor, n: int) -> Tensor:
    """Rows int64 [n] of the candidates [B, D + 1], each chosen with those before it pending."""
    rows: list[int] = []
    with quiet_jitter():
        for _ in range(min(n, len(candidates))):
            scores = torch.cat([promise(part[:, None]) for part in candidates.split(100)])
            scores[rows] = -torch.inf
            rows.append(int(scores.argmax()))
            promise.set_X_pending(candidates[rows])
    return torch.tensor(rows, dtype=torch.int64)


class ParetoEvolution(RegularisedEvolution):
    """Regularised evolution whose fitness is the front that an architecture lies on.

    Args:
        space: name or object.
        cost: `params` or `flops`.
        seed: of all draws.
        initial: random architectures to start from.
    """

    def __init__(self, space: SearchSpace | str, cost: str = "params", seed: int = 0, initial: int = 10) -> None:
        super().__init__(space, seed, initial)
        self.cost = cost

    def known(self) -> tuple[Architectures, Tensor]:
        archs, values = super().known()
        return archs, -front_numbers(values, costs_of(self.space, archs, self.cost)).double()
