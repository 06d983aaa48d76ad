"""One stream of message passing along the edges and against them, a message map for each; fused for speed.

A round is `m_v = sum over u -> v of (M [h_u ; h_v] + b) + sum over v -> u of (R [h_u ; h_v] + c)` and
`h_v' = GRUCell(m_v, h_v)`. With s the sum of the states a vertex hears and deg their number, each kind of edge adds a
product with `[s, deg h, deg]`, taken over the vertices that have such an edge only.

Per vertex, maps with the GRU's input weights folded in cost 6 D^2 for each kind of edge it has, unfolded ones 4 D^2 and
another 6 D^2 for the GRU. Folding costs 24 D^3 a round. A decoder, which uses a round's weights at every step, saves
some 60 D^2 a round and graph of 7 vertices by it; an encoder, which uses them once, 18 D^2. Batches are large enough
for a decoder in training, though not where a single code is decoded, and hardly ever for an encoder.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from graphnas.models.layers.gru import Wiring, full, gather, gru_gates, gru_gates_backward, wire
from graphnas.models.layers.propagation import Propagation, Streams

FOLDING_PAYS = 60 / 24
"""Products of D x D that a decoder saves per graph, over those of folding a round, in units of D."""


class RoundWeights(NamedTuple):
    """One round's weights. Features are C wide: states (C = D), or types (C = T) whose embedding is folded in.

    Shapes: along, against [2C + 1, W] act on [s, deg h, deg]; update [W, 3D], or None where it is folded in and
    W = 3D; bias [3D]; hidden [C, 3D] and hidden_bias [3D] act on h. The gates are in the order reset, update, new.
    """

    along: Tensor
    against: Tensor
    update: Tensor | None
    bias: Tensor
    hidden: Tensor
    hidden_bias: Tensor


class Hearing(NamedTuple):
    """A kind of edge: its wiring, and the vertices that have such an edge.

    `rows` counts in [K R], `picked` the same vertices in the wiring's [P R]; slices when they are all that could.
    """

    wiring: Wiring
    rows: slice | Tensor
    picked: slice | Tensor


def hearing(wiring: Wiring) -> Hearing:
    """Leave out the vertices without an edge, if there are any."""
    degree = wiring.degree.flatten()
    offset = wiring.receivers.start * wiring.degree.shape[1]
    picked = degree.nonzero().flatten()
    if len(picked) == len(degree):
        return Hearing(wiring, slice(offset, offset + len(degree)), slice(0, len(degree)))
    return Hearing(wiring, picked + offset, picked)


class _Messages(torch.autograd.Function):
    """bias + x_1 W_1 on the vertices that hear along edges + x_2 W_2 on those that hear against them.

    Shapes: x [P R, 2C + 2] as gathered (its last column, a constant, is not used), w [2C + 1, W], bias [W] ->
    [count, W]. Degrees get no gradient.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x_1: Tensor,
        x_2: Tensor,
        w_1: Tensor,
        w_2: Tensor,
        bias: Tensor,
        count: int,
        ears: tuple[Hearing, ...],
    ) -> Tensor:
        out = bias.repeat(count, 1)
        kept = []
        for x, weight, ear in ((x_1, w_1, ears[0]), (x_2, w_2, ears[1])):
            kept.append(x[ear.picked])
            heard = kept[-1][:, :-1]
            if isinstance(ear.rows, slice):
                out[ear.rows].addmm_(heard, weight)
            else:
                out.index_add_(0, ear.rows, heard @ weight)
        ctx.save_for_backward(*kept, w_1, w_2)
        ctx.ears, ctx.shapes = ears, (x_1.shape, x_2.shape)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        saved = ctx.saved_tensors
        d_x: list[Tensor | None] = [None, None]
        d_w = []
        for kind, (ear, shape) in enumerate(zip(ctx.ears, ctx.shapes, strict=True)):
            heard, weight = saved[kind][:, :-1], saved[2 + kind]
            above = grad[ear.rows]
            d_w.append(heard.T @ above)
            if ctx.needs_input_grad[kind]:
                sent, width = grad.new_zeros(shape), shape[1] - 2
                if isinstance(ear.picked, slice):
                    torch.mm(above, weight[:-1].T, out=sent[:, :width])
                else:
                    sent[:, :width].index_copy_(0, ear.picked, above @ weight[:-1].T)
                d_x[kind] = sent
        return *d_x, *d_w, grad.sum(0), None, None


