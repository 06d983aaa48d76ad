"""NAR's search: draw architectures like the best tier, rank them by predicted score, say what was found at what price.

Guo et al., ACM MM 2022, https://arxiv.org/abs/2201.12725.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from graphnas.bo.tier_sampling import TierSampler, Trait, compare_tiers, traits_of
from graphnas.errors import InvalidValues, OutsideSpace
from graphnas.metrics import kendall_tau
from graphnas.models import NAR
from graphnas.spaces import Architectures, SearchSpace
from graphnas.train.fitted import FittedPredictor
from graphnas.train.nar import tier_borders, tiers_of


@dataclass(frozen=True)
class NARSearchConfig:
    """How NAR's search draws; the sizes are the published ones, the thresholds are for distances that are ours."""

    rounds: int = 50
    """Batches of candidates."""
    batch_size: int = 128
    """Candidates per batch; 256 was published for NAS-Bench-101."""
    uniform: float = 0.5
    """Share of a batch that is drawn evenly from the whole table instead."""
    bins: int = 8
    """Of the FLOPs and parameters of labelled architectures; 5 was published for NAS-Bench-201."""
    threshold: float = 0.2
    """Jensen-Shannon distance to the low tiers from which on a distribution of the best tier is used."""
    low_tiers: int = 2
    """Worst tiers that the best one is compared with."""
    reuse: int = 25
    """Draws under one pair of caps."""
    tiers: int = 5
    """Quality tiers of the labelled architectures."""
    pool: int = 100_000
    """Architectures drawn as the table where the space cannot be enumerated."""

    def __post_init__(self) -> None:
        for name in ("rounds", "batch_size", "bins", "low_tiers", "reuse", "pool"):
            if getattr(self, name) < 1:
                raise InvalidValues(f"{name} must be at least 1 (got {getattr(self, name)})")
        if not 0 <= self.uniform <= 1 or not 0 <= self.threshold <= 1:
            raise InvalidValues(f"expected 0 <= uniform, threshold <= 1 (got {self.uniform} and {self.threshold})")
        if self.low_tiers >= self.tiers:
            raise InvalidValues(f"low_tiers must be below tiers (got {self.low_tiers} of {self.tiers})")


@dataclass(frozen=True)
class NARSearchResult:
    """All candidates, best first. No label but those of the training architectures went into it.

    Attributes:
        archs: C different candidates, none computing the same function as a training architecture: first those
            predicted to be in the best tier, then the others, both by falling predicted label.
        scores: float64 [C], predicted labels.
        in_best_tier: how many of them are predicted to be in the best tier.
        traits: what the best tier of the training architectures looks like.
        recaps: caps that had to be drawn again, see :class:`TierSampler`.
        resizes: sizes that had to be drawn again.
        labels: labels of training architectures, already paid for.
    """

    archs: Architectures
    scores: Tensor
    in_best_tier: int
    traits: dict[str, Trait]
    recaps: int
    resizes: int
    labels: int


@dataclass(frozen=True)
class NARSearchReport:
    """What true labels say about a search, and what they cost.

    Attributes:
        blind: true label of the one architecture the search recommends.
        best: best true label among the k first candidates.
        queries: k, or fewer where there were fewer candidates; true labels asked for by the search.
        labels: labels of training architectures.
        kendall: tau-b on held-out architectures, which neither trained nor were chosen; NaN without any.
    """

    blind: float
    best: float
    queries: int
    labels: int
    kendall: float


def nar_search(
    fitted: FittedPredictor, config: NARSearchConfig | None = None, generator: Generator | None = None
) -> NARSearchResult:
    """Candidates of NAR's sampling search, ranked by prediction.

    Half of every batch comes from :class:`TierSampler`, half evenly from the table, which is the enumerated space or a
    sample of it. Tiers, their distributions and the exclusion of what is known rest on the architectures and labels of
    `fitted`. Predicted tiers are the mean over the networks' tier probabilities; other predictors than NAR have none
    and rank by score alone.

    Differences from the released search: distances are Jensen-Shannon between smoothed shares of the whole training
    set, not divergences of a softmax over counts of one batch; rows are drawn from a table, so that sizes and caps are
    what was drawn; nothing known is drawn and nothing twice; candidates are never chosen by a true label; tier
    statistics are not touched.

    Args:
        fitted: the predictor.
        config: how to draw.
        generator: of the draws.

    Raises:
        InvalidValues: what is no fitted predictor.
        OutsideSpace: fewer unknown architectures than candidates asked for.
        GraphnasError: caps below which nothing is left.
    """
    if not isinstance(fitted, FittedPredictor):
        raise InvalidValues(
            f"expected a fitted predictor (got {type(fitted).__name__}): fit_predictor and load_predictor give one"
        )
    config, space = config or NARSearchConfig(), fitted.space
    table = search_table(space, config.pool, generator)
    free = unknown_rows(space, table, fitted.archs)
    if int(free.sum()) < config.rounds * config.batch_size:
        raise OutsideSpace(
            f"{int(free.sum())} unknown architectures are fewer than {config.rounds} rounds of {config.batch_size}"
        )
    tier = tiers_of(fitted.y, tier_borders(fitted.y, config.tiers))
    low = tuple(range(config.tiers - config.low_tiers, config.tiers))
    best = compare_tiers(traits_of(space, fitted.archs), tier, low, config.bins, config.threshold)
    sampler = TierSampler(traits_of(space, table), free, best, config.reuse, generator=generator)
    rows, recaps, resizes = draw_candidates(sampler, config, generator)
    return rank_candidates(fitted, table[rows], best, recaps, resizes)


