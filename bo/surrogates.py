"""Surrogates: from points and values to a posterior over the values of other points."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Generator, Tensor

from graphnas.bo.converged_gp import ConvergedGP, fit_hyper_parameters
from graphnas.bo.sparse_gp import LegacySparseGP
from graphnas.registry import Registry

if TYPE_CHECKING:
    from botorch.models import SingleTaskGP

JITTER = 1e-8


class Posterior(Protocol):
    """What is believed about a function on [0, 1]^D."""

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of the function at x [B, D], float64 [B] each."""

    def draw(self, x: Tensor, generator: Generator) -> Tensor:
        """One joint draw of the function at x [B, D], float64 [B]."""

    def believing(self, x: Tensor) -> Posterior:
        """The posterior if the means at x [B, D] had been observed (kriging believer)."""


Fit = Callable[[Tensor, Tensor, int], Posterior]

SURROGATES: Registry[Fit] = Registry("surrogate")
"""(points float64 [N, D] in the unit cube, standardised values [N], seed) -> :class:`Posterior`."""


class ExactPosterior:
    """An exact GP with hyper-parameters that were fitted once.

    Args:
        model: a fitted BoTorch `SingleTaskGP`.
        x: float64 [N, D].
        y: float64 [N].
    """

    def __init__(self, model: SingleTaskGP, x: Tensor, y: Tensor) -> None:
        self.model, self.x, self.y = model, x, y
        self.gp = ConvergedGP(model, x, y)

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.gp.predict(x)

    @torch.no_grad()
    def draw(self, x: Tensor, generator: Generator) -> Tensor:
        cross = self.gp.kernel(self.x, x).to_dense()
        reduced = torch.linalg.solve_triangular(self.gp.root, cross, upper=False)
        covariance = self.gp.kernel(x).to_dense() - reduced.T @ reduced
        values, vectors = torch.linalg.eigh(covariance + JITTER * torch.eye(len(x), dtype=x.dtype))
        noise = torch.randn(len(x), generator=generator, dtype=torch.float64)
        return self.predict(x)[0] + vectors @ (values.clamp_min(0).sqrt() * noise)

    def believing(self, x: Tensor) -> ExactPosterior:
        return ExactPosterior(self.model, torch.cat([self.x, x]), torch.cat([self.y, self.predict(x)[0]]))


@SURROGATES.register("gp")
def matern_gp(x: Tensor, y: Tensor, seed: int) -> Posterior:
    """An exact GP with a Matern 5/2 kernel, one length scale per coordinate (priors: arXiv 2402.02229)."""
    return ExactPosterior(fit_hyper_parameters(x, y, smoothness=2.5), x, y)


@SURROGATES.register("rbf")
def squared_exponential_gp(x: Tensor, y: Tensor, seed: int) -> Posterior:
    """The same with a squared exponential kernel."""
    return ExactPosterior(fit_hyper_parameters(x, y, smoothness=None), x, y)


class LegacyPosterior:
    """The under-trained sparse GP of the D-VAE protocol; a believed point makes a new fit.

    Args:
        x: float64 [N, D].
        y: float64 [N].
        seed: of the sparse GP.
        epochs: passes over the points.
    """

    def __init__(self, x: Tensor, y: Tensor, seed: int, epochs: int = 100) -> None:
        self.x, self.y, self.seed, self.epochs = x, y, seed, epochs
        self.gp = LegacySparseGP(x, y, min(500, len(x)), seed).fit(epochs)

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, variance = self.gp.predict(x)
        return mean.double(), variance.double()

    def draw(self, x: Tensor, generator: Generator) -> Tensor:
        """Independent draws: the sparse GP of the protocol gives no joint posterior."""
        mean, variance = self.predict(x)
        return mean + variance.sqrt() * torch.randn(len(x), generator=generator, dtype=torch.float64)

    def believing(self, x: Tensor) -> LegacyPosterior:
        x, y = torch.cat([self.x, x]), torch.cat([self.y, self.predict(x)[0]])
        return LegacyPosterior(x, y, self.seed, self.epochs)


@SURROGATES.register("legacy")
def legacy_gp(x: Tensor, y: Tensor, seed: int) -> Posterior:
    """The sparse GP of the literature, for comparisons with it."""
    return LegacyPosterior(x, y, seed)