class _Update(torch.autograd.Function):
    """GRU cell whose input half is given: i [M, 3D], f [M, C], h [M, D], w [C, 3D], b [3D] -> [M, D]."""

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, features: Tensor, state: Tensor, w_hidden: Tensor, b_hidden: Tensor
    ) -> Tensor:
        wide = 2 * state.shape[1]
        gates = torch.addmm(b_hidden[:wide], features, w_hidden[:, :wide]).add_(inputs[:, :wide])
        hidden_new = torch.addmm(b_hidden[wide:], features, w_hidden[:, wide:])
        new = inputs[:, wide:].contiguous()
        out = gru_gates(gates, new, hidden_new, state)
        ctx.save_for_backward(features, state, w_hidden, gates, hidden_new, new)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        features, state, w_hidden, gates, hidden_new, new = ctx.saved_tensors
        wide = gates.shape[1]
        d_inputs, d_hidden_new, d_state = gru_gates_backward(grad, gates, new, hidden_new, state)
        d_gates = d_inputs[:, :wide]
        d_features = None
        if ctx.needs_input_grad[1]:
            d_features = torch.mm(d_gates, w_hidden[:, :wide].T).addmm_(d_hidden_new, w_hidden[:, wide:].T)
        d_w_hidden = torch.cat([features.T @ d_gates, features.T @ d_hidden_new], 1)
        d_b_hidden = torch.cat([d_gates.sum(0), d_hidden_new.sum(0)])
        return d_inputs, d_features, d_state, d_w_hidden, d_b_hidden


class BothWaysRound(nn.Module):
    """Parameters of one round.

    Args:
        dim: D, width of a vertex state; messages are 2D wide.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.along = nn.Linear(2 * dim, 2 * dim)
        self.against = nn.Linear(2 * dim, 2 * dim)
        self.update = nn.GRUCell(2 * dim, dim)

    def weights(self, folded: bool, embedding: Tensor | None = None) -> RoundWeights:
        """The weights as a round takes them, with an embedding [T, D] of types folded in if one is given."""
        update, hidden = self.update.weight_ih.T, self.update.weight_hh.T
        maps = []
        for message in (self.along, self.against):
            blocks = [*message.weight.T.chunk(2), message.bias[None]]
            if embedding is not None:
                blocks[:2] = [embedding @ block for block in blocks[:2]]
            weight = torch.cat([full(block) for block in blocks])
            maps.append(weight @ update if folded else weight)
        if embedding is not None:
            hidden = embedding @ hidden
        after = None if folded else update
        return RoundWeights(maps[0], maps[1], after, self.update.bias_ih, hidden.contiguous(), self.update.bias_hh)


class BothWaysGRU(Propagation):
    """`rounds` synchronous rounds in which a vertex hears its predecessors and its successors.

    Args:
        dim: D, width of a vertex state.
        rounds: L.
    """

    streams = 1

    def __init__(self, dim: int, rounds: int) -> None:
        super().__init__(dim, rounds)
        self.layers = nn.ModuleList(BothWaysRound(dim) for _ in range(rounds))

    def fold(self, rows: int) -> list[RoundWeights]:
        worthwhile = FOLDING_PAYS * rows >= self.dim
        return [cast(BothWaysRound, layer).weights(folded=worthwhile) for layer in self.layers]

    def forward(self, states: Streams, adj: Tensor, folded: list[RoundWeights]) -> Streams:
        return self._run(states[0], ears_of(adj), folded)

    def from_types(self, one_hot: Tensor, embedding: Tensor, adj: Tensor) -> Streams:
        first, *others = (cast(BothWaysRound, layer) for layer in self.layers)
        ears = ears_of(adj)
        state = full(one_hot.flatten(0, 1) @ embedding)
        state = both_ways_round(one_hot, state, ears, first.weights(True, embedding))
        return self._run(state, ears, [layer.weights(folded=False) for layer in others])

    def _run(self, state: Tensor, ears: tuple[Hearing, Hearing], weights: list[RoundWeights]) -> Streams:
        state = full(state)
        for one in weights:
            state = both_ways_round(state, state.reshape(-1, self.dim), ears, one)
        return (state,)


def ears_of(adj: Tensor) -> tuple[Hearing, Hearing]:
    """Who hears along and who hears against the edges of upper triangular adjacency [R, K, K] (float)."""
    forward, backward = wire(adj)
    return hearing(forward), hearing(backward)


def both_ways_round(features: Tensor, state: Tensor, ears: tuple[Hearing, Hearing], weights: RoundWeights) -> Tensor:
    """One synchronous update of states [K R, D] with features [K, R, C] -> [K, R, D]; in full precision always."""
    size, rows, _ = features.shape
    features = full(features)
    along, against, bias, hidden, hidden_bias = map(
        full, (weights.along, weights.against, weights.bias, weights.hidden, weights.hidden_bias)
    )
    with torch.autocast(features.device.type, enabled=False):
        heard = [gather(features, ear.wiring).flatten(0, 1) for ear in ears]
        folded = weights.update is None
        start = bias if folded else bias.new_zeros(along.shape[1])
        inputs = _Messages.apply(*heard, along, against, start, size * rows, ears)
        if weights.update is not None:
            inputs = torch.addmm(bias, inputs, full(weights.update))
        new = _Update.apply(inputs, features.flatten(0, 1), state, hidden, hidden_bias)
    return cast(Tensor, new).view(size, rows, new.shape[-1])
