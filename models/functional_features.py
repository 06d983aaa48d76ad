"""What the function of an architecture looks like: numbers that do not depend on how its graph is written down."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from graphnas.errors import UnknownName
from graphnas.spaces import Architectures, SearchSpace
from graphnas.spaces.base import OUTPUT

CLOSED, OPEN = "none", "skip_connect"
"""Operations that carry no signal, and that carry it unchanged."""
MOST_WORDS = 121
DAMPING = 0.7
"""Variance that a pooling leaves of its input's."""
GAINS = (0.0, 0.5, 2.0)
FLOOR = 1e-3
BLOCK = 1024


class Flow(NamedTuple):
    """The graphs of a batch without vertices that do not matter; K operations count.

    A vertex stays if a path without closed operations leads through it from the input to the output. An open operation
    stays too, but it is no operation: K leaves both out.
    """

    adj: Tensor
    """float [B, N, N]: edges u -> v between vertices that stay."""
    kinds: Tensor
    """float [B, N, K]: the operation of a vertex that stays, zero for input, output, open operations and the rest."""
    types: Tensor
    """float [B, N, T]: the vocabulary entry of a vertex that stays."""
    resets: Tensor
    """bool [B, N]: convolutions, behind whose normalisation the variance is 1."""
    damped: Tensor
    """bool [B, N]: poolings."""
    last: Tensor
    """int64 [B]: the output."""

    @property
    def stays(self) -> Tensor:
        """float [B, N]."""
        return self.types.sum(2)

    def at_output(self, values: Tensor) -> Tensor:
        """[B, N, ...] -> [B, ...]: the values at the output, zero where no path leads there."""
        rows = torch.arange(len(values), device=values.device)
        found = values[rows, self.last]
        joined = self.stays[rows, self.last]
        return found * joined.reshape(-1, *[1] * (found.ndim - 1))


def working_ops(space: SearchSpace) -> list[int]:
    """Vocabulary indices of the K operations that count."""
    return [i for i, op in enumerate(space.vocabulary) if i > OUTPUT and op not in (CLOSED, OPEN)]


def functional_flow(space: SearchSpace, archs: Architectures) -> Flow:
    """The part of every graph through which the signal goes."""
    archs = archs.widen(max(space.max_nodes, archs.max_nodes)).clean()
    rows, types = torch.arange(len(archs), device=archs.device), archs.ops.long()

    def named(part: str) -> Tensor:
        return torch.tensor([part in op for op in space.vocabulary], device=archs.device)[types]

    passes = archs.node_mask & ~torch.tensor([op == CLOSED for op in space.vocabulary], device=archs.device)[types]
    adj = archs.adj & passes[:, :, None] & passes[:, None, :]
    fed, used = torch.zeros_like(passes), torch.zeros_like(passes)
    fed[:, 0], used[rows, archs.num_nodes - 1] = True, True
    for vertex in range(1, archs.max_nodes):  # one vertex of all graphs at a time, in topological order
        fed[:, vertex] |= (fed & adj[:, :, vertex]).any(1)
    for vertex in range(archs.max_nodes - 2, -1, -1):
        used[:, vertex] |= (used & adj[:, vertex]).any(1)
    stays = fed & used
    kept = one_hot(types, space.num_ops) * stays[..., None]
    return Flow(
        adj=(adj & stays[:, :, None] & stays[:, None, :]).float(),
        kinds=kept[..., working_ops(space)].float(),
        types=kept.float(),
        resets=named("conv") & stays,
        damped=named("pool") & stays,
        last=archs.num_nodes - 1,
    )


# -- groups ---------------------------------------------------------------------------------------------------------


def op_counts(flow: Flow) -> Tensor:
    """Vertices of every operation, the open one included, float [B, T - 2]."""
    return flow.types.sum(1)[:, OUTPUT + 1 :]


def degree_features(flow: Flow) -> Tensor:
    """Sizes and degrees, float [B, 9].

    Predecessors of the output, successors of the input, vertices, edges, largest in- and out-degree, the sums of their
    squares, and whether an edge leads from the input to the output.
    """
    into, out = flow.adj.sum(1), flow.adj.sum(2)
    columns = [flow.at_output(into), out[:, 0], flow.stays.sum(1), out.sum(1), into.amax(1), out.amax(1)]
    columns += [into.square().sum(1), out.square().sum(1), flow.at_output(flow.adj[:, 0])]
    return torch.stack(columns, 1)


