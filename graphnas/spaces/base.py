"""What a search space is: the object every dataset, model, loop and search works through."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from graphnas.errors import InvalidArchitecture, OutsideSpace, UnknownName
from graphnas.spaces.architectures import Architectures, expect_architectures
from graphnas.spaces.cell_matrices import CellLayout, CellMatrices, vertex_matrices

INPUT, OUTPUT = 0, 1


class Rule(NamedTuple):
    """One condition on a batch: its wording, bool [B] where it holds, and the offending value of a row."""

    text: str
    holds: Tensor
    value: Callable[[int], object]


class SearchSpace(ABC):
    """A set of small DAGs with typed vertices.

    Vertex 0 is the `input` (vocabulary index 0), the last vertex the `output` (index 1); every other vertex carries one
    of the remaining entries of `vocabulary`. Everything works on whole batches.
    """

    name: ClassVar[str]
    vocabulary: ClassVar[tuple[str, ...]]
    max_nodes: ClassVar[int]
    size: ClassVar[int]
    ordered: ClassVar[bool] = False
    """Whether every architecture has one topological order, so that vertices have places of their own."""

    @property
    def num_ops(self) -> int:
        """T, entries of the vocabulary, `input` and `output` included."""
        return len(self.vocabulary)

    @property
    def family(self) -> str:
        """Name of the space whose rules, networks and recipes this one has: its own, unless it was resized."""
        return self.name

    def __repr__(self) -> str:
        return f"<search space {self.name}: {self.size:.4g} architectures of up to {self.max_nodes} vertices>"

    # -- membership ---------------------------------------------------------------------------------------------
    def rules(self, archs: Architectures) -> Iterable[Rule]:
        """The conditions of membership, in the order they are reported; spaces append their own to these."""
        ops, adj, size = archs.ops.long(), archs.adj, archs.num_nodes
        real, rows = archs.node_mask, torch.arange(len(archs), device=archs.device)
        fits = (size >= 2) & (size <= min(self.max_nodes, archs.max_nodes))
        yield Rule(f"2 to {self.max_nodes} vertices", fits, lambda row: f"{int(size[row])} vertices")
        last = (size - 1).clamp(0, archs.max_nodes - 1)
        interior = real & (torch.arange(archs.max_nodes, device=archs.device) < last[:, None])
        interior[:, :1] = False
        inner_ok = (~interior | ((ops > OUTPUT) & (ops < self.num_ops))).all(1)
        ends_ok = (ops[:, 0] == INPUT) & (ops[rows, last] == OUTPUT)
        yield Rule(
            "vertex 0 is the input, the last is the output and the others carry an operation of the space",
            inner_ok & ends_ok,
            lambda row: f"ops {ops[row, : int(size[row])].tolist()}",
        )
        upper = ~torch.tril(adj).flatten(1).any(1)
        yield Rule(
            "edges go from a lower to a higher index (acyclic, topological order)",
            upper,
            lambda row: f"edges {torch.tril(adj[row]).nonzero().tolist()}",
        )
        inside = ~(adj & ~(real[:, :, None] & real[:, None, :])).flatten(1).any(1)
        yield Rule("edges join real vertices only", inside, lambda row: f"edges {adj[row].nonzero().tolist()}")

    def is_valid(self, archs: Architectures) -> Tensor:
        """bool [B]: which rows are members of the space."""
        verdict = torch.ones(len(archs), dtype=torch.bool, device=archs.device)
        for rule in self.rules(archs):
            verdict &= rule.holds
        return verdict

    def check(self, archs: Architectures) -> Architectures:
        """The batch itself if every row is valid.

        Raises:
            InvalidArchitecture: naming the first bad row, the rule it breaks and the value it has.
        """
        for rule in self.rules(expect_architectures(archs)):
            if not bool(rule.holds.all()):
                row = int((~rule.holds).nonzero()[0])
                raise InvalidArchitecture(
                    f"row {row} is not in {self.name}: expected {rule.text} (got {rule.value(row)})"
                )
        return archs

    def resized(self, max_nodes: int, max_edges: int | None = None, min_nodes: int = 2) -> SearchSpace:
        """The space under the same rules with other limits on vertices, and on edges where it has one.

        Raises:
            OutsideSpace: a space whose members all have one size, or limits that cannot be.
        """
        raise OutsideSpace(f"{self.name} has members of one size: there is none of {max_nodes} vertices like it")

    def at_least(self, min_nodes: int) -> SearchSpace:
        """The part of the space that has no fewer vertices.

        Raises:
            OutsideSpace: there is no such part.
        """
        if min_nodes > self.max_nodes:
            raise OutsideSpace(f"{self.name} has at most {self.max_nodes} vertices (asked for {min_nodes})")
        return self

    # -- members ------------------------------------------------------------------------------------------------
    def enumerate(self) -> Architectures:
        """Every architecture of the space, one representative per class where the space has one, in a fixed order.

        Raises:
            OutsideSpace: the space is too large.
        """
        raise OutsideSpace(f"{self.name} has {self.size:.3g} architectures and cannot be enumerated: use sample()")

    @abstractmethod
    def sample(self, n: int, generator: Generator | None = None) -> Architectures:
        """`n` architectures drawn independently; the docstring of each space says from which distribution."""

    @abstractmethod
    def neighbors(self, arch: Architectures) -> Architectures:
        """All architectures one edit away from a batch of one, no two the same; the architecture itself is left out."""

    @abstractmethod
    def mutate(self, archs: Architectures, generator: Generator | None = None) -> Architectures:
        """One random valid edit of every row; never the row itself."""

    # -- identity -----------------------------------------------------------------------------------------------
    @abstractmethod
    def canonical_keys(self, archs: Architectures) -> list[str]:
        """One string per row, equal exactly for isomorphic architectures."""

    def functional_keys(self, archs: Architectures) -> list[str]:
        """Keys equal for architectures known to compute the same function: splits are disjoint in these."""
        return self.canonical_keys(archs)

    def fingerprints(self, archs: Architectures) -> Tensor:
        """int64 [B], equal where `canonical_keys` are; different keys collide with a probability of 2^-64 at most."""
        return hash_keys(self.canonical_keys(archs))

    def class_ids(self, archs: Architectures) -> Tensor:
        """int64 [B], equal where `functional_keys` are, whatever else is in the batch and on every platform.

        Different keys collide with a probability of 2^-64 at most, which would make a split stricter, never leak.
        """
        if type(self).functional_keys is SearchSpace.functional_keys:
            return self.fingerprints(archs)
        return hash_keys(self.functional_keys(archs))

    # -- text ---------------------------------------------------------------------------------------------------
    @abstractmethod
    def parse(self, text: str | Sequence[str]) -> Architectures:
        """Architectures from the native text form, parsed and never evaluated.

        Raises:
            InvalidArchitecture: text outside the grammar, or an architecture outside the space.
        """

    @abstractmethod
    def format(self, archs: Architectures) -> list[str]:
        """The native text form of every row; `parse` is its inverse."""

    def op_index(self, op: str) -> int:
        """Vocabulary index of an operation string.

        Raises:
            InvalidArchitecture: with the list of operations of the space.
        """
        if op not in self.vocabulary[2:]:
            raise InvalidArchitecture(
                f"unknown operation {op!r} in {self.name}: expected one of {', '.join(self.vocabulary[2:])}"
            )
        return self.vocabulary.index(op)

    # -- price --------------------------------------------------------------------------------------------------
    @abstractmethod
    def cost(self, archs: Architectures) -> dict[str, Tensor]:
        """`flops`, `params` int64 [B] of the network; `vertex_flops`, `vertex_params` int64 [B, M, N] per module."""

    @property
    def cell_layout(self) -> CellLayout:
        """Sizes and units of :meth:`cell_matrices`."""
        return CellLayout(1, self.max_nodes)

    def cell_matrices(self, archs: Architectures, dataset: str | None = None) -> CellMatrices:
        """Types and costs by edge of the cell; here [i, j] belongs to vertex j, the output in the last column.

        Args:
            archs: B architectures.
            dataset: the data the network is for, where the space knows several; None is its usual one.

        Raises:
            UnknownName: a data set where the space has one only.
        """
        if dataset is not None:
            raise UnknownName(f"data set of {self.name}", dataset, [])
        archs = archs.widen(self.max_nodes)
        cost = self.cost(archs)
        return vertex_matrices(archs, self._type_codes(), cost["vertex_flops"], cost["vertex_params"])

    def _type_codes(self) -> Tensor:
        """int64 [T]: the number :meth:`cell_matrices` shows for every entry of the vocabulary."""
        return torch.arange(1, self.num_ops + 1)

    # -- decoding -----------------------------------------------------------------------------------------------
    @abstractmethod
    def type_mask(self, partial: Architectures, vertex: int) -> Tensor:
        """bool [B, T]: the types vertex `vertex` may get so that the graph can still end in a valid architecture.

        `partial` holds vertices 0..vertex-1 and their edges (its num_nodes is not read).
        """

    @abstractmethod
    def edge_mask(self, partial: Architectures, vertex: int, source: int) -> tuple[Tensor, Tensor]:
        """bool [B] twice: whether the edge source -> vertex may be there, and whether it must.

        Sources are visited from vertex-1 down to 0: `partial` holds the type of `vertex` and its edges from the sources
        above `source`. Following both answers always ends in a valid architecture; must implies may.
        """


def hash_keys(keys: Sequence[str]) -> Tensor:
    """The first 64 bits of a hash of every string, as int64 [B] on the CPU."""
    words = b"".join(blake2b(key.encode(), digest_size=8).digest() for key in keys)
    return torch.from_numpy(np.frombuffer(words, dtype="<i8").astype(np.int64))


def as_lines(text: str | Sequence[str]) -> list[str]:
    """One text or many, as a list of stripped lines."""
    lines = [text] if isinstance(text, str) else text
    if not isinstance(lines, Iterable) or not all(isinstance(line, str) for line in lines):
        raise InvalidArchitecture(f"expected text or a sequence of texts (got {text!r})")
    return [line.strip() for line in lines]
