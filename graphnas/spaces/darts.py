"""The DARTS search space: a normal and a reduction cell (Liu, Simonyan and Yang 2019, arXiv 1806.09055)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Generator, Tensor

from graphnas.errors import OutsideSpace
from graphnas.spaces.architectures import Architectures
from graphnas.spaces.base import Rule, as_lines
from graphnas.spaces.cell_matrices import CellLayout
from graphnas.spaces.darts_cells import (
    CELL_RADIX,
    CELL_SIZE,
    EDITS,
    NUM_NODES,
    OPS,
    canonical_rank,
    edited,
    join,
    ordered,
    split,
)
from graphnas.spaces.darts_cost import network_cost
from graphnas.spaces.darts_text import read_genotype, write_genotype
from graphnas.spaces.fixed import FixedSpace, Layout, build_layout

CELL_STARTS = (3, 12)
"""First operation vertex of the normal and of the reduction cell; eight further the vertex that concatenates."""

FIRST_OP = 6  # vocabulary index of OPS[0]


def _source_vertices(cell: int, source: int) -> list[int]:
    """Vertices a source stands for: a cell input, or both operation vertices of an intermediate node."""
    first = CELL_STARTS[cell] + 2 * (source - 2)
    return [source + 1] if source < 2 else [first, first + 1]


def _wires() -> Tensor:
    """bool [2, 5, 22]: by cell and source, the edges into an operation vertex."""
    wires = torch.zeros(2, NUM_NODES + 1, 22, dtype=torch.bool)
    for cell in range(2):
        for source in range(NUM_NODES + 1):
            wires[cell, source, _source_vertices(cell, source)] = True
    return wires


WIRES = _wires()
OP_VERTICES = torch.tensor([start + place for start in CELL_STARTS for place in range(8)])


class DARTS(FixedSpace):
    """Genotypes of two cells, each with 4 intermediate nodes that add up two operations on two distinct sources.

    Always 22 vertices: 0 input; 1, 2 the cell inputs c_{k-2}, c_{k-1}; 3..10 the operations of the normal cell, of
    which 3+2j and 4+2j feed intermediate node j; 11 its concatenation `normal`; 12..19 and 20 `reduce` likewise; 21
    output. An operation whose source is a cell input has the edge from vertex 1 or 2; one whose source is an
    intermediate node has an edge from both operation vertices of that node in its own cell. All operations feed the
    concatenation of their cell. Of the two operations of a node the one with the lower source comes first; `parse` puts
    them in this order.

    Sources are numbered as in genotypes: 0 c_{k-2}, 1 c_{k-1}, 2+i intermediate node i. Choices: for each cell the four
    pairs of sources, then the eight operations. Two architectures count as isomorphic when renumbering the intermediate
    nodes of each cell turns one into the other. This is a little finer than isomorphism of the graphs, which do not
    show which two operations are added up at a node that no other node reads.
    """

    name = "darts"
    vocabulary = ("input", "output", "c_{k-2}", "c_{k-1}", "normal", "reduce", *OPS)
    max_nodes = 22
    size = CELL_SIZE**2
    radix = CELL_RADIX * 2

    def _build_layout(self) -> Layout:
        types = [["input"], ["c_{k-2}"], ["c_{k-1}"], *[OPS] * 8, ["normal"], *[OPS] * 8, ["reduce"], ["output"]]
        required, optional = [(0, 1), (0, 2), (11, 21), (20, 21)], []
        for cell, start in enumerate(CELL_STARTS):
            for place in range(8):
                required.append((start + place, start + 8))
                sources = [vertex for source in range(place // 2 + 2) for vertex in _source_vertices(cell, source)]
                optional += [(vertex, start + place) for vertex in sources]
        return build_layout(self.vocabulary, types, required, optional)

    def rules(self, archs: Architectures) -> Iterable[Rule]:
        yield from super().rules(archs)
        _, adj = self._fit(archs)
        matches = self._matches(adj)  # [B, 16, 5]
        single = matches.any(2)

        def tangled(row: int) -> str:
            vertex = int(OP_VERTICES[int((~single[row]).nonzero()[0])])
            return f"edges from {adj[row, :, vertex].nonzero().flatten().tolist()} to vertex {vertex}"

        text = "one source of every operation: a cell input, or both operations of one earlier node"
        yield Rule(text, single.all(1), tangled)
        sources = matches.long().argmax(2).view(-1, 2 * NUM_NODES, 2)
        rising = sources[..., 0] < sources[..., 1]

        def swapped(row: int) -> str:
            node = int((~rising[row]).nonzero()[0])
            cell = ("normal", "reduction")[node // NUM_NODES]
            return f"sources {sources[row, node].tolist()} at node {node % NUM_NODES + 2} of the {cell} cell"

        yield Rule("two distinct sources of every node, the lower one first", rising.all(1), swapped)

    def _matches(self, adj: Tensor) -> Tensor:
        """bool [B, 16, 5]: whether the edges into an operation vertex are exactly those of a source."""
        bits = 2 ** torch.arange(22, dtype=torch.int32, device=adj.device)
        codes = (adj[:, :, OP_VERTICES.to(adj.device)] * bits[:, None]).sum(1)
        patterns = (WIRES.to(adj.device) * bits).sum(2).repeat_interleave(8, 0)
        return codes[..., None] == patterns

    def _read(self, ops: Tensor, adj: Tensor) -> Tensor:
        shape = (-1, 2, NUM_NODES, 2)
        sources = self._matches(adj).long().argmax(2).view(shape)
        return join(sources, (ops[:, OP_VERTICES.to(ops.device)] - FIRST_OP).view(shape))

    def _write(self, choices: Tensor) -> tuple[Tensor, Tensor]:
        sources, operations = split(choices)
        device, vertices = choices.device, OP_VERTICES.to(choices.device)
        ops = self.layout.types.long().argmax(1).to(device).repeat(len(choices), 1)
        ops[:, vertices] = operations.flatten(1) + FIRST_OP
        adj = self.layout.required.to(device).repeat(len(choices), 1, 1)
        cell = torch.arange(2, device=device)[:, None]
        columns = WIRES.to(device)[cell, sources.flatten(2)].flatten(1, 2)  # [B, 16, 22]
        adj[:, :, vertices] = columns.transpose(1, 2)
        return ops, adj

    # -- members ------------------------------------------------------------------------------------------------
    @property
    def num_edits(self) -> int:
        """120: 96 changes of an operation (6 a slot, slots in genotype order), then 24 of a source (0 to 3 a slot)."""
        return len(EDITS)

    def _edit(self, choices: Tensor, edit: Tensor) -> Tensor:
        return edited(choices, edit)

    def neighbors(self, arch: Architectures) -> Architectures:
        """Architectures with one operation or one source changed, up to 120: each class once and not its own."""
        edits = self.edits(arch)
        first = {int(self.fingerprints(arch)): -1}
        for place, code in enumerate(self.fingerprints(edits).tolist()):
            first.setdefault(code, place)
        return edits[[place for place in first.values() if place >= 0]]

    def mutate(self, archs: Architectures, generator: Generator | None = None) -> Architectures:
        """One change of an operation or a source of every row, uniform among those that lead to another class."""
        return super().mutate(archs, generator)

    def _mutate(self, choices: Tensor, generator: Generator | None) -> Tensor:
        changed, own = choices, canonical_rank(choices)
        same = torch.arange(len(choices), device=choices.device)
        while len(same):  # draw again where a new source only renumbers nodes: 24 of the 120 changes at most
            changed = changed.index_put((same,), super()._mutate(choices[same], generator))
            same = same[canonical_rank(changed[same]) == own[same]]
        return changed

    # -- identity -----------------------------------------------------------------------------------------------
    def fingerprints(self, archs: Architectures) -> Tensor:
        """int64 [B]: the lowest rank among all renumberings of intermediate nodes, exact."""
        return canonical_rank(self.choices(archs))

    def canonical_keys(self, archs: Architectures) -> list[str]:
        """The fingerprint as 16 hexadecimal digits."""
        return [f"{code:016x}" for code in self.fingerprints(archs).tolist()]

    # -- text ---------------------------------------------------------------------------------------------------
    def parse(self, text: str | Sequence[str]) -> Architectures:
        """Architectures from `Genotype(normal=[(op, source), ...], normal_concat=[2, 3, 4, 5], reduce=..., ...)`."""
        genotypes = [read_genotype(row, line) for row, line in enumerate(as_lines(text))]
        pairs = [pair for cells in genotypes for cell in cells for pair in cell]
        sources = torch.tensor([source for _, source in pairs], dtype=torch.int64)
        operations = torch.tensor([OPS.index(op) for op, _ in pairs], dtype=torch.int64)
        shape = (-1, 2, NUM_NODES, 2)
        return self.from_choices(join(*ordered(sources.view(shape), operations.view(shape))))

    def format(self, archs: Architectures) -> list[str]:
        sources, operations = (part.flatten(2).tolist() for part in split(self.choices(archs)))
        return [
            write_genotype([[(OPS[op], source) for op, source in zip(*cell, strict=True)] for cell in cells])
            for cells in (zip(*row, strict=True) for row in zip(operations, sources, strict=True))
        ]

    # -- price --------------------------------------------------------------------------------------------------
    def cost(self, archs: Architectures, channels: int = 36, num_cells: int = 20) -> dict[str, Tensor]:
        """Cost of the CIFAR-10 evaluation network without the auxiliary head.

        Stem conv3x3 3 -> 3C with normalisation; `num_cells` cells, those at 1/3 and 2/3 of the depth reduction cells of
        twice the channels and half the resolution; every cell first maps both inputs to its width by ReLU-conv1x1-BN,
        the older one by a factorised reduction where the cell before was a reduction; global pooling; linear with bias.
        A separable convolution is two stacks of depthwise, 1x1 and BN, a dilated one a single stack. With stride 2
        (sources 0 and 1 of a reduction cell) `skip_connect` is a factorised reduction. Pooling is free.

        FLOPs are 2 per multiply-accumulate of convolutions and classifier and nothing else.

        Args:
            archs: B architectures.
            channels: C of the first cells.
            num_cells: cells of the network.

        Returns:
            `flops`, `params` int64 [B] and `vertex_flops`, `vertex_params` int64 [B, num_cells, 22]. The input maps of
            a cell are at vertices 1 and 2; in normal cells the vertices of the reduction cell are 0 and vice versa;
            stem and classifier are in the totals only.
        """
        if channels < 1 or num_cells < 1:
            raise OutsideSpace(f"a network needs at least 1 channel and 1 cell (got {channels} and {num_cells})")
        sources, operations = (part.flatten(2) for part in split(self.choices(archs)))
        return network_cost(sources, operations, OPS, CELL_STARTS, channels, num_cells)

    @property
    def cell_layout(self) -> CellLayout:
        return CellLayout(20, self.max_nodes)

    # -- decoding -----------------------------------------------------------------------------------------------
    def edge_mask(self, partial: Architectures, vertex: int, source: int) -> tuple[Tensor, Tensor]:
        cell = int(vertex >= CELL_STARTS[1])
        start = CELL_STARTS[cell]
        if not start <= vertex < start + 8 or not bool(self.layout.possible[source, vertex]):
            return super().edge_mask(partial, vertex, source)
        node, second = divmod(vertex - start, 2)
        if source >= start and (source - start) % 2 == 0:  # both operations of a node or none
            follows = partial.adj[:, source + 1, vertex]
            return follows, follows
        number = source - 1 if source < 3 else (source - start) // 2 + 2
        lowest = torch.zeros(len(partial), dtype=torch.int64, device=partial.device)
        if second:
            before = partial.adj[:, None, : self.max_nodes, vertex - 1] == WIRES[cell].to(partial.device)
            lowest = before.all(2).long().argmax(1) + 1
        chosen = partial.adj[:, source + 1 : vertex, vertex].any(1)
        may = ~chosen & (lowest <= number) & (number <= node + second)
        return may, may & (lowest == number)