def distance_features(flow: Flow) -> Tensor:
    """How much of every operation lies on a path from input to output, float [B, 3 (K + 2) + 1].

    For each operation, for all together and for all convolutions: the most and the least of a path and the mean over
    paths, -1, -1 and 0 without a path. Then log(1 + number of paths).
    """
    weights = torch.cat([flow.kinds, flow.kinds.sum(2, keepdim=True), flow.resets[..., None].float()], 2)
    most, least = torch.zeros_like(weights), torch.zeros_like(weights)
    count, total = torch.zeros_like(weights[..., 0]), torch.zeros_like(weights)
    count[:, 0] = 1
    for vertex in range(1, weights.shape[1]):
        edges = flow.adj[:, :vertex, vertex, None]
        away = torch.where(edges > 0, 0.0, torch.inf)
        own = weights[:, vertex]
        most[:, vertex] = (most[:, :vertex] - away).amax(1).clamp(min=-1) + own
        least[:, vertex] = (least[:, :vertex] + away).amin(1).clamp(max=1e3) + own
        count[:, vertex] = (edges[..., 0] * count[:, :vertex]).sum(1)
        total[:, vertex] = (edges * total[:, :vertex]).sum(1) + own * count[:, vertex, None]
    paths = flow.at_output(count)[:, None]
    ends = [torch.where(paths > 0, flow.at_output(part), -1.0) for part in (most, least)]
    return torch.cat([*ends, flow.at_output(total) / paths.clamp(min=1), paths.log1p()], 1)


def word_length(num_ops: int, longest: int) -> int:
    """Letters of the longest words that are read: of at most `longest`, and no more than 121 words in all."""
    sizes = [sum(num_ops**size for size in range(length + 1)) for length in range(longest + 1)]
    return max(length for length, size in enumerate(sizes) if length == 0 or size <= MOST_WORDS)


def path_words(flow: Flow) -> Tensor:
    """How often every word of operations is read on a path from input to output, float [B, W].

    The word of operations o_1 .. o_L has the place sum over i of (o_i + 1) K^(L - i), so words of one length lie side
    by side. Open operations are silent, so that equal words of a cell's paths merge. Words with more letters than
    :func:`word_length` are left out.
    """
    num_ops, nodes = flow.kinds.shape[2], flow.adj.shape[1]
    length = word_length(num_ops, nodes - 2)
    bounds = [0, *itertools.accumulate(num_ops**size for size in range(length + 1))]
    read = flow.adj.new_zeros(len(flow.adj), nodes, bounds[-1])
    read[:, 0, 0] = 1
    for vertex in range(1, nodes):
        words = flow.adj.new_zeros(len(flow.adj), bounds[-1])
        for source in range(vertex):  # at most `source` letters have been read up to there
            known = bounds[min(source, length) + 1]
            words[:, :known].addcmul_(flow.adj[:, source, vertex, None], read[:, source, :known])
        own = flow.kinds[:, vertex]
        parts = [words[:, first:after] for first, after in itertools.pairwise(bounds)]
        longer = [(part[:, :, None] * own[:, None]).flatten(1) for part in parts[:-1]]
        silent = 1 - own.sum(1, keepdim=True)
        read[:, vertex] = words * silent + torch.cat([torch.zeros_like(parts[0]), *longer], 1)
    return flow.at_output(read)


def share_features(flow: Flow) -> Tensor:
    """Which operations the signal at the output has gone through, float [B, K + K^2 + K + 1].

    On a walk back from the output that takes a predecessor in proportion to the variance of its signal: the expected
    number of every operation, of every product of two such numbers, and the probability of meeting it. The variance is
    1 behind a convolution, which is normalised, elsewhere the sum over predecessors, 0.7 of that behind a pooling;
    the last column is log(0.1 + that of the output).
    """
    batch, nodes, num_ops = flow.kinds.shape
    variance, first = flow.adj.new_zeros(batch, nodes), torch.zeros_like(flow.kinds)
    second, without = first[..., None].repeat(1, 1, 1, num_ops), torch.zeros_like(first)
    variance[:, 0], without[:, 0] = 1, 1
    for vertex in range(1, nodes):
        weights = flow.adj[:, :vertex, vertex] * variance[:, :vertex]
        arrived = weights.sum(1)
        kept = arrived * torch.where(flow.damped[:, vertex], DAMPING, 1.0)
        variance[:, vertex] = torch.where(flow.resets[:, vertex], 1.0, kept)
        weights = weights / arrived.clamp(min=1e-9)[:, None]
        own = flow.kinds[:, vertex]
        mean = (weights[:, :, None] * first[:, :vertex]).sum(1)
        square = (weights[:, :, None, None] * second[:, :vertex]).sum(1)
        cross = mean[:, :, None] * own[:, None]
        second[:, vertex] = square + cross + cross.transpose(1, 2) + own[:, :, None] * own[:, None]
        first[:, vertex] = mean + own
        without[:, vertex] = (weights[:, :, None] * without[:, :vertex]).sum(1) * (1 - own)
    joined = flow.at_output(flow.stays)[:, None]
    met = joined - flow.at_output(without)
    level = (flow.at_output(variance)[:, None] + 0.1).log()
    return torch.cat([flow.at_output(first), flow.at_output(second).flatten(1), met, level], 1)


