"""Drawing graphs from the D-VAE decoder, many draws per code, equal prefixes computed once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from graphnas.models.layers.aggregate import Message, append, stack
from graphnas.models.layers.async_decoder import AsyncDecoder
from graphnas.models.layers.async_gru import FoldedStack
from graphnas.models.layers.rollout import Canvas, Draws, distinct, draw_types
from graphnas.spaces import OUTPUT, Architectures, SearchSpace


def everything(rows: Tensor, count: int) -> bool:
    """Whether int64 [R] rows are 0 .. count - 1: without branching draws most choices of rows are, and need no copy."""
    return len(rows) == count and torch.equal(rows, torch.arange(count, device=rows.device))


def take(tensor: Tensor, rows: Tensor) -> Tensor:
    """Some rows of a tensor, itself if they are all."""
    return tensor if everything(rows, len(tensor)) else tensor.index_select(0, rows)


def put(tensor: Tensor, rows: Tensor, new: Tensor) -> Tensor:
    """A tensor with new rows, written in place unless they are all."""
    return new if everything(rows, len(tensor)) else tensor.index_copy_(0, rows, new)


class Memory:
    """What the finished vertices of G distinct prefixes left behind.

    Attributes:
        start: [G, LH], what the edge head sees of the start.
        graph: [G, LH], what the next type is read from.
        heard: for every layer the messages of all vertices.
        sources: for every vertex its half of the edge head, [G, F].
    """

    def __init__(self, decoder: AsyncDecoder, folded: FoldedStack, one_hot: Tensor, z: Tensor) -> None:
        states = decoder.start_states(folded, one_hot, z)
        self.graph = torch.cat(states, 1)
        self.start = decoder.seen_start(self.graph, z)
        self.heard = [stack([message]) for message in folded.send(states, one_hot, 0)]
        self.sources = [decoder.source_half(self.graph, self.start, 0)]

    def keep(self, rows: Tensor) -> None:
        """Only those prefixes, repeated where they branch."""
        if everything(rows, len(self.graph)):
            return
        self.start, self.graph = self.start[rows], self.graph[rows]
        self.heard = [messages.pick(rows) for messages in self.heard]
        self.sources = [source.index_select(0, rows) for source in self.sources]

    def messages(self, rows: Tensor) -> list[Message]:
        """What those prefixes have heard, layer by layer."""
        return self.heard if everything(rows, len(self.graph)) else [messages.pick(rows) for messages in self.heard]


class Branches:
    """The distinct states that a vertex under construction has in the live draws.

    Attributes:
        group: int64 [L], state of every live draw.
        base: int64 [P], prefix in :class:`Memory` of every state.
        accepted: float [P, v], sources so far.
        state: [P, LH] and fresh bool [P]: the states, computed anew when a decision or the next vertex needs them.
        half: [P, F] and known bool [P]: the states' halves of the edge head, computed when a decision needs them.
    """

    def __init__(self, group: Tensor, one_hot: Tensor, lonely: Tensor, vertex: int, edge_dim: int) -> None:
        count = len(one_hot)
        self.group, self.base, self.one_hot = group, torch.arange(count, device=group.device), one_hot
        self.state = one_hot @ lonely
        self.accepted = one_hot.new_zeros(count, vertex)
        self.half = one_hot.new_empty(count, edge_dim)
        self.known = torch.zeros(count, dtype=torch.bool, device=group.device)
        self.fresh = ~self.known

    def halves(self, decoder: AsyncDecoder, wanted: Tensor, vertex: int) -> Tensor:
        """The halves of all states, of which those of bool [P] `wanted`, whose states are fresh, are right."""
        unknown = (wanted & ~self.known).nonzero().flatten()
        if len(unknown):
            self.half = put(self.half, unknown, decoder.target_half(take(self.state, unknown), vertex))
            self.known = self.known | wanted
        return self.half

    def branch(self, bits: Tensor, source: int) -> None:
        """Part the states by the live draws' decisions bool [L]."""
        group, first = distinct(self.group * 2 + bits)
        gained = bits[first]
        if len(first) > len(self.base):  # else draws of one state agree and `group` stays the same
            parent, self.group = self.group[first], group
            self.base, self.one_hot, self.accepted = self.base[parent], self.one_hot[parent], self.accepted[parent]
            self.state, self.half = self.state.index_select(0, parent), self.half.index_select(0, parent)
            self.known, self.fresh = self.known[parent], self.fresh[parent]
        self.known, self.fresh = self.known & ~gained, self.fresh & ~gained
        self.accepted[gained, source] = 1.0


