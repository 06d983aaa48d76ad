"""Transformer over vertices that can reach each other (DAGformer, Luo et al. 2023, arXiv 2210.13148; CATE; PACE)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from graphnas.models.layers.order import closure, depths
from graphnas.models.predictor import Predictor, PredictorConfig
from graphnas.models.zoo import register_model
from graphnas.spaces import Architectures, SearchSpace


@dataclass(frozen=True)
class TransformerConfig(PredictorConfig):
    """Hyper-parameters of the transformer; widths are CATE's, depth PACE's, attention and positions DAGformer's."""

    hidden_dim: int = 64
    """H, width of vertex states."""
    heads: int = 8
    """Attention heads; they part H among them."""
    layers: int = 3
    """Blocks."""
    feedforward_dim: int = 128
    """Width between the two linear maps of a block."""
    dropout: float = 0.1
    """Share of what a block adds that is dropped."""
    attend: Literal["both", "ancestors", "descendants"] = "both"
    """Whom a vertex looks at beside itself: those that reach it, those it reaches (CATE), or both."""
    edge_bias: bool = False
    """Heads know which of those they look at are joined to them by an edge, and in which direction, by a learnt bias
    each; without it only reachability and depth are known."""
    readout: Literal["mean", "output"] = "mean"
    """The code: mean over vertices, or the state of the output."""
    head_dim: int = 64
    """Width of the score head's hidden layer."""

    def __post_init__(self) -> None:
        self.check_counts("hidden_dim", "heads", "layers", "feedforward_dim", "head_dim")
        if self.hidden_dim % self.heads:
            raise ValueError(f"hidden_dim must be a multiple of heads, {self.heads} (got {self.hidden_dim})")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1 (got {self.dropout})")
        if self.attend not in ("both", "ancestors", "descendants"):
            raise ValueError(f"attend must be both, ancestors or descendants (got {self.attend!r})")
        if self.readout not in ("mean", "output"):
            raise ValueError(f"readout must be mean or output (got {self.readout!r})")


class Block(nn.Module):
    """x <- x + attention(LN(x)), then x <- x + MLP(LN(x)).

    Args:
        config: sizes.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        dim, self.heads = config.hidden_dim, config.heads
        self.attention_norm, self.mlp_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.project, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        wide = config.feedforward_dim
        self.mlp = nn.Sequential(nn.Linear(dim, wide), nn.GELU(), nn.Dropout(config.dropout), nn.Linear(wide, dim))
        self.drop = nn.Dropout(config.dropout)
        self.bias = nn.Parameter(torch.zeros(2, config.heads)) if config.edge_bias else None

    def forward(self, x: Tensor, seen: Tensor, edges: Tensor) -> Tensor:
        """States [B, N, H], who looks at whom bool [B, N, N] and at a successor or predecessor float [B, N, N, 2] ->
        [B, N, H]."""
        mask = seen[:, None]
        if self.bias is not None:
            mask = (edges @ self.bias).permute(0, 3, 1, 2).masked_fill(~mask, -torch.inf)
        parts = self.project(self.attention_norm(x)).unflatten(2, (3, self.heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # [B, heads, N, H / heads] each
        mixed = scaled_dot_product_attention(query, key, value, attn_mask=mask)
        x = x + self.drop(self.out(mixed.transpose(1, 2).flatten(2)))
        return x + self.drop(self.mlp(self.mlp_norm(x)))


@register_model("transformer")
class Transformer(Predictor):
    """Attention among the vertices that can reach each other, with depth as their position.

    With R the transitive closure of the edges, d_v the edges of the longest path to v and x_v the type of a vertex,

        h_v = W x_v + P[d_v];    h_v <- attention over {u : u = v, R[u, v] or R[v, u]}, then an MLP, both pre-normed
        code = mean over v of LN(h_v),    score = Linear(relu(Linear(code)))

    CATE looks at descendants only and reads its last token; DAGformer at both sides. Reachability and depth do not tell
    all graphs apart; PACE adds a graph network's states for that, here it is `edge_bias`: b_s or b_p more in the logit
    of every head for a successor or predecessor. Padded vertices look at themselves
    and nobody looks at them.

    Shapes: vertex states [B, N, H], codes [B, H], scores [B].

    Paper: https://arxiv.org/abs/2210.13148 (and CATE, 2102.07108; PACE, 2203.10304)

    >>> from graphnas import create_model, get_space
    >>> create_model("transformer", "toy").eval()(get_space("toy").enumerate()[:3]).shape
    torch.Size([3])
    """

    config_class = TransformerConfig

    def __init__(self, config: TransformerConfig, space: SearchSpace | str) -> None:
        super().__init__(config, space)
        dim = self.embed_dim = config.hidden_dim
        self.attend, self.readout = config.attend, config.readout
        self.types = nn.Linear(self.vertex_dim, dim)
        self.places = nn.Embedding(self.space.max_nodes, dim)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Sequential(nn.Linear(dim, config.head_dim), nn.ReLU(), nn.Linear(config.head_dim, 1))

    def seen(self, adj: Tensor) -> Tensor:
        """bool [B, N, N]: [b, v, u] where v looks at u."""
        reach = closure(adj)
        seen = torch.eye(adj.shape[1], dtype=torch.bool, device=adj.device).expand_as(reach).clone()
        if self.attend != "ancestors":
            seen |= reach
        if self.attend != "descendants":
            seen |= reach.transpose(1, 2)
        return seen

    def vertex_states(self, archs: Architectures, hidden: Tensor | None = None) -> Tensor:
        archs = archs.clean()
        seen, place = self.seen(archs.adj), depths(archs.adj).clamp(max=self.space.max_nodes - 1)
        edges = torch.stack([archs.adj, archs.adj.transpose(1, 2)], 3).to(self.places.weight.dtype)
        x = self.types(self.vertex_inputs(archs, hidden)) + self.places(place)
        for block in self.blocks:
            x = block(x, seen, edges)
        states: Tensor = self.norm(x)
        return states

    def embed(self, archs: Architectures) -> Tensor:
        archs = self.prepare(archs)
        states = self.vertex_states(archs)
        if self.readout == "output":
            return states[torch.arange(len(archs), device=states.device), archs.num_nodes - 1]
        return (states * archs.node_mask[:, :, None]).sum(1) / archs.num_nodes[:, None]