def pair_features(flow: Flow) -> Tensor:
    """log(1 + x) of edges by the operations of their ends, float [B, (K + 2)^2].

    Input and output count as operations; open operations are bridged, so that an edge weighs the number of silent ways.
    """
    adj, silent = flow.adj, flow.stays - flow.kinds.sum(2) - flow.types[..., : OUTPUT + 1].sum(2)
    for vertex in range(1, adj.shape[1]):
        adj = adj + adj[:, :, vertex, None] * adj[:, vertex, None] * silent[:, vertex, None, None]
    heard = 1 - silent
    adj = adj * heard[:, :, None] * heard[:, None, :]
    ends = torch.cat([flow.types[..., : OUTPUT + 1], flow.kinds], 2)
    return torch.einsum("bus,buv,bvt->bst", ends, adj, ends).flatten(1).log1p()


def gain_features(flow: Flow) -> Tensor:
    """log(0.001 + signal at the output) for several gains of the operations, float [B, 2 (3 K + 1)].

    A vertex has the sum, or the mean, of what its predecessors send, times the gain of its operation: one operation at
    a time has 0, 0.5 or 2 and the others 1; at last all have 0.5. The input is 1. Gain 0 counts paths without the
    operation.
    """
    num_ops = flow.kinds.shape[2]
    unit = torch.eye(num_ops, device=flow.adj.device)
    settings = [1 + unit * (gain - 1) for gain in GAINS] + [unit.new_full((1, num_ops), 0.5)]
    gains = torch.cat(settings)  # [G, K]
    factors = 1 + flow.kinds @ (gains - 1).T  # [B, N, G]
    signals = []
    for mean in (False, True):
        signal = torch.zeros_like(factors)
        signal[:, 0] = 1
        for vertex in range(1, factors.shape[1]):
            edges = flow.adj[:, :vertex, vertex]
            edges = edges / edges.sum(1, keepdim=True).clamp(min=1) if mean else edges
            signal[:, vertex] = torch.bmm(edges[:, None], signal[:, :vertex])[:, 0] * factors[:, vertex]
        signals.append(flow.at_output(signal))
    return (torch.cat(signals, 1) + FLOOR).log()


GROUPS: dict[str, Callable[[Flow], Tensor]] = {
    "counts": op_counts,
    "degrees": degree_features,
    "distances": distance_features,
    "words": lambda flow: path_words(flow).log1p(),
    "shares": share_features,
    "gains": gain_features,
    "pairs": pair_features,
}
"""Groups of features by name."""


def functional_features(
    space: SearchSpace, archs: Architectures, groups: Sequence[str] = tuple(GROUPS)
) -> dict[str, Tensor]:
    """Groups of features of architectures, float32 [B, F] each, on their device; see :data:`GROUPS`.

    Vertices that no signal reaches, or that do not reach the output, leave no trace, and neither does the order of
    the rest. Nor does a skip connection in `distances`, `words`, `shares`, `gains` and `pairs`: it is an edge. A row
    does not depend on the others.

    Args:
        space: the space.
        archs: B architectures of it.
        groups: names.

    Raises:
        UnknownName: a group that does not exist.
    """
    for name in groups:
        if name not in GROUPS:
            raise UnknownName("group of features", name, GROUPS)
    starts = range(0, max(1, len(archs)), BLOCK)
    flows = (functional_flow(space, archs[start : start + BLOCK]) for start in starts)
    blocks = [[GROUPS[name](flow) for name in groups] for flow in flows]
    return {name: torch.cat(parts) for name, parts in zip(groups, zip(*blocks, strict=True), strict=True)}
