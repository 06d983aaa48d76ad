"""What the sequential VAEs of the zoo share: the draw of a code, the loss, the regression head, decoding."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from graphnas.models.base import GraphVAE, ModelConfig, kl_divergence
from graphnas.models.layers.latent import TanhHead, draw_code
from graphnas.models.layers.rollout import Draws, forward_draws
from graphnas.spaces import Architectures, SearchSpace


@dataclass(frozen=True)
class LatentConfig(ModelConfig):
    """Hyper-parameters of every :class:`LatentVAE`; the defaults are D-VAE's."""

    latent_dim: int = 56
    """Z, width of the code."""
    hidden_dim: int = 501
    """H, width of vertex and graph states."""
    kl_weight: float = 0.005
    """Weight of the KL term of one graph against its reconstruction loss."""
    noise_scale: float = 0.01
    """Factor on the posterior's standard deviation when a code is drawn in training; 1 makes a calibrated VAE."""
    input_scale: float = 1.0
    """Factor on the initial weights of one-hot inputs of recurrent cells. PyTorch's 1/sqrt(H) is meant for H inputs; a
    single one of that size hardly shows among H states, and types are learned thousands of steps after the edges."""
    accuracy_head: bool = False
    """Adds a regressor on the posterior mean."""
    accuracy_weight: float = 0.9
    """Share of the squared error in `total` when targets are given."""

    def __post_init__(self) -> None:
        self.check_counts("latent_dim", "hidden_dim")
        self.check_weights("kl_weight", "noise_scale")
        if not 0 < self.input_scale < math.inf:
            raise ValueError(f"input_scale must be positive (got {self.input_scale})")
        if not 0 <= self.accuracy_weight <= 1:
            raise ValueError(f"accuracy_weight must lie between 0 and 1 (got {self.accuracy_weight})")


class Reconstruction(NamedTuple):
    """Teacher-forced results per graph, float [B] each, in nats.

    `loss` is what the paper trains on; `nll` is -log p(graph | code) of unmasked generation, where a vertex at the
    limit of the space has the output type for certain.
    """

    loss: Tensor
    nll: Tensor


class LatentVAE(GraphVAE):
    """A graph VAE with a Gaussian code: subclasses give an encoder, teacher-forced losses and a way to draw graphs.

        loss = reconstruction + kl_weight KL(q(z | G) || N(0, I)),  z = mu + noise_scale exp(logvar / 2) eps

    in training and z = mu otherwise; with an accuracy head and targets, total = (1 - w) loss + w (y - head(mu))^2.
    Targets that are NaN are left out.
    """

    def __init__(self, config: LatentConfig, space: SearchSpace | str) -> None:
        super().__init__(config, space)
        self.latent_settings = config
        self.latent_dim = config.latent_dim
        self.accuracy = TanhHead(config.latent_dim, config.hidden_dim) if config.accuracy_head else None

    @abstractmethod
    def encode_prepared(self, archs: Architectures) -> tuple[Tensor, Tensor]:
        """`encode` of a batch that :meth:`prepare` has seen."""

    @abstractmethod
    def reconstruct(self, archs: Architectures, z: Tensor) -> Reconstruction:
        """Teacher-forced losses of prepared graphs given codes [B, Z]."""

    @abstractmethod
    def roll_out(self, z: Tensor, draws: Draws) -> Architectures:
        """Graphs drawn from codes [B, Z]; row i of S starts from the code `draws.group[i]`."""

    def encode(self, archs: Architectures) -> tuple[Tensor, Tensor]:
        return self.encode_prepared(self.prepare(archs))

    def loss(self, archs: Architectures, y: Tensor | None = None) -> dict[str, Tensor]:
        archs, settings = self.prepare(archs), self.latent_settings
        mu, logvar = self.encode_prepared(archs)
        noisy = self.training and settings.noise_scale > 0
        z = draw_code(mu, logvar, settings.noise_scale) if noisy else mu
        reconstruction = self.reconstruct(archs, z).loss.mean()
        kl = kl_divergence(mu, logvar).mean()
        losses = {"total": reconstruction + settings.kl_weight * kl, "reconstruction": reconstruction, "kl": kl}
        return self.add_accuracy(losses, mu, y, settings.accuracy_weight)

    def log_prob(self, archs: Architectures, z: Tensor) -> Tensor:
        return -self.reconstruct(self.prepare(archs), self.prepare_codes(z, len(archs))).nll

    @torch.no_grad()
    def decode(
        self, z: Tensor, sample: bool = True, generator: Generator | None = None, mask: bool = True, repeats: int = 1
    ) -> Architectures:
        z = self.prepare_codes(z)
        if len(z) * repeats == 0:
            return Architectures.empty(self.space.max_nodes)
        return self.roll_out(z, forward_draws(z, self.space, sample, generator, mask, repeats))
