"""Post-norm transformer layers without masks, as in "Attention Is All You Need" (Vaswani et al. 2017)."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

NORM_EPS = 1e-6


def sinusoids(length: int, dim: int) -> Tensor:
    """Fixed position codes float [L, D]: sin and cos of position / 10000^(2 floor(j / 2) / D) in turn."""
    place = torch.arange(dim)
    angles = torch.arange(length)[:, None] / 10000.0 ** (2 * (place // 2) / dim)
    return torch.where(place % 2 == 0, angles.sin(), angles.cos())


class Attention(nn.Module):
    """Multi-head attention without biases, then dropout, the residual and a layer norm.

        x <- LN(x + drop(W_o concat_h softmax(q_h k_h' / sqrt(D / H)) v_h))

    Args:
        dim: D.
        heads: H, a divisor of D.
        dropout: on the attention weights and on the result.
    """

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.rate = heads, dropout
        self.query, self.key, self.value, self.out = (nn.Linear(dim, dim, bias=False) for _ in range(4))
        self.norm, self.dropout = nn.LayerNorm(dim, eps=NORM_EPS), nn.Dropout(dropout)

    def forward(self, x: Tensor, heard: Tensor) -> Tensor:
        """States [B, L, D] that listen to [B, L', D] -> [B, L, D]."""
        query, key, value = self._split(self.query(x)), self._split(self.key(heard)), self._split(self.value(heard))
        mixed = scaled_dot_product_attention(query, key, value, dropout_p=self.rate if self.training else 0.0)
        return cast(Tensor, self.norm(x + self.dropout(self.out(mixed.transpose(1, 2).flatten(2)))))

    def _split(self, states: Tensor) -> Tensor:
        """[B, L, D] -> [B, H, L, D / H]."""
        return states.unflatten(2, (self.heads, -1)).transpose(1, 2)


class FeedForward(nn.Module):
    """x <- LN(x + drop(W_2 relu(W_1 x)))."""

    def __init__(self, dim: int, inner_dim: int, dropout: float) -> None:
        super().__init__()
        self.widen, self.narrow = nn.Linear(dim, inner_dim), nn.Linear(inner_dim, dim)
        self.norm, self.dropout = nn.LayerNorm(dim, eps=NORM_EPS), nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """States [..., D] -> [..., D]."""
        return cast(Tensor, self.norm(x + self.dropout(self.narrow(self.widen(x).relu()))))


class Entry(nn.Module):
    """Before the first layer: LN(drop(x) + position)."""

    positions: Tensor

    def __init__(self, length: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.norm, self.dropout = nn.LayerNorm(dim, eps=NORM_EPS), nn.Dropout(dropout)
        self.register_buffer("positions", sinusoids(length, dim), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens [..., L, D] -> [..., L, D]."""
        return cast(Tensor, self.norm(self.dropout(x) + self.positions))


class Encoder(nn.Module):
    """Layers of self-attention and feed-forward on a fixed number of tokens.

    Args:
        length: L, tokens.
        dim: D.
        inner_dim: width inside the feed-forward parts.
        layers: how many.
        heads: H.
        dropout: everywhere.
    """

    def __init__(self, length: int, dim: int, inner_dim: int, layers: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.entry = Entry(length, dim, dropout)
        self.attention = nn.ModuleList(Attention(dim, heads, dropout) for _ in range(layers))
        self.feed = nn.ModuleList(FeedForward(dim, inner_dim, dropout) for _ in range(layers))

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, L, D] -> [B, L, D]."""
        x = self.entry(tokens)
        for attention, feed in zip(self.attention, self.feed, strict=True):
            x = feed(attention(x, x))
        return cast(Tensor, x)


class SharedDecoder(nn.Module):
    """A decoder that reads one memory with K targets which are the same for every row of the batch, in one pass.

    Layers of self-attention within each target, attention to the memory, and feed-forward. The first self-attention
    does not depend on the memory and is computed once for the batch; keys and values of the memory are computed once
    for the K targets. Arguments are those of :class:`Encoder`.
    """

    def __init__(self, length: int, dim: int, inner_dim: int, layers: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.entry = Entry(length, dim, dropout)
        self.inner = nn.ModuleList(Attention(dim, heads, dropout) for _ in range(layers))
        self.cross = nn.ModuleList(Attention(dim, heads, dropout) for _ in range(layers))
        self.feed = nn.ModuleList(FeedForward(dim, inner_dim, dropout) for _ in range(layers))

    def forward(self, targets: Tensor, memory: Tensor) -> Tensor:
        """Targets [K, L, D] and memory [B, L, D] -> [B, K, L, D]."""
        batch, (kinds, length, _) = len(memory), targets.shape
        x = self.entry(targets)
        for layer, (inner, cross, feed) in enumerate(zip(self.inner, self.cross, self.feed, strict=True)):
            x = inner(x, x)  # [K, L, D] at first, then [B K, L, D]
            x = x.flatten(0, 1).expand(batch, -1, -1) if layer == 0 else x.view(batch, kinds * length, -1)
            x = feed(cross(x, memory)).view(batch * kinds, length, -1)
        return cast(Tensor, x.view(batch, kinds, length, -1))
