"""SVGe: the smooth variational graph embedding (Lukasik et al., IJCNN 2021, arXiv 2010.04683)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Generator, Tensor, nn

from graphnas.models.base import GraphVAE, ModelConfig, check_codes, kl_divergence
from graphnas.models.layers.gru import wire
from graphnas.models.layers.heads import HalvingMLP, masked_mse
from graphnas.models.layers.node_generator import Context, NodeGenerator, StepLoss, summarise
from graphnas.models.layers.readout import GatedSum
from graphnas.models.layers.rollout import Draws, rollout, uniform_noise
from graphnas.models.layers.two_way import TwoWayGRU
from graphnas.models.layers.union import reverse_graphs, union
from graphnas.models.zoo import register_model
from graphnas.spaces import INPUT, OUTPUT, Architectures, SearchSpace


@dataclass(frozen=True)
class SVGEConfig(ModelConfig):
    """Hyper-parameters of SVGe; the defaults are the published ones."""

    node_dim: int = 250
    """D, width of a vertex state; halves belong to the two streams."""
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
    """Adds the regressor of SVGE_acc on the posterior mean."""
    accuracy_layers: int = 4
    """Linear layers of the regressor."""
    accuracy_weight: float = 0.9
    """Share of the squared error in `total` when targets are given."""
    faithful: bool = False
    """The released code's behaviour where it differs, see :class:`SVGE`."""

    def __post_init__(self) -> None:
        if self.node_dim < 2 or self.node_dim % 2:
            raise ValueError(f"node_dim must be even and positive (got {self.node_dim})")
        if self.edge_loss not in ("mean", "sum"):
            raise ValueError(f"edge_loss must be mean or sum (got {self.edge_loss!r})")
        for name in ("latent_dim", "rounds", "encoder_rounds", "accuracy_layers"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1 (got {value})")


class SVGEEncoder(nn.Module):
    """Two streams of message passing from a shared type embedding, then a gated sum each for mean and log-variance."""

    def __init__(self, num_types: int, config: SVGEConfig) -> None:
        super().__init__()
        self.types = nn.Embedding(num_types, config.node_dim // 2)
        self.propagate = TwoWayGRU(config.node_dim // 2, config.encoder_rounds or config.rounds)
        self.readout = GatedSum(config.node_dim, config.latent_dim, count=2)

    def forward(self, archs: Architectures) -> tuple[Tensor, Tensor]:
        one_hot = nn.functional.one_hot(archs.ops.long(), self.types.num_embeddings).to(self.types.weight.dtype)
        one_hot = one_hot.transpose(0, 1).contiguous()  # [N, B, T]
        wiring = wire(archs.adj.to(one_hot.dtype))
        states = self.propagate.from_types(one_hot, self.types.weight, wiring, self.propagate.fold())
        pair = self.readout(torch.cat(states, 2), archs.node_mask.T.to(one_hot.dtype))
        return pair[:, 0], pair[:, 1]


@register_model("svge")
class SVGE(GraphVAE):
    """Graph VAE with a two-stream message-passing encoder and a two-sided vertex-by-vertex decoder.

    One decoder reads a graph from the input on and, with the same weights, its mirror image from the output on; a
    decoded graph has the types of the first and the edges of both. The most probable decode (`sample=False`) is the
    one of that union, the forward and the mirrored graph that both directions together find most likely. Per graph

        loss = sum over both directions and steps [ CE(type) + mean_u BCE(edge_u) ] + kl_weight KL(q(z | G) || N(0, I))

    (or the sum over u, see `edge_loss`) and, with `accuracy_head`, `total = (1 - w) loss + w (y - head(mu))^2`. Targets
    that are NaN are left out.

    `log_prob` is that of the forward direction, a normalised distribution over graphs in the space's vertex order.

    With `faithful=True` the model behaves as the released code does:
        * an edge of the mirrored decoding joins the union only if no forward edge shares its source or its target;
        * edge scores use the readout and code of another row of the batch, so losses depend on batch mates (decoding
          does not: the released metrics decode one graph at a time, where the rows agree; steps past the end of a short
          graph, which reach other rows this way, run on its own edges here and on its first edge alone there);
        * the mirrored decoding may also end on the output type, and is mirrored about its last edge's target;
        * the KL term is summed over the batch while the reconstruction is averaged: its weight is kl_weight * B.

    Paper: https://arxiv.org/abs/2010.04683

    >>> from graphnas import create_model, get_space
    >>> model, toy = create_model("svge", "toy", node_dim=16, latent_dim=4), get_space("toy")
    >>> model.encode(toy.enumerate()[:3])[0].shape
    torch.Size([3, 4])
    """

    config_class = SVGEConfig

    def __init__(self, config: SVGEConfig, space: SearchSpace | str) -> None:
        super().__init__(config, space)
        self.settings = config
        self.latent_dim = config.latent_dim
        self.encoder = SVGEEncoder(self.space.num_ops, config)
        self.decoder = NodeGenerator(self.space.num_ops, config.node_dim, config.latent_dim, config.rounds)
        self.accuracy = HalvingMLP(config.latent_dim, config.accuracy_layers) if config.accuracy_head else None

    def encode(self, archs: Architectures) -> tuple[Tensor, Tensor]:
        mu, logvar = self.encoder(self.prepare(archs))
        return mu, logvar

    def loss(self, archs: Architectures, y: Tensor | None = None) -> dict[str, Tensor]:
        archs = self.prepare(archs)
        mu, logvar = self.encoder(archs)
        z = self._draw(mu, logvar)
        steps = self._teacher_forced(archs, z, both=True)
        edges = steps.edge_sums if self.settings.edge_loss == "sum" else steps.edge_means
        reconstruction = (steps.types + edges).view(2, -1).sum(0).mean()
        kl = kl_divergence(mu, logvar).mean()
        weight = self.settings.kl_weight * (len(archs) if self.settings.faithful else 1)
        losses = {"total": reconstruction + weight * kl, "reconstruction": reconstruction, "kl": kl}
        if self.accuracy is not None and y is not None:
            losses["accuracy"] = masked_mse(self.accuracy(mu), y.to(mu))
            share = self.settings.accuracy_weight
            losses["total"] = (1 - share) * losses["total"] + share * losses["accuracy"]
        return losses

    @property
    def predicts(self) -> bool:
        return self.accuracy is not None

    def predict(self, archs: Architectures) -> Tensor:
        """Output of the accuracy head on the posterior mean, float [B].

        Raises:
            RuntimeError: the model was made without `accuracy_head=True`.
        """
        if self.accuracy is None:
            raise RuntimeError("this SVGE has no accuracy head: create it with accuracy_head=True")
        return cast(Tensor, self.accuracy(self.encode(archs)[0]))

    def log_prob(self, archs: Architectures, z: Tensor) -> Tensor:
        z = check_codes(z, self.latent_dim).to(self.device)
        steps = self._teacher_forced(self.prepare(archs), z, both=False)
        return -(steps.types - steps.forced + steps.edge_sums)

    @torch.no_grad()
    def decode(
        self, z: Tensor, sample: bool = True, generator: Generator | None = None, mask: bool = True, repeats: int = 1
    ) -> Architectures:
        z = check_codes(z, self.latent_dim).to(self.device)
        if len(z) * repeats == 0:
            return Architectures.empty(self.space.max_nodes)
        forward, mirrored = self.decode_directions(z, sample, generator, mask, repeats)
        faithful = self.settings.faithful
        joint = union(forward, mirrored, self.space if mask else None, faithful)
        if sample or faithful:
            return joint
        candidates = [joint, forward, reverse_graphs(mirrored)]
        return self._most_probable(candidates, z.repeat_interleave(repeats, 0), mask)

    @torch.no_grad()
    def decode_directions(
        self, z: Tensor, sample: bool = True, generator: Generator | None = None, mask: bool = True, repeats: int = 1
    ) -> tuple[Architectures, Architectures]:
        """What each direction draws on its own, before they are joined: forward graphs, and mirrored ones as drawn.

        Arguments as in `decode`; only the forward direction is bound by the masks of the space.
        """
        count, faithful = len(z) * repeats, self.settings.faithful
        source = torch.arange(len(z), device=z.device).repeat_interleave(repeats)
        noise = uniform_noise(2 * count, self.space.max_nodes, sample, generator, z.device)
        if noise is not None:  # rows of one draw lie together, so that a prefix of the codes sees the same numbers
            noise = noise.view(count, 2, *noise.shape[1:]).transpose(0, 1).flatten(0, 1)
        forward_rows = torch.arange(2 * count, device=z.device) < count
        draws = Draws(
            group=source.repeat(2),
            start=torch.where(forward_rows, INPUT, OUTPUT),
            end=torch.where(forward_rows, OUTPUT, INPUT),
            noise=noise,
            ruled=forward_rows & mask,
            closed=torch.full_like(forward_rows, mask),
            stops_on_start=~forward_rows & faithful,
        )
        graphs = rollout(self.decoder, self.space, self.decoder.context(z), draws)
        return graphs[:count], graphs[count:]

    def _most_probable(self, candidates: list[Architectures], z: Tensor, mask: bool) -> Architectures:
        """Row by row the candidate that both directions together find most probable; the first one is always valid."""
        best = candidates[0]
        for other in candidates[1:]:
            rows = ~other.equal(best)
            if mask:
                rows &= self.space.is_valid(other)
            rows = rows.nonzero().flatten()
            if len(rows):
                better = rows[self._joint_score(other[rows], z[rows]) > self._joint_score(best[rows], z[rows])]
                best = best.replaced(better, other)
        return best

    def _joint_score(self, archs: Architectures, z: Tensor) -> Tensor:
        """Log-likelihood of both directions, float [B]."""
        steps = self._teacher_forced(archs, z, both=True)
        return -(steps.types - steps.forced + steps.edge_sums).view(2, -1).sum(0)

    def _draw(self, mu: Tensor, logvar: Tensor) -> Tensor:
        """A code from the posterior in training, its mean otherwise."""
        if not self.training or self.settings.noise_scale == 0:
            return mu
        return mu + self.settings.noise_scale * torch.randn_like(mu) * (0.5 * logvar).exp()

    def _teacher_forced(self, archs: Architectures, z: Tensor, both: bool) -> StepLoss:
        """Losses of the graphs, followed by those of their mirror images if `both`; in the order of the batch."""
        blocks = [archs, reverse_graphs(archs)] if both else [archs]
        everything = Architectures.concat(blocks)
        types, adj = everything.ops.long(), everything.adj.to(self.decoder.types.weight.dtype)
        context = self.decoder.context(z)
        rows = torch.arange(len(z), device=z.device).repeat(len(blocks))
        if self.settings.faithful:  # every row takes part in every step, since scores mix the rows
            return self._faithful_steps(everything, context.pick(rows), len(archs))
        order = everything.num_nodes.argsort(descending=True, stable=True)
        active = (everything.num_nodes[:, None] > torch.arange(archs.max_nodes, device=z.device)).sum(0).tolist()
        steps = self.decoder(types[order], adj[order], active, context.pick(rows[order]))
        back = order.argsort()
        return StepLoss(*(part[back] for part in steps))

    def _faithful_steps(self, archs: Architectures, context: Context, block: int) -> StepLoss:
        """Steps as released: all rows in every step, short graphs padded and masked, edge scores mixed up."""
        real, width = archs.node_mask, archs.max_nodes
        types = torch.where(real, archs.ops, archs.ops[:, :1]).long()
        counted = real.to(context.start.dtype)
        adj = archs.adj.to(self.decoder.types.weight.dtype)
        total = torch.zeros(len(StepLoss._fields), len(archs), dtype=counted.dtype, device=archs.device)
        steps = self.decoder.steps(types, adj, [len(archs)] * width, context, mixed_rows=block)
        for vertex, losses in enumerate(steps, start=1):
            total = total + torch.stack(summarise(*losses, last=vertex == width - 1)) * counted[:, vertex]
        return StepLoss(*total)
