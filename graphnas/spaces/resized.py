"""Spaces under the rules of another one with more or fewer vertices, for models that go beyond what they learned."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from math import comb
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor

from graphnas.errors import OutsideSpace
from graphnas.spaces.architectures import Architectures
from graphnas.spaces.base import OUTPUT
from graphnas.spaces.isomorphism import enumerate_dags, vertex_pairs

if TYPE_CHECKING:
    from graphnas.spaces.dag import DagSpace

EXACT = 2**53
"""Numbers of graphs lie below this, where float64 is exact."""
ROUND = 20_000
MOST_MATRICES = 2_000_000


def resized_dag(space: DagSpace, max_nodes: int, max_edges: int | None, min_nodes: int) -> DagSpace:
    """See :meth:`graphnas.spaces.dag.DagSpace.resized`."""
    pairs = max_nodes * (max_nodes - 1) // 2
    edges = min(space.max_edges if max_edges is None else max_edges, pairs)
    if not 2 <= min_nodes <= max_nodes or edges < min_nodes - 1:
        raise OutsideSpace(
            f"expected 2 <= min_nodes <= max_nodes and an edge for all but one of min_nodes vertices (got {min_nodes} "
            f"to {max_nodes} vertices and {edges} edges)"
        )
    numbers = sum(labelled_graphs(n, space.num_labels) for n in range(2, max_nodes + 1))
    if numbers >= EXACT:
        most = largest_numbered(space.num_labels)
        raise OutsideSpace(f"graphs of {max_nodes} vertices cannot be numbered exactly: expected at most {most}")
    kind = counted_kind(space)
    low = f"{min_nodes}to" if min_nodes > 2 else ""
    name = f"{kind.name}_{low}{max_nodes}{'' if edges == min(kind.max_edges, pairs) else f'e{edges}'}"
    limits: dict[str, object] = {"name": name, "max_nodes": max_nodes, "max_edges": edges, "min_nodes": min_nodes}
    limits |= {"family": kind.name, "__module__": __name__}
    if max_nodes <= kind.max_nodes and edges <= kind.max_edges:
        sizes = range(min_nodes, max_nodes + 1)
        limits["size"] = sum(len(enumerate_dags(size, space.num_labels, edges)) for size in sizes)
    else:
        limits |= {"size": numbers}
        own = vars(_Uncounted).items()
        limits |= {key: value for key, value in own if key == "__repr__" or not key.startswith("__")}
    made: DagSpace = type(f"{kind.__name__}Resized", (kind,), limits)()
    return made


def labelled_graphs(num_nodes: int, num_labels: int) -> int:
    """How many labelled graphs there are of so many vertices, all edges and labels of those between the ends."""
    return int(2 ** comb(num_nodes, 2) * num_labels ** (num_nodes - 2))


def largest_numbered(num_labels: int) -> int:
    """The most vertices with which all labelled graphs can be numbered exactly."""
    count, num_nodes = 0, 1
    while (count := count + labelled_graphs(num_nodes + 1, num_labels)) < EXACT:
        num_nodes += 1
    return num_nodes


def counted_kind(space: DagSpace) -> type[DagSpace]:
    """The class of the space whose rules a resized one has, or its own."""
    return next(one for one in type(space).__mro__ if "family" not in vars(one))


class _Uncounted:
    """What a space too large to enumerate does differently; `size` is that of all labelled graphs, an upper bound."""

    name: str
    size: int
    max_nodes: int
    max_edges: int
    num_ops: int
    is_valid: Callable[[Architectures], Tensor]

    def __repr__(self) -> str:
        return (
            f"<search space {self.name}: fewer than {self.size:.4g} architectures of up to {self.max_nodes} vertices>"
        )

    def enumerate(self) -> Architectures:
        """Never.

        Raises:
            OutsideSpace: always.
        """
        raise OutsideSpace(f"{self.name} has too many architectures to be enumerated: use sample()")

    @cached_property
    def _members(self) -> Architectures:
        return self.enumerate()

    def sample(self, n: int, generator: Generator | None = None) -> Architectures:
        """`n` architectures of `max_nodes` vertices, uniform over the valid labelled graphs, with replacement.

        A class counts as often as it has labelled graphs in topological order, not once as in the smaller spaces.
        """
        found, missing = [Architectures.empty(self.max_nodes)], n
        while missing:
            drawn = self._draw(ROUND, generator)
            found.append(drawn[self.is_valid(drawn)][:missing])
            missing -= len(found[-1])
        return Architectures.concat(found)

    @cached_property
    def _matrices(self) -> Tensor | None:
        """Edge bits of all graphs in which every vertex hears another, bool [M, P]; None where they are too many."""
        if covered_count(self.max_nodes, self.max_edges) > MOST_MATRICES:
            return None
        return covered_matrices(self.max_nodes, self.max_edges)

    def _draw(self, n: int, generator: Generator | None) -> Architectures:
        """Labelled graphs with at most `max_edges` edges, valid ones uniform among them; many have loose ends."""
        source, target = vertex_pairs(self.max_nodes)
        if self._matrices is not None:
            bits = self._matrices[torch.randint(len(self._matrices), (n,), generator=generator)]
        else:
            bits = random_bits(n, len(source), self.max_edges, generator)
        adj = torch.zeros(n, self.max_nodes, self.max_nodes, dtype=torch.bool)
        adj[:, source, target] = bits
        ops = torch.randint(OUTPUT + 1, self.num_ops, (n, self.max_nodes), generator=generator, dtype=torch.uint8)
        ops[:, 0], ops[:, -1] = 0, OUTPUT
        return Architectures(ops, adj, torch.full((n,), self.max_nodes))


def random_bits(n: int, width: int, most: int, generator: Generator | None) -> Tensor:
    """Rows with at most `most` of their bits set, each as probable as any other: bool [n, width]."""
    counts = torch.tensor([comb(width, bits) for bits in range(most + 1)], dtype=torch.float64)
    number = torch.multinomial(counts / counts.sum(), n, replacement=True, generator=generator)
    order = torch.rand(n, width, generator=generator).argsort(1).argsort(1)
    return order < number[:, None]


def covered_count(num_nodes: int, max_edges: int) -> int:
    """Matrices with at most `max_edges` edges and one at least into every vertex but the first."""
    ways = {0: 1}  # by edges so far
    for vertex in range(1, num_nodes):
        grown: dict[int, int] = {}
        for edges, count in ways.items():
            for more in range(1, vertex + 1):
                if edges + more <= max_edges:
                    grown[edges + more] = grown.get(edges + more, 0) + count * comb(vertex, more)
        ways = grown
    return sum(ways.values())


def covered_matrices(num_nodes: int, max_edges: int) -> Tensor:
    """The edge bits of those matrices, bool [M, P], grown vertex by vertex."""
    rows = torch.zeros(1, 0, dtype=torch.bool)
    for vertex in range(1, num_nodes):
        masks = torch.arange(1, 2**vertex)[:, None] >> torch.arange(vertex)
        columns = (masks & 1).bool()
        room = max_edges - (num_nodes - 1 - vertex)  # every later vertex takes one edge at least
        fits = (rows.sum(1)[:, None] + columns.sum(1) <= room).nonzero()
        rows = torch.cat([rows[fits[:, 0]], columns[fits[:, 1]]], 1)
    return rows
