"""Drawing architectures that look like the best tier: what tiers look like, and draws from a table under caps.

After the sampling search of NAR (Guo et al. 2022, arXiv 2201.12725).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn.functional import one_hot

from graphnas.errors import GraphnasError, InvalidValues
from graphnas.spaces import OUTPUT, Architectures, SearchSpace

CHUNK = 8192  # graphs priced at once
CAPPED = ("flops", "params")


class Traits(NamedTuple):
    """What is compared between tiers.

    Attributes:
        flops: int64 [B], of the network.
        params: int64 [B].
        nodes: int64 [B], vertices.
        ops: int64 [B, T - 2], how often every operation occurs, input and output left out.
    """

    flops: Tensor
    params: Tensor
    nodes: Tensor
    ops: Tensor

    def __getitem__(self, rows: Tensor) -> Traits:  # type: ignore[override]
        return Traits(*(column[rows] for column in self))


def traits_of(space: SearchSpace, archs: Architectures) -> Traits:
    """The traits of architectures."""
    flops, params, ops = [], [], []
    for start in range(0, len(archs), CHUNK):
        part = archs[start : start + CHUNK]
        cost = space.cost(part)
        flops.append(cost["flops"])
        params.append(cost["params"])
        ops.append((one_hot(part.ops.long(), space.num_ops) * part.node_mask[..., None]).sum(1)[:, OUTPUT + 1 :])
    return Traits(torch.cat(flops), torch.cat(params), archs.num_nodes, torch.cat(ops))


def bin_edges(values: Tensor, bins: int) -> Tensor:
    """Upper edges of equal bins over the range of int64 values, float64 [bins]; one where all values are equal."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return torch.tensor([high], dtype=torch.float64)
    return low + (high - low) * torch.arange(1, bins + 1, dtype=torch.float64) / bins


def histogram(values: Tensor, edges: Tensor) -> Tensor:
    """How many values lie in every bin, the lower edge outside, the least value in the first: float64 [bins]."""
    place = torch.searchsorted(edges, values.double()).clamp_max(len(edges) - 1)
    return torch.bincount(place, minlength=len(edges)).double()


def normalised(counts: Tensor, smoothing: float = 0.0) -> Tensor:
    """Counts with `smoothing` added to each, as shares of their sum."""
    counts = counts.double() + smoothing
    return counts / counts.sum()


def jensen_shannon(p: Tensor, q: Tensor) -> float:
    """Jensen-Shannon distance of two distributions [bins]: the root of the divergence in bits, between 0 and 1."""
    mixed = (p + q) / 2
    bits = sum(torch.xlogy(part, part / mixed.clamp_min(1e-300)).sum() for part in (p, q))
    return float((torch.as_tensor(bits) / (2 * torch.log(torch.tensor(2.0)))).clamp(0, 1).sqrt())


@dataclass(frozen=True)
class Trait:
    """One trait of the best tier.

    Attributes:
        keys: float64 [bins]: upper edges, numbers of vertices, or operations.
        shares: float64 [bins], what is drawn from.
        distance: least Jensen-Shannon distance to a low tier.
        telling: whether that is at least the threshold; otherwise `shares` are even over the bins that occur.
    """

    keys: Tensor
    shares: Tensor
    distance: float
    telling: bool

    def draw(self, generator: Generator | None) -> int:
        """Index of a bin."""
        return int(torch.multinomial(self.shares, 1, generator=generator))


def compare_tiers(
    traits: Traits, tier: Tensor, low: tuple[int, ...], bins: int = 8, threshold: float = 0.2, smoothing: float = 0.5
) -> dict[str, Trait]:
    """How the best tier of labelled architectures differs from low ones, by trait.

    Args:
        traits: of B architectures.
        tier: int64 [B], 0 is best.
        low: the tiers to compare with.
        bins: of FLOPs and parameters.
        threshold: distance from which on the distribution of the best tier is used.
        smoothing: added to every count before distributions are compared.

    Raises:
        InvalidValues: nothing in the best tier or in a low one.
    """
    for wanted in (0, *low):
        if not bool((tier == wanted).any()):
            raise InvalidValues(f"no labelled architecture is in tier {wanted}")
    sizes = torch.arange(int(traits.nodes.min()), int(traits.nodes.max()) + 1).double()
    keys = {name: bin_edges(getattr(traits, name), bins) for name in CAPPED} | {"nodes": sizes}
    counts = {
        name: [histogram(getattr(traits, name)[tier == one], edges) for one in (0, *low)]
        for name, edges in keys.items()
    }
    counts["ops"] = [traits.ops[tier == one].sum(0).double() for one in (0, *low)]
    keys["ops"] = torch.arange(traits.ops.shape[1]).double()
    return {name: _trait(keys[name], counts[name], threshold, smoothing) for name in keys}


