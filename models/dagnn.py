"""DAGNN: directed acyclic graph neural networks (Thost and Chen, ICLR 2021, arXiv 2101.07965), as a graph VAE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from graphnas.models.dvae import AsyncConfig, AsyncVAE
from graphnas.models.layers.aggregate import Aggregator, Attention, GatedMessages, Pool
from graphnas.models.layers.async_decoder import AsyncDecoder
from graphnas.models.layers.async_encoder import AsyncEncoder
from graphnas.models.layers.latent import LatentHeads
from graphnas.models.zoo import register_model
from graphnas.spaces import SearchSpace


@dataclass(frozen=True)
class DAGNNConfig(AsyncConfig):
    """Hyper-parameters of DAGNN; the defaults are the published ones for neural architectures."""

    layers: int = 2
    """L, stacked recurrences."""
    bidirectional: bool = True
    """Encode along the edges and against them."""
    vertex_ids: bool = True
    """Attention scores (and gates) know the index of the sender."""
    aggregator: Literal["attention", "gated", "sum", "max"] = "attention"
    """How a vertex gathers its predecessors' states."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_counts("layers")
        if self.aggregator not in ("attention", "gated", "sum", "max"):
            raise ValueError(f"aggregator must be attention, gated, sum or max (got {self.aggregator!r})")


@register_model("dagnn")
class DAGNN(AsyncVAE):
    """Graph VAE with stacked attention over predecessors, visited in topological order.

    Layer l computes for every vertex v, in topological order, from its predecessors' states of the same layer

        a_v = sum over u in P(v) of softmax_u(k_l . [h_u^l ; e_u]) h_u^l,  h_v^l = GRU(h_v^{l-1}, a_v),  h_v^{-1} = x_v

    with e_u the one-hot vertex index, and the same with own weights against the edges. The graph state joins, over all
    layers, the output's forward and the input's backward state and is merged to H. The decoder is D-VAE's with L
    layers; its heads read the layers side by side. Shapes: codes [B, Z], states [B, L H].

    Mended against the released code, whose decoder is another function than its encoder: every layer of the decoder
    gathers its own messages, with the encoder's attention over the accepted sources and nothing else, so that no score
    leaks to padding, batch mates or vertex numbers taken for types. Its queries and an unused map are left out: a
    query's share of a linear score is the same for all senders and cancels in the softmax.

    Paper: https://arxiv.org/abs/2101.07965

    >>> from graphnas import create_model, get_space
    >>> model, toy = create_model("dagnn", "toy", hidden_dim=16, latent_dim=4), get_space("toy")
    >>> model.encode(toy.enumerate()[:3])[0].shape
    torch.Size([3, 4])
    """

    config_class = DAGNNConfig

    def __init__(self, config: DAGNNConfig, space: SearchSpace | str) -> None:
        super().__init__(config, space)
        hidden_dim, ids = config.hidden_dim, self.space.max_nodes if config.vertex_ids else 0

        def aggregator() -> Aggregator:
            if config.aggregator == "attention":
                return Attention(hidden_dim, ids)
            if config.aggregator == "gated":
                return GatedMessages(hidden_dim, hidden_dim, ids)
            return Pool(largest=config.aggregator == "max")

        num_types, layers = self.space.num_ops, config.layers
        self.encoder = AsyncEncoder(
            num_types, hidden_dim, layers, config.bidirectional, "ends", aggregator, config.input_scale
        )
        self.heads = LatentHeads(hidden_dim, config.latent_dim)
        self.decoder = AsyncDecoder(self.decoder_shape(layers))
