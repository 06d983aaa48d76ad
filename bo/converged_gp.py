"""An exact Gaussian process on codes whose hyper-parameters are fitted until they converge."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from graphnas.errors import InvalidValues
from graphnas.metrics import rmse
from graphnas.train.data import random_rows

if TYPE_CHECKING:
    from botorch.models import SingleTaskGP
    from gpytorch.kernels import Kernel

BLOCK = 1024
SMOOTHNESS = (None, 2.5)  # of the kernels that are tried: squared exponential, Matern 5/2


class Scale(NamedTuple):
    """Mean and population standard deviation of training targets, in their unit."""

    mean: float
    spread: float

    @staticmethod
    def of(y: Tensor) -> Scale:
        """The scale of targets [N].

        Raises:
            InvalidValues: targets that are all the same.
        """
        values = y.detach().cpu().double()
        if not bool((values != values[0]).any()):
            raise InvalidValues(f"targets must differ to be standardised (got {len(values)} times {float(values[0])})")
        return Scale(float(values.mean()), float(values.std(correction=0)))

    def standardise(self, y: Tensor) -> Tensor:
        """Targets [N] at mean 0 and variance 1, float64 on the CPU."""
        return (y.detach().cpu().double() - self.mean) / self.spread

    def restore(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """Means and variances [B] of standardised targets, in the unit of the targets and its square."""
        return mean * self.spread + self.mean, variance * self.spread**2


def check_rows(codes: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Codes [N, Z] and targets [N] as float64 on the CPU, without gradients.

    Raises:
        InvalidValues: no row, shapes that do not fit each other, or values that are not finite.
    """
    if codes.dim() != 2 or y.dim() != 1 or len(codes) != len(y) or not codes.numel():
        raise InvalidValues(f"expected codes [N, Z] and targets [N] (got {list(codes.shape)} and {list(y.shape)})")
    codes, y = codes.detach().cpu().double(), y.detach().cpu().double()
    if not bool(torch.isfinite(codes).all() and torch.isfinite(y).all()):
        raise InvalidValues("codes and targets must be finite")
    return codes, y