class AsyncRollout:
    """One call of the decoder's generation.

    Args:
        decoder: weights.
        aggregators: the encoder's, along the edges.
        space: whose masks and vertex limit hold.
        loose_ends: the output hears exactly the vertices without a successor, by rule instead of by decision.
    """

    def __init__(
        self, decoder: AsyncDecoder, aggregators: nn.ModuleList, space: SearchSpace, loose_ends: bool = False
    ) -> None:
        self.decoder, self.space, self.loose_ends = decoder, space, loose_ends
        self.stack = decoder.fold(aggregators)
        self.lonely = torch.cat(self.stack.lonely(space.num_ops), 1)

    def __call__(self, z: Tensor, draws: Draws) -> Architectures:
        """Graphs [S] from codes [B, Z]; `draws.group` says which code a graph starts from."""
        canvas = Canvas(draws, self.space.max_nodes)
        group, first = distinct(draws.group)
        memory = Memory(self.decoder, self.stack, self.one_hot(draws.start[first], z), z[draws.group[first]])
        for vertex in range(1, self.space.max_nodes):
            kinds = draw_types(self.decoder.type_logits(memory.graph, vertex)[group], vertex, self.space, canvas)
            parent = group
            group, first = distinct(parent * self.space.num_ops + kinds)
            memory.keep(parent[first])
            one_hot = self.one_hot(kinds[first], z)
            branches = Branches(group, one_hot, self.lonely, vertex, self.decoder.shape.edge_dim)
            self.draw_edges(memory, branches, vertex, canvas)
            group = branches.group[canvas.finish(kinds, vertex)]
            if len(group) == 0 or vertex == self.space.max_nodes - 1:
                break
            kept, group = group.unique(return_inverse=True)
            self.add_vertex(memory, branches, kept, vertex)
        return Architectures(canvas.ops, canvas.adj, canvas.sizes).clean()

    def one_hot(self, kinds: Tensor, like: Tensor) -> Tensor:
        """Types as rows [R, T]."""
        return nn.functional.one_hot(kinds, self.space.num_ops).to(like.dtype)

    def add_vertex(self, memory: Memory, branches: Branches, kept: Tensor, vertex: int) -> None:
        """Enter the finished vertex into the memory of the states that go on."""
        self.renew(memory, branches, torch.zeros_like(branches.fresh).index_fill_(0, kept, True))
        memory.keep(branches.base[kept])
        top = take(branches.state, kept)
        memory.graph = memory.graph + top if self.decoder.shape.readout == "sum" else top
        states = list(top.split(self.decoder.shape.hidden_dim, 1))
        sent = self.stack.send(states, branches.one_hot[kept], vertex)
        memory.heard = [append(messages, new) for messages, new in zip(memory.heard, sent, strict=True)]
        memory.sources.append(self.decoder.source_half(top, memory.start, vertex))

    def draw_edges(self, memory: Memory, branches: Branches, vertex: int, canvas: Canvas) -> None:
        """Decide about the in-edges of `vertex` of all live draws, latest source first."""
        for source in range(vertex - 1, -1, -1):
            may, must = self.allowed(canvas, vertex, source)
            bits = must.clone()
            free = (may & ~must).nonzero().flatten()
            if len(free):
                bits[free] = self.decide(memory, branches, canvas, vertex, source, free)
            canvas.adj[canvas.live, source, vertex] = bits
            branches.branch(bits, source)

    def allowed(self, canvas: Canvas, vertex: int, source: int) -> tuple[Tensor, Tensor]:
        """Whether the edge may and must be there in every live draw, bool [L] twice."""
        live = canvas.live
        may, must = torch.ones_like(live, dtype=torch.bool), torch.zeros_like(live, dtype=torch.bool)
        ruled = canvas.draws.ruled[live].nonzero().flatten()
        if len(ruled):
            may[ruled], must[ruled] = self.space.edge_mask(canvas.partial(live[ruled]), vertex, source)
        if self.loose_ends:
            closing = (canvas.ops[live, vertex] == OUTPUT) & ~canvas.draws.ruled[live]
            loose = ~canvas.adj[live, source, :vertex].any(1)
            may, must = torch.where(closing, loose, may), torch.where(closing, loose, must)
        return may, must

    def decide(
        self, memory: Memory, branches: Branches, canvas: Canvas, vertex: int, source: int, free: Tensor
    ) -> Tensor:
        """Decisions bool [F] of the live draws `free` int64 [F]."""
        wanted = torch.zeros_like(branches.known)
        wanted[branches.group[free]] = True
        self.renew(memory, branches, wanted)
        states = wanted.nonzero().flatten()
        half = take(branches.halves(self.decoder, wanted, vertex), states)
        hidden = (take(memory.sources[source], branches.base[states]) + half).relu_()
        logits = hidden.new_zeros(len(wanted))
        logits[states] = self.decoder.edge_out(hidden).squeeze(1)
        logits = logits[branches.group[free]]
        if canvas.draws.noise is None:
            return logits > 0
        return canvas.draws.noise[canvas.live[free], vertex - 1, 1 + source] < logits.sigmoid()

    def renew(self, memory: Memory, branches: Branches, wanted: Tensor) -> None:
        """Compute those of the states bool [P] `wanted` that have gained edges since they were computed."""
        stale = (wanted & ~branches.fresh).nonzero().flatten()
        if len(stale) == 0:
            return
        mask, messages = branches.accepted[stale, None], memory.messages(branches.base[stale])
        gathered = [layer[:, 0] for layer in self.stack.combine(mask, messages)]
        branches.state = put(branches.state, stale, torch.cat(self.stack.state(branches.one_hot[stale], gathered), 1))
        branches.fresh = branches.fresh | wanted
