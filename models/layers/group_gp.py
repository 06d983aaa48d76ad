"""An exact Gaussian process whose kernel knows that its inputs come in groups."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

BLOCK = 2048
ITERATIONS = 50
JITTER = 1e-4
NOISE = 0.05
"""Median of the prior of the noise variance."""
WIDTHS = (1.0, 1.5, 1.5)
"""Spread of the log-normal priors of length scales, variances and noise."""


class GroupGP:
    """y ~ GP(0, k + noise), k = a_0 q(sum_g d_g / (G l_g^2)) + sum_g a_g q(d_g / m_g^2), q(d) = 1 / (1 + d / 2).

    d_g is the squared distance in group g, divided by its width, and q the rational quadratic kernel with alpha 1. The
    first term sees all groups at once, each of the others a single one, so that the sum is additive where labels are.
    Hyper-parameters have log-normal priors around a = 1 / (G + 1), l = m = 1 and noise 0.05, and are those of the
    largest posterior density (L-BFGS from the priors' medians: deterministic).

    Args:
        widths: columns of every group, side by side.
        most_points: rows at most for the hyper-parameters; the posterior takes all.
    """

    def __init__(self, widths: Sequence[int], most_points: int = 1000) -> None:
        self.widths, self.most_points = list(widths), most_points

    def fit(self, x: Tensor, y: Tensor) -> GroupGP:
        """Learn from x [n, sum of widths], standardised, and y [n] around 0; rows in random order."""
        self.x, y = x.double(), y.double()
        first = slice(0, self.most_points)
        self.hyper = self._learn(self._distances(self.x[first], self.x[first]), y[first])
        with torch.no_grad():
            covariance = torch.cat([self.kernel(rows, self.x) for rows in self.x.split(BLOCK)])
            self.noise = float(self.hyper[-1].exp()) + JITTER
            self.root = torch.linalg.cholesky(covariance + self.noise * torch.eye(len(y), dtype=torch.float64))
            self.weights = torch.cholesky_solve(y[:, None], self.root)
        return self

    @torch.no_grad()
    def mean(self, x: Tensor) -> Tensor:
        """Posterior mean [B] of x [B, sum of widths]; its float type is computed in."""
        known, weights = self.x.to(x.dtype), self.weights.to(x.dtype)
        return torch.cat([(self.kernel(rows, known) @ weights)[:, 0] for rows in x.split(BLOCK)])

    @torch.no_grad()
    def variance(self, x: Tensor) -> Tensor:
        """Variance [B] of a new observation at x [B, sum of widths]."""
        known, root = self.x.to(x.dtype), self.root.to(x.dtype)
        total, parts = float(self.hyper[: len(self.widths) + 1].exp().sum()), []
        for rows in x.split(BLOCK):
            reduced = torch.linalg.solve_triangular(root, self.kernel(rows, known).T, upper=False)
            parts.append((total - reduced.square().sum(0)).clamp(min=0) + self.noise)
        return torch.cat(parts)

    @torch.no_grad()
    def left_out(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of every training observation given the others, [n] each, hyper-parameters as they are.

        With K the covariance of the observations, 1 / (K^-1)_ii is the variance and y_i - (K^-1 y)_i / (K^-1)_ii the
        mean (Rasmussen and Williams 2006, 5.4.2).

        Args:
            y: what was fitted, [n].
        """
        variance = 1 / torch.cholesky_inverse(self.root).diagonal()
        return y.double() - self.weights[:, 0] * variance, variance

    def _learn(self, distances: Tensor, y: Tensor) -> Tensor:
        """Hyper-parameters of the largest posterior density, float64 [3 G + 2], as :meth:`_mix` reads them."""
        groups = len(self.widths)
        center = torch.zeros(3 * groups + 2, dtype=torch.float64)
        center[: groups + 1], center[-1] = -math.log(groups + 1), math.log(NOISE)
        widths = torch.full_like(center, WIDTHS[0])
        widths[: groups + 1], widths[-1] = WIDTHS[1:]
        hyper = center.clone().requires_grad_()
        optimizer = torch.optim.LBFGS(
            [hyper], max_iter=ITERATIONS, tolerance_change=1e-4, line_search_fn="strong_wolfe"
        )
        identity = torch.eye(len(y), dtype=torch.float64)

        def loss() -> Tensor:
            optimizer.zero_grad()
            covariance = self._mix(distances, hyper) + (hyper[-1].exp() + JITTER) * identity
            root = torch.linalg.cholesky(covariance)
            white = torch.linalg.solve_triangular(root, y[:, None], upper=False)
            density = white.square().sum() / 2 + root.diagonal().log().sum()
            total: Tensor = (density + ((hyper - center) / widths).square().sum() / 2) / len(y)
            total.backward()
            return total

        optimizer.step(loss)
        return hyper.detach()

    def kernel(self, a: Tensor, b: Tensor) -> Tensor:
        """The kernel without noise of rows a [n, F] and b [m, F], float [n, m]."""
        return self._mix(self._distances(a, b), self.hyper.to(a.dtype))

    def _distances(self, a: Tensor, b: Tensor) -> Tensor:
        """d_g of rows a [n, F] and b [m, F], [G, n, m]."""
        parts = zip(a.split(self.widths, 1), b.split(self.widths, 1), self.widths, strict=True)
        squares = [
            (p.square().sum(1)[:, None] + q.square().sum(1) - 2 * p @ q.T).clamp(min=0) / width
            for p, q, width in parts
        ]  # fmt: skip
        return torch.stack(squares)

    def _mix(self, distances: Tensor, hyper: Tensor) -> Tensor:
        """The kernel [n, m] from distances [G, n, m]; log a_0..a_G, log l_1..l_G, log m_1..m_G, log noise."""
        groups = len(self.widths)
        joint, single = (-2 * hyper[groups + 1 : -1]).exp().split(groups)
        amplitudes = hyper[: groups + 1].exp()
        kernel = amplitudes[0] / (1 + torch.tensordot(joint, distances, 1) / (2 * groups))
        for group in range(groups):
            kernel = kernel + amplitudes[group + 1] / (1 + distances[group] * (single[group] / 2))
        return kernel
