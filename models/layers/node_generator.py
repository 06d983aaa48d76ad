"""The vertex-by-vertex graph generator of SVGe and its DGMG: readouts, type head, state initialiser and edge head."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, linear

from graphnas.models.layers.propagation import Propagation, Streams
from graphnas.models.layers.readout import GatedSum
from graphnas.models.layers.two_way import TwoWayGRU


class Context(NamedTuple):
    """Everything that depends on the code z alone, computed once per batch: z's part of each head's first layer.

    Shapes: start, init, edge [R, D + Z], kind [R, Z].
    """

    start: Tensor
    init: Tensor
    edge: Tensor
    kind: Tensor

    def pick(self, rows: Tensor | slice) -> Context:
        """The context of some rows."""
        return Context(*(part[rows] for part in self))


class StepLoss(NamedTuple):
    """Negative log-likelihoods per row [R], in nats: of types, of edges averaged per step, and of edges summed.

    `forced` is the part of `types` that belongs to a vertex at the space's limit, where decoding has no choice.
    """

    types: Tensor
    edge_means: Tensor
    edge_sums: Tensor
    forced: Tensor


class NodeGenerator(nn.Module):
    """Adds one vertex at a time to K existing ones: propagate, read out, draw a type, make a state, draw its in-edges.

    Args:
        num_types: T.
        node_dim: D, a multiple of the propagation's streams.
        latent_dim: Z, width of the code and of a readout.
        rounds: message passing rounds per step and stream.
        propagation: how vertices hear each other.
    """

    def __init__(
        self,
        num_types: int,
        node_dim: int,
        latent_dim: int,
        rounds: int,
        propagation: type[Propagation] = TwoWayGRU,
    ) -> None:
        super().__init__()
        hidden = node_dim + latent_dim
        self.node_dim, self.latent_dim = node_dim, latent_dim
        self.types = nn.Embedding(num_types, node_dim)
        self.propagate = propagation(node_dim // propagation.streams, rounds)
        self.readout = GatedSum(node_dim, latent_dim, count=2)
        self.start_hidden, self.start_out = nn.Linear(hidden, hidden), nn.Linear(hidden, node_dim)
        self.init_hidden, self.init_out = nn.Linear(hidden + latent_dim, hidden), nn.Linear(hidden, node_dim)
        self.edge_hidden, self.edge_out = nn.Linear(2 * hidden, hidden), nn.Linear(hidden, 1)
        self.type_hidden, self.type_out = nn.Linear(2 * latent_dim, latent_dim), nn.Linear(latent_dim, num_types)

    def context(self, z: Tensor) -> Context:
        """z's share of the first layers; z is the last block of every head's input."""
        return Context(
            *(
                linear(z, layer.weight[:, -self.latent_dim :], layer.bias)
                for layer in (self.start_hidden, self.init_hidden, self.edge_hidden, self.type_hidden)
            )
        )

    def start_state(self, types: Tensor, context: Context) -> Tensor:
        """State of the first vertex [R, D] from its type [R]."""
        table = self.types.weight @ self.start_hidden.weight[:, : self.node_dim].T
        return self.start_out(torch.relu(table[types] + context.start))

    def read(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """Readouts for decisions and for initialising, [R, Z] each; a single vertex is not gated."""
        projected = self.readout.project(state)
        if len(state) == 1:
            pair = projected[0, :, : 2 * self.latent_dim].unflatten(-1, (2, self.latent_dim))
        else:
            pair = self.readout.pool(projected)
        return pair[:, 0], pair[:, 1]

    def type_logits(self, graph: Tensor, context: Context) -> Tensor:
        """Logits over types [R, T] from the decision readout [R, Z]."""
        hidden = linear(graph, self.type_hidden.weight[:, : self.latent_dim])
        return self.type_out(torch.relu(hidden + context.kind))

    def new_state(self, types: Tensor, graph_init: Tensor, context: Context) -> Tensor:
        """State of the vertex to be added [R, D]."""
        dim = self.node_dim
        weight = self.init_hidden.weight
        table = self.types.weight @ weight[:, :dim].T
        hidden = linear(graph_init, weight[:, dim : dim + self.latent_dim])
        return self.init_out(torch.relu(hidden + table[types] + context.init))

    def edge_logits(
        self, state: Tensor, new: Tensor, graph: Tensor, context: Context, tile: Tensor | None = None
    ) -> Tensor:
        """Logits [K, R] of an edge from each existing vertex into the new one.

        `tile` [K, R] replaces the row whose readout and code a score uses (the released code's mix-up).
        """
        dim, weight = self.node_dim, self.edge_hidden.weight
        source = linear(state, weight[:, :dim])
        shared = linear(graph, weight[:, 2 * dim : 2 * dim + self.latent_dim]) + context.edge
        target = linear(new, weight[:, dim : 2 * dim])
        row = target + shared if tile is None else target + shared[tile]
        return self.edge_out(source.add_(row).relu_()).squeeze(-1)

    def split(self, state: Tensor) -> Streams:
        """States [K, R, D] as the streams of the propagation."""
        return tuple(state.split(self.node_dim // self.propagate.streams, 2))

    def join(self, streams: Streams) -> Tensor:
        """The streams side by side, [K, R, D]."""
        return torch.cat(streams, 2) if len(streams) > 1 else streams[0]

    def step(self, streams: Streams, adj: Tensor, folded: Any) -> Streams:
        """States propagated over partial graphs adj [R, K, K]; a vertex alone stays as it is."""
        if len(streams[0]) == 1:
            return streams
        return cast(Streams, self.propagate(streams, adj, folded))

    def steps(
        self, types: Tensor, adj: Tensor, active: list[int], context: Context, mixed_rows: int = 0
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Teacher-forced losses step by step: of the type [R] and of every candidate edge [K, R] (none in step 1).

        Rows must be sorted so that the first `active[k]` have a vertex k; step k yields those only. Shapes: types int64
        [R, N], adj float [R, N, N]. `mixed_rows` = B > 0 scores edges with the released code's mix-up between the rows
        of each block of B.
        """
        folded = self.propagate.fold(len(types))
        streams = self.split(self.start_state(types[:, 0], context)[None])
        for size in range(1, types.shape[1]):
            rows = active[size]
            if rows == 0:
                return
            context = context.pick(slice(0, rows))
            streams = self.step(tuple(part[:, :rows] for part in streams), adj[:rows, :size, :size], folded)
            state = self.join(streams)
            graph, graph_init = self.read(state)
            kinds = types[:rows, size]
            type_loss = cross_entropy(self.type_logits(graph, context), kinds, reduction="none")
            new = self.new_state(kinds, graph_init, context)
            edge_loss = state.new_zeros(1, rows)
            if size > 1:
                tile = mixed_tile(size, rows, mixed_rows, new.device) if mixed_rows else None
                logits = self.edge_logits(state, new, graph, context, tile)
                edge_loss = binary_cross_entropy_with_logits(logits, adj[:rows, :size, size].T, reduction="none")
            yield type_loss, edge_loss
            streams = tuple(torch.cat(pair) for pair in zip(streams, self.split(new[None]), strict=True))

    def forward(self, types: Tensor, adj: Tensor, active: list[int], context: Context) -> StepLoss:
        """Sums of :meth:`steps` per row."""
        total = [context.start.new_zeros(len(types)) for _ in StepLoss._fields]
        for vertex, losses in enumerate(self.steps(types, adj, active, context), start=1):
            parts = summarise(*losses, last=vertex == types.shape[1] - 1)
            total = [add_rows(sum_so_far, part) for sum_so_far, part in zip(total, parts, strict=True)]
        return StepLoss(*total)


def summarise(type_loss: Tensor, edge_loss: Tensor, last: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One step's share of :class:`StepLoss`."""
    return type_loss, edge_loss.mean(0), edge_loss.sum(0), type_loss if last else torch.zeros_like(type_loss)


def add_rows(total: Tensor, part: Tensor) -> Tensor:
    """`total` plus a vector that covers a prefix of its rows."""
    return total + nn.functional.pad(part, (0, len(total) - len(part)))


def mixed_tile(size: int, rows: int, block: int, device: torch.device) -> Tensor:
    """Row whose code scores (vertex u, row r) in the released code, int64 [K, R].

    Vertex rows lie graph by graph (r K + u) while codes are tiled batch by batch, so position p meets code p mod B.
    """
    row = torch.arange(rows, device=device)
    position = (row % block) * size + torch.arange(size, device=device)[:, None]
    return position % block + row // block * block