def _trait(keys: Tensor, counts: list[Tensor], threshold: float, smoothing: float) -> Trait:
    best, *others = (normalised(each, smoothing) for each in counts)
    distance = min(jensen_shannon(best, other) for other in others)
    telling = distance >= threshold
    return Trait(keys, normalised(counts[0] if telling else (counts[0] > 0).double()), distance, telling)


@dataclass
class Draws:
    """What a :class:`TierSampler` did.

    Attributes:
        rows: int64 [n], rows of the table in the order they were drawn.
        caps: int64 [n, 2], FLOPs and parameters that were not exceeded.
        wanted_nodes: int64 [n], vertices that the distribution asked for.
        recaps: caps that were drawn again because no free row was below them.
        resizes: draws whose number of vertices was drawn again because no free row below the caps had it.
    """

    rows: Tensor
    caps: Tensor
    wanted_nodes: Tensor
    recaps: int = 0
    resizes: int = 0


@dataclass
class TierSampler:
    """Draws rows of a table without repeating any, as the best tier has them.

    For every `reuse` rows, caps of FLOPs and parameters are drawn from the distributions of the best tier; for every
    row a number of vertices, then a free row of that size below the caps: evenly, or in proportion to the product of
    the shares of its operations where these tell the tiers apart. Nothing is generated and pruned, so sizes are those
    that were drawn, and a cap is never exceeded: where no row is left, caps or sizes are drawn again and counted.

    Args:
        table: traits of R architectures.
        free: bool [R], rows that may be drawn; those drawn are struck out.
        best: what :func:`compare_tiers` found.
        reuse: rows per pair of caps.
        attempts: pairs of caps before giving up.
    """

    table: Traits
    free: Tensor
    best: dict[str, Trait]
    reuse: int = 25
    attempts: int = 100
    generator: Generator | None = field(default=None, repr=False)

    def draw(self, count: int) -> Draws:
        """`count` different rows.

        Raises:
            GraphnasError: no free row below any caps that were drawn.
        """
        draws = Draws(torch.zeros(0).long(), torch.zeros(0, 2).long(), torch.zeros(0).long())
        while len(draws.rows) < count:
            self._group(draws, min(self.reuse, count - len(draws.rows)))
        return draws

    def _group(self, draws: Draws, count: int) -> None:
        """Add up to `count` rows under one pair of caps."""
        caps, below = self._caps(draws)
        for _ in range(count):
            available = below[self.free[below]]
            if not len(available):
                return
            wanted, fitting = self._size(available, draws)
            row = int(fitting[self._choose(fitting)])
            self.free[row] = False
            draws.rows = torch.cat([draws.rows, torch.tensor([row])])
            draws.caps = torch.cat([draws.caps, torch.tensor([caps])])
            draws.wanted_nodes = torch.cat([draws.wanted_nodes, torch.tensor([wanted])])

    def _caps(self, draws: Draws) -> tuple[tuple[int, int], Tensor]:
        """Caps, and the free rows below both, of which there is at least one."""
        for _ in range(self.attempts):
            flops, params = (int(self.best[name].keys[self.best[name].draw(self.generator)]) for name in CAPPED)
            below = (self.free & (self.table.flops <= flops) & (self.table.params <= params)).nonzero().flatten()
            if len(below):
                return (flops, params), below
            draws.recaps += 1
        raise GraphnasError(f"no free architecture is below any of {self.attempts} pairs of caps: draw fewer")

    def _size(self, available: Tensor, draws: Draws) -> tuple[int, Tensor]:
        """The number of vertices that was drawn, and the available rows of it or of the one drawn instead."""
        nodes, trait = self.table.nodes[available], self.best["nodes"]
        wanted = int(trait.keys[trait.draw(self.generator)])
        fitting = available[nodes == wanted]
        if len(fitting):
            return wanted, fitting
        draws.resizes += 1
        present = (nodes[:, None] == trait.keys).any(0) * trait.shares
        if not bool(present.any()):
            return wanted, available
        other = trait.keys[int(torch.multinomial(present, 1, generator=self.generator))]
        return wanted, available[nodes == other]

    def _choose(self, rows: Tensor) -> Tensor:
        """The place of one of the rows, int64 [1]."""
        trait = self.best["ops"]
        if not trait.telling:
            return torch.randint(len(rows), (1,), generator=self.generator)
        logs = self.table.ops[rows].double() @ trait.shares.clamp_min(1e-6).log()
        return torch.multinomial((logs - logs.max()).exp(), 1, generator=self.generator)
