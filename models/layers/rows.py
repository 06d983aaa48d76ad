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
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, one_hot

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


class _Scan(torch.autograd.Function):
    """All states of a GRU, packed like its inputs.

    Shapes: x [P, 3H], the input halves with all biases of the reset and update gates, or [A, 3H] (A = active[0]) if
    they are the same in every step; start [A, H] or None for zeros; weight [3H, H]; bias [H], the new gate's.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, start: Tensor | None, weight: Tensor, bias: Tensor, active: list[int]) -> Tensor:
        total, dim = sum(active), len(bias)
        gates, new, states = x.new_empty(total, 3 * dim), x.new_empty(total, dim), x.new_empty(total, dim)
        ends = list(accumulate(active))
        shared, before = len(x) != total, x.new_zeros(active[0], dim) if start is None else start
        for step, (count, end) in enumerate(zip(active, ends, strict=True)):
            rows = slice(end - count, end)
            gate, inputs = gates[rows], x[:count] if shared else x[rows]
            if step == 0 and start is None:
                gate.zero_()
            else:
                torch.mm(before[:count], weight.T, out=gate)
            gate[:, : 2 * dim] += inputs[:, : 2 * dim]
            gate[:, 2 * dim :] += bias
            reset, update = gate[:, : 2 * dim].sigmoid_().split(dim, 1)
            torch.addcmul(inputs[:, 2 * dim :], reset, gate[:, 2 * dim :], out=new[rows]).tanh_()
            torch.lerp(new[rows], before[:count], update, out=states[rows])
            before = states[rows]
        ctx.save_for_backward(start, weight, gates, new, states)
        ctx.active, ctx.ends, ctx.shared = active, ends, shared
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        start, weight, gates, new, states = ctx.saved_tensors
        dim, active, ends = new.shape[1], ctx.active, ctx.ends
        d_hidden, d_new = torch.empty_like(gates), torch.empty_like(new)
        carried = None  # gradient of a step's states through the next step
        for step in range(len(active) - 1, -1, -1):
            count, rows = active[step], slice(ends[step] - active[step], ends[step])
            d_state = grad[rows]
            if carried is not None:
                following = len(carried)
                d_state = torch.cat([carried.add_(d_state[:following]), d_state[following:]])
            before = states[rows.start - active[step - 1] :][:count] if step else start
            d_gate, gate = d_hidden[rows], gates[rows]
            reset, update, hidden_new = gate.split(dim, 1)
            through = d_state * update
            torch.sub(d_state, through, out=d_new[rows])  # d_state (1 - update), through the convex combination
            torch.ops.aten.tanh_backward.grad_input(d_new[rows], new[rows], grad_input=d_new[rows])
            torch.mul(d_new[rows], hidden_new, out=d_gate[:, :dim])
            gap = d_gate[:, dim : 2 * dim]
            torch.neg(new[rows], out=gap) if before is None else torch.sub(before, new[rows], out=gap)
            gap.mul_(d_state)
            both = d_gate[:, : 2 * dim]
            torch.ops.aten.sigmoid_backward.grad_input(both, gate[:, : 2 * dim], grad_input=both)
            torch.mul(d_new[rows], reset, out=d_gate[:, 2 * dim :])
            carried = None if before is None else through.addmm_(d_gate, weight)
        return _Scan._gradients(ctx, d_hidden, d_new, carried)

    @staticmethod
    def _gradients(ctx: Any, d_hidden: Tensor, d_new: Tensor, carried: Tensor | None) -> tuple[Tensor | None, ...]:
        """Gradients of all arguments from those of the gates' hidden halves and of the new gate."""
        (start, _, _, new, states), active, ends = ctx.saved_tensors, ctx.active, ctx.ends
        dim, parts = new.shape[1], [] if start is None else [start]
        parts += [
            states[end - count :][:following] for count, end, following in zip(active, ends, active[1:], strict=False)
        ]
        began = active[0] if start is None else 0
        before = torch.cat(parts) if parts else states[:0]
        d_weight, d_bias = d_hidden[began:].T @ before, d_hidden[:, 2 * dim :].sum(0)
        d_hidden[:, 2 * dim :] = d_new  # from here on the input halves' gradient
        if ctx.shared:
            d_x = d_hidden[: active[0]]
            for count, end in zip(active[1:], ends[1:], strict=True):
                d_x[:count] += d_hidden[end - count : end]
        else:
            d_x = d_hidden
        return d_x, carried, d_weight, d_bias, None


def scan(cell: nn.GRUCell, x: Tensor, start: Tensor | None, active: list[int]) -> Tensor:
    """States [P, H] of a GRU over packed inputs x [P, I], or [A, I] if every step has the same; in full precision."""
    dim = cell.hidden_size
    with torch.autocast(x.device.type, enabled=False):
        bias = cell.bias_ih + torch.cat([cell.bias_hh[: 2 * dim], cell.bias_hh.new_zeros(dim)])
        weight = torch.cat([cell.weight_ih, bias[:, None]], 1)  # the bias as a column saves passes over the result
        halves = torch.cat([full(x), x.new_ones(len(x), 1)], 1) @ weight.T
        start = None if start is None else full(start)
        return cast(Tensor, _Scan.apply(halves, start, cell.weight_hh, cell.bias_hh[2 * dim :], active))


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
