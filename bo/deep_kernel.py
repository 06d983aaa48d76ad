"""A Gaussian process on features that are learned with it."""

from __future__ import annotations

from typing import Any

import torch
from botorch.models.utils.gpytorch_modules import get_covar_module_with_dim_scaled_prior
from gpytorch.kernels import Kernel
from torch import Tensor, nn

from graphnas.bo.converged_gp import fit_kernel
from graphnas.bo.surrogates import SURROGATES, ExactPosterior, Posterior

HIDDEN_DIM, FEATURES = 32, 4
STEPS = 100


class DeepKernel(Kernel):
    """k(x, x') = k_0(phi(x), phi(x')), phi(x) the D coordinates and 4 outputs of a small network.

    Wilson et al. 2016 (arXiv 1511.02222). The coordinates stay beside the features, so that these only add to them.

    Args:
        dim: D.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(dim, HIDDEN_DIM), nn.Tanh(), nn.Linear(HIDDEN_DIM, FEATURES)).double()
        self.base = get_covar_module_with_dim_scaled_prior(dim + FEATURES, use_rbf_kernel=False)

    def features(self, x: Tensor) -> Tensor:
        """phi: [..., D] -> [..., D + 4]."""
        return torch.cat([x, self.network(x)], -1)

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **params: Any) -> Tensor:
        compared: Tensor = self.base.forward(self.features(x1), self.features(x2), diag=diag, **params)
        return compared


@SURROGATES.register("deep_kernel")
def deep_kernel_gp(x: Tensor, y: Tensor, seed: int) -> Posterior:
    """A Matern 5/2 GP on learned features, network and hyper-parameters fitted together by L-BFGS."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        kernel = DeepKernel(x.shape[1])
    return ExactPosterior(fit_kernel(kernel, x, y, STEPS), x, y)
