"""Layers in which operations gate what flows along the edges of a graph: graph flow, graph attention, their mean."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


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
        values: x, [B, N, D].
        weights: w, [B, N, N], receivers by senders.
        gate: g, [B, N, D].
        by_sender: an operation acts on what its vertex sends, otherwise on what it gets.
    """
    return torch.bmm(weights, gate * values) if by_sender else gate * torch.bmm(weights, values)


def short_softmax(logits: Tensor) -> Tensor:
    """softmax over the last dimension: on a CPU, where that has 8 entries, a quarter of the library's time."""
    weights = (logits - logits.detach().amax(-1, keepdim=True)).exp()
    return weights / weights.sum(-1, keepdim=True)


class GraphFlow(nn.Module):
    """y_v = g_v * sum over heard u of x_u W + x_v W + b (GATES, https://arxiv.org/abs/2004.01899).

    Shapes: x [B, N, I], gate [B, N, O] -> [B, N, O]. Rows that nobody hears, such
    as padding, affect no other row.

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
        return (values + self.bias).add_(carry(values, hear.weights, gate, self.by_sender))


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
        return cast(Tensor, self.flow(x, hear, first)).add_(self.attention(x, hear, second)).mul_(0.5)


FlowLayer = GraphFlow | GraphAttention | FlowAttention


class FlowStack(nn.Module):
    """Flow layers with relu between them, whose gates are sigmoid(Linear(operation)).

    Operations are the same for all layers, so that one product gives the gates of all.

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

    def open(self, ops: Tensor, unhindered: Tensor | None) -> Tensor:
        """Gates [..., G] of operations [..., O]: 1 where `unhindered` bool [...]."""
        gates: Tensor = self.gates(ops).sigmoid_()
        return gates if unhindered is None else gates.masked_fill(unhindered[..., None], 1.0)

    def forward(self, x: Tensor, hear: Hearing, gates: Tensor) -> Tensor:
        """States [B, N, D] of the last layer from first states [B, N, I] and gates [B, N, G]."""
        for number, (layer, gate) in enumerate(zip(self.layers, gates.split(self.gate_dims, 2), strict=True)):
            x = layer(torch.relu(x) if number else x, hear, gate)
        return x
