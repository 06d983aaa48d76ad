"""GCN-VAE: the simultaneous baseline of D-VAE's comparison (Zhang et al. 2019; Kipf and Welling 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from graphnas.models.dvae import AsyncConfig, AsyncVAE
from graphnas.models.layers.aggregate import GatedMessages
from graphnas.models.layers.async_decoder import AsyncDecoder
from graphnas.models.layers.latent import LatentHeads
from graphnas.models.zoo import register_model
from graphnas.spaces import Architectures, SearchSpace


@dataclass(frozen=True)
class GCNVAEConfig(AsyncConfig):
    """Hyper-parameters of the GCN VAE; the defaults are the published ones for neural architectures."""

    levels: int = 3
    """Graph convolutions (2 for Bayesian networks)."""
    both_directions: bool = False
    """Every level reads the neighbours along the edges and against them; published ones read along only."""
    vertex_ids: bool = False
    """Vertices know their index; published ones do not, and codes of graphs that a GCN confuses agree."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_counts("levels")
        if self.both_directions and self.hidden_dim % 2:
            raise ValueError(f"both_directions needs an even hidden_dim (got {self.hidden_dim})")


class GCNEncoder(nn.Module):
    """Graph convolutions, all vertices at once; the graph state is the sum over the vertices between the ends."""

    def __init__(self, num_types: int, max_nodes: int, config: GCNVAEConfig) -> None:
        super().__init__()
        self.num_types, self.num_ids = num_types, max_nodes if config.vertex_ids else 0
        first, width = num_types + self.num_ids, config.hidden_dim
        ways = 1 + config.both_directions
        self.ways = ways
        dims = [first * ways, *[width * ways] * (config.levels - 1)]
        self.levels = nn.ModuleList(nn.Linear(dim, width) for dim in dims)
        self.aggregators = nn.ModuleList([GatedMessages(width, width, max_nodes)])

    def forward(self, archs: Architectures) -> Tensor:
        """Graph states [B, H] of prepared architectures."""
        like = next(self.parameters())
        real = archs.node_mask
        adj = archs.adj.to(like.dtype)
        states = archs.one_hot(self.num_types).to(like.dtype)
        if self.num_ids:
            place = torch.arange(archs.max_nodes, device=archs.device).clamp_max(self.num_ids - 1)
            ids = nn.functional.one_hot(place, self.num_ids).to(like.dtype).expand(len(archs), -1, -1)
            states = torch.cat([states, ids * real[..., None]], 2)
        filters = [normalised(adj), normalised(adj.transpose(1, 2))][: self.ways]
        for level in self.levels:
            states = torch.relu(level(torch.cat([torch.bmm(kernel, states) for kernel in filters], 2)))
        place = torch.arange(archs.max_nodes, device=archs.device)
        between = (place > 0) & (place < archs.num_nodes[:, None] - 1)
        return (states * between[..., None]).sum(1)


def normalised(adj: Tensor) -> Tensor:
    """The propagation matrix [B, N, N], receiver by sender: 1 / (in_v + 1) for itself, 1 / sqrt((out_u + 1)(in_v + 1))
    for every edge u -> v."""
    heard, sent = adj.sum(1) + 1, adj.sum(2) + 1
    along = adj.transpose(1, 2) * (heard[:, :, None] * sent[:, None, :]).rsqrt()
    return along + torch.diag_embed(heard.reciprocal())


@register_model("gcn_vae")
class GCNVAE(AsyncVAE):
    """Graph VAE with a graph convolutional encoder and D-VAE's decoder.

    Every level computes for all vertices at once

        y_v = x_v / (in_v + 1) + sum over u -> v of x_u / sqrt((out_u + 1)(in_v + 1)),    x'_v = relu(W y_v + b)

    from the one-hot types on; the graph state is the sum over the vertices between input and output, and of all
    vertices so far where the decoder asks for the next type. Shapes: codes [B, Z], states [B, H].

    Mended against the released code, in which a level overwrites states while it reads them: its levels from the second
    on were sequential, so the published "GCN" row is none. A sum over vertices that see `levels` steps along the edges
    only cannot tell all graphs apart; `both_directions` and `vertex_ids` help it to.

    Papers: https://arxiv.org/abs/1904.11088, https://arxiv.org/abs/1609.02907

    >>> from graphnas import create_model, get_space
    >>> model, toy = create_model("gcn_vae", "toy", hidden_dim=16, latent_dim=4), get_space("toy")
    >>> model.encode(toy.enumerate()[:3])[0].shape
    torch.Size([3, 4])
    """

    config_class = GCNVAEConfig

    def __init__(self, config: GCNVAEConfig, space: SearchSpace | str) -> None:
        super().__init__(config, space)
        num_types, hidden_dim = self.space.num_ops, config.hidden_dim
        self.encoder = GCNEncoder(num_types, self.space.max_nodes, config)
        self.heads = LatentHeads(hidden_dim, config.latent_dim)
        self.decoder = AsyncDecoder(self.decoder_shape(readout="sum"))
