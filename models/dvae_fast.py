"""Fast D-VAE: D-VAE's encoder with S-VAE's decoder (Zhang et al., NeurIPS 2019, arXiv 1904.11088)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from graphnas.models.latent_vae import LatentConfig, LatentVAE, Reconstruction
from graphnas.models.layers.aggregate import Aggregator, GatedMessages
from graphnas.models.layers.async_encoder import AsyncEncoder
from graphnas.models.layers.latent import LatentHeads
from graphnas.models.layers.rollout import Draws
from graphnas.models.layers.rows import SequenceDecoder
from graphnas.models.zoo import register_model
from graphnas.spaces import Architectures, SearchSpace


@dataclass(frozen=True)
class FastDVAEConfig(LatentConfig):
    """Hyper-parameters of fast D-VAE; the defaults are the published ones."""

    bidirectional: bool = True
    """Encode along the edges and against them."""
    vertex_ids: bool = True
    """Messages know the index of their sender; without, codes of isomorphic graphs agree."""
    faithful: bool = False
    """The released code's behaviour where it differs, see :class:`FastDVAE`."""


@register_model("dvae_fast")
class FastDVAE(LatentVAE):
    """Graph VAE with D-VAE's asynchronous encoder and a decoder that writes all rows from the code alone.

    The encoder is that of :class:`graphnas.models.dvae.DVAE`, in both directions; the decoder that of
    :class:`graphnas.models.svae.SVAE`, which draws every type and edge on its own given the code:

        s_v = GRU(relu(W z), s_{v-1}),    type of v ~ softmax(MLP(s_v)),    edge u -> v ~ sigmoid(MLP(s_v))_u.

    Shapes: codes [B, Z], states [B, H]. It is the variant the paper uses for 12 layers, where the sequential decoder is
    slow. `faithful=True` trains on impossible bits and padded rows too and joins loose ends to the output, as S-VAE's.

    Paper: https://arxiv.org/abs/1904.11088

    >>> from graphnas import create_model, get_space
    >>> model, toy = create_model("dvae_fast", "toy", hidden_dim=16, latent_dim=4), get_space("toy")
    >>> model.encode(toy.enumerate()[:3])[0].shape
    torch.Size([3, 4])
    """

    config_class = FastDVAEConfig

    def __init__(self, config: FastDVAEConfig, space: SearchSpace | str) -> None:
        super().__init__(config, space)
        num_types, max_nodes, hidden_dim = self.space.num_ops, self.space.max_nodes, config.hidden_dim

        def aggregator() -> Aggregator:
            return GatedMessages(hidden_dim, hidden_dim, max_nodes if config.vertex_ids else 0)

        self.encoder = AsyncEncoder(
            num_types, hidden_dim, 1, config.bidirectional, "ends", aggregator, config.input_scale
        )
        self.heads = LatentHeads(hidden_dim, config.latent_dim)
        self.decoder = SequenceDecoder(num_types, max_nodes, config.latent_dim, hidden_dim, config.faithful)

    def encode_prepared(self, archs: Architectures) -> tuple[Tensor, Tensor]:
        mu, logvar = self.heads(self.encoder(archs))
        return mu, logvar

    def reconstruct(self, archs: Architectures, z: Tensor) -> Reconstruction:
        return self.decoder.reconstruct(archs, z)

    def roll_out(self, z: Tensor, draws: Draws) -> Architectures:
        return self.decoder.roll_out(z, draws, self.space)
