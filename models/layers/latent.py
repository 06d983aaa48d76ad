"""From an encoder's state to a code and its regression head."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn


class LatentHeads(nn.Module):
    """Posterior mean and log-variance, one linear map each.

    Args:
        state_dim: width of the encoder's graph state.
        latent_dim: Z.
    """

    def __init__(self, state_dim: int, latent_dim: int) -> None:
        super().__init__()
        self.mean, self.logvar = nn.Linear(state_dim, latent_dim), nn.Linear(state_dim, latent_dim)

    def forward(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """Graph states [B, H] -> mean and log-variance, [B, Z] each."""
        return self.mean(state), self.logvar(state)


class TanhHead(nn.Module):
    """D-VAE's joint predictor: Linear(Z -> H), tanh, Linear(H -> 1).

    Args:
        latent_dim: Z.
        hidden_dim: H.
    """

    def __init__(self, latent_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(latent_dim, hidden_dim), nn.Linear(hidden_dim, 1)

    def forward(self, code: Tensor) -> Tensor:
        """Codes [B, Z] -> [B]."""
        return cast(Tensor, self.out(self.hidden(code).tanh())).squeeze(-1)


def draw_code(mu: Tensor, logvar: Tensor, scale: float) -> Tensor:
    """mu + scale * exp(logvar / 2) * eps, eps standard normal; [B, Z]."""
    return mu + scale * torch.randn_like(mu) * (0.5 * logvar).exp()
