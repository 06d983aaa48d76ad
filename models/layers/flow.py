"""Layers in which operations gate what flows along the edges of a graph: graph flow, graph attention, their mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

AT_ONCE = 1 << 18
"""Most gates that are worth computing for all layers at once: 1 MB."""


class Hearing(NamedTuple):
    """Who hears whom."""

    weights: Tensor
    """float [B, N, N], receivers by senders: 1 or 0."""
    barred: Tensor
    """The same as a summand of logits: 0 or the lowest finite number."""

    @staticmethod
    def of(hear: Tensor, like: Tensor) -> Hearing:
        """From bool [B, N, N], in the type of `like`."""
        bottom = torch.zeros_like(hear, dtype=like.dtype).masked_fill(~hear, torch.finfo(like.dtype).min)
        return Hearing(hear.to(like.dtype), bottom)

    def reversed(self) -> Hearing:
        """Senders hear receivers."""
        return Hearing(self.weights.transpose(1, 2), self.barred.transpose(1, 2))


def carry(values: Tensor, weights: Tensor, gate: Tensor, by_sender: bool) -> Tensor:
    """Gated sums over senders, [B, N, D]: sum over u of w_vu g_u x_u if `by_sender`, else g_v times that of w_vu x_u.

    Args:
        values: x, [B, N, D], or [1, N, D] where they are the same in all graphs.
        weights: w, [B, N, N], receivers by senders.
        gate: g, [B, N, D].
        by_sender: an operation acts on what its vertex sends, otherwise on what it gets.
    """
    return torch.bmm(weights, gate * values) if by_sender else gate * gather(weights, values)


def gather(weights: Tensor, values: Tensor) -> Tensor:
    """Sums over senders [B, N, D]; those of values [1, N, D] that all graphs share are one product of matrices."""
    if len(values) == len(weights):
        return torch.bmm(weights, values)
    return (weights.flatten(0, 1) @ values[0]).unflatten(0, weights.shape[:2])


def short_softmax(logits: Tensor) -> Tensor:
    """softmax over the last dimension: on a CPU, where that has 8 entries, a quarter of the library's time."""
    weights = (logits - logits.detach().amax(-1, keepdim=True)).exp()
    return weights / weights.sum(-1, keepdim=True)


class GraphFlow(nn.Module):
    """y_v = g_v * sum over heard u of x_u W + x_v W + b (GATES, https://arxiv.org/abs/2004.01899).

    Shapes: x [B, N, I] or, where all graphs share it, [1, N, I]; gate [B, N, O] -> [B, N, O]. Rows that nobody hears,
    such as padding, affect no other row.

    Args:
        in_dim: I.
        out_dim: O.
        by_sender: see :func:`carry`.
    """

    def __init__(self, in_dim: int, out_dim: int, by_sender: bool = False) -> None:
        super().__init__()
        self.by_sender, self.gate_dim = by_sender, out_dim
        self.weight = nn.Linear(in_dim, out_dim, bias=False)
        self.bias = nn.Parameter(torch.empty(out_dim).uniform_(-(out_dim**-0.5), out_dim**-0.5))

    def forward(self, x: Tensor, hear: Hearing, gate: Tensor) -> Tensor:
        """States after the flow."""
        values = self.weight(x)
        own = values + self.bias
        if self.by_sender:
            return own + torch.bmm(hear.weights, gate * values)
        return torch.addcmul(own, gate, gather(hear.weights, values))


