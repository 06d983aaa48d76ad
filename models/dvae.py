"""D-VAE: a variational autoencoder for directed acyclic graphs (Zhang et al., NeurIPS 2019, arXiv 1904.11088)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn

from graphnas.models.latent_vae import LatentConfig, LatentVAE, Reconstruction
from graphnas.models.layers.aggregate import Aggregator, GatedMessages
from graphnas.models.layers.async_decoder import AsyncDecoder, DecoderShape, Readout
from graphnas.models.layers.async_encoder import AsyncEncoder
from graphnas.models.layers.async_rollout import AsyncRollout
from graphnas.models.layers.gru import full
from graphnas.models.layers.latent import LatentHeads
from graphnas.models.layers.rollout import Draws
from graphnas.models.zoo import register_model
from graphnas.spaces import Architectures, SearchSpace


@dataclass(frozen=True)
class AsyncConfig(LatentConfig):
    """Hyper-parameters of every :class:`AsyncVAE`."""

    decoder_ids: bool = False
    """The decoder's heads know the indices of the vertices. Published ones do not, and vertices of equal type and equal
    predecessors have equal states: the cells of NAS-Bench-201 cannot be decoded from any code then."""


@dataclass(frozen=True)
class DVAEConfig(AsyncConfig):
    """Hyper-parameters of D-VAE; the defaults are the published ones for neural architectures."""

    bidirectional: bool = True
    """Encode along the edges and against them; the Bayesian-network experiments go along them only."""
    vertex_ids: bool = True
    """Messages know the index of their sender; without, codes of isomorphic graphs agree."""
    bayesian_network: bool = False
    """Aggregate the predecessors' types instead of their states, read out sums of states and show the edge head the
    first vertex's state: a variable depends on its parents, not on theirs."""
    faithful: bool = False
    """The released code's behaviour where it differs, see :class:`DVAE`."""


class AsyncVAE(LatentVAE):
    """What D-VAE and its kin share: an encoder, two heads, and the decoder with the encoder's aggregators.

    Subclasses set `encoder`, `heads`, `decoder` and `loose_ends`.
    """

    def __init__(self, config: AsyncConfig, space: SearchSpace | str) -> None:
        super().__init__(config, space)
        self.async_settings = config

    inference_batch = 4096  # the more graphs, the more states they share
    encoder: nn.Module
    heads: LatentHeads
    decoder: AsyncDecoder
    loose_ends: bool = False

    @property
    def aggregators(self) -> nn.ModuleList:
        """Aggregators of the decoder."""
        return cast(nn.ModuleList, self.encoder.aggregators)

    def decoder_shape(self, layers: int = 1, readout: Readout = "last") -> DecoderShape:
        """Sizes of a decoder for the space by the settings."""
        settings, width = self.async_settings, self.async_settings.hidden_dim
        num_ids = self.space.max_nodes if settings.decoder_ids else 0
        sizes = (self.space.num_ops, settings.latent_dim, width, layers, 4 * width)
        return DecoderShape(*sizes, readout, num_ids=num_ids, input_scale=settings.input_scale)

    def encode_prepared(self, archs: Architectures) -> tuple[Tensor, Tensor]:
        mu, logvar = self.heads(self.encoder(archs))
        return mu, logvar

    def reconstruct(self, archs: Architectures, z: Tensor) -> Reconstruction:
        order, z = archs.num_nodes.argsort(descending=True, stable=True), full(z)
        graphs, back = archs[order], order.argsort()
        with torch.autocast(z.device.type, enabled=False):  # a recurrence that hand-written gradients keep in one type
            types, adj = graphs.ops.long(), graphs.adj.to(z.dtype)
            losses = self.decoder(types, adj, graphs.num_nodes, z[order], self.aggregators)
        return Reconstruction(*(part[back] for part in losses))

    def roll_out(self, z: Tensor, draws: Draws) -> Architectures:
        with torch.autocast(z.device.type, enabled=False):  # as in `reconstruct`
            return AsyncRollout(self.decoder, self.aggregators, self.space, self.loose_ends)(full(z), draws)


@register_model("dvae")
class DVAE(AsyncVAE):
    """Graph VAE whose vertices are computed in topological order from gated sums of their predecessors' states.

    With x_v the type, e_u the one-hot vertex index and P(v) the predecessors of v, the encoder computes

        h_v = GRU(x_v, sum over u in P(v) of sigmoid(G [h_u ; e_u] + g) * M [h_u ; e_u])

    for v = 0..N-1, and the same with own weights against the edges; the graph state is the forward state of the output
    and the backward state of the input, merged to H. The decoder starts from h_0 = GRU(x_0, tanh(W z)) and alternates

        type of v ~ softmax(MLP(h_{v-1})),    edge u -> v ~ sigmoid(MLP([h_u ; h_v]))  for u = v-1 .. 0,

    where h_v is renewed from the sources accepted so far before every decision. Shapes: codes [B, Z], states [B, H].
    Loss: types and edges of every vertex behind the input in nats, those of the output included, + kl_weight KL.

    By default the output's in-edges are decisions like all others, so that graphs whose output hears more than the
    loose ends can be decoded, and vertices beyond a graph's size add nothing to its loss. With `faithful=True`
        * unmasked decoding ties exactly the vertices without a successor to the output;
        * a model that encodes in both directions has the unused map of the released one (2H -> H), which makes
          6,937,969 parameters on ENAS;
        * the edge head of Bayesian networks sees tanh(W z) itself instead of the first vertex's state.
    Not reproduced: the released loss also counts vertices beyond a graph's size, as vertices of the input's type; the
    spaces that checkpoints were released for have none.

    Paper: https://arxiv.org/abs/1904.11088

    >>> from graphnas import create_model
    >>> create_model("dvae", "enas6", faithful=True).num_parameters
    6937969
    """

    config_class = DVAEConfig

    def __init__(self, config: DVAEConfig, space: SearchSpace | str) -> None:
        super().__init__(config, space)
        num_types, hidden_dim, network = self.space.num_ops, config.hidden_dim, config.bayesian_network
        ids = self.space.max_nodes if config.vertex_ids and not network else 0

        def aggregator() -> Aggregator:
            return GatedMessages(num_types if network else hidden_dim, hidden_dim, ids, from_types=network)

        readout: Literal["sum", "ends"] = "sum" if network else "ends"
        self.encoder = AsyncEncoder(
            num_types, hidden_dim, 1, config.bidirectional, readout, aggregator, config.input_scale
        )
        self.heads = LatentHeads(hidden_dim, config.latent_dim)
        shape = self.decoder_shape()
        if network:
            sees: Literal["state", "code"] = "code" if config.faithful else "state"
            shape = shape._replace(edge_dim=hidden_dim, readout="sum", sees_start=sees)
        self.decoder = AsyncDecoder(shape)
        self.loose_ends = config.faithful
        unused = config.faithful and config.bidirectional
        self.unify = nn.Linear(2 * hidden_dim, hidden_dim) if unused else None
