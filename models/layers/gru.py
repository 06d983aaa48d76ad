"""Directed message passing with GRU updates on padded node-major states, fused for speed.

The layer is `m_v = sum over u -> v of (W [h_u ; h_v] + b)`, `h_v' = GRUCell(m_v, h_v)`. Written out, the input half of
the GRU is `U m_v + c = (U W_1) s_v + deg_v (U W_2) h_v + deg_v U b + c` with `s_v` the sum of the predecessors' states,
so one product of `[s_v, deg_v h_v, deg_v, 1]` with a folded map replaces a product per edge. Vertices that cannot have
a predecessor skip it: their GRU input is the bias alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class FoldedGRU(NamedTuple):
    """One round's weights with the message map folded in; computed once per batch.

    `inputs` [2D + 2, 3D] acts on [s, deg h, deg, 1], `hidden` [D, 3D] and `hidden_bias` [3D] on h; the gates are in
    the order reset, update, new.
    """

    inputs: Tensor
    hidden: Tensor
    hidden_bias: Tensor


def gru_gates(gates: Tensor, new: Tensor, hidden_new: Tensor, state: Tensor) -> Tensor:
    """The pointwise half of a GRU cell, [M, D]; `gates` [M, 2D] and `new` [M, D] are activated in place.

    `new` comes in as the input half of the candidate state, `hidden_new` is its hidden half.
    """
    dim = state.shape[1]
    reset, update = gates.sigmoid_().split(dim, 1)
    new.addcmul_(reset, hidden_new).tanh_()
    return torch.lerp(new, state, update)


def gru_gates_backward(
    grad: Tensor, gates: Tensor, new: Tensor, hidden_new: Tensor, state: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of :func:`gru_gates` before activation: of the input halves [M, 3D], of `hidden_new` and of `state`."""
    dim = state.shape[1]
    reset, update = gates.split(dim, 1)
    d_inputs = torch.empty(len(state), 3 * dim, dtype=state.dtype, device=state.device)
    d_reset, d_update, d_new = d_inputs.split(dim, 1)
    d_state = grad * update
    torch.sub(grad, d_state, out=d_new)  # grad (1 - update), through the convex combination
    torch.ops.aten.tanh_backward.grad_input(d_new, new, grad_input=d_new)
    torch.mul(d_new, hidden_new, out=d_reset)
    torch.sub(state, new, out=d_update).mul_(grad)
    d_gates = d_inputs[:, : 2 * dim]
    torch.ops.aten.sigmoid_backward.grad_input(d_gates, gates, grad_input=d_gates)
    return d_inputs, torch.mul(d_new, reset), d_state


