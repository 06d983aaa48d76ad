"""DGMG (Li et al. 2018, arXiv 1803.03324) as SVGe's baseline (Lukasik et al., IJCNN 2021, arXiv 2010.04683)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Generator, Tensor

from graphnas.models.generator_vae import GeneratorConfig, GeneratorVAE
from graphnas.models.layers.both_ways import BothWaysGRU
from graphnas.models.layers.rollout import forward_draws, rollout
from graphnas.models.zoo import register_model
from graphnas.spaces import Architectures


@dataclass(frozen=True)
class DGMGConfig(GeneratorConfig):
    """Hyper-parameters of SVGe's DGMG; the defaults are the published ones."""


@register_model("dgmg")
class DGMG(GeneratorVAE):
    """Graph VAE with one stream of message passing along and against the edges, and a vertex-by-vertex decoder.

    The baseline of SVGe named after, and built on, the deep generative model of graphs. A round of message passing is

        m_v = sum over u -> v of (M [h_u ; h_v] + b) + sum over v -> u of (R [h_u ; h_v] + c),  h_v' = GRU(m_v, h_v)

    with states [D], messages [2D] and all vertices updated at once; the encoder reads mean and log-variance [Z] off the
    final states by a gated sum each. The decoder starts from the input's type and, until a vertex is the output,
    propagates over the K vertices there are, draws a type from their readout, makes a state [D] for the new vertex and
    draws its K in-edges independently. Per graph

        loss = sum over steps [ CE(type) + mean_u BCE(edge_u) ] + kl_weight KL(q(z | G) || N(0, I))

    (or the sum over u, see `edge_loss`) and, with `accuracy_head`, `total = (1 - w) loss + w (y - head(mu))^2`. Targets
    that are NaN are left out. `log_prob` is normalised over graphs in the space's vertex order.

    With `faithful=True` the model trains as the released code does:
        * edge scores use the readout and code of another row of the batch, so losses depend on batch mates (and
          `log_prob` with them);
        * the KL term is summed over the batch while the reconstruction is averaged: its weight is kl_weight * B.
    Not reproduced: the released decoder may go on to 20 vertices, beyond the space, and cuts what it drew at 9, without
    an output; here the last vertex that the space has room for is the output.

    Papers: DGMG https://arxiv.org/abs/1803.03324, this variant https://arxiv.org/abs/2010.04683

    >>> from graphnas import create_model, get_space
    >>> model, toy = create_model("dgmg", "toy", node_dim=16, latent_dim=4), get_space("toy")
    >>> model.encode(toy.enumerate()[:3])[0].shape
    torch.Size([3, 4])
    """

    config_class = DGMGConfig
    propagation = BothWaysGRU
    mirrored = False

    def generate(self, z: Tensor, sample: bool, generator: Generator | None, mask: bool, repeats: int) -> Architectures:
        draws = forward_draws(z, self.space, sample, generator, mask, repeats)
        return rollout(self.decoder, self.space, self.decoder.context(z), draws)
