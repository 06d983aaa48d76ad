"""The sparse Gaussian process of the D-VAE protocol: tied-factor expectation propagation, under-trained by design."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from graphnas.bo.converged_gp import Scale, check_rows
from graphnas.errors import InvalidValues
from graphnas.train.data import random_rows, seeded

JITTER = 1e-3
MEDIAN_ROWS = 2000


class LegacySparseGP(nn.Module):
    """GP regression on M inducing points, trained on an energy of averaged expectation propagation.

    Bui et al. 2016 (arXiv 1602.04133, section 4; the power-EP view is arXiv 1605.07066). With the published settings
    1,800 Adam steps of 5e-4 move a log parameter by at most about 0.9, so the noise variance that starts at 1 stays
    above 0.4: results are pessimistic, and comparable with the literature only because all of it is.

    Kernel: k(x, x') = s exp(-1/2 sum_d (x_d - x'_d)^2 / l_d), l_d the *squared* length scale of dimension d. On the
    inducing inputs, K = k(Z, Z) + 1e-3 s I.

    Energy. Every likelihood term is approximated by the same factor g(u), so that q(u) ~ p(u) g(u)^N is Gaussian with
    precision K^-1 + L L^T and precision times mean m; L [M, M] and m [M] are free. Dropping one factor gives the cavity
    q_c ~ p(u) g(u)^(N-1), which scales L L^T and m by c = (N - 1) / N. EP with alpha = 1 estimates

        log p(y) = sum_n log Z_n + N (phi_c - phi_q) + phi_q - phi_p,    Z_n = int N(y_n | f_n, noise) q_c(f_n) df_n

    with phi the log normaliser of an unnormalised Gaussian. With t the share of the N factors that is kept (c in the
    cavity), G = L^T K L, h = L^T K m and C_t = I + t G, the matrix inversion lemma leaves no inverse of K:

        psi_t = phi_t - phi_p = -1/2 log |C_t| + 1/2 t^2 (m^T K m - t h^T C_t^-1 h),
        mean of f(x) = k^T t (m - t L C_t^-1 h),    variance = s - k^T (t L C_t^-1 L^T) k,    k = k(Z, x).

    |K| and phi_p cancel: log p(y) = sum_n [log Z_n + psi_c - psi_1 + psi_1 / N], a sum over points, which a batch
    estimates without bias when multiplied by N / batch. :meth:`energy` is its negative.

    Args:
        codes: float [N, Z], the training inputs.
        y: float [N], targets in any unit; standardised inside.
        num_inducing: M, at most N; they start at random training codes.
        seed: of the inducing points, the start of L and the batches.

    Raises:
        InvalidValues: shapes that do not fit, values that are not finite, constant targets, no inducing point.
    """

    def __init__(self, codes: Tensor, y: Tensor, num_inducing: int = 500, seed: int = 0) -> None:
        super().__init__()
        codes, y = check_rows(codes, y)
        if num_inducing < 1:
            raise InvalidValues(f"expected at least 1 inducing point (got {num_inducing})")
        self.codes, self.scale, self.generator = codes, Scale.of(y), seeded(seed)
        self.y = self.scale.standardise(y)
        pick = torch.randperm(len(codes), generator=self.generator)[:num_inducing]
        self.inducing = nn.Parameter(codes[pick].clone())
        square = math.log((_median_square_distance(codes, seed) + 1e-3) / 2)
        self.log_squared_lengthscale = nn.Parameter(torch.full_like(codes[0], square))
        self.log_signal = nn.Parameter(codes.new_zeros(()))
        self.log_noise = nn.Parameter(codes.new_zeros(()))
        # the published start: not the prior, whose gradient with respect to L is zero
        start = torch.randn(len(pick), len(pick), generator=self.generator, dtype=codes.dtype)
        self.site_factor = nn.Parameter(start)
        self.site_mean = nn.Parameter(self.y[pick].clone())

    def fit(self, epochs: int = 100, batch_size: int = 1000, lr: float = 5e-4) -> LegacySparseGP:
        """Adam on the energy, batches in a new random order every epoch; the model itself, for chaining.

        Raises:
            InvalidValues: negative epochs, or a batch size or learning rate that is not positive.
        """
        if epochs < 0 or batch_size < 1 or not 0 < lr < math.inf:
            raise InvalidValues(
                f"expected epochs >= 0, batch_size >= 1 and lr > 0 (got {epochs}, {batch_size} and {lr})"
            )
        optimizer = torch.optim.Adam(self.parameters(), lr)
        for _ in range(epochs):
            for rows in torch.randperm(len(self.y), generator=self.generator).split(batch_size):
                optimizer.zero_grad()
                (self.energy(rows) / len(self.y)).backward()
                optimizer.step()
        return self

    def energy(self, rows: Tensor | None = None) -> Tensor:
        """Negative approximate log marginal likelihood of the N standardised targets in nats, estimated on `rows`."""
        x, y = (self.codes, self.y) if rows is None else (self.codes[rows], self.y[rows])
        total = len(self.y)
        prior, cross = self._covariances(x)
        terms = self._site_terms(prior)
        cavity, full = _posterior(*terms, (total - 1) / total), _posterior(*terms, 1.0)
        center, variance = self._marginals(cross, cavity)
        variance = variance + self.log_noise.exp()
        log_z = -0.5 * ((y - center).square() / variance + variance.log() + math.log(2 * math.pi))
        return -total * (log_z.mean() + cavity.psi - full.psi + full.psi / total)

    @torch.no_grad()
    def predict(self, x: Tensor, observation_noise: bool = False, batch_size: int = 4096) -> tuple[Tensor, Tensor]:
        """Posterior mean and variance at x [B, Z], float64 [B] each, in the unit of y and its square.

        With `observation_noise` the variance is that of a new observation instead of the function.
        """
        posterior, parts = None, []
        for part in x.detach().cpu().double().split(batch_size):
            prior, cross = self._covariances(part)
            posterior = posterior or _posterior(*self._site_terms(prior), 1.0)
            parts.append(self._marginals(cross, posterior))
        center, variance = (torch.cat(column) for column in zip(*parts, strict=True))
        if observation_noise:
            variance = variance + self.log_noise.exp()
        return self.scale.restore(center, variance)

    def in_features(self) -> tuple[Tensor, Tensor]:
        """w [M] and Q [M, M] of the mean w^T k(Z, x) and covariance k(x, x') - k(Z, x)^T Q k(Z, x'), standardised."""
        prior, _ = self._covariances(self.inducing[:0])
        posterior = _posterior(*self._site_terms(prior), 1.0)
        return posterior.weights, posterior.shrinkage

    def covariance(self, a: Tensor, b: Tensor) -> Tensor:
        """Prior covariance [A, B] of points [A, Z] and [B, Z]."""
        scale = (-0.5 * self.log_squared_lengthscale).exp()
        distance = torch.cdist(a * scale, b * scale, compute_mode="donot_use_mm_for_euclid_dist")
        return self.log_signal.exp() * (-0.5 * distance.square()).exp()

    def _covariances(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """K [M, M], with jitter, and k(Z, x) [M, B]."""
        scale = (-0.5 * self.log_squared_lengthscale).exp()
        a, b = self.inducing * scale, torch.cat([self.inducing, x]) * scale
        # one product gives the logarithms: [a, s - |a|^2 / 2, 1] [b, 1, -|b|^2 / 2]^T
        halves = [-0.5 * part.square().sum(1, keepdim=True) for part in (a, b)]
        left = torch.cat([a, self.log_signal + halves[0], torch.ones_like(halves[0])], 1)
        right = torch.cat([b, torch.ones_like(halves[1]), halves[1]], 1)
        prior, cross = (left @ right.T).exp().split([len(a), len(x)], 1)
        jitter = JITTER * self.log_signal.exp() * torch.eye(len(a), dtype=a.dtype)
        return prior + jitter, cross

    def _site_terms(self, prior: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """L, m, G = L^T K L [M, M], h = L^T K m [M] and m^T K m, a scalar, for K = `prior`."""
        mean = self.site_mean
        product, image = self.site_factor.T @ prior, prior @ mean
        return self.site_factor, mean, product @ self.site_factor, product @ mean, mean @ image

    def _marginals(self, cross: Tensor, posterior: _Posterior) -> tuple[Tensor, Tensor]:
        """Mean and variance [B] of f at points of covariances `cross` [M, B] with the inducing points."""
        reduction = _QuadraticForms.apply(posterior.shrinkage, cross)
        return posterior.weights @ cross, (self.log_signal.exp() - reduction).clamp_min(0)


class _Posterior(NamedTuple):
    """The Gaussian ~ p(u) g(u)^(t N) seen from f(x): mean k^T `weights`, variance s - k^T `shrinkage` k."""

    weights: Tensor  # [M]
    shrinkage: Tensor  # [M, M]
    psi: Tensor


def _posterior(factor: Tensor, mean: Tensor, gram: Tensor, cross: Tensor, square: Tensor, share: float) -> _Posterior:
    """From L, m, G, h and m^T K m of the site; `share` is t."""
    root = torch.linalg.cholesky(torch.eye(len(gram), dtype=gram.dtype) + share * gram)  # of C_t
    # C_t^(-1/2) [L^T, h] in one solve
    solved = torch.linalg.solve_triangular(root, torch.cat([factor.T, cross[:, None]], 1), upper=False)
    half, reduced = solved[:, :-1], solved[:, -1]
    psi = 0.5 * share**2 * (square - share * reduced.square().sum()) - root.diagonal().log().sum()
    return _Posterior(share * (mean - share * (reduced @ half)), share * (half.T @ half), psi)


class _QuadraticForms(torch.autograd.Function):
    """k^T Q k for every column of k [M, B] and a symmetric Q [M, M]: the backward pass needs one product instead of
    the two that autograd would make of it, because Q k is there already."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, columns: Tensor) -> Tensor:
        image = matrix @ columns
        ctx.save_for_backward(columns, image)
        return (columns * image).sum(0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        columns, image = ctx.saved_tensors
        weighted = gradients[0] * columns
        return weighted @ columns.T, 2 * gradients[0] * image


def _median_square_distance(codes: Tensor, seed: int) -> float:
    """Median over pairs of at most 2,000 random rows; 0 for a single row."""
    rows = codes[random_rows(torch.arange(len(codes)), MEDIAN_ROWS, seed)]
    return float(torch.pdist(rows).square().median()) if len(rows) > 1 else 0.0
