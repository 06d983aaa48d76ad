"""Surrogates that see all points through a few: a sparse variational GP, and the literature's."""

from __future__ import annotations

from collections.abc import Callable

import torch
from botorch.models import SingleTaskVariationalGP
from botorch.models.utils.gpytorch_modules import get_covar_module_with_dim_scaled_prior
from gpytorch.kernels import ScaleKernel
from gpytorch.mlls import VariationalELBO
from torch import Generator, Tensor

from graphnas.bo.sparse_gp import LegacySparseGP
from graphnas.bo.surrogates import BLOCK, SURROGATES, Posterior, joint_draw

INDUCING = 100
LEGACY_INDUCING = 500
STEPS = 200
LEARNING_RATE = 0.05


class SparsePosterior:
    """A GP whose posterior is Gaussian in M features a(x): mean c + w^T a(x), covariance k(x, x') - a(x)^T Q a(x').

    Points that are believed leave the mean as it is and lower the variance around them by what an observation there,
    with the noise of the likelihood, would tell.

    Args:
        kernel: (x [A, D], x' [B, D]) -> k [A, B], and a(x) [M, B] from :attr:`features`.
        features: x [B, D] -> a(x) [M, B].
        weights: w [M].
        shrinkage: Q [M, M].
        constant: c.
        noise: variance of an observation.
        prior: variance k(x, x) of every point.
        believed: points [K, D] believed so far.
    """

    def __init__(
        self, kernel: Callable[[Tensor, Tensor], Tensor], features: Callable[[Tensor], Tensor], weights: Tensor,
        shrinkage: Tensor, constant: float, noise: float, prior: float, believed: Tensor | None = None,
    ) -> None:  # fmt: skip
        self.kernel, self.features, self.weights, self.shrinkage = kernel, features, weights, shrinkage
        self.constant, self.noise, self.prior, self.believed = constant, noise, prior, believed
        if believed is not None:
            own = self.covariance(believed, believed)
            self.root = torch.linalg.cholesky(own + noise * torch.eye(len(own), dtype=own.dtype))

    def covariance(self, a: Tensor, b: Tensor) -> Tensor:
        """Covariance [A, B] of the function before anything is believed."""
        return self.kernel(a, b) - self.features(a).T @ (self.shrinkage @ self.features(b))

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        parts = [self.at(part) for part in x.split(BLOCK)]
        mean, variance = (torch.cat(column) for column in zip(*parts, strict=True))
        return mean, variance

    def at(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance at a block of points."""
        features = self.features(x)
        variance = self.prior - (features * (self.shrinkage @ features)).sum(0)
        if self.believed is not None:
            cross = self.covariance(self.believed, x)
            variance = variance - torch.linalg.solve_triangular(self.root, cross, upper=False).square().sum(0)
        return self.constant + self.weights @ features, variance.clamp_min(0)

    @torch.no_grad()
    def draw(self, x: Tensor, generator: Generator) -> Tensor:
        covariance = self.covariance(x, x)
        if self.believed is not None:
            reduced = torch.linalg.solve_triangular(self.root, self.covariance(self.believed, x), upper=False)
            covariance = covariance - reduced.T @ reduced
        return joint_draw(self.predict(x)[0], covariance, generator)

    def believing(self, x: Tensor) -> SparsePosterior:
        believed = x if self.believed is None else torch.cat([self.believed, x])
        return SparsePosterior(
            self.kernel, self.features, self.weights, self.shrinkage, self.constant, self.noise, self.prior, believed
        )


@SURROGATES.register("legacy")
def legacy_gp(x: Tensor, y: Tensor, seed: int) -> Posterior:
    """The under-trained sparse GP of the D-VAE protocol, 500 inducing points and 100 epochs."""
    gp = LegacySparseGP(x, y, min(LEGACY_INDUCING, len(x)), seed).fit().requires_grad_(False)
    weights, shrinkage = gp.in_features()
    signal, noise = float(gp.log_signal.exp()), float(gp.log_noise.exp())
    return SparsePosterior(
        gp.covariance, lambda at: gp.covariance(gp.inducing, at), weights, shrinkage, 0.0, noise, signal
    )


@SURROGATES.register("svgp")
def variational_gp(x: Tensor, y: Tensor, seed: int) -> Posterior:
    """A sparse variational GP, 100 inducing points, Matern 5/2 (Hensman et al. 2015, arXiv 1411.2005).

    With R R^T = k(Z, Z) and the whitened q(v) = N(m, S), the features are a(x) = R^-1 k(Z, x), w = m and Q = I - S.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        kernel = ScaleKernel(get_covar_module_with_dim_scaled_prior(x.shape[1], use_rbf_kernel=False))
        rows = torch.randperm(len(x))[:INDUCING]
        model = SingleTaskVariationalGP(
            x, y[:, None], covar_module=kernel, inducing_points=x[rows].clone(), outcome_transform=None
        )
        bound = VariationalELBO(model.likelihood, model.model, num_data=len(y))
        optimizer = torch.optim.Adam(model.parameters(), LEARNING_RATE)
        model.train()
        for _ in range(STEPS):
            optimizer.zero_grad()
            (-bound(model.model(x), y)).backward()
            optimizer.step()
    return in_whitened_features(model.requires_grad_(False).eval(), kernel)


def in_whitened_features(model: SingleTaskVariationalGP, kernel: ScaleKernel) -> SparsePosterior:
    """The posterior of a fitted sparse variational GP."""
    strategy = model.model.variational_strategy
    inducing, q = strategy.inducing_points, strategy.variational_distribution
    identity = torch.eye(len(inducing), dtype=inducing.dtype)
    root = torch.linalg.cholesky(kernel(inducing).to_dense() + strategy.jitter_val * identity)
    return SparsePosterior(
        kernel=lambda a, b: kernel(a, b).to_dense(),
        features=lambda x: torch.linalg.solve_triangular(root, kernel(inducing, x).to_dense(), upper=False),
        weights=q.mean,
        shrinkage=identity - q.covariance_matrix,
        constant=float(model.model.mean_module.constant),
        noise=float(model.likelihood.noise),
        prior=float(kernel.outputscale),
    )