class GraphAttention(nn.Module):
    """y_v = LayerNorm(g_v * sum over u of a_vu W x_u), a = softmax over heard u of leaky_relu(c . (W x_u * W x_v)).

    The attention of FLAN (https://arxiv.org/abs/2403.02484). Vertices that hear nobody get the layer norm of zero. Its
    released code multiplies the logits by the adjacency matrix instead of masking them, so that everybody, padding
    included, is heard with the weight exp(0); so does `faithful`.

    Shapes: as in :class:`GraphFlow`.

    Args:
        in_dim: I.
        out_dim: O.
        by_sender: see :func:`carry`.
        faithful: attention of the released code.
    """

    def __init__(self, in_dim: int, out_dim: int, by_sender: bool = False, faithful: bool = False) -> None:
        super().__init__()
        self.by_sender, self.faithful, self.gate_dim = by_sender, faithful, out_dim
        self.weight = nn.Linear(in_dim, out_dim, bias=False)
        self.compare = nn.Linear(out_dim, 1, bias=False)
        self.norm = nn.LayerNorm(out_dim)

    def attention(self, values: Tensor, hear: Hearing) -> Tensor:
        """Weights [B, N, N], receivers by senders, from W x [B, N, O]."""
        logits = F.leaky_relu(torch.bmm(values * self.compare.weight, values.transpose(1, 2)))
        if self.faithful:
            return short_softmax(logits * hear.weights)
        # the bottom is finite: whoever hears nobody gets even weights, all of which are taken away
        return short_softmax(logits + hear.barred) * hear.weights

    def forward(self, x: Tensor, hear: Hearing, gate: Tensor) -> Tensor:
        """States after attention."""
        values = self.weight(x)
        return cast(Tensor, self.norm(carry(values, self.attention(values, hear), gate, self.by_sender)))


class FlowAttention(nn.Module):
    """The mean of graph flow and graph attention, each with gates of its own: [B, N, 2 O] in all.

    Args:
        flow: the one.
        attention: the other.
    """

    def __init__(self, flow: GraphFlow, attention: GraphAttention) -> None:
        super().__init__()
        self.flow, self.attention, self.gate_dim = flow, attention, flow.gate_dim + attention.gate_dim

    def forward(self, x: Tensor, hear: Hearing, gate: Tensor) -> Tensor:
        """States after the layer."""
        first, second = gate.split([self.flow.gate_dim, self.attention.gate_dim], 2)
        return cast(Tensor, self.flow(x, hear, first)).lerp_(self.attention(x, hear, second), 0.5)


FlowLayer = GraphFlow | GraphAttention | FlowAttention


class FlowStack(nn.Module):
    """Flow layers with relu between them, whose gates are sigmoid(Linear(operation)).

    Operations are the same for all layers, so that one product gives the gates of all, unless these are larger than the
    cache.

    Args:
        widths: of the states, before the first layer and after each.
        op_dim: O, width of operations.
        make: a layer from its widths.
    """

    def __init__(self, widths: list[int], op_dim: int, make: Callable[[int, int], FlowLayer]) -> None:
        super().__init__()
        layers = [make(*pair) for pair in pairwise(widths)]
        self.layers = nn.ModuleList(layers)
        self.gate_dims = [layer.gate_dim for layer in layers]
        self.gates = nn.Linear(op_dim, sum(self.gate_dims))

    def open(self, ops: Tensor, unhindered: Tensor | None, types: Tensor | None = None) -> Iterator[Tensor]:
        """Gates of every layer, [B, N, G] each: 1 where `unhindered`.

        Args:
            ops: operations, [B, N, O], or of every type, [T, O].
            unhindered: bool [B, N] or [T].
            types: int64 [B, N], rows of `ops`; None where these are the vertices.
        """
        both = torch.cat([self.gates.weight, self.gates.bias[:, None]], 1)  # a product alone is faster than with a bias
        padded, vertices = F.pad(ops, (0, 1), value=1.0), ops[..., 0] if types is None else types
        large = vertices.numel() * len(both) > AT_ONCE
        for dims in [[dim] for dim in self.gate_dims] if large else [self.gate_dims]:
            part, both = both[: sum(dims)], both[sum(dims) :]
            gates = (padded @ part.T).sigmoid_()
            if unhindered is not None:
                gates = gates.masked_fill(unhindered[..., None], 1.0)
            yield from (gates if types is None else F.embedding(types, gates)).split(dims, -1)

    def forward(self, x: Tensor, hear: Hearing, gates: Iterable[Tensor]) -> Tensor:
        """States [B, N, D] of the last layer from first states [B, N, I] or [1, N, I] and gates [B, N, G] of each."""
        for number, (layer, gate) in enumerate(zip(self.layers, gates, strict=True)):
            x = layer(torch.relu(x) if number else x, hear, gate)
        return x