def search_table(space: SearchSpace, pool: int, generator: Generator | None) -> Architectures:
    """The enumerated space, or `pool` architectures of it."""
    try:
        return space.enumerate()
    except OutsideSpace:
        return space.sample(pool, generator)


def unknown_rows(space: SearchSpace, table: Architectures, known: Architectures) -> Tensor:
    """bool [R]: the first row of every function that no known architecture computes."""
    classes = space.class_ids(table)
    order = classes.argsort(stable=True)
    first = torch.ones(len(table), dtype=torch.bool)
    first[order[1:]] = classes[order[1:]] != classes[order[:-1]]
    return first & ~torch.isin(classes, space.class_ids(known))


def draw_candidates(
    sampler: TierSampler, config: NARSearchConfig, generator: Generator | None
) -> tuple[Tensor, int, int]:
    """Rows of all rounds, int64 [rounds * batch_size], and how often caps and sizes were drawn again."""
    rows, recaps, resizes = [], 0, 0
    even = round(config.batch_size * config.uniform)
    for _ in range(config.rounds):
        draws = sampler.draw(config.batch_size - even)
        free = sampler.free.nonzero().flatten()
        anywhere = free[torch.randperm(len(free), generator=generator)[:even]]
        sampler.free[anywhere] = False
        rows += [draws.rows, anywhere]
        recaps, resizes = recaps + draws.recaps, resizes + draws.resizes
    return torch.cat(rows), recaps, resizes


def rank_candidates(
    fitted: FittedPredictor, archs: Architectures, best: dict[str, Trait], recaps: int = 0, resizes: int = 0
) -> NARSearchResult:
    """Candidates in the order of :class:`NARSearchResult`."""
    scores = fitted.predict(archs)
    top = predicted_tiers(fitted, archs) == 0
    order = torch.cat([rows[scores[rows].argsort(descending=True, stable=True)] for rows in
                       (top.nonzero().flatten(), (~top).nonzero().flatten())])  # fmt: skip
    return NARSearchResult(archs[order], scores[order], int(top.sum()), best, recaps, resizes, labels=len(fitted.archs))


@torch.no_grad()
def predicted_tiers(fitted: FittedPredictor, archs: Architectures, batch_size: int = 512) -> Tensor:
    """The most probable tier by the mean of the networks, int64 [B]; 0 for predictors without tiers."""
    networks = [member.network for member in fitted.members if isinstance(member.network, NAR)]
    if not networks or not len(archs):
        return torch.zeros(len(archs), dtype=torch.int64)
    parts = []
    for start in range(0, len(archs), batch_size):
        part = archs[start : start + batch_size]
        parts.append(torch.stack([network.tiers(part).softmax(1).cpu() for network in networks]).mean(0).argmax(1))
    return torch.cat(parts)


def judge_search(
    result: NARSearchResult,
    query: Callable[[Architectures], Tensor],
    k: int = 10,
    held_out: tuple[Architectures, Tensor] | None = None,
    fitted: FittedPredictor | None = None,
) -> NARSearchReport:
    """Ask for the true labels of the k first candidates.

    Args:
        result: of :func:`nar_search`.
        query: true labels float [B] of architectures, higher is better.
        k: queries, fewer where there are fewer candidates.
        held_out: architectures and labels that `fitted` is judged on, none of which it learned from.
        fitted: the predictor.

    Raises:
        InvalidValues: held-out architectures without a predictor or that it learned from, no candidates, k below 1.
    """
    chosen = result.archs[:k]
    if k < 1 or not len(chosen):
        raise InvalidValues(f"expected k >= 1 and candidates (got {k} and {len(result.archs)})")
    kendall = float("nan")
    if held_out is not None:
        if fitted is None:
            raise InvalidValues("a predictor is judged on held-out labels: pass fitted")
        classes = fitted.space.class_ids(held_out[0])
        if bool(torch.isin(classes, fitted.space.class_ids(fitted.archs)).any()):
            raise InvalidValues("held-out architectures compute functions that the predictor learned from")
        kendall = kendall_tau(fitted.predict(held_out[0]), held_out[1])
    labels = query(chosen).double()
    return NARSearchReport(float(labels[0]), float(labels.max()), len(chosen), result.labels, kendall)
