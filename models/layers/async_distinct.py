"""Asynchronous message passing for inference, where a vertex that many graphs share is computed once.

A state is a function of the vertex's type and of the states it hears, so two graphs whose vertices v head the same
sub-DAG on the same indices share that state. In all 15,625 NAS-Bench-201 cells 125,000 vertices have about 17,000
different states along the edges.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from graphnas.models.layers.aggregate import Folded, Message, with_one
from graphnas.models.layers.async_gru import FoldedCell, FoldedStack
from graphnas.models.layers.distinct import FIRST, Level, level_of, mix

CHUNK = 512
"""Rows whose states are computed together: their activations stay in the cache."""


class SharedStates(NamedTuple):
    """One layer's states by vertex: `states` N x [U, H], and `rows` N x int64 [B], which of them every graph has."""

    states: list[Tensor]
    rows: list[Tensor]

    def at(self, vertex: Tensor) -> Tensor:
        """States [B, H] of one vertex of every graph, int64 [B]."""
        found = self.states[0].new_empty(len(vertex), self.states[0].shape[1])
        for place, (states, rows) in enumerate(zip(self.states, self.rows, strict=True)):
            here = (vertex == place).nonzero().flatten()
            found[here] = states[rows[here]]
        return found

    def dense(self) -> Tensor:
        """States of all vertices, [B, N, H]."""
        return torch.stack([states[rows] for states, rows in zip(self.states, self.rows, strict=True)], 1)


class Sent:
    """What the visited vertices send in one layer: each different message once, times the GRU's weights too.

    A GRU's hidden product W a of an aggregate a = sum_u w_u m_u is sum_u w_u W m_u, so the product is paid for by
    senders and not by those who hear: vertices that nobody hears, most of the different ones, pay nothing.
    """

    def __init__(self, aggregator: Folded, cell: FoldedCell) -> None:
        self.aggregator, self.cell = aggregator, cell
        self.tables: list[Tensor] = []  # per vertex [U, 4H]: message and product
        self.scores: list[Tensor] = []  # per vertex [U], where senders have them

    def add(self, message: Message) -> None:
        """The messages of the next vertex."""
        self.tables.append(torch.cat([message.values, message.values @ self.cell.hidden], 1))
        if message.scores is not None:
            self.scores.append(message.scores)

    def hear(self, x: Tensor, mask: Tensor, rows: list[Tensor]) -> Tensor:
        """New states [R, H] from inputs with a column of ones [R, I + 1].

        Args:
            x: inputs.
            mask: float [R, v], who is heard.
            rows: v tensors int64 [R], which of every vertex's messages.
        """
        width = self.cell.hidden.shape[0]
        total = x.new_zeros(len(x), 4 * width)
        for place, (row, weight) in enumerate(zip(rows, self.weights(mask, rows).unbind(1), strict=True)):
            ears = mask[:, place].nonzero().flatten()
            total.index_add_(0, ears, self.tables[place][row[ears]].mul_(weight[ears, None]))
        return self.cell.finish(x, total[:, :width], total[:, width:])

    def weights(self, mask: Tensor, rows: list[Tensor]) -> Tensor:
        """Weights [R, v] of what is heard."""
        if not rows:
            return mask
        picked = [score[row] for score, row in zip(self.scores, rows, strict=bool(self.scores))]
        return self.aggregator.weigh(mask[:, None], torch.stack(picked, 1) if picked else None)[:, 0]


@torch.no_grad()
def propagate_distinct(
    stack_: FoldedStack, ops: Tensor, num_types: int, adj: Tensor, against: bool = False
) -> list[SharedStates]:
    """What :func:`graphnas.models.layers.async_gru.propagate` gives, each different state computed once.

    Args:
        stack_: L layers whose aggregators are linear.
        ops: int64 [B, N], types.
        num_types: T.
        adj: bool [B, N, N].
        against: hear successors instead of predecessors, from the last vertex to the first.

    Returns:
        The states of every layer, without gradients.
    """
    count, eye = ops.shape[1], torch.eye(num_types, dtype=stack_.cells[0].hidden.dtype, device=ops.device)
    rows: list[Tensor] = []  # of the vertices visited so far
    states: list[list[Tensor]] = []
    sent = [Sent(aggregator, cell) for aggregator, cell in zip(stack_.aggregators, stack_.cells, strict=True)]
    for step, vertex in enumerate(range(count - 1, -1, -1) if against else range(count)):
        mask = adj[:, vertex, vertex + 1 :].flip(1) if against else adj[:, :vertex, vertex]
        level = same_hearing(ops[:, vertex], mask, rows)
        types = eye[ops[level.vertex, vertex]]
        new = new_states(sent, types, mask[level.vertex].to(eye.dtype), [row[level.vertex] for row in rows])
        rows.append(level.row)
        states.append(new)
        if step < count - 1:
            for layer, message in zip(sent, stack_.send(new, types, vertex), strict=True):
                layer.add(message)
    turn = -1 if against else 1
    return [SharedStates(list(layer)[::turn], rows[::turn]) for layer in zip(*states, strict=True)]


def same_hearing(types: Tensor, mask: Tensor, rows: list[Tensor]) -> Level:
    """Graphs whose next vertex has the same type and hears the same states from the same places.

    Args:
        types: int64 [B].
        mask: bool [B, v], who of those visited is heard.
        rows: v tensors int64 [B], the states of those visited.
    """
    keys = mix(types)
    for heard, row in zip(mask.unbind(1), rows, strict=True):
        keys = mix(keys * FIRST + (row + 1) * heard)
    return level_of(keys)


def new_states(sent: list[Sent], types: Tensor, mask: Tensor, rows: list[Tensor]) -> list[Tensor]:
    """States L x [U, H] of vertices with types [U, T] that hear, where float [U, v] says so, the messages `rows`."""
    parts: list[list[Tensor]] = []
    for begin in range(0, len(types), CHUNK):
        part, states = slice(begin, begin + CHUNK), types[begin : begin + CHUNK]
        parts.append([])
        for layer in sent:
            states = layer.hear(with_one(states), mask[part], [row[part] for row in rows])
            parts[-1].append(states)
    return [torch.cat(layer) for layer in zip(*parts, strict=True)]
