"""The sparse Gaussian process of the D-VAE protocol: tied-factor expectation propagation, under-trained by design."""

from __future__ import annotations

import math

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

    with phi the log normaliser of an unnormalised Gaussian. In whitened coordinates u = R v, K = R R^T, the prior is
    N(0, I), the precision with share t of the factors P_t = I + t A A^T with A = R^T L, its natural mean t b with
    b = R^T m, and

        psi_t = phi_t - phi_p = -1/2 log |P_t| + 1/2 t^2 b^T P_t^-1 b,    w_n = R^-1 k(Z, x_n),
        q_c(f_n) = N(c w_n^T P_c^-1 b,  s - w_n^T w_n + w_n^T P_c^-1 w_n).

    phi_p and |K| cancel: log p(y) = sum_n [log Z_n + psi_c - psi_1 + psi_1 / N], a sum over points, which a batch
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
        root, sites, mean = self._whitened()
        share = (total - 1) / total
        cavity, psi_cavity = self._factor(sites, mean, share)
        psi_full = self._factor(sites, mean, 1.0)[1]
        center, variance = self._marginals(x, root, cavity, share * mean)
        variance = variance + self.log_noise.exp()
        log_z = -0.5 * ((y - center).square() / variance + variance.log() + math.log(2 * math.pi))
        return -total * (log_z.mean() + psi_cavity - psi_full + psi_full / total)

    @torch.no_grad()
    def predict(self, x: Tensor, observation_noise: bool = False, batch_size: int = 4096) -> tuple[Tensor, Tensor]:
        """Posterior mean and variance at x [B, Z], float64 [B] each, in the unit of y and its square.

        With `observation_noise` the variance is that of a new observation instead of the function.
        """
        root, sites, mean = self._whitened()
        factor, _ = self._factor(sites, mean, 1.0)
        parts = [self._marginals(part, root, factor, mean) for part in x.detach().cpu().double().split(batch_size)]
        center, variance = (torch.cat(column) for column in zip(*parts, strict=True))
        if observation_noise:
            variance = variance + self.log_noise.exp()
        return self.scale.restore(center, variance)

    def _whitened(self) -> tuple[Tensor, Tensor, Tensor]:
        """R [M, M] lower triangular with R R^T = K, A A^T [M, M] for A = R^T L, and b = R^T m [M]."""
        jitter = JITTER * self.log_signal.exp() * torch.eye(len(self.inducing), dtype=self.inducing.dtype)
        root = torch.linalg.cholesky(self._kernel(self.inducing, self.inducing) + jitter)
        site = root.T @ self.site_factor
        return root, site @ site.T, root.T @ self.site_mean

    def _factor(self, sites: Tensor, mean: Tensor, share: float) -> tuple[Tensor, Tensor]:
        """Cholesky factor of P_t [M, M] and psi_t, a scalar, for t = `share`."""
        eye = torch.eye(len(sites), dtype=sites.dtype)
        factor = torch.linalg.cholesky(eye + share * sites)
        solved = torch.linalg.solve_triangular(factor, share * mean[:, None], upper=False)
        return factor, 0.5 * solved.square().sum() - factor.diagonal().log().sum()

    def _marginals(self, x: Tensor, root: Tensor, factor: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance [B] of f(x) under the Gaussian with precision `factor factor^T` and natural mean `mean`."""
        prior = torch.linalg.solve_triangular(root, self._kernel(self.inducing, x), upper=False)  # w [M, B]
        posterior = torch.linalg.solve_triangular(factor, prior, upper=False)
        solved = torch.linalg.solve_triangular(factor, mean[:, None], upper=False)[:, 0]
        variance = self.log_signal.exp() - prior.square().sum(0) + posterior.square().sum(0)
        return solved @ posterior, variance.clamp_min(0)

    def _kernel(self, a: Tensor, b: Tensor) -> Tensor:
        """Covariances without jitter, [A, B]."""
        scale = (-0.5 * self.log_squared_lengthscale).exp()
        a, b = a * scale, b * scale
        # a product instead of differences: [A, B, Z] would not fit, and cdist has no gradient at equal points
        squares = a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T
        return (self.log_signal - 0.5 * squares.clamp_min(0)).exp()


def _median_square_distance(codes: Tensor, seed: int) -> float:
    """Median over pairs of at most 2,000 random rows; 0 for a single row."""
    rows = codes[random_rows(torch.arange(len(codes)), MEDIAN_ROWS, seed)]
    return float(torch.pdist(rows).square().median()) if len(rows) > 1 else 0.0
