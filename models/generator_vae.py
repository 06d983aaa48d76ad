"""What SVGe and its DGMG share: a message-passing encoder and a vertex-by-vertex generator that differ in one layer."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Generator, Tensor, nn

from graphnas.models.base import GraphVAE, ModelConfig, kl_divergence
from graphnas.models.layers.heads import HalvingMLP
from graphnas.models.layers.latent import draw_code
from graphnas.models.layers.node_generator import NodeGenerator, StepLoss
from graphnas.models.layers.propagation import Propagation
from graphnas.models.layers.readout import GatedSum
from graphnas.models.layers.teacher_forcing import teacher_forced
from graphnas.models.layers.union import reverse_graphs
from graphnas.spaces import Architectures, SearchSpace


@dataclass(frozen=True)
class GeneratorConfig(ModelConfig):
    """Hyper-parameters of every :class:`GeneratorVAE`; the defaults are the published ones."""

    node_dim: int = 250
    """D, width of a vertex state, shared out among the streams of message passing."""
    latent_dim: int = 56
    """Z, width of the code and of every readout."""
    rounds: int = 2
    """L, message passing rounds per stream in the encoder and in every decoder step."""
    encoder_rounds: int | None = None
    """Rounds of the encoder where they differ; more tell apart cells whose vertices differ only further away."""
    kl_weight: float = 0.005
    """Weight of the KL term of one graph against its reconstruction loss."""
    noise_scale: float = 0.01
    """Factor on the posterior's standard deviation when a code is drawn in training; 1 makes a calibrated VAE."""
    edge_loss: Literal["mean", "sum"] = "mean"
    """How the candidate edges of a step enter the loss; their sum makes it the negative log-likelihood."""
    accuracy_head: bool = False
    """Adds the regressor of SVGe's _acc models on the posterior mean."""
    accuracy_layers: int = 4
    """Linear layers of the regressor."""
    accuracy_weight: float = 0.9
    """Share of the squared error in `total` when targets are given."""
    faithful: bool = False
    """The released code's behaviour where it differs, see the model."""

    def __post_init__(self) -> None:
        if self.edge_loss not in ("mean", "sum"):
            raise ValueError(f"edge_loss must be mean or sum (got {self.edge_loss!r})")
        self.check_counts("node_dim", "latent_dim", "rounds", "encoder_rounds", "accuracy_layers")
        self.check_weights("kl_weight", "noise_scale")
        if not 0 <= self.accuracy_weight <= 1:
            raise ValueError(f"accuracy_weight must lie between 0 and 1 (got {self.accuracy_weight})")


class GeneratorEncoder(nn.Module):
    """Message passing from a type embedding that all streams share, a gated sum each for mean and log-variance."""

    def __init__(self, num_types: int, config: GeneratorConfig, propagation: type[Propagation]) -> None:
        super().__init__()
        width = config.node_dim // propagation.streams
        self.types = nn.Embedding(num_types, width)
        self.propagate = propagation(width, config.encoder_rounds or config.rounds)
        self.readout = GatedSum(config.node_dim, config.latent_dim, count=2)

    def forward(self, archs: Architectures) -> tuple[Tensor, Tensor]:
        one_hot = nn.functional.one_hot(archs.ops.long(), self.types.num_embeddings).to(self.types.weight.dtype)
        one_hot = one_hot.transpose(0, 1).contiguous()  # [N, B, T]
        states = self.propagate.from_types(one_hot, self.types.weight, archs.adj.to(one_hot.dtype))
        pair = self.readout(torch.cat(states, 2), archs.node_mask.T.to(one_hot.dtype))
        return pair[:, 0], pair[:, 1]


class GeneratorVAE(GraphVAE):
    """A graph VAE of one kind of message passing, trained on a graph and, if `mirrored`, on its mirror image too.

        loss = sum over directions and steps [ CE(type) + mean_u BCE(edge_u) ] + kl_weight KL(q(z | G) || N(0, I))

    per graph (or the sum over u, see `edge_loss`); with targets and an accuracy head, total = (1 - w) loss +
    w (y - head(mu))^2. Targets that are NaN are left out. `log_prob` is that of the forward direction. With
    `faithful` the KL term weighs kl_weight * B, and edge scores use the readout and code of other rows in `loss`.
    """

    propagation: ClassVar[type[Propagation]]
    mirrored: ClassVar[bool]

    def __init__(self, config: GeneratorConfig, space: SearchSpace | str) -> None:
        super().__init__(config, space)
        self.settings = config
        self.latent_dim = config.latent_dim
        types, layer = self.space.num_ops, self.propagation
        self.encoder = GeneratorEncoder(types, config, layer)
        self.decoder = NodeGenerator(types, config.node_dim, config.latent_dim, config.rounds, layer)
        self.accuracy = HalvingMLP(config.latent_dim, config.accuracy_layers) if config.accuracy_head else None

    def encode(self, archs: Architectures) -> tuple[Tensor, Tensor]:
        mu, logvar = self.encoder(self.prepare(archs))
        return mu, logvar

    def loss(self, archs: Architectures, y: Tensor | None = None) -> dict[str, Tensor]:
        archs = self.prepare(archs)
        mu, logvar = self.encoder(archs)
        steps = self._teacher_forced(archs, self._draw(mu, logvar), both=self.mirrored)
        edges = steps.edge_sums if self.settings.edge_loss == "sum" else steps.edge_means
        reconstruction = (steps.types + edges).view(-1, len(archs)).sum(0).mean()
        kl = kl_divergence(mu, logvar).mean()
        weight = self.settings.kl_weight * (len(archs) if self.settings.faithful else 1)
        losses = {"total": reconstruction + weight * kl, "reconstruction": reconstruction, "kl": kl}
        return self.add_accuracy(losses, mu, y, self.settings.accuracy_weight)

    @torch.no_grad()
    def decode(
        self, z: Tensor, sample: bool = True, generator: Generator | None = None, mask: bool = True, repeats: int = 1
    ) -> Architectures:
        z = self.prepare_codes(z)
        if len(z) * repeats == 0:
            return Architectures.empty(self.space.max_nodes)
        return self.generate(z, sample, generator, mask, repeats)

    @abstractmethod
    def generate(self, z: Tensor, sample: bool, generator: Generator | None, mask: bool, repeats: int) -> Architectures:
        """What :meth:`decode` gives for codes [B >= 1, Z] that were checked."""

    def log_prob(self, archs: Architectures, z: Tensor) -> Tensor:
        z = self.prepare_codes(z, len(archs))
        steps = self._teacher_forced(self.prepare(archs), z, both=False)
        return -(steps.types - steps.forced + steps.edge_sums)

    def _draw(self, mu: Tensor, logvar: Tensor) -> Tensor:
        """A code from the posterior in training, its mean otherwise."""
        noisy = self.training and self.settings.noise_scale != 0
        return draw_code(mu, logvar, self.settings.noise_scale) if noisy else mu

    def _teacher_forced(self, archs: Architectures, z: Tensor, both: bool) -> StepLoss:
        """Losses of the graphs, followed by those of their mirror images if `both`; in the order of the batch."""
        if both:
            archs = Architectures.concat([archs, reverse_graphs(archs)])
        return teacher_forced(self.decoder, archs, z, mixed=self.settings.faithful)
