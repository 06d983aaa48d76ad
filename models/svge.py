"""SVGe: the smooth variational graph embedding (Lukasik et al., IJCNN 2021, arXiv 2010.04683)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from graphnas.models.generator_vae import GeneratorConfig, GeneratorVAE
from graphnas.models.layers.rollout import Draws, rollout, uniform_noise
from graphnas.models.layers.two_way import TwoWayGRU
from graphnas.models.layers.union import reverse_graphs, union
from graphnas.models.zoo import register_model
from graphnas.spaces import INPUT, OUTPUT, Architectures


@dataclass(frozen=True)
class SVGEConfig(GeneratorConfig):
    """Hyper-parameters of SVGe; the defaults are the published ones."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.node_dim % 2:
            raise ValueError(f"node_dim must be even, half for each stream (got {self.node_dim})")


@register_model("svge")
class SVGE(GeneratorVAE):
    """Graph VAE with a two-stream message-passing encoder and a two-sided vertex-by-vertex decoder.

    With vertex states [D], one half in a stream along the edges (f), one in a stream against them (r), codes [B, Z] and
    weights of its own in every round and stream, the encoder computes in L synchronous rounds

        f_v' = GRU(sum over u -> v of (M [f_u ; f_v] + b), f_v)
        r_v' = GRU(sum over v -> u of (R [r_u ; r_v] + c), r_v)
        mu, log-variance = sum over v of sigmoid(a h_v + a0) (F h_v + F0),  h_v = [f_v ; r_v], one set of a, F for each

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
    propagation = TwoWayGRU
    mirrored = True

    def generate(self, z: Tensor, sample: bool, generator: Generator | None, mask: bool, repeats: int) -> Architectures:
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
