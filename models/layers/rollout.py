"""Drawing graphs from a vertex-by-vertex generator, many draws per code, equal prefixes computed once."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Generator, Tensor

from graphnas.models.layers.node_generator import Context, NodeGenerator
from graphnas.spaces import Architectures, SearchSpace


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


def rollout(model: NodeGenerator, space: SearchSpace, context: Context, draws: Draws) -> Architectures:
    """Graphs drawn vertex by vertex, in generation order (first vertex first); [S] rows.

    Draws with the same code and the same choices so far share one computation.
    """
    count, width, device = len(draws.group), space.max_nodes, draws.group.device
    ops = torch.zeros(count, width, dtype=torch.uint8, device=device)
    adj = torch.zeros(count, width, width, dtype=torch.bool, device=device)
    sizes = torch.full((count,), width, dtype=torch.int64, device=device)
    ops[:, 0] = draws.start.to(torch.uint8)
    folded, half = model.propagate.fold(), model.node_dim // 2

    live = torch.arange(count, device=device)  # draws not yet ended
    group, first = distinct(draws.group * 2 + (draws.start != draws.start.min()))
    context = context.pick(draws.group[first])
    along, against = model.start_state(draws.start[first], context)[None].split(half, 2)
    for vertex in range(1, width):
        partial = adj[live[first], :vertex, :vertex].float()
        along, against = model.step(along, against, partial, folded)
        state = torch.cat([along, against], 2)
        graph, graph_init = model.read(state)
        kinds = draw_types(model.type_logits(graph, context)[group], vertex, space, ops, adj, live, draws)
        ops[live, vertex] = kinds.to(torch.uint8)

        parent = group
        group, first = distinct(parent * space.num_ops + kinds)
        keep = parent[first]
        state, graph, context = state[:, keep], graph[keep], context.pick(keep)
        new = model.new_state(kinds[first], graph_init[keep], context)
        if vertex == 1:
            adj[live, 0, 1] = True
        else:
            logits = model.edge_logits(state, new, graph, context)
            draw_edges(logits.T[group], vertex, space, ops, adj, live, draws)

        ended = (kinds == draws.end[live]) | (draws.stops_on_start[live] & (kinds == draws.start[live]))
        sizes[live[ended]] = vertex + 1
        live, parent = live[~ended], group[~ended]
        if len(live) == 0:
            break
        bits = (adj[live, :vertex, vertex].long() << torch.arange(vertex, device=device)).sum(1)
        group, first = distinct((parent << vertex) + bits)
        keep = parent[first]
        context = context.pick(keep)
        along, against = (
            torch.cat([part[:, keep], more[None, keep]])
            for part, more in zip(state.split(half, 2), new.split(half, 1), strict=True)
        )
    return Architectures(ops, adj, sizes).clean()


def distinct(keys: Tensor) -> tuple[Tensor, Tensor]:
    """Group of every key (int64 [S]) and the first row of every group."""
    values, group = torch.unique(keys, return_inverse=True)
    first = torch.full((len(values),), len(keys), dtype=torch.int64, device=keys.device)
    first.scatter_reduce_(0, group, torch.arange(len(keys), device=keys.device), "amin")
    return group, first


def draw_types(
    logits: Tensor, vertex: int, space: SearchSpace, ops: Tensor, adj: Tensor, live: Tensor, draws: Draws
) -> Tensor:
    """Types int64 [L] of the next vertex of the live draws from logits [L, T]."""
    ends, starts = draws.end[live], draws.start[live]
    allowed = torch.ones_like(logits, dtype=torch.bool)
    allowed.scatter_(1, starts[:, None], ~draws.closed[live][:, None])
    if bool(draws.ruled.any()):
        rows = draws.ruled[live].nonzero().flatten()
        allowed[rows] &= space.type_mask(partial_graphs(ops, adj, live[rows]), vertex)
    if vertex == space.max_nodes - 1:
        return ends
    logits = logits.masked_fill(~allowed, -torch.inf)
    if draws.noise is None:
        return logits.argmax(1)
    below = logits.softmax(1).cumsum(1)
    point = draws.noise[live, vertex - 1, 0] * below[:, -1]
    kinds = (below <= point[:, None]).sum(1)
    return kinds.clamp_max(logits.shape[1] - 1)


def draw_edges(
    logits: Tensor, vertex: int, space: SearchSpace, ops: Tensor, adj: Tensor, live: Tensor, draws: Draws
) -> None:
    """Write the in-edges of `vertex` of the live draws, from logits [L, vertex], into `adj`."""
    if draws.noise is None:
        chosen = logits > 0
    else:
        chosen = draws.noise[live, vertex - 1, 1 : 1 + vertex] < logits.sigmoid()
    ruled = draws.ruled[live].nonzero().flatten()
    if len(ruled):
        partial = partial_graphs(ops, adj, live[ruled])
        for source in range(vertex - 1, -1, -1):
            may, must = space.edge_mask(partial, vertex, source)
            partial.adj[:, source, vertex] = (chosen[ruled, source] & may) | must
        chosen[ruled] = partial.adj[:, :vertex, vertex]
    adj[live, :vertex, vertex] = chosen


def partial_graphs(ops: Tensor, adj: Tensor, rows: Tensor) -> Architectures:
    """A copy of some draws as they stand, for the masks of the space."""
    sizes = torch.full((len(rows),), ops.shape[1], dtype=torch.int64, device=ops.device)
    return Architectures(ops[rows], adj[rows], sizes)
