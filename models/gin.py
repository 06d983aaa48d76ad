"""GIN regressor: the predictor of NPENAS (Wei et al. 2020, arXiv 2003.12857)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from graphnas.models.predictor import Predictor, PredictorConfig
from graphnas.models.zoo import register_model
from graphnas.spaces import Architectures, SearchSpace


@dataclass(frozen=True)
class GINConfig(PredictorConfig):
    """Hyper-parameters of the GIN regressor; the defaults are the published ones."""

    hidden_dim: int = 32
    """H, width of vertex states."""
    layers: int = 3
    """Graph isomorphism layers."""
    head_dim: int = 16
    """Width of the score head's hidden layer."""
    undirected: bool = False
    """Vertices hear their successors too; published ones hear predecessors only."""

    def __post_init__(self) -> None:
        self.check_counts("hidden_dim", "layers", "head_dim")


class GINBlock(nn.Module):
    """x <- celu(BN(relu(MLP(x_v + sum over u -> v of x_u)))), statistics over real vertices only."""

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(in_dim, out_dim), nn.ReLU(), nn.Linear(out_dim, out_dim), nn.ReLU())
        self.norm = nn.BatchNorm1d(out_dim)

    def forward(self, x: Tensor, hear: Tensor, real: Tensor) -> Tensor:
        """States [B, N, I] with receivers-by-senders matrix [B, N, N] and real vertices bool [B, N] -> [B, N, O]."""
        x = self.mlp(x + torch.bmm(hear, x))
        out = torch.zeros_like(x)
        out[real] = nn.functional.celu(self.norm(x[real]))
        return out


@register_model("gin")
class GIN(Predictor):
    """Graph isomorphism network with a mean over vertices and a small head (NPENAS).

    With x_v the type of a vertex and P(v) its predecessors, layer by layer

        x_v <- celu(BN(relu(MLP(x_v + sum over u in P(v) of x_u)))),   code = mean over v,   score = MLP(H -> 16 -> 1)

    Shapes: vertex states [B, N, H], codes [B, H], scores [B]. The published score passes a sigmoid; here scores are
    standardised labels, and the fitted predictor puts them back into the labels' unit.

    Paper: https://arxiv.org/abs/2003.12857

    >>> from graphnas import create_model, get_space
    >>> create_model("gin", "toy").eval()(get_space("toy").enumerate()[:3]).shape
    torch.Size([3])
    """

    config_class = GINConfig

    def __init__(self, config: GINConfig, space: SearchSpace | str) -> None:
        super().__init__(config, space)
        self.undirected, self.embed_dim = config.undirected, config.hidden_dim
        widths = [self.vertex_dim, *[config.hidden_dim] * config.layers]
        self.blocks = nn.ModuleList(GINBlock(*pair) for pair in pairwise(widths))
        self.head = nn.Sequential(
            nn.Linear(config.hidden_dim, config.head_dim), nn.ReLU(), nn.Linear(config.head_dim, 1)
        )

    def vertex_states(self, archs: Architectures, hidden: Tensor | None = None) -> Tensor:
        x, real = self.vertex_inputs(archs, hidden), archs.node_mask
        adj = archs.adj | archs.adj.transpose(1, 2) if self.undirected else archs.adj
        hear = adj.transpose(1, 2).to(x.dtype)
        for block in self.blocks:
            x = block(x, hear, real)
        return x

    def embed(self, archs: Architectures) -> Tensor:
        archs = self.prepare(archs)
        return self.vertex_states(archs).sum(1) / archs.num_nodes[:, None]