class GRUUpdate(torch.autograd.Function):
    """h' = GRU(x W_x, f W_h + b_h, h) where rows `start:start+len(x)` have an input and all others see the bias only.

    Shapes: x [P, I], features [M, F], state [M, D], w_inputs [I, 3D], w_hidden [F, 3D], b_hidden [3D], b_inputs [3D].
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        features: Tensor,
        state: Tensor,
        w_inputs: Tensor,
        w_hidden: Tensor,
        b_hidden: Tensor,
        start: int,
    ) -> Tensor:
        dim, rows = state.shape[1], slice(start, start + len(x))
        gates = torch.addmm(b_hidden[: 2 * dim], features, w_hidden[:, : 2 * dim])
        hidden_new = torch.addmm(b_hidden[2 * dim :], features, w_hidden[:, 2 * dim :])
        bias = w_inputs[-1]  # weight of the constant 1: all that a vertex without predecessor receives
        new = torch.empty_like(state)
        for outside in (slice(0, start), slice(start + len(x), len(state))):
            gates[outside] += bias[: 2 * dim]
            new[outside] = bias[2 * dim :]
        gates[rows].addmm_(x, w_inputs[:, : 2 * dim])
        torch.mm(x, w_inputs[:, 2 * dim :], out=new[rows])
        out = gru_gates(gates, new, hidden_new, state)
        ctx.save_for_backward(x, features, state, w_inputs, w_hidden, gates, hidden_new, new)
        ctx.rows = rows
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        x, features, state, w_inputs, w_hidden, gates, hidden_new, new = ctx.saved_tensors
        dim, rows = state.shape[1], ctx.rows
        d_inputs, d_hidden_new, d_state = gru_gates_backward(grad, gates, new, hidden_new, state)
        d_gates = d_inputs[:, : 2 * dim]
        d_features = None
        if ctx.needs_input_grad[1]:
            d_features = torch.mm(d_gates, w_hidden[:, : 2 * dim].T)
            d_features.addmm_(d_hidden_new, w_hidden[:, 2 * dim :].T)
        d_w_hidden = torch.cat([features.T @ d_gates, features.T @ d_hidden_new], 1)
        d_b_hidden = torch.cat([d_gates.sum(0), d_hidden_new.sum(0)])
        d_x = torch.mm(d_inputs[rows], w_inputs.T) if ctx.needs_input_grad[0] else None
        d_w_inputs = x.T @ d_inputs[rows]
        for outside in (d_inputs[: rows.start], d_inputs[rows.stop :]):
            if len(outside):
                d_w_inputs[-1] += outside.sum(0)
        return d_x, d_features, d_state, d_w_inputs, d_w_hidden, d_b_hidden, None


class _Gather(torch.autograd.Function):
    """[s, deg h, deg, 1] for the vertices that can receive a message; s = sum of the senders' states.

    Shapes: state [K, R, D], weights [R, P, S] (receiver by sender), degree [P, R] -> [P, R, 2D + 2].
    """

    @staticmethod
    def forward(ctx: Any, state: Tensor, weights: Tensor, degree: Tensor, senders: slice, receivers: slice) -> Tensor:
        dim = state.shape[2]
        out = state.new_empty(*degree.shape, 2 * dim + 2)
        out[..., :dim] = torch.bmm(weights, state[senders].transpose(0, 1)).transpose(0, 1)
        torch.mul(state[receivers], degree[..., None], out=out[..., dim : 2 * dim])
        out[..., 2 * dim] = degree
        out[..., 2 * dim + 1] = 1.0
        ctx.save_for_backward(weights, degree)
        ctx.shape, ctx.senders, ctx.receivers = state.shape, senders, receivers
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        weights, degree = ctx.saved_tensors
        dim = ctx.shape[2]
        d_state = grad.new_zeros(ctx.shape)
        sent = torch.bmm(weights.transpose(1, 2), grad[..., :dim].transpose(0, 1))
        d_state[ctx.senders] = sent.transpose(0, 1)
        d_state[ctx.receivers].addcmul_(grad[..., dim : 2 * dim], degree[..., None])
        return d_state, None, None, None, None


class Wiring(NamedTuple):
    """Who hears whom in one direction: weights [R, P, S], degree [P, R], vertex ranges of senders and receivers."""

    weights: Tensor
    degree: Tensor
    senders: slice
    receivers: slice


def wire(adj: Tensor) -> tuple[Wiring, Wiring]:
    """Forward and backward wiring of upper triangular adjacency [R, K, K] (float)."""
    size = adj.shape[1]
    along, against = adj[:, :-1, 1:].transpose(1, 2), adj[:, :-1, 1:]
    first, last = slice(0, size - 1), slice(1, size)
    forward = Wiring(along.contiguous(), along.sum(2).T.contiguous(), first, last)
    return forward, Wiring(against.contiguous(), against.sum(2).T.contiguous(), last, first)


def gather(features: Tensor, wiring: Wiring) -> Tensor:
    """[s, deg f, deg, 1] of features [K, R, C] for every possible receiver, [P, R, 2C + 2]."""
    return cast(Tensor, _Gather.apply(features, *wiring))


def full(tensor: Tensor) -> Tensor:
    """At least float32: under autocast the products that made a tensor may have been in half precision."""
    return tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor


class MessageGRU(nn.Module):
    """One round of directed message passing: linear messages of [h_u ; h_v] summed over edges, then a GRU cell.

    Args:
        dim: D, width of a vertex state; messages are 2D wide.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.message = nn.Linear(2 * dim, 2 * dim)
        self.update = nn.GRUCell(2 * dim, dim)

    def fold(self) -> FoldedGRU:
        """The weights as :class:`FoldedGRU`; differentiable, to be called once per batch."""
        folded = self.update.weight_ih @ self.message.weight  # [3D, 2D]
        per_edge = self.update.weight_ih @ self.message.bias
        inputs = torch.cat([folded, per_edge[:, None], self.update.bias_ih[:, None]], 1).T
        return FoldedGRU(inputs.contiguous(), self.update.weight_hh.T.contiguous(), self.update.bias_hh)


def gru_round(state: Tensor, wiring: Wiring, weights: FoldedGRU) -> Tensor:
    """One synchronous update of states [K, R, D] with the folded weights."""
    return _update(state, full(state).reshape(-1, state.shape[2]), wiring, weights)


def gru_first_round(one_hot: Tensor, embedding: Tensor, wiring: Wiring, weights: FoldedGRU) -> Tensor:
    """The same update where states are still embeddings of T types: products run over T columns instead of D.

    Shapes: one_hot [K, R, T], embedding [T, D] -> [K, R, D].
    """
    dim = embedding.shape[1]
    parts = [embedding @ weights.inputs[:dim], embedding @ weights.inputs[dim : 2 * dim], weights.inputs[2 * dim :]]
    inputs = torch.cat([full(part) for part in parts])  # [2T + 2, 3D]
    state = full(one_hot.flatten(0, 1) @ embedding)
    return _update(one_hot, state, wiring, FoldedGRU(inputs, embedding @ weights.hidden, weights.hidden_bias))


def _update(features: Tensor, state: Tensor, wiring: Wiring, weights: FoldedGRU) -> Tensor:
    """Gather features [K, R, C] along the wiring and update states [K R, D]; in full precision under autocast too."""
    size, rows, _ = features.shape
    features, (inputs, hidden, bias) = full(features), map(full, weights)
    with torch.autocast(features.device.type, enabled=False):
        x = gather(features, wiring)
        new = GRUUpdate.apply(
            x.flatten(0, 1), features.flatten(0, 1), state, inputs, hidden, bias, wiring.receivers.start * rows
        )
    return new.view(size, rows, new.shape[-1])


def one_hot_cell(num_inputs: int, hidden_dim: int, scale: float = 1.0) -> nn.GRUCell:
    """A GRU cell for inputs of which few are not zero, whose weights start `scale` times larger than PyTorch's."""
    cell = nn.GRUCell(num_inputs, hidden_dim)
    with torch.no_grad():
        cell.weight_ih.mul_(scale)
    return cell
