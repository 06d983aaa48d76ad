"""A space small enough to enumerate in milliseconds, with a score whose best architecture is known."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from graphnas.spaces.architectures import Architectures
from graphnas.spaces.base import OUTPUT
from graphnas.spaces.cell_matrices import CellLayout
from graphnas.spaces.dag import DagSpace

CONV, POOL = 2, 3  # vocabulary of the space
POSITIONS = 8 * 8


class Toy(DagSpace):
    """Cells of at most 5 vertices with two operations and any edges: 787 classes.

    Tests and examples run here: everything is computed, nothing is downloaded, and the answer is known.

    >>> from graphnas import get_space
    >>> toy = get_space("toy")
    >>> len(toy.enumerate()), toy.format(toy.optimum()), toy.score(toy.optimum()).tolist()
    (787, ['01001/00100/00010/00001/00000:conv,conv,conv'], [1.0])
    """

    name: ClassVar[str] = "toy"
    vocabulary: ClassVar[tuple[str, ...]] = ("input", "output", "conv", "pool")
    max_nodes: ClassVar[int] = 5
    max_edges: ClassVar[int] = 10
    size: ClassVar[int] = 787

    def canonical_keys(self, archs: Architectures) -> list[str]:
        """The fingerprint of every row in eight hexadecimal digits.

        Raises:
            InvalidArchitecture: a row outside the space.
        """
        return [f"{number:08x}" for number in self.fingerprints(archs).tolist()]

    def score(self, archs: Architectures) -> Tensor:
        """How good every row is, float [B] in [0, 1], higher is better, equal for isomorphic rows:

            score = 0.5 d / 3  +  0.25 (1 - |p - 2| / 6)  +  0.15 (l - s) / 3  +  0.1 c / 3

        with d the most convolutions on one input-output path, p the number of such paths, l and s the edges of the
        longest and of the shortest, and c the convolutions in all. It is 1 for :meth:`optimum` and below 1 elsewhere:
        d = 3 leaves only chains of three convolutions with more edges, l - s = 3 asks for the edge input -> output, p
        = 2 for no other.

        Raises:
            InvalidArchitecture: a row outside the space.
        """
        archs = self.check(archs)
        rows, last = torch.arange(len(archs), device=archs.device), archs.num_nodes - 1
        conv = (archs.ops == CONV) & archs.node_mask
        ones = torch.ones_like(conv, dtype=torch.int64)
        depth = _best_path(archs, conv.long())[rows, last]
        longest, shortest = _best_path(archs, ones)[rows, last], -_best_path(archs, -ones)[rows, last]
        paths = _count_paths(archs)[rows, last]
        terms = torch.stack([depth / 3, 1 - (paths - 2).abs() / 6, (longest - shortest) / 3, conv.sum(1) / 3], 1)
        return (terms.double() @ torch.tensor([0.5, 0.25, 0.15, 0.1], dtype=torch.float64, device=archs.device)).float()

    def optimum(self) -> Architectures:
        """The architecture of score 1, a batch of one: three convolutions in a row and a shortcut past them."""
        return self.parse("01001/00100/00010/00001/00000:conv,conv,conv")

    def cost(self, archs: Architectures) -> dict[str, Tensor]:
        """Exact cost on one channel of 8x8 positions: `flops`, `params` int64 [B], `vertex_*` int64 [B, 1, N].

        With m edges into a vertex, a conv holds one 3x3 kernel per edge, 9 m parameters and 2 * 9 m * 64 FLOPs; a pool
        adds its inputs up and takes 3x3 maxima, (m - 1 + 9) * 64 FLOPs; the output adds up, (m - 1) * 64 FLOPs.

        Raises:
            InvalidArchitecture: a row outside the space.
        """
        archs = self.check(archs).clean()
        fan_in = archs.adj.sum(1)
        conv, pool = archs.ops == CONV, archs.ops == POOL
        params = 9 * fan_in * conv
        adding = (fan_in - 1) * (pool | (archs.ops == OUTPUT))
        flops = POSITIONS * (2 * params + adding + 9 * pool)
        totals = {"flops": flops.sum(1), "params": params.sum(1)}
        return totals | {"vertex_flops": flops[:, None], "vertex_params": params[:, None]}

    @property
    def cell_layout(self) -> CellLayout:
        return CellLayout(1, self.max_nodes, 1e3, 1e1)


def _best_path(archs: Architectures, value: Tensor) -> Tensor:
    """Greatest sum of `value` (int64 [B, N]) over the vertices behind the input on a path from it: int64 [B, N]."""
    best = torch.zeros_like(value)
    for vertex in range(1, archs.max_nodes):
        step = torch.where(archs.adj[:, :vertex, vertex], best[:, :vertex], -archs.max_nodes)
        best[:, vertex] = step.amax(1) + value[:, vertex]
    return best


def _count_paths(archs: Architectures) -> Tensor:
    """Number of paths from the input to every vertex: int64 [B, N]."""
    paths = torch.zeros_like(archs.ops, dtype=torch.int64)
    paths[:, 0] = 1
    for vertex in range(1, archs.max_nodes):
        paths[:, vertex] = (archs.adj[:, :vertex, vertex] * paths[:, :vertex]).sum(1)
    return paths
