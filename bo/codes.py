"""The codes of a set of architectures, latent or raw: scaled to a box to search in."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Generator, Tensor

from graphnas.errors import InvalidValues, OutsideSpace
from graphnas.models import GraphVAE
from graphnas.models.features import raw_features
from graphnas.spaces import Architectures, SearchSpace
from graphnas.train.data import seeded
from graphnas.train.evaluate import encode_all

REDUCED_DIM = 16
LEAST_SPREAD = 1e-4
"""Directions whose standard deviation is a smaller share of the widest one's are dropped."""
POOL_LIMIT = 50_000


class Codes(ABC):
    """M architectures as points of the unit cube.

    Attributes:
        space: what they are architectures of.
        archs: M architectures, a whole space or a sample of it.
        points: float64 [M, D], in [0, 1].
    """

    space: SearchSpace
    archs: Architectures
    points: Tensor

    @property
    def dim(self) -> int:
        """D."""
        return self.points.shape[1]

    @abstractmethod
    def place(self, archs: Architectures) -> Tensor:
        """Points float64 [B, D] of any architectures; outside the unit cube where they lie beyond all M."""


class LatentCodes(Codes):
    """Posterior means of M architectures and their principal coordinates, each scaled to the unit interval.

    Args:
        model: any graph VAE.
        archs: M architectures, a whole space or a sample of it.
        dim: D, most coordinates.

    Raises:
        InvalidValues: fewer than two architectures, or codes that are all the same.

    Attributes:
        codes: float32 [M, Z].
    """

    def __init__(self, model: GraphVAE, archs: Architectures, dim: int = REDUCED_DIM) -> None:
        if len(archs) < 2 or dim < 1:
            raise InvalidValues(f"expected at least 2 architectures and 1 coordinate (got {len(archs)} and {dim})")
        self.model, self.space, self.archs = model.eval(), model.space, archs
        self.codes = encode_all(model, archs).cpu()
        values = self.codes.double()
        self.mean = values.mean(0)
        _, spread, axes = torch.linalg.svd(values - self.mean, full_matrices=False)
        kept = spread > LEAST_SPREAD * spread[0]
        if not bool(spread[0] > 0):
            raise InvalidValues(f"the codes of all {len(archs)} architectures are the same: the encoder is collapsed")
        self.axes = axes[kept][:dim]
        coordinates = (values - self.mean) @ self.axes.T
        self.low, self.high = coordinates.min(0).values, coordinates.max(0).values
        self.points = (coordinates - self.low) / (self.high - self.low)

    def place(self, archs: Architectures) -> Tensor:
        if not len(archs):
            return torch.zeros(0, self.dim, dtype=torch.float64)
        coordinates = (encode_all(self.model, archs).cpu().double() - self.mean) @ self.axes.T
        return (coordinates - self.low) / (self.high - self.low)

    def restore(self, points: Tensor) -> Tensor:
        """Codes float32 [B, Z] of points [B, D], with the mean of all M in the directions that were dropped."""
        return ((points * (self.high - self.low) + self.low) @ self.axes + self.mean).float()

    def draw(self, n: int, generator: Generator, density: str = "box") -> Tensor:
        """Random points float64 [n, D]: uniform in the `box` of all M, or `normal` with their means and deviations.

        Raises:
            InvalidValues: another density.
        """
        if density == "box":
            return torch.rand(n, self.dim, generator=generator, dtype=torch.float64)
        if density == "normal":
            noise = torch.randn(n, self.dim, generator=generator, dtype=torch.float64)
            return self.points.mean(0) + noise * self.points.std(0)
        raise InvalidValues(f"density must be box or normal (got {density!r})")


class RawCodes(Codes):
    """The entries of M architectures themselves, without a model: types one-hot, edges as bits, number of vertices.

    Entries in which all M agree are left out.

    Args:
        space: of the architectures.
        archs: M architectures.

    Raises:
        InvalidValues: fewer than two architectures.
    """

    def __init__(self, space: SearchSpace, archs: Architectures) -> None:
        if len(archs) < 2:
            raise InvalidValues(f"expected at least 2 architectures (got {len(archs)})")
        self.space, self.archs = space, archs
        features = raw_features(space, archs).cpu()
        low, high = features.min(0).values, features.max(0).values
        self.columns = (high > low).nonzero().flatten()
        self.low, self.high = low[self.columns], high[self.columns]
        self.points = (features[:, self.columns] - self.low) / (self.high - self.low)

    def place(self, archs: Architectures) -> Tensor:
        return (raw_features(self.space, archs).cpu()[:, self.columns] - self.low) / (self.high - self.low)


def default_pool(space: SearchSpace, seed: int, limit: int = POOL_LIMIT) -> Architectures:
    """All architectures of a space that can be enumerated, or a sample: `limit` rows at most."""
    try:
        pool = space.enumerate()
    except OutsideSpace:
        pool = space.sample(limit, seeded(seed))
    if len(pool) <= limit:
        return pool
    return pool[torch.randperm(len(pool), generator=seeded(seed))[:limit]]
