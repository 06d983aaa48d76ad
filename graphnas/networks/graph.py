"""One architecture as Python lists, which is what building a network module by module takes."""

from __future__ import annotations

from typing import NamedTuple

from graphnas.spaces import Architectures


class Graph(NamedTuple):
    """A DAG of n vertices, 0 the input and n - 1 the output.

    Attributes:
        ops: n indices into the vocabulary of the space.
        sources: for each of the n vertices those with an edge into it, ascending.
    """

    ops: list[int]
    sources: list[list[int]]

    @property
    def last(self) -> int:
        """The output vertex."""
        return len(self.ops) - 1


def read_graph(arch: Architectures) -> Graph:
    """The graph of a batch of one."""
    found = arch.describe(0)
    sources: list[list[int]] = [[] for _ in found["ops"]]
    for source, target in sorted(found["edges"]):
        sources[target].append(source)
    return Graph(found["ops"], sources)
