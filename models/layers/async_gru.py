"""Asynchronous message passing: vertices are visited in topological order and hear final states (D-VAE, DAGNN).

With x_v the type of a vertex, a stack of L layers computes, layer by layer,

    a_v^l = aggregate of the messages of h_u^l over u in P(v),    h_v^l = GRU(input h_v^{l-1} or x_v, hidden a_v^l)
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from graphnas.models.layers.aggregate import Aggregator, Folded, Message, stack, with_one
from graphnas.models.layers.gru import GRUUpdate, one_hot_cell
from graphnas.spaces import Architectures


class FoldedCell(NamedTuple):
    """A GRU cell for one batch: inputs [I + 1, 3H] act on [x, 1], hidden [H, 3H] and bias [3H] on the state."""

    inputs: Tensor
    hidden: Tensor
    bias: Tensor

    def __call__(self, x: Tensor, state: Tensor) -> Tensor:
        """The new state [R, H] from inputs with a column of ones [R, I + 1] and states [R, H]."""
        return cast(Tensor, GRUUpdate.apply(x, state, state, self.inputs, self.hidden, self.bias, 0))

    def finish(self, x: Tensor, state: Tensor, product: Tensor) -> Tensor:
        """The same where `product` [R, 3H], the state times `hidden`, is known; without gradients."""
        width = state.shape[1]
        given, own = x @ self.inputs, product + self.bias
        reset, keep = (given[:, : 2 * width] + own[:, : 2 * width]).sigmoid_().chunk(2, 1)
        new = (given[:, 2 * width :] + reset * own[:, 2 * width :]).tanh_()
        return new.lerp_(state, keep)


def fold_cell(cell: nn.GRUCell) -> FoldedCell:
    """The weights of a cell as products from the right."""
    inputs = torch.cat([cell.weight_ih.T, cell.bias_ih[None]])
    return FoldedCell(inputs, cell.weight_hh.T.contiguous(), cell.bias_hh)


class FoldedStack(NamedTuple):
    """The L layers of :class:`AsyncStack`, ready for one batch."""

    cells: list[FoldedCell]
    aggregators: list[Folded]
    hidden_dim: int

    def state(self, one_hot: Tensor, gathered: list[Tensor]) -> list[Tensor]:
        """States of a vertex, L x [R, H], from its type [R, T] and what it gathered in every layer."""
        states: list[Tensor] = []
        for cell, hidden in zip(self.cells, gathered, strict=True):
            states.append(cell(with_one(states[-1] if states else one_hot), hidden))
        return states

    def lonely(self, num_types: int) -> list[Tensor]:
        """States of a vertex that hears nobody, one row per type: L x [T, H]."""
        types = torch.eye(num_types, dtype=self.cells[0].hidden.dtype, device=self.cells[0].hidden.device)
        nothing = types.new_zeros(num_types, self.hidden_dim)
        return self.state(types, [nothing] * len(self.cells))

    def send(self, states: list[Tensor], one_hot: Tensor, vertex: int) -> list[Message]:
        """Messages of a vertex in every layer."""
        pairs = zip(self.aggregators, states, strict=True)
        return [aggregator.message(state, one_hot, vertex) for aggregator, state in pairs]

    def gather(self, mask: Tensor, heard: list[list[Message]]) -> list[Tensor]:
        """What K sets of senders amount to in every layer: float mask [R, K, v] -> L x [R, K, H].

        `heard` holds for every vertex its messages in every layer.
        """
        return self.combine(mask, [stack(list(messages)) for messages in zip(*heard, strict=True)])

    def combine(self, mask: Tensor, messages: list[Message]) -> list[Tensor]:
        """The same from stacked messages, one :class:`Message` per layer."""
        return [part.combine(mask, heard) for part, heard in zip(self.aggregators, messages, strict=True)]


def fold_stack(cells: nn.ModuleList, aggregators: nn.ModuleList) -> FoldedStack:
    """L cells and aggregators, which several stacks may share, for one batch."""
    gru = cast(list[nn.GRUCell], list(cells))
    gather = cast(list[Aggregator], list(aggregators))
    return FoldedStack([fold_cell(cell) for cell in gru], [part.fold() for part in gather], gru[0].hidden_size)


def make_cells(num_types: int, hidden_dim: int, layers: int, input_scale: float = 1.0) -> nn.ModuleList:
    """GRU cells of a stack: T -> H, whose initial input weights are `input_scale` times PyTorch's, then H -> H."""
    first = one_hot_cell(num_types, hidden_dim, input_scale)
    return nn.ModuleList([first, *(nn.GRUCell(hidden_dim, hidden_dim) for _ in range(layers - 1))])


def one_hot_types(archs: Architectures, num_types: int, like: Tensor) -> Tensor:
    """Types as float one-hot rows by vertex, [N, B, T]; padding looks like type 0."""
    return nn.functional.one_hot(archs.ops.long(), num_types).to(like.dtype).transpose(0, 1).contiguous()


def propagate(stack_: FoldedStack, types: Tensor, adj: Tensor, against: bool = False) -> list[Tensor]:
    """States of all vertices, visited along the edges or against them.

    Args:
        stack_: layers.
        types: float [N, B, T].
        adj: float [B, N, N].
        against: hear successors instead of predecessors, from the last vertex to the first.

    Returns:
        One tensor [B, N, H] per layer. Vertices beyond a graph's size have states that nobody hears.
    """
    count = len(types)
    order = range(count - 1, -1, -1) if against else range(count)
    table = stack_.lonely(types.shape[2])
    states: list[list[Tensor]] = []
    heard: list[list[Message]] = []
    for step, vertex in enumerate(order):
        if step == 0:
            new = [types[vertex] @ layer for layer in table]
        else:
            mask = adj[:, vertex, vertex + 1 :].flip(1) if against else adj[:, :vertex, vertex]
            gathered = stack_.gather(mask[:, None], heard)
            new = stack_.state(types[vertex], [layer[:, 0] for layer in gathered])
        states.append(new)
        if step < count - 1:
            heard.append(stack_.send(new, types[vertex], vertex))
    if against:
        states.reverse()
    return [torch.stack(layer, 1) for layer in zip(*states, strict=True)]
