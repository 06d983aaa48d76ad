"""NAS-Bench-201, also the NATS-Bench topology space (Dong and Yang 2020, arXiv 2001.00326)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from graphnas.errors import InvalidArchitecture
from graphnas.spaces.architectures import Architectures, expect_architectures
from graphnas.spaces.base import INPUT, OUTPUT, as_lines, hash_keys
from graphnas.spaces.cell_matrices import CellLayout, CellMatrices
from graphnas.spaces.fixed import FixedSpace, Layout, build_layout
from graphnas.spaces.nb201_classes import OPS, functional_strings, published_strings
from graphnas.spaces.nb201_cost import network_cost

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""The cell edges in the order of the architecture string; edge number e is vertex e+1 of the graph."""

_SHAPE = re.compile(r"\|([^|]*)\|\+\|([^|]*)\|([^|]*)\|\+\|([^|]*)\|([^|]*)\|([^|]*)\|")


class NB201(FixedSpace):
    """The cell of 4 nodes, 6 edges and 5 operations, carried operation-on-node: 8 vertices and 10 fixed edges.

    Vertex 0 is the cell input, vertices 1..6 the cell edges 0->1, 0->2, 1->2, 0->3, 1->3, 2->3 (the order of the
    string), vertex 7 the cell output. An edge leads from one cell edge to every cell edge that starts where it ends.
    `none` and `skip_connect` stay as vertices.

    The order of `enumerate` and `rank` counts the operations of the vocabulary as base-5 digits, edge 0->1 slowest and
    2->3 fastest. It is not the index of the benchmark files, which is a shuffle that only those files know.
    """

    name = "nb201"
    vocabulary = ("input", "output", *OPS)
    max_nodes = 8
    size = 15625
    radix = (5,) * 6

    def _build_layout(self) -> Layout:
        inner = [
            (a + 1, b + 1) for a, (_, end) in enumerate(EDGES) for b, (start, _) in enumerate(EDGES) if end == start
        ]
        first = [(0, edge + 1) for edge, (start, _) in enumerate(EDGES) if start == 0]
        last = [(edge + 1, 7) for edge, (_, end) in enumerate(EDGES) if end == 3]
        return build_layout(self.vocabulary, [["input"], *[OPS] * 6, ["output"]], first + inner + last)

    def _read(self, ops: Tensor, adj: Tensor) -> Tensor:
        return ops[:, 1:7] - 2

    def _write(self, choices: Tensor) -> tuple[Tensor, Tensor]:
        ops = torch.nn.functional.pad(choices + 2, (1, 1))
        ops[:, -1] = 1
        return ops, self.layout.required.to(choices.device).repeat(len(choices), 1, 1)

    # -- membership ---------------------------------------------------------------------------------------------
    def is_valid(self, archs: Architectures) -> Tensor:
        """bool [B]: as the rules say, decided in one comparison, since all edges are fixed."""
        if archs.max_nodes != self.max_nodes:
            return super().is_valid(archs)
        wires = self.layout.required.to(archs.device).view(torch.int64).flatten()  # a row of 8 flags is one number
        fixed = (archs.adj.contiguous().view(torch.int64)[..., 0] == wires).all(1) & (archs.num_nodes == self.max_nodes)
        low, high = archs.ops[:, 1:-1].aminmax(dim=1) if len(archs) else (archs.ops[:, 1], archs.ops[:, 1])
        inner = (low > OUTPUT) & (high < self.num_ops)
        return fixed & inner & (archs.ops[:, 0] == INPUT) & (archs.ops[:, -1] == OUTPUT)

    def check(self, archs: Architectures) -> Architectures:
        """The batch itself if every row is valid; the rules are gone through only to name what is wrong."""
        return archs if bool(self.is_valid(expect_architectures(archs)).all()) else super().check(archs)

    def enumerate(self) -> Architectures:
        """All 15,625 strings in the order of `rank`: each was trained and has a label of its own."""
        return self.unrank(torch.arange(self.size))

    # -- identity -----------------------------------------------------------------------------------------------
    @cached_property
    def _published(self) -> list[str]:
        return published_strings()

    @cached_property
    def _functional(self) -> list[str]:
        return functional_strings()

    @cached_property
    def _classes(self) -> Tensor:
        """int64 [15625]: rank of the first string of the same published class."""
        first: dict[str, int] = {}
        return torch.tensor([first.setdefault(key, rank) for rank, key in enumerate(self._published)])

    def canonical_keys(self, archs: Architectures) -> list[str]:
        """The authors' canonical string: 6,466 classes. It merges more than isomorphic graphs (see `nb201_classes`)."""
        return [self._published[rank] for rank in self.rank(archs).tolist()]

    def functional_keys(self, archs: Architectures) -> list[str]:
        """Strings with zeros and sums fully normalised: 4,930 classes."""
        return [self._functional[rank] for rank in self.rank(archs).tolist()]

    @cached_property
    def _class_ids(self) -> Tensor:
        """int64 [15625]: `class_ids` by rank."""
        return hash_keys(self._functional)

    def class_ids(self, archs: Architectures) -> Tensor:
        """int64 [B], equal where `functional_keys` are."""
        return self._class_ids.to(archs.device)[self.rank(archs)]

    def fingerprints(self, archs: Architectures) -> Tensor:
        """int64 [B]: the rank of the first member of the published class, equal exactly where `canonical_keys` are."""
        return self._classes.to(archs.device)[self.rank(archs)]

    def connected(self, archs: Architectures) -> Tensor:
        """bool [B]: whether a path without `none` leads from input to output; 341 of the 15,625 have none."""
        alive = (self.choices(archs) != OPS.index("none")).unbind(1)
        node1 = alive[0]
        node2 = alive[1] | alive[2] & node1
        return alive[3] | alive[4] & node1 | alive[5] & node2

    def live_edges(self, archs: Architectures) -> Tensor:
        """bool [B, 6]: which cell edges lie on a path without `none` from the input to the output of the cell."""
        alive = (self.choices(archs) != OPS.index("none")).unbind(1)
        reached = [torch.ones_like(alive[0])] + [torch.zeros_like(alive[0]) for _ in range(3)]
        heard = [torch.zeros_like(alive[0]) for _ in range(3)] + [torch.ones_like(alive[0])]
        for edge, (start, end) in enumerate(EDGES):  # the order of EDGES is topological in their ends
            reached[end] = reached[end] | reached[start] & alive[edge]
        for start, end in reversed(EDGES):
            heard[start] = heard[start] | heard[end] & alive[EDGES.index((start, end))]
        return torch.stack([alive[e] & reached[start] & heard[end] for e, (start, end) in enumerate(EDGES)], 1)

    def representatives(self) -> Tensor:
        """int64 [4930]: of every functional class the rank of its cheapest string, ascending.

        Cheapest is the one with the fewest parameters, then the fewest poolings, then the fewest skips, then the lowest
        rank: it does nothing that the function does not need.
        """
        archs = self.enumerate()
        choices, classes = self.choices(archs), self.class_ids(archs)
        price = self.cost(archs)["params"] * 100 + (choices == 4).sum(1) * 10 + (choices == 1).sum(1)
        order = torch.argsort(price, stable=True)
        first = torch.unique(classes[order], return_inverse=True)[1]
        place = torch.full((int(first.max()) + 1,), len(order)).scatter_reduce_(
            0, first, torch.arange(len(order)), "amin"
        )
        return order[place].sort().values

    # -- text ---------------------------------------------------------------------------------------------------
    def parse(self, text: str | Sequence[str]) -> Architectures:
        """Architectures from the official strings `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`."""
        lines = as_lines(text)
        rows = [self._parse_line(row, line) for row, line in enumerate(lines)]
        return self.from_choices(torch.tensor(rows, dtype=torch.int64).reshape(-1, len(EDGES)))

    def _parse_line(self, row: int, line: str) -> list[int]:
        cells = _SHAPE.fullmatch(line)
        if cells is None:
            raise self._refusal(row, "|op~0|+|op~0|op~1|+|op~0|op~1|op~2| with 6 edges", line)
        digits = []
        for field, (start, _) in zip(cells.groups(), EDGES, strict=True):
            op, tilde, source = field.rpartition("~")
            if not tilde or source != str(start) or op not in OPS:
                raise self._refusal(row, f"one of {', '.join(OPS)} followed by ~{start}", field)
            digits.append(OPS.index(op))
        return digits

    def _refusal(self, row: int, expected: str, got: str) -> InvalidArchitecture:
        return InvalidArchitecture(f"row {row} is not in nb201: expected {expected} (got {got[:200]!r})")

    def format(self, archs: Architectures) -> list[str]:
        shape = "|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|"
        return [shape.format(*(OPS[digit] for digit in row)) for row in self.choices(archs).tolist()]

    # -- price --------------------------------------------------------------------------------------------------
    def cost(self, archs: Architectures, dataset: str = "cifar10", convention: str = "macs+bn") -> dict[str, Tensor]:
        """Cost of the network of 3 stages x 5 cells (16, 32, 64 channels) with two residual reduction blocks.

        Costs are static: an edge that cannot reach the output is still counted. `none`, `skip_connect` and pooling cost
        nothing in a cell. Conventions:

        - `macs+bn`: 1 per multiply-accumulate, 2 per batch-normalised element, global pooling counted, no linear bias:
          the per-edge numbers of the Neural Architecture Ranker (arXiv 2201.12725).
        - `macs`: multiply-accumulates of convolutions and of the classifier with bias: the `flop` of the official file,
          which gives it in millions.
        - `flops`: 2 per multiply-accumulate of convolutions and classifier, nothing else, as for ENAS and DARTS here.

        Args:
            archs: B architectures.
            dataset: cifar10, cifar10-valid, cifar100 or ImageNet16-120.
            convention: one of the above.

        Returns:
            `flops`, `params` int64 [B]; `vertex_flops`, `vertex_params` int64 [B, 15, 8], one entry per normal cell in
            network order and vertex.
        """
        return network_cost(self.choices(archs), dataset, convention)

    @property
    def cell_layout(self) -> CellLayout:
        return CellLayout(15, 4)

    def cell_matrices(self, archs: Architectures, dataset: str | None = None) -> CellMatrices:
        """[i, j] belongs to the cell edge i -> j: types 0 none, 1 skip, 2 conv 1x1, 3 conv 3x3, 4 pooling.

        Args:
            archs: B architectures.
            dataset: one of those :meth:`cost` knows; None is cifar10.
        """
        choices, (start, end) = self.choices(archs), torch.tensor(EDGES, device=archs.device).T
        cost = network_cost(choices, dataset or "cifar10", "macs+bn")
        values = torch.cat([choices[:, None], *(cost[f"vertex_{name}"][..., 1:-1] for name in ("flops", "params"))], 1)
        matrices = values.new_zeros(*values.shape[:2], 4, 4)
        matrices[:, :, start, end] = values
        return CellMatrices(matrices[:, 0], *matrices[:, 1:].chunk(2, 1))
