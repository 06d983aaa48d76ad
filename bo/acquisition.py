"""Acquisition functions: how much an evaluation at each of many points promises. Higher is better throughout."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from graphnas.bo.surrogates import Posterior
from graphnas.registry import Registry

Acquisition = Callable[[Posterior, Tensor, float, Generator], Tensor]

ACQUISITIONS: Registry[Acquisition] = Registry("acquisition")
"""(posterior, points [B, D], best value so far, generator) -> float64 [B]."""

TINY = 1e-12
CONFIDENCE = 2.0
DRAWN_POINTS = 1000


def log_expected_improvement(mean: Tensor, std: Tensor, best: float) -> Tensor:
    """log E max(f - best, 0) for f ~ N(mean, std^2), without underflow (Ament et al. 2023, arXiv 2310.20708).

    With u = (mean - best) / std it is log std + log phi(u) + log(1 + u Phi(u) / phi(u)); far below the best the last
    term is log(1 / u^2).
    """
    u = (mean - best) / std
    ratio = math.sqrt(math.pi / 2) * torch.special.erfcx(-u.clamp(max=25.0) / math.sqrt(2))  # Phi / phi
    near = torch.log1p((u.clamp(-1e3, 25.0) * ratio).clamp_min(-1 + 1e-15))
    tail = torch.where(u < -1e3, -2 * u.abs().clamp_min(1.0).log(), near)
    density = -0.5 * u.square() - 0.5 * math.log(2 * math.pi)
    return std.log() + torch.where(u > 25.0, u.clamp_min(1.0).log(), density + tail)


@ACQUISITIONS.register("logei")
def logei(posterior: Posterior, x: Tensor, best: float, generator: Generator) -> Tensor:
    """Logarithm of the expected improvement over the best value."""
    mean, variance = posterior.predict(x)
    return log_expected_improvement(mean, variance.clamp_min(TINY).sqrt(), best)


@ACQUISITIONS.register("ucb")
def upper_confidence_bound(posterior: Posterior, x: Tensor, best: float, generator: Generator) -> Tensor:
    """Mean and two standard deviations."""
    mean, variance = posterior.predict(x)
    return mean + CONFIDENCE * variance.sqrt()


@ACQUISITIONS.register("mean")
def posterior_mean(posterior: Posterior, x: Tensor, best: float, generator: Generator) -> Tensor:
    """The mean alone: pure exploitation."""
    return posterior.predict(x)[0]


@ACQUISITIONS.register("thompson")
def thompson(posterior: Posterior, x: Tensor, best: float, generator: Generator) -> Tensor:
    """One joint draw of the function at the 1,000 points with the highest confidence bounds; -inf elsewhere."""
    top = upper_confidence_bound(posterior, x, best, generator).topk(min(DRAWN_POINTS, len(x))).indices
    values = torch.full((len(x),), -torch.inf, dtype=torch.float64)
    values[top] = posterior.draw(x[top], generator)
    return values
