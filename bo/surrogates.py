"""Surrogates: from points and values to a posterior over the values of other points."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Generator, Tensor

from graphnas.bo.converged_gp import ConvergedGP, fit_hyper_parameters
from graphnas.registry import Registry
from graphnas.train.data import random_rows

if TYPE_CHECKING:
    from botorch.models import SingleTaskGP

JITTER = 1e-8
BLOCK = 4096
FIT_ROWS = 500
FIT_STEPS = 40


class Posterior(Protocol):
    """What is believed about a function on [0, 1]^D."""

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of the function at x [B, D], float64 [B] each, differentiable in x."""

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
        parts = [self.gp.at(part) for part in x.split(BLOCK)]
        mean, variance = (torch.cat(column) for column in zip(*parts, strict=True))
        return mean, variance

    @torch.no_grad()
    def draw(self, x: Tensor, generator: Generator) -> Tensor:
        cross = self.gp.kernel(self.x, x).to_dense()
        reduced = torch.linalg.solve_triangular(self.gp.root, cross, upper=False)
        return joint_draw(self.predict(x)[0], self.gp.kernel(x).to_dense() - reduced.T @ reduced, generator)

    def believing(self, x: Tensor) -> ExactPosterior:
        larger = copy(self)
        larger.x, larger.y = torch.cat([self.x, x]), torch.cat([self.y, self.predict(x)[0].detach()])
        larger.gp = self.gp.believing(x)
        return larger


def joint_draw(mean: Tensor, covariance: Tensor, generator: Generator) -> Tensor:
    """One draw float64 [B] of N(mean [B], covariance [B, B])."""
    covariance = covariance + JITTER * torch.eye(len(mean), dtype=mean.dtype)
    root, failed = torch.linalg.cholesky_ex(covariance)
    if int(failed):  # rounding left it indefinite; 30 times slower
        values, vectors = torch.linalg.eigh(covariance)
        root = vectors * values.clamp_min(0).sqrt()
    return mean + root @ torch.randn(len(mean), generator=generator, dtype=torch.float64)


@SURROGATES.register("gp")
def matern_gp(x: Tensor, y: Tensor, seed: int) -> Posterior:
    """An exact GP with a Matern 5/2 kernel, one length scale per coordinate (priors: arXiv 2402.02229)."""
    return exact_gp(x, y, 2.5, seed)


@SURROGATES.register("rbf")
def squared_exponential_gp(x: Tensor, y: Tensor, seed: int) -> Posterior:
    """The same with a squared exponential kernel."""
    return exact_gp(x, y, None, seed)


def exact_gp(x: Tensor, y: Tensor, smoothness: float | None, seed: int) -> ExactPosterior:
    """The posterior of all rows; where they are many, hyper-parameters of some of them in a limited number of steps.

    For 500 ENAS codes 30 to 60 steps took 1 to 3 CPU-seconds and convergence 26 to 57, with r of others within 0.004
    (one look at three models). What the other rows would add to the hyper-parameters was not measured.
    """
    if len(x) <= FIT_ROWS:
        return ExactPosterior(fit_hyper_parameters(x, y, smoothness), x, y)
    rows = random_rows(torch.arange(len(x)), FIT_ROWS, seed)
    return ExactPosterior(fit_hyper_parameters(x[rows], y[rows], smoothness, FIT_STEPS), x, y)
