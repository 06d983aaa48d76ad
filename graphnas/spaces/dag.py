"""Spaces of all connected DAGs up to a number of vertices and edges: the common part of NB101 and the toy space."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

from graphnas.errors import InvalidArchitecture, OutsideSpace
from graphnas.spaces import dag_edits
from graphnas.spaces.architectures import Architectures
from graphnas.spaces.base import OUTPUT, Rule, SearchSpace
from graphnas.spaces.dag_text import cell_from_matrix, format_cells, parse_cells
from graphnas.spaces.isomorphism import canonical, enumerate_dags, relabel, vertex_pairs
from graphnas.spaces.resized import resized_dag


class DagSpace(SearchSpace):
    """DAGs with at most `max_nodes` vertices and `max_edges` edges in which every vertex lies on an input-output path.

    Members are classes under isomorphism that keeps input, output and operations. Graphs with dangling vertices
    describe a member too, but are not one: `prune` turns them into it.
    """

    max_edges: ClassVar[int]
    min_nodes: ClassVar[int] = 2

    @property
    def num_labels(self) -> int:
        """Operations an interior vertex may carry."""
        return self.num_ops - 2

    # -- membership ---------------------------------------------------------------------------------------------
    def rules(self, archs: Architectures) -> Iterable[Rule]:
        yield from super().rules(archs)
        place = torch.arange(archs.max_nodes, device=archs.device)
        inner = place < archs.num_nodes[:, None] - 1  # every real vertex but the output
        stuck, orphan = inner & ~archs.adj.any(2), inner.roll(1, 1) & ~archs.adj.any(1)
        yield Rule(
            "every vertex on a path from input to output (prune() removes the others)",
            ~(stuck | orphan).any(1),
            lambda row: f"vertices {(stuck[row] | orphan[row]).nonzero().flatten().tolist()} not on one",
        )
        edges = archs.num_edges
        yield Rule(f"at most {self.max_edges} edges", edges <= self.max_edges, lambda row: f"{int(edges[row])} edges")
        if self.min_nodes > 2:
            size = archs.num_nodes
            wording = f"at least {self.min_nodes} vertices"
            yield Rule(wording, size >= self.min_nodes, lambda row: f"{int(size[row])} vertices")

    def prune(self, archs: Architectures) -> Architectures:
        """The same functions without the vertices that no input-output path visits; the rest keeps its order.

        Rows may exceed the limits of the space before and after; `check` tells.

        Raises:
            InvalidArchitecture: a row that is not upper triangular, or whose input and output are not connected.
        """
        if bool(torch.tril(archs.adj).any()):
            row = int(torch.tril(archs.adj).flatten(1).any(1).nonzero()[0])
            raise InvalidArchitecture(
                f"row {row}: expected edges from a lower to a higher index (got {archs.adj[row].nonzero().tolist()})"
            )
        sized = (archs.num_nodes >= 2) & (archs.num_nodes <= archs.max_nodes)
        pruned, connected = dag_edits.prune(
            Architectures(archs.ops, archs.adj, archs.num_nodes.clamp(min(2, archs.max_nodes), archs.max_nodes))
        )
        bad = (~(connected & sized)).nonzero().flatten().tolist()
        if bad:
            found = archs.describe(bad[0])
            raise InvalidArchitecture(f"row {bad[0]}: expected a path from input to output (got {found})")
        return pruned

    def resized(self, max_nodes: int, max_edges: int | None = None, min_nodes: int = 2) -> DagSpace:
        """The space under the same rules with `min_nodes` to `max_nodes` vertices and at most `max_edges` edges.

        Up to the vertices of this space its members are counted and enumerated; above, `size` is an upper bound,
        `enumerate` refuses and `sample` draws labelled graphs. Also got by name: `nb101_8`, with 28 edges `nb101_8e28`,
        and with exactly eight vertices `nb101_8to8`.

        Raises:
            OutsideSpace: limits that cannot be, or too many vertices for exact numbers.
        """
        return resized_dag(self, max_nodes, max_edges, min_nodes)

    def at_least(self, min_nodes: int) -> DagSpace:
        super().at_least(min_nodes)
        return self if min_nodes <= self.min_nodes else resized_dag(self, self.max_nodes, None, min_nodes)

    # -- members ------------------------------------------------------------------------------------------------
    @cached_property
    def _members(self) -> Architectures:
        sizes = range(self.min_nodes, self.max_nodes + 1)
        parts = [enumerate_dags(size, self.num_labels, self.max_edges) for size in sizes]
        members = Architectures.concat(parts).widen(self.max_nodes)
        if len(members) != self.size:
            raise OutsideSpace(
                f"{type(self).__name__}.size says {self.size}, its limits make {len(members)}: correct it"
            )
        return members

    @cached_property
    def _member_numbers(self) -> Tensor:
        return canonical(self._members, self.num_labels).numbers

    def enumerate(self) -> Architectures:
        """One representative per class, by number of vertices and then in the order NAS-Bench-101 was generated in.

        That order takes matrices by ascending bits (edge x -> y is bit x + y (y - 1) / 2) and, for each, labelings as
        `itertools.product` does; the first member of a class represents it. The batch is computed once and shared:
        index it, do not write into it.
        """
        return self._members

    def index(self, archs: Architectures) -> Tensor:
        """Where the class of every row stands in `enumerate()`: int64 [B].

        Raises:
            InvalidArchitecture: a row outside the space.
        """
        return torch.searchsorted(self._member_numbers.to(archs.device), self.fingerprints(archs))

    def sample(self, n: int, generator: Generator | None = None) -> Architectures:
        """`n` architectures, uniform over the classes of the space, with replacement."""
        device = generator.device if generator is not None else "cpu"
        return self._members[torch.randint(self.size, (n,), generator=generator, device=device).cpu()]

    def neighbors(self, arch: Architectures) -> Architectures:
        """All classes one edit away from a batch of one, each once, itself left out.

        Edits are: toggle an edge and prune, which may remove vertices; change an operation; add a vertex with one edge
        in and one out, either beside or instead of an edge between the same two.
        """
        if len(arch) != 1:
            raise InvalidArchitecture(f"neighbors() takes a batch of one architecture (got {len(arch)})")
        arch = self.check(arch).widen(self.max_nodes)
        near, connected = dag_edits.prune(Architectures.concat(self._all_edits(arch)))
        near = near[connected]
        near = near[self.is_valid(near)]
        numbers = canonical(near, self.num_labels).numbers
        order = numbers.argsort(stable=True)
        first = torch.ones(len(near), dtype=torch.bool, device=arch.device)
        first[order[1:]] = numbers[order[1:]] != numbers[order[:-1]]
        return near[first & (numbers != canonical(arch, self.num_labels).numbers)]

    def _all_edits(self, arch: Architectures) -> list[Architectures]:
        """Every edit of one architecture, valid or not, by kind."""
        size, device = int(arch.num_nodes), arch.device
        ops = torch.arange(OUTPUT + 1, self.num_ops, device=device)
        pairs = vertex_pairs(size).to(device)

        def copies(count: int) -> Architectures:
            return arch[torch.zeros(count, dtype=torch.int64, device=device)]

        found = [dag_edits.toggle_edge(copies(pairs.shape[1]), pairs[0], pairs[1])]
        if size > 2:
            vertex, op = torch.cartesian_prod(torch.arange(1, size - 1, device=device), ops).T
            found.append(dag_edits.change_op(copies(len(op)), vertex, op))
        if size < self.max_nodes:
            pair, op, split = torch.cartesian_prod(
                torch.arange(pairs.shape[1], device=device), ops, torch.arange(2, device=device)
            ).T
            found.append(dag_edits.insert_vertex(copies(len(op)), pairs[0, pair], pairs[1, pair], op, split.bool()))
        return found

    def mutate(self, archs: Architectures, generator: Generator | None = None) -> Architectures:
        """One random valid edit of every row, as in `neighbors`; the result is never isomorphic to the row.

        The kind of edit is drawn evenly among those the row has room for, the edit evenly within its kind, and both
        again until the result is valid.
        """
        result = self.check(archs).widen(self.max_nodes)
        ops, adj, num_nodes = result.ops.clone(), result.adj.clone(), result.num_nodes.clone()
        pending = torch.arange(len(archs), device=archs.device)
        while len(pending):  # rounds over the rows still without a valid edit
            edited, connected = dag_edits.prune(self._random_edit(result[pending], generator))
            done = connected & self.is_valid(edited)
            rows, edited = pending[done], edited[done]
            ops[rows], adj[rows], num_nodes[rows] = edited.ops, edited.adj, edited.num_nodes
            pending = pending[~done]
        return Architectures(ops, adj, num_nodes)

    def _random_edit(self, archs: Architectures, generator: Generator | None) -> Architectures:
        """One edit of every row, valid or not."""
        size, labels = archs.num_nodes, self.num_labels
        device = generator.device if generator is not None else "cpu"
        draws = torch.rand(8, len(archs), generator=generator, device=device, dtype=torch.float64).to(archs.device)
        room = torch.stack([torch.ones_like(size, dtype=torch.bool), size > 2, size < self.max_nodes])
        kind = torch.where(room, draws[:3], -1.0).argmax(0)
        source, target = vertex_pairs(self.max_nodes).to(archs.device)[:, (draws[3] * (size * (size - 1) // 2)).long()]
        vertex = 1 + (draws[4] * (size - 2)).long()
        current = archs.ops.gather(1, vertex[:, None])[:, 0].long() - (OUTPUT + 1)
        other = OUTPUT + 1 + (current + 1 + (draws[5] * (labels - 1)).long()) % labels
        added, split = OUTPUT + 1 + (draws[6] * labels).long(), draws[7] < 0.5
        edits: list[Callable[[Tensor], Architectures]] = [
            lambda rows: dag_edits.toggle_edge(archs[rows], source[rows], target[rows]),
            lambda rows: dag_edits.change_op(archs[rows], vertex[rows], other[rows]),
            lambda rows: dag_edits.insert_vertex(archs[rows], source[rows], target[rows], added[rows], split[rows]),
        ]
        by_kind = [(kind == number).nonzero().flatten() for number in range(len(edits))]
        edited = Architectures.concat([edit(rows) for edit, rows in zip(edits, by_kind, strict=True)])
        return edited[torch.cat(by_kind).argsort()]

    # -- identity -----------------------------------------------------------------------------------------------
    def fingerprints(self, archs: Architectures) -> Tensor:
        """One number per row, int64 [B], equal exactly for isomorphic architectures: nothing is hashed.

        Raises:
            InvalidArchitecture: a row outside the space.
        """
        return canonical(self.check(archs), self.num_labels).numbers

    def canonical(self, archs: Architectures) -> Architectures:
        """The member of `enumerate()` that every row is isomorphic to.

        Raises:
            InvalidArchitecture: a row outside the space.
        """
        return relabel(archs, canonical(self.check(archs), self.num_labels).places).clean()

    # -- text ---------------------------------------------------------------------------------------------------
    def parse(self, text: str | Sequence[str]) -> Architectures:
        """Architectures from cell text such as `0110/0001/0001/0000:conv,pool`; two vertices are `01/00:`.

        Raises:
            InvalidArchitecture: text outside the grammar, or a cell outside the space.
        """
        return self.check(parse_cells(self, text))

    def format(self, archs: Architectures) -> list[str]:
        """The cell text of every row; `parse` is its inverse."""
        return format_cells(self, self.check(archs))

    def build(self, matrix: Any, ops: Sequence[str], prune: bool = True) -> Architectures:
        """A batch of one from a 0/1 adjacency matrix and the operation of every vertex, `input` and `output` included.

        Args:
            matrix: n nested lists of n entries, or an array; strictly upper triangular.
            ops: n operation strings of the space.
            prune: drop vertices on no input-output path before the limits of the space are checked.

        Raises:
            InvalidArchitecture: not such a matrix, other operations, or a cell outside the space.
        """
        cell = cell_from_matrix(self, matrix, ops)
        if prune:
            cell = self.prune(cell)
        return self.check(cell).widen(self.max_nodes)

    # -- decoding: slack counts the edges that are free once every loose end is tied to the output ----------------
    def _loose_and_slack(self, partial: Architectures, vertex: int) -> tuple[Tensor, Tensor]:
        """Vertices below `vertex` without a successor below `vertex` (bool [B, vertex]), and free edges (int [B]).

        Every vertex that must still come behind this one keeps an edge back.
        """
        old = partial.adj[:, :vertex, :vertex]
        loose = ~old.any(2)
        reserve = max(0, self.min_nodes - 2 - vertex)
        return loose, self.max_edges - old.flatten(1).sum(1) - loose.sum(1) - reserve

    def type_mask(self, partial: Architectures, vertex: int) -> Tensor:
        _, slack = self._loose_and_slack(partial, vertex)
        mask = torch.zeros(len(partial), self.num_ops, dtype=torch.bool, device=partial.device)
        mask[:, OUTPUT] = vertex >= self.min_nodes - 1
        if vertex < self.max_nodes - 1:
            mask[:, OUTPUT + 1 :] = (slack >= 1)[:, None]
        return mask

    def edge_mask(self, partial: Architectures, vertex: int, source: int) -> tuple[Tensor, Tensor]:
        loose, slack = self._loose_and_slack(partial, vertex)
        closing = partial.ops[:, vertex] == OUTPUT
        chosen = partial.adj[:, source + 1 : vertex, vertex]
        spent = (chosen & ~loose[:, source + 1 :]).sum(1) + (~closing).long()
        may = loose[:, source] | (spent < slack)
        elsewhere = loose[:, :source].any(1) | ((slack >= 2) & (source > 0))
        must = torch.where(closing, loose[:, source], ~chosen.any(1) & ~elsewhere)
        return may | must, must
