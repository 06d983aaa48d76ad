"""Graphs as sequences of rows [one-hot type T ; incoming bits N - 1] of all vertices but the first, and GRUs over them.

Sequences of unequal length are packed step by step: graphs are sorted by size, largest first, so that step k concerns
the first `active[k]` of them and padding costs nothing. A GRU's input halves come from one product for all steps, the
hidden halves from one per step, and the gradient of the recurrent weights from one over all steps.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, one_hot, pad

from graphnas.errors import SpaceMismatch
from graphnas.models.latent_vae import Reconstruction
from graphnas.models.layers.gru import full, one_hot_cell
from graphnas.models.layers.latent import LatentHeads
from graphnas.models.layers.rollout import Canvas, Draws, draw_edges, draw_types
from graphnas.spaces import INPUT, OUTPUT, Architectures, SearchSpace


class Layout(NamedTuple):
    """Where the rows of B graphs lie when packed step by step, P rows in all.

    Shapes: order int64 [B], graphs by size, largest first; active, rows of every step; graph, vertex int64 [P] of every
    packed row; last int64 [B], packed row of every graph's last vertex.
    """

    order: Tensor
    active: list[int]
    graph: Tensor
    vertex: Tensor
    last: Tensor


class RowTargets(NamedTuple):
    """Types int64 [B, N], adjacency bool [B, N, N], sizes int64 [B]; padding has the start type and no edges."""

    types: Tensor
    adj: Tensor
    sizes: Tensor

    @classmethod
    def of(cls, archs: Architectures, max_nodes: int) -> RowTargets:
        """Graphs in N = `max_nodes` places; SpaceMismatch if one has more vertices or fewer than two."""
        sizes = archs.num_nodes
        if len(sizes) and not 2 <= int(sizes.min()) <= int(sizes.max()) <= max_nodes:
            raise SpaceMismatch(f"expected 2 to {max_nodes} vertices (got {int(sizes.min())} to {int(sizes.max())})")
        archs = archs.widen(max_nodes)
        types = archs.ops.long().masked_fill(~archs.node_mask, INPUT)
        return cls(types, archs.adj & archs.node_mask[:, None, :], sizes)

    def layout(self, padded: bool) -> Layout:
        """Packed rows of the real vertices, or of all N - 1 if `padded`."""
        places = torch.arange(self.types.shape[1], device=self.types.device)
        sizes = torch.full_like(self.sizes, len(places)) if padded else self.sizes
        order = sizes.argsort(descending=True, stable=True)
        exists = sizes[order] > places[1:, None]
        step, rank = exists.nonzero(as_tuple=True)
        active = [count for count in exists.sum(1).tolist() if count] or [0]
        offsets = torch.tensor([0, *accumulate(active)], device=sizes.device)
        return Layout(order, active, order[rank], step + 1, offsets[sizes - 2] + order.argsort())

    def rows(self, graph: Tensor, vertex: Tensor, num_types: int, like: Tensor) -> Tensor:
        """[type ; bits] of some vertices, [P, T + N - 1]; vertex 0 has a row of zeros."""
        kinds = one_hot(self.types[graph, vertex], num_types).masked_fill((vertex == 0)[:, None], 0)
        return torch.cat([kinds, self.bits(graph, vertex)], 1).to(like)

    def bits(self, graph: Tensor, vertex: Tensor) -> Tensor:
        """Incoming bits of some vertices, bool [P, N - 1]."""
        return self.adj[graph, :-1, vertex]


def _roomy(like: Tensor, rows: int, width: int) -> Tensor:
    """Uninitialised [rows, width] whose rows start at multiples of 64 bytes: products on them are up to 9 % faster."""
    return like.new_empty(rows, -(-width // 16) * 16)[:, :width]


def _steps(active: list[int]) -> list[tuple[slice, slice, slice]]:
    """Of every step its packed rows, and their states before and after it where those of the start lie in front."""
    steps, begin, before = [], 0, 0
    for count in active:
        after = active[0] + begin
        steps.append((slice(begin, begin + count), slice(before, before + count), slice(after, after + count)))
        begin, before = begin + count, after
    return steps


class _Scan(torch.autograd.Function):
    """All states of a GRU, packed like its inputs.

    Shapes: x [P, I + 1], inputs and a one, or [A, I + 1] (A = active[0]) if they are the same in every step; start
    [A, H] or None for zeros; w_inputs [3H, I + 1] on x, with all biases of the reset and update gates; weight [3H, H]
    on states; bias [H], that of the new gate's hidden half.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, start: Tensor | None, w_inputs: Tensor, weight: Tensor, bias: Tensor, active: list[int]
    ) -> Tensor:
        total, dim, first = sum(active), len(bias), active[0]
        gates, new, states = _roomy(x, total, 3 * dim), _roomy(x, total, dim), _roomy(x, first + total, dim)
        states[:first] = 0.0 if start is None else start
        steps, shared = _steps(active), len(x) != total
        for out, part in ((gates[:, : 2 * dim], w_inputs[: 2 * dim].T), (new, w_inputs[2 * dim :].T)):
            torch.mm(x, part, out=out[: len(x)])
            for rows, before, _ in steps[1:] if shared else []:
                out[rows] = out[: before.stop - before.start]
        gates[:, 2 * dim :] = bias
        for rows, before, after in steps:
            gate = gates[rows]
            if rows.start or start is not None:
                gate.addmm_(states[before], weight.T)
            reset, update = gate[:, : 2 * dim].sigmoid_().split(dim, 1)
            candidate = new[rows].addcmul_(reset, gate[:, 2 * dim :]).tanh_()
            torch.lerp(candidate, states[before], update, out=states[after])
        ctx.save_for_backward(x, w_inputs, weight, gates, new, states)
        ctx.steps, ctx.started = steps, start is not None
        return states[first:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        x, w_inputs, weight, gates, new, states = ctx.saved_tensors
        dim, first, shared = weight.shape[1], len(states) - len(grad), len(x) != len(grad)
        d_gates, d_new, d_states = (_roomy(grad, *like.shape) for like in (gates, new, states))
        d_states[:first], d_states[first:] = 0.0, grad
        for rows, before, after in reversed(ctx.steps):
            gate, d_gate, d_state, d_candidate = gates[rows], d_gates[rows], d_states[after], d_new[rows]
            reset, update, hidden_new = gate.split(dim, 1)
            torch.addcmul(d_state, d_state, update, value=-1, out=d_candidate)  # through the convex combination
            torch.ops.aten.tanh_backward.grad_input(d_candidate, new[rows], grad_input=d_candidate)
            torch.mul(d_candidate, hidden_new, out=d_gate[:, :dim])
            torch.sub(states[before], new[rows], out=d_gate[:, dim : 2 * dim]).mul_(d_state)
            both = d_gate[:, : 2 * dim]
            torch.ops.aten.sigmoid_backward.grad_input(both, gate[:, : 2 * dim], grad_input=both)
            torch.mul(d_candidate, reset, out=d_gate[:, 2 * dim :])
            if rows.start or ctx.started:
                d_states[before].addcmul_(d_state, update).addmm_(d_gate, weight)
        parts = [states[before] for rows, before, _ in ctx.steps if rows.start or ctx.started]
        d_weight = d_gates[0 if ctx.started else first :].T @ torch.cat(parts or [states[:0]])
        d_both, d_bias = d_gates[:, : 2 * dim], d_gates[:, 2 * dim :].sum(0)
        for part in (d_both, d_new) if shared else ():
            for rows, _, _ in ctx.steps[1:]:
                part[: rows.stop - rows.start] += part[rows]
        d_both, d_new = d_both[: len(x)], d_new[: len(x)]
        d_inputs = torch.cat([x.T @ d_both, x.T @ d_new], 1).T  # d.T @ x is ten times slower where x is narrow
        d_x = (d_both @ w_inputs[: 2 * dim]).addmm_(d_new, w_inputs[2 * dim :]) if ctx.needs_input_grad[0] else None
        return d_x, d_states[:first] if ctx.started else None, d_inputs, d_weight, d_bias, None


def scan(cell: nn.GRUCell, x: Tensor, start: Tensor | None, active: list[int]) -> Tensor:
    """States [P, H] of a GRU over packed inputs x [P, I], or [A, I] if every step has the same; in full precision."""
    dim = cell.hidden_size
    with torch.autocast(x.device.type, enabled=False):
        bias = cell.bias_ih + pad(cell.bias_hh[: 2 * dim], (0, dim))
        w_inputs = torch.cat([cell.weight_ih, bias[:, None]], 1)  # biases are the weights of the ones
        x, start = pad(full(x), (0, 1), value=1.0), None if start is None else full(start)
        return cast(Tensor, _Scan.apply(x, start, w_inputs, cell.weight_hh, cell.bias_hh[2 * dim :], active))


def head(hidden_dim: int, out_dim: int) -> nn.Sequential:
    """Linear(H -> H), ReLU, Linear(H -> out)."""
    return nn.Sequential(nn.Linear(hidden_dim, hidden_dim), nn.ReLU(inplace=True), nn.Linear(hidden_dim, out_dim))


class RowEncoder(nn.Module):
    """A GRU over a graph's rows; the state at its last row gives mean and log-variance of the code.

    If `bidirectional`, a second GRU reads the rows from the last to the first and Linear(2H -> H) joins both last
    states. If `padded`, short graphs are read up to N - 1 rows, of which the surplus ones look like start vertices.
    `input_scale` multiplies the initial weights of the rows.
    """

    def __init__(
        self,
        num_types: int,
        max_nodes: int,
        latent_dim: int,
        hidden_dim: int,
        bidirectional: bool = False,
        padded: bool = False,
        input_scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.num_types, self.max_nodes, self.padded = num_types, max_nodes, padded
        width = num_types + max_nodes - 1
        self.gru = one_hot_cell(width, hidden_dim, input_scale)
        self.reverse = one_hot_cell(width, hidden_dim, input_scale) if bidirectional else None
        self.join = nn.Linear(2 * hidden_dim, hidden_dim) if bidirectional else None
        self.heads = LatentHeads(hidden_dim, latent_dim)

    def forward(self, archs: Architectures) -> tuple[Tensor, Tensor]:
        """Mean and log-variance [B, Z] of graphs padded to N vertices."""
        targets = RowTargets.of(archs, self.max_nodes)
        layout, like = targets.layout(self.padded), self.gru.weight_ih
        rows = targets.rows(layout.graph, layout.vertex, self.num_types, like)
        state = scan(self.gru, rows, None, layout.active).index_select(0, layout.last)
        if self.reverse is not None and self.join is not None:
            ends = torch.full_like(targets.sizes, self.max_nodes) if self.padded else targets.sizes
            mirrored = ends[layout.graph] - layout.vertex
            rows = targets.rows(layout.graph, mirrored, self.num_types, like)
            back = scan(self.reverse, rows, None, layout.active).index_select(0, layout.last)
            state = self.join(torch.cat([state, back], 1))
        return cast(tuple[Tensor, Tensor], self.heads(state))


def row_losses(
    types: Tensor, edges: Tensor, possible: Tensor, targets: RowTargets, layout: Layout, padded: bool
) -> Reconstruction:
    """Losses per graph from logits of types [P, T] and binary cross-entropies of edges [P, N - 1] in packed rows.

    `possible` bool [P, N - 1] are the bits that generation draws; if `padded`, the loss counts all bits of all rows.
    """
    graph, vertex = layout.graph, layout.vertex
    wrong_type = cross_entropy(types, targets.types[graph, vertex], reduction="none")
    real = vertex < targets.sizes[graph]
    drawn = torch.where(possible & real[:, None], edges, 0.0).sum(1)
    forced = vertex == targets.types.shape[1] - 1
    nll = torch.where(real & ~forced, wrong_type, 0.0) + drawn
    loss = wrong_type + (edges.sum(1) if padded else drawn)
    total = loss.new_zeros(len(targets.sizes), 2).index_add(0, graph, torch.stack([loss, nll], 1))
    return Reconstruction(total[:, 0], total[:, 1])


class SequenceDecoder(nn.Module):
    """S-VAE's decoder: a GRU that gets relu(W z) as its input at every step from a zero state, and heads on its states.

    All rows are independent given the code: types from H -> H -> T, all bits at once from H -> H -> N - 1.

    If `faithful`, it trains on impossible bits and padded rows too and generation joins loose ends to the end vertex.
    """

    def __init__(
        self, num_types: int, max_nodes: int, latent_dim: int, hidden_dim: int, faithful: bool = False
    ) -> None:
        super().__init__()
        self.max_nodes, self.faithful = max_nodes, faithful
        self.start = nn.Linear(latent_dim, hidden_dim)
        self.gru = nn.GRUCell(hidden_dim, hidden_dim)
        self.types, self.edges = head(hidden_dim, num_types), head(hidden_dim, max_nodes - 1)

    def logits(self, z: Tensor, active: list[int]) -> tuple[Tensor, Tensor]:
        """Logits of types [P, T] and bits [P, N - 1] in packed rows from codes [A, Z]."""
        states = scan(self.gru, torch.relu(self.start(z)), None, active)
        return self.types(states), self.edges(states)

    def reconstruct(self, archs: Architectures, z: Tensor) -> Reconstruction:
        """Losses of graphs padded to N vertices given codes [B, Z]."""
        targets = RowTargets.of(archs, self.max_nodes)
        layout = targets.layout(self.faithful)
        types, edges = self.logits(z[layout.order], layout.active)
        bits = targets.bits(layout.graph, layout.vertex).to(edges.dtype)
        wrong = binary_cross_entropy_with_logits(edges, bits, reduction="none")
        possible = torch.arange(self.max_nodes - 1, device=z.device) < layout.vertex[:, None]
        return row_losses(types, wrong, possible, targets, layout, self.faithful)

    def roll_out(self, z: Tensor, draws: Draws, space: SearchSpace) -> Architectures:
        """Graphs drawn from codes [B, Z], whose logits are computed once for all draws."""
        steps = self.max_nodes - 1
        types, edges = (part.unflatten(0, (steps, len(z))) for part in self.logits(z, [len(z)] * steps))
        canvas = Canvas(draws, space.max_nodes)
        for vertex in range(1, space.max_nodes):
            group = draws.group[canvas.live]
            kinds = draw_types(types[vertex - 1, group], vertex, space, canvas)
            logits = edges[vertex - 1, group, :vertex]
            if self.faithful:
                logits = tie_up(logits, ~canvas.adj[canvas.live, :vertex, :vertex].any(2), kinds)
            draw_edges(logits, vertex, space, canvas)
            canvas.finish(kinds, vertex)
            if len(canvas.live) == 0:
                break
        return Architectures(canvas.ops, canvas.adj, canvas.sizes).clean()


def tie_up(logits: Tensor, loose: Tensor, kinds: Tensor) -> Tensor:
    """Logits [L, K] where the end vertex is certain to be joined to the loose ends bool [L, K] and to nothing else."""
    sure = torch.where(loose, torch.inf, -torch.inf).to(logits.dtype)
    return torch.where((kinds == OUTPUT)[:, None], sure, logits)


def draw_edge(logits: Tensor, vertex: int, source: int, space: SearchSpace, canvas: Canvas) -> Tensor:
    """Draw and write one edge source -> vertex of the live graphs from logits [L]; bool [L], whether it is there.

    Sources must come from vertex - 1 down to 0, as the masks of the space want them.
    """
    draws, live = canvas.draws, canvas.live
    chosen = logits > 0
    if draws.noise is not None:
        chosen = draws.noise[live, vertex - 1, 1 + source] < logits.sigmoid()
    ruled = draws.ruled[live].nonzero().flatten()
    if len(ruled):
        may, must = space.edge_mask(canvas.partial(live[ruled]), vertex, source)
        chosen[ruled] = (chosen[ruled] & may) | must
    canvas.adj[live, source, vertex] = chosen
    return chosen
