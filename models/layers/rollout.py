"""Drawing graphs from a vertex-by-vertex generator, many draws per code, equal prefixes computed once."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Generator, Tensor

from graphnas.models.layers.node_generator import Context, NodeGenerator
from graphnas.spaces import INPUT, OUTPUT, Architectures, SearchSpace


class Draws(NamedTuple):
    """How S graphs are to be drawn.

    Shapes: group int64 [S], row of the context each starts from; start, end int64 [S], first and closing type;
    noise float [S, N - 1, 1 + N] uniform in [0, 1) or None for the most probable choice; ruled bool [S], whose every
    choice obeys the space's decoding masks; closed bool [S], who may not draw its start type again; stops_on_start
    bool [S], whom that type ends as well (the released code's mirrored direction).
    """

    group: Tensor
    start: Tensor
    end: Tensor
    noise: Tensor | None
    ruled: Tensor
    closed: Tensor
    stops_on_start: Tensor


def uniform_noise(
    count: int, max_nodes: int, sample: bool, generator: Generator | None, device: torch.device
) -> Tensor | None:
    """Uniforms for `count` draws, filled row by row so that a prefix of the rows gets the same numbers."""
    if not sample:
        return None
    source = generator.device if generator is not None else torch.device("cpu")
    return torch.rand(count, max_nodes - 1, 1 + max_nodes, generator=generator, device=source).to(device)


def forward_draws(
    z: Tensor, space: SearchSpace, sample: bool, generator: Generator | None, mask: bool, repeats: int
) -> Draws:
    """Draws from the input to the output, `repeats` of every code [B, Z]; arguments as in `GraphVAE.decode`."""
    group = torch.arange(len(z), device=z.device).repeat_interleave(repeats)
    everyone = torch.ones_like(group, dtype=torch.bool)
    return Draws(
        group=group,
        start=torch.full_like(group, INPUT),
        end=torch.full_like(group, OUTPUT),
        noise=uniform_noise(len(group), space.max_nodes, sample, generator, z.device),
        ruled=everyone & mask,
        closed=everyone & mask,
        stops_on_start=~everyone,
    )


class Canvas:
    """S graphs being drawn, and which of them are not finished.

    Attributes:
        ops, adj, sizes: as in Architectures; a graph's size is set when it ends.
        live: int64 [L], rows still growing, ascending.
    """

    def __init__(self, draws: Draws, width: int) -> None:
        count, device = len(draws.group), draws.group.device
        self.draws = draws
        self.ops = torch.zeros(count, width, dtype=torch.uint8, device=device)
        self.adj = torch.zeros(count, width, width, dtype=torch.bool, device=device)
        self.sizes = torch.full((count,), width, dtype=torch.int64, device=device)
        self.live = torch.arange(count, device=device)
        self.ops[:, 0] = draws.start.to(torch.uint8)

    def partial(self, rows: Tensor) -> Architectures:
        """A copy of some graphs as they stand, for the masks of the space."""
        return Architectures(self.ops[rows], self.adj[rows], torch.full_like(rows, self.ops.shape[1]))

    def finish(self, kinds: Tensor, vertex: int) -> Tensor:
        """End the live graphs whose new vertex has a closing type; bool [L] of those that go on."""
        start, end = self.draws.start[self.live], self.draws.end[self.live]
        ended = (kinds == end) | (self.draws.stops_on_start[self.live] & (kinds == start))
        self.sizes[self.live[ended]] = vertex + 1
        self.live = self.live[~ended]
        return ~ended

    def edge_bits(self, vertex: int) -> Tensor:
        """In-edges of a vertex of the live graphs as one number each, int64 [L]."""
        weights = 1 << torch.arange(vertex, device=self.live.device)
        return (self.adj[self.live, :vertex, vertex] * weights).sum(1)


def rollout(model: NodeGenerator, space: SearchSpace, context: Context, draws: Draws) -> Architectures:
    """Graphs drawn vertex by vertex, in generation order (first vertex first); [S] rows.

    Draws with the same code and the same choices so far share one computation: `group` maps live draws to states.
    """
    canvas = Canvas(draws, space.max_nodes)
    folded = model.propagate.fold(len(draws.group))
    group, first = distinct(draws.group * 2 + (draws.start != draws.start.min()))
    context = context.pick(draws.group[first])
    streams = model.split(model.start_state(draws.start[first], context)[None])
    for vertex in range(1, space.max_nodes):
        partial = canvas.adj[canvas.live[first], :vertex, :vertex].to(model.types.weight.dtype)
        state = model.join(model.step(streams, partial, folded))
        graph, graph_init = model.read(state)
        kinds = draw_types(model.type_logits(graph, context)[group], vertex, space, canvas)

        parent = group
        group, first = distinct(parent * space.num_ops + kinds)
        keep = parent[first]
        state, graph, context = state[:, keep], graph[keep], context.pick(keep)
        new = model.new_state(kinds[first], graph_init[keep], context)
        if vertex == 1:
            canvas.adj[canvas.live, 0, 1] = True
        else:
            draw_edges(model.edge_logits(state, new, graph, context).T[group], vertex, space, canvas)

        parent = group[canvas.finish(kinds, vertex)]
        if len(parent) == 0:
            break
        group, first = distinct((parent << vertex) + canvas.edge_bits(vertex))
        keep = parent[first]
        context = context.pick(keep)
        streams = model.split(torch.cat([state[:, keep], new[None, keep]]))
    return Architectures(canvas.ops, canvas.adj, canvas.sizes).clean()


def draw_graphs(types: Tensor, edges: Tensor, draws: Draws, space: SearchSpace) -> Architectures:
    """[S] graphs drawn vertex by vertex where all logits are known beforehand.

    Args:
        types: logits of types, [B, N, T].
        edges: logits of edges, [B, N, N], first index the source.
        draws: how.
        space: whose masks are kept.
    """
    canvas = Canvas(draws, space.max_nodes)
    for vertex in range(1, space.max_nodes):
        rows = draws.group[canvas.live]
        kinds = draw_types(types[rows, vertex], vertex, space, canvas)
        draw_edges(edges[rows, :vertex, vertex], vertex, space, canvas)
        canvas.finish(kinds, vertex)
        if len(canvas.live) == 0:
            break
    return Architectures(canvas.ops, canvas.adj, canvas.sizes).clean()


def distinct(keys: Tensor) -> tuple[Tensor, Tensor]:
    """Group of every key (int64 [S]) and the first row of every group."""
    values, group = torch.unique(keys, return_inverse=True)
    first = torch.full((len(values),), len(keys), dtype=torch.int64, device=keys.device)
    first.scatter_reduce_(0, group, torch.arange(len(keys), device=keys.device), "amin")
    return group, first


def draw_types(logits: Tensor, vertex: int, space: SearchSpace, canvas: Canvas) -> Tensor:
    """Draw and write the types int64 [L] of the next vertex of the live graphs from logits [L, T]."""
    draws, live = canvas.draws, canvas.live
    if vertex == space.max_nodes - 1:
        kinds = draws.end[live]
    else:
        allowed = torch.ones_like(logits, dtype=torch.bool)
        allowed.scatter_(1, draws.start[live, None], ~draws.closed[live, None])
        ruled = draws.ruled[live].nonzero().flatten()
        if len(ruled):
            allowed[ruled] &= space.type_mask(canvas.partial(live[ruled]), vertex)
        noise = None if draws.noise is None else draws.noise[live, vertex - 1, 0]
        kinds = choose(logits.masked_fill(~allowed, -torch.inf), noise)
    canvas.ops[live, vertex] = kinds.to(torch.uint8)
    return kinds


def choose(logits: Tensor, noise: Tensor | None) -> Tensor:
    """The most probable entry of each row, or the one at a uniform point [L] of the cumulative distribution."""
    if noise is None:
        return logits.argmax(1)
    below = logits.softmax(1).cumsum(1)
    return (below <= noise[:, None] * below[:, -1:]).sum(1).clamp_max(logits.shape[1] - 1)


def draw_edges(logits: Tensor, vertex: int, space: SearchSpace, canvas: Canvas) -> None:
    """Draw and write the in-edges of `vertex` of the live graphs from logits [L, vertex]."""
    draws, live = canvas.draws, canvas.live
    chosen = logits > 0
    if draws.noise is not None:
        chosen = draws.noise[live, vertex - 1, 1 : 1 + vertex] < logits.sigmoid()
    ruled = draws.ruled[live].nonzero().flatten()
    if len(ruled):
        partial = canvas.partial(live[ruled])
        for source in range(vertex - 1, -1, -1):
            may, must = space.edge_mask(partial, vertex, source)
            partial.adj[:, source, vertex] = (chosen[ruled, source] & may) | must
        chosen[ruled] = partial.adj[:, :vertex, vertex]
    canvas.adj[live, :vertex, vertex] = chosen
