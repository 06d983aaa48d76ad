"""D-VAE's decoder: vertex by vertex, in-edges from the latest source to the first, state renewed after every edge.

A state depends on the accepted sources only, so teacher forcing computes one state per accepted edge, all of a vertex
in one call: with K the sources accepted so far, h_v(K) = stack(x_v, aggregate of K), and the decision about source u
sees the K above u. The first layer of the edge head splits into a half per source and a half per state.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, linear

from graphnas.models.latent_vae import Reconstruction
from graphnas.models.layers.aggregate import Message
from graphnas.models.layers.async_gru import FoldedStack, fold_stack, make_cells
from graphnas.models.layers.pair_scores import pair_scores

Readout = Literal["last", "sum"]


class DecoderShape(NamedTuple):
    """Sizes of the decoder: T, Z, H, L, width F of the edge head, what the next type is read from, what the edge head
    sees of the start (nothing, the first vertex's state, or the hidden state the code gives it), how many vertex
    indices the heads know (0: none), and the factor on the initial weights of types."""

    num_types: int
    latent_dim: int
    hidden_dim: int
    layers: int
    edge_dim: int
    readout: Readout = "last"
    sees_start: Literal["", "state", "code"] = ""
    num_ids: int = 0
    input_scale: float = 1.0


class Prefixes(NamedTuple):
    """The states one vertex passes through while its in-edges are decided.

    Shapes: states [T + E, LH], those without an edge by type, then one per accepted edge; decisions int64 [v, R], which
    of them decides about each source; final int64 [R], which of them is the vertex's state in the end.
    """

    states: Tensor
    decisions: Tensor
    final: Tensor


class AsyncDecoder(nn.Module):
    """Weights of the decoder; the aggregators belong to the encoder and are passed in.

    Args:
        shape: sizes.
    """

    def __init__(self, shape: DecoderShape) -> None:
        super().__init__()
        self.shape = shape
        width = shape.layers * shape.hidden_dim
        self.start = nn.Linear(shape.latent_dim, shape.hidden_dim)
        self.cells = make_cells(shape.num_types, shape.hidden_dim, shape.layers, shape.input_scale)
        self.type_hidden = nn.Linear(width, 2 * shape.hidden_dim)
        self.type_out = nn.Linear(2 * shape.hidden_dim, shape.num_types)
        self.edge_hidden = nn.Linear((3 if shape.sees_start else 2) * width, shape.edge_dim)
        self.edge_out = nn.Linear(shape.edge_dim, 1)
        self.type_ids = nn.Embedding(shape.num_ids, 2 * shape.hidden_dim) if shape.num_ids else None
        self.edge_ids = nn.Embedding(shape.num_ids, 2 * shape.edge_dim) if shape.num_ids else None

    def start_states(self, stack: FoldedStack, one_hot: Tensor, z: Tensor) -> list[Tensor]:
        """States of the first vertex, L x [R, H]: the code enters as the hidden state of every layer."""
        return stack.state(one_hot, [torch.tanh(self.start(z))] * self.shape.layers)

    def seen_start(self, top: Tensor, z: Tensor) -> Tensor:
        """What the edge head sees of the start, [R, LH], from the first vertex's state [R, LH] and codes [R, Z]."""
        return torch.tanh(self.start(z)).repeat(1, self.shape.layers) if self.shape.sees_start == "code" else top

    def type_logits(self, graph: Tensor, vertex: Tensor | int) -> Tensor:
        """Logits over types [R, T] of a vertex (or of int64 [R] ones) from the graph state before it, [R, LH]."""
        hidden = self.type_hidden(graph)
        if self.type_ids is not None:
            hidden = hidden + self.type_ids.weight[self._id(vertex)]
        logits: Tensor = self.type_out(torch.relu(hidden))
        return logits

    def _id(self, vertex: Tensor | int) -> Tensor | int:
        """An index that has an embedding: vertices beyond the space's limit share the last."""
        last = self.shape.num_ids - 1
        return vertex.clamp_max(last) if isinstance(vertex, Tensor) else min(vertex, last)

    def _edge_id(self, vertex: int, part: int) -> Tensor | float:
        """What the index of a source (part 0) or a target (part 1) adds to the edge head's first layer, [F]."""
        return 0.0 if self.edge_ids is None else self.edge_ids.weight[self._id(vertex)].chunk(2)[part]

    def source_half(self, state: Tensor, start: Tensor, vertex: int) -> Tensor:
        """A source's share of the edge head's first layer, [R, F]; that of the start, if seen, is added to it."""
        width = state.shape[1]
        weight = self.edge_hidden.weight
        half = linear(state, weight[:, :width], self.edge_hidden.bias) + self._edge_id(vertex, 0)
        return half + linear(start, weight[:, 2 * width :]) if self.shape.sees_start else half

    def target_half(self, state: Tensor, vertex: int) -> Tensor:
        """A target state's share of the edge head's first layer, [R, F]."""
        width = state.shape[1]
        return linear(state, self.edge_hidden.weight[:, width : 2 * width]) + self._edge_id(vertex, 1)

    def fold(self, aggregators: nn.ModuleList) -> FoldedStack:
        """The decoder's cells with the encoder's aggregators."""
        return fold_stack(self.cells, aggregators)

    def forward(
        self, types: Tensor, adj: Tensor, sizes: Tensor, z: Tensor, aggregators: nn.ModuleList
    ) -> Reconstruction:
        """Teacher-forced losses of graphs sorted by size, largest first.

        Args:
            types: int64 [B, N].
            adj: float [B, N, N].
            sizes: int64 [B], descending.
            z: codes [B, Z].
            aggregators: the encoder's, along the edges.
        """
        stack, count = self.fold(aggregators), types.shape[1]
        one_hot = nn.functional.one_hot(types, self.shape.num_types).to(z.dtype)
        lonely = torch.cat(stack.lonely(self.shape.num_types), 1)
        active = (sizes[:, None] > torch.arange(count, device=z.device)).sum(0).tolist()
        states = self.start_states(stack, one_hot[:, 0], z)
        top = torch.cat(states, 1)
        start = self.seen_start(top, z)
        graph, heard, sources = top, [stack.send(states, one_hot[:, 0], 0)], [self.source_half(top, start, 0)]
        graphs, edges = [], z.new_zeros(len(z))
        for vertex in range(1, count):
            rows = active[vertex]
            if rows == 0:
                break
            graphs.append(graph[:rows])
            heard = [[message.pick(slice(0, rows)) for message in layer] for layer in heard]
            sources = [source[:rows] for source in sources]
            last = sizes[:rows] == vertex + 1
            prefixes = self.prefixes(stack, one_hot[:rows, vertex], adj[:rows, :vertex, vertex], heard, lonely, last)
            logits = self.edge_logits(torch.stack(sources), prefixes, vertex)
            wrong = binary_cross_entropy_with_logits(logits, adj[:rows, :vertex, vertex].T, reduction="none").sum(0)
            edges = edges + nn.functional.pad(wrong, (0, len(z) - rows))
            if vertex + 1 < count and (going := active[vertex + 1]) > 0:
                top = prefixes.states[prefixes.final[:going]]
                graph = top + graph[:going] if self.shape.readout == "sum" else top
                states = list(top.split(self.shape.hidden_dim, 1))
                heard = [[message.pick(slice(0, going)) for message in layer] for layer in heard]
                heard.append(stack.send(states, one_hot[:going, vertex], vertex))
                sources = [*(source[:going] for source in sources), self.source_half(top, start[:going], vertex)]
        wrong, forced = self.type_losses(graphs, types)
        return Reconstruction(wrong + edges, wrong - forced + edges)

    def type_losses(self, graphs: list[Tensor], types: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-entropies summed per graph, and the part of a vertex at the limit, which decoding does not choose.

        `graphs` holds the graph state before every vertex from 1 on, [R_v, LH] each.
        """
        counts = torch.tensor([len(graph) for graph in graphs], device=types.device)
        vertices = torch.arange(1, len(graphs) + 1, device=types.device).repeat_interleave(counts)
        logits = self.type_logits(torch.cat(graphs), vertices)
        total = forced = logits.new_zeros(len(types))
        begin = 0
        for vertex, graph in enumerate(graphs, start=1):
            rows = slice(begin, begin + len(graph))
            wrong = cross_entropy(logits[rows], types[: len(graph), vertex], reduction="none")
            wrong = nn.functional.pad(wrong, (0, len(types) - len(graph)))
            total, begin = total + wrong, rows.stop
            if vertex == types.shape[1] - 1:
                forced = wrong
        return total, forced

    def prefixes(
        self,
        stack: FoldedStack,
        one_hot: Tensor,
        incoming: Tensor,
        heard: list[list[Message]],
        lonely: Tensor,
        last: Tensor,
    ) -> Prefixes:
        """The states of a vertex while its edges are decided, one per accepted edge.

        Shapes: one_hot [R, T], incoming float [R, v], lonely [T, LH], last bool [R] (vertices whose own state nobody
        reads, so that it is needed for later decisions only).
        """
        vertex, offset = incoming.shape[1], len(lonely)
        needed = incoming.bool()
        needed[last, 0] = False
        above = incoming[:, None] * torch.ones(vertex, vertex, dtype=incoming.dtype, device=incoming.device).triu()
        graph, source = needed.nonzero(as_tuple=True)
        gathered = [layer[graph, source] for layer in stack.gather(above, heard)]  # the accepted sources >= u
        new = torch.cat(stack.state(one_hot[graph], gathered), 1)
        place = torch.zeros_like(needed, dtype=torch.int64)
        place[graph, source] = offset + torch.arange(len(graph), device=incoming.device)
        behind = [one_hot.argmax(1)]  # number of the state once the sources from v - 1 down to u are decided
        for u in range(vertex - 1, -1, -1):
            behind.append(torch.where(needed[:, u], place[:, u], behind[-1]))
        decisions = torch.stack(behind[vertex - 1 :: -1])
        return Prefixes(torch.cat([lonely, new]), decisions, behind[vertex])

    def edge_logits(self, sources: Tensor, prefixes: Prefixes, vertex: int) -> Tensor:
        """Logits [v, R] of every candidate edge into `vertex` from the sources' halves [v, R, F]."""
        used = torch.zeros(len(prefixes.states), dtype=torch.bool, device=sources.device)
        used[prefixes.decisions.flatten()] = True
        rows = used.nonzero().flatten()
        place = torch.empty_like(used, dtype=torch.int64)
        place[rows] = torch.arange(len(rows), device=used.device)
        targets = self.target_half(prefixes.states[rows], vertex)
        logits = pair_scores(sources, targets, place[prefixes.decisions], self.edge_out.weight[0])
        return logits + self.edge_out.bias