class ConvergedGP:
    """The posterior of a fitted model given all its training rows, from one Cholesky factor [N, N] in float64.

    Args:
        model: hyper-parameters; the rows it was fitted on are not used.
        codes: float [N, Z], scaled as the model was fitted.
        y: float [N], standardised.
    """

    def __init__(self, model: SingleTaskGP, codes: Tensor, y: Tensor) -> None:
        self.kernel, self.noise = model.covar_module, float(model.likelihood.noise.detach())
        self.constant = float(model.mean_module.constant.detach())
        self.codes = codes
        self.low, self.width, self.scale = torch.zeros(()), torch.ones(()), Scale(0.0, 1.0)
        self.root = _cholesky_in_place(self._covariance())
        self.weights = torch.cholesky_solve((y - self.constant)[:, None], self.root)[:, 0]

    def scaled(self, low: Tensor, width: Tensor, scale: Scale) -> ConvergedGP:
        """The same posterior for codes before (x - low) / width and targets before standardisation."""
        self.low, self.width, self.scale = low, width, scale
        return self

    @torch.no_grad()
    def predict(self, x: Tensor, observation_noise: bool = False) -> tuple[Tensor, Tensor]:
        """Posterior mean and variance at x [B, Z], float64 [B] each, in the unit of y and its square.

        With `observation_noise` the variance is that of a new observation instead of the function.
        """
        parts = [self.at((part - self.low) / self.width) for part in x.detach().cpu().double().split(BLOCK)]
        mean, variance = (torch.cat(column) for column in zip(*parts, strict=True))
        return self.scale.restore(mean, variance + self.noise if observation_noise else variance)

    def at(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance at scaled points x float64 [B, Z], standardised; differentiable in x."""
        cross = self.kernel(self.codes, x).to_dense()  # [N, B]
        reduced = torch.linalg.solve_triangular(self.root, cross, upper=False)
        variance = self.kernel(x, diag=True) - reduced.square().sum(0)
        return self.constant + cross.T @ self.weights, variance.clamp_min(0)

    @torch.no_grad()
    def believing(self, x: Tensor) -> ConvergedGP:
        """The posterior if scaled points x [B, Z] had been observed at their means, which moves no mean.

        The factor L grows by [C^T, S], where L C is the covariance of old and new rows and S S^T what C leaves of it.
        """
        larger = copy(self)
        cross = torch.linalg.solve_triangular(self.root, self.kernel(self.codes, x).to_dense(), upper=False)  # [N, B]
        own = self.kernel(x).to_dense() - cross.T @ cross
        own.diagonal().add_(self.noise)
        corner = torch.linalg.cholesky(own)
        upper = torch.cat([self.root, self.root.new_zeros(len(self.root), len(x))], 1)
        larger.root = torch.cat([upper, torch.cat([cross.T, corner], 1)])
        larger.codes = torch.cat([self.codes, x])
        larger.weights = torch.cat([self.weights, self.weights.new_zeros(len(x))])
        return larger

    @torch.no_grad()
    def _covariance(self) -> Tensor:
        """Covariance of the training targets [N, N], by blocks of rows: the kernel makes several copies of a block."""
        total = len(self.codes)
        matrix = torch.empty(total, total, dtype=torch.float64)
        for start in range(0, total, BLOCK):
            matrix[start : start + BLOCK] = self.kernel(self.codes[start : start + BLOCK], self.codes).to_dense()
        matrix.diagonal().add_(self.noise)
        return matrix


def fit_converged_gp(
    codes: Tensor, y: Tensor, seed: int = 0, fit_points: int = 2000, max_points: int | None = None
) -> ConvergedGP:
    """An exact GP on codes: hyper-parameters from a random subset, the posterior from all rows.

    Inputs are scaled to the unit cube, one length scale per dimension (BoTorch's priors scaled with the dimension,
    Hvarfner et al. 2024, arXiv 2402.02229), L-BFGS until it converges. Squared exponential and Matern 5/2 are fitted;
    the one with the smaller error on training rows kept aside stays. 17,000 rows take 2.3 GB.

    Args:
        codes: float [N, Z].
        y: float [N], in any unit; standardised inside.
        seed: of the subset and the rows kept aside.
        fit_points: rows at most for the hyper-parameters; a quarter of these at most is kept aside in addition.
        max_points: rows at most for the posterior; None takes all.

    Raises:
        InvalidValues: shapes that do not fit, values that are not finite, constant targets, fewer than 5 rows.
    """
    codes, y = check_rows(codes, y)
    if min(len(y), fit_points, len(y) if max_points is None else max_points) < 5:
        raise InvalidValues(f"expected at least 5 rows (got {len(y)}, fit_points {fit_points}, max {max_points})")
    scale = Scale.of(y)
    low, high = codes.min(0).values, codes.max(0).values
    width = torch.where(high > low, high - low, torch.ones_like(low))
    x, target = (codes - low) / width, scale.standardise(y)
    order = random_rows(torch.arange(len(y)), len(y), seed)
    kept = min(fit_points // 4, len(y) // 5)
    aside, subset = order[:kept], order[kept : kept + fit_points]
    models = [fit_hyper_parameters(x[subset], target[subset], smoothness) for smoothness in SMOOTHNESS]
    trials = [ConvergedGP(model, x[subset], target[subset]).predict(x[aside])[0] for model in models]
    errors = [rmse(trial, target[aside]) for trial in trials]
    rows = order[: max_points or len(y)]
    return ConvergedGP(models[errors.index(min(errors))], x[rows], target[rows]).scaled(low, width, scale)


def fit_hyper_parameters(x: Tensor, y: Tensor, smoothness: float | None, steps: int | None = None) -> SingleTaskGP:
    """Those of the largest posterior density, by L-BFGS.

    Args:
        x: float64 [N, D] in the unit cube.
        y: float64 [N], standardised.
        smoothness: one of :data:`SMOOTHNESS`.
        steps: at most; until it converges if not given.
    """
    from botorch.models.utils.gpytorch_modules import get_covar_module_with_dim_scaled_prior

    kernel = get_covar_module_with_dim_scaled_prior(x.shape[1], use_rbf_kernel=smoothness is None)
    return fit_kernel(kernel, x, y, steps)


def fit_kernel(kernel: Kernel, x: Tensor, y: Tensor, steps: int | None = None) -> SingleTaskGP:
    """Signal, noise and whatever the kernel has to fit, in at most `steps` steps; then without gradients."""
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from gpytorch.kernels import ScaleKernel
    from gpytorch.mlls import ExactMarginalLogLikelihood

    model = SingleTaskGP(x, y[:, None], covar_module=ScaleKernel(kernel), outcome_transform=None)
    limits: dict[str, Any] = {} if steps is None else {"optimizer_kwargs": {"options": {"maxiter": steps}}}
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model), **limits)
    return model.eval().requires_grad_(False)


def _cholesky_in_place(matrix: Tensor) -> Tensor:
    """Lower factor of a symmetric matrix [N, N], which it overwrites: a second copy of the largest would not fit."""
    from scipy.linalg import cholesky

    # LAPACK works in columns: the transpose of a symmetric row-major matrix is the matrix
    factor = cholesky(matrix.numpy().T, lower=True, overwrite_a=True, check_finite=False)
    return torch.from_numpy(factor)
