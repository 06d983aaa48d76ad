"""Structures of Bayesian networks on eight variables: a task of D-VAE (Zhang et al. 2019, arXiv 1904.11088)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

import torch
from torch import Generator, Tensor
from torch.nn.functional import pad

from graphnas.errors import InvalidArchitecture
from graphnas.spaces.architectures import Architectures
from graphnas.spaces.base import INPUT, OUTPUT, Rule, SearchSpace
from graphnas.spaces.bn8_graphs import edited, legal_edits, parse_rows, permuted, stable_order
from graphnas.spaces.bn8_score import NUM_VARIABLES, VARIABLES, asia_matrix, bic
from graphnas.spaces.cell_matrices import CellLayout

FIRST = OUTPUT + 1  # vocabulary index of the first variable
LAST = NUM_VARIABLES + 1  # place of the output


class BN8(SearchSpace):
    """All Bayesian networks on the variables A S T L B E X D of the asia network.

    Vertex 0 is the input, vertices 1 to 8 are the variables, each once and in any topological order, vertex 9 is the
    output. Edges between variables are free; the input has an edge to exactly the variables without a parent, and
    exactly the variables without a child have one to the output. Members are isomorphic when their variables have the
    same edges, whatever their order: `size` counts these classes, the labelled DAGs on eight vertices. Most have
    several orders, all of them valid.

    The structures are no neural networks: there is nothing to build or train, and :meth:`score` says how good one is.

    >>> from graphnas import get_space
    >>> bn8 = get_space("bn8")
    >>> bn8.format(bn8.true_network())[0][:24], round(float(bn8.score(bn8.true_network())))
    ('[[0], [1, 0], [2, 1, 0],', -11323)
    """

    name: ClassVar[str] = "bn8"
    vocabulary: ClassVar[tuple[str, ...]] = ("input", "output", *VARIABLES)
    max_nodes: ClassVar[int] = NUM_VARIABLES + 2
    size: ClassVar[int] = 783_702_329_343

    # -- membership ---------------------------------------------------------------------------------------------
    def rules(self, archs: Architectures) -> Iterable[Rule]:
        yield from super().rules(archs)
        size, (ops, adj) = archs.num_nodes, self._fit(archs)
        yield Rule(
            f"exactly {self.max_nodes} vertices", size == self.max_nodes, lambda row: f"{int(size[row])} vertices"
        )
        kinds = torch.arange(FIRST, self.num_ops, device=archs.device)
        yield Rule(
            f"each of {', '.join(VARIABLES)} once",
            (ops[:, 1:LAST].sort(1).values == kinds).all(1),
            lambda row: f"ops {ops[row].tolist()}",
        )
        inner = adj[:, 1:LAST, 1:LAST]
        entering = adj[:, 0, 1:LAST] == inner.any(1)  # an edge from the input beside a parent, or neither of the two
        yield Rule(
            "an edge from the input to exactly the variables without a parent, and none to the output",
            ~entering.any(1) & ~adj[:, 0, LAST],
            lambda row: f"edges {adj[row].nonzero().tolist()}",
        )
        leaving = adj[:, 1:LAST, LAST] == inner.any(2)
        yield Rule(
            "an edge to the output from exactly the variables without a child",
            ~leaving.any(1),
            lambda row: f"edges {adj[row].nonzero().tolist()}",
        )

    def _fit(self, archs: Architectures) -> tuple[Tensor, Tensor]:
        """ops int64 [B, 10] and adj bool [B, 10, 10], padded or cut to the width of the space."""
        extra = self.max_nodes - archs.max_nodes
        return pad(archs.ops, (0, extra)).long(), pad(archs.adj, (0, extra, 0, extra))

    # -- structures ---------------------------------------------------------------------------------------------
    def order(self, archs: Architectures) -> Tensor:
        """Variables by place, int64 [B, 8] in 0..7.

        Raises:
            InvalidArchitecture: a row outside the space.
        """
        return self._fit(self.check(archs))[0][:, 1:LAST] - FIRST

    def matrix(self, archs: Architectures) -> Tensor:
        """Edges between variables in the order of the vocabulary, bool [B, 8, 8]: source, target.

        Raises:
            InvalidArchitecture: a row outside the space.
        """
        place = self.order(archs).argsort(1)
        return permuted(self._fit(archs)[1][:, 1:LAST, 1:LAST], place)

    def build(self, matrices: Tensor, order: Tensor | None = None) -> Architectures:
        """Architectures of structures; the inverse of :meth:`matrix` where `order` is that of :meth:`order`.

        Args:
            matrices: bool [B, 8, 8], edges source, target in the order of the vocabulary.
            order: int64 [B, 8], the preferred order of the variables, kept where the edges allow; by default A first.

        Raises:
            InvalidArchitecture: other shapes, or a cycle.
        """
        if matrices.dtype != torch.bool or matrices.shape[1:] != (NUM_VARIABLES, NUM_VARIABLES):
            raise InvalidArchitecture(
                f"expected bool [B, {NUM_VARIABLES}, {NUM_VARIABLES}] (got {matrices.dtype} {list(matrices.shape)})"
            )
        if order is None:
            order = torch.arange(NUM_VARIABLES, device=matrices.device).expand(len(matrices), -1)
        order, acyclic = stable_order(matrices, order)
        if not bool(acyclic.all()):
            row = int((~acyclic).nonzero()[0])
            edges = [VARIABLES[u] + VARIABLES[v] for u, v in matrices[row].nonzero().tolist()]
            raise InvalidArchitecture(f"row {row} is not in {self.name}: expected no cycle (got edges {edges})")
        return self._assemble(order, permuted(matrices, order))

    def _assemble(self, order: Tensor, inner: Tensor) -> Architectures:
        """The batch of variables by place, int64 [B, 8], with edges by place, bool [B, 8, 8] and upper triangular."""
        ops = pad(order + FIRST, (1, 1), value=INPUT)
        ops[:, LAST] = OUTPUT
        adj = pad(inner, (1, 1, 1, 1))
        adj[:, 0, 1:LAST], adj[:, 1:LAST, LAST] = ~inner.any(1), ~inner.any(2)
        sizes = torch.full((len(order),), self.max_nodes, device=order.device)
        return Architectures(ops.to(torch.uint8), adj, sizes)

    # -- members ------------------------------------------------------------------------------------------------
    def sample(self, n: int, generator: Generator | None = None) -> Architectures:
        """`n` rows: a uniformly random order of the variables, then a fair coin for every edge that goes forward in it.

        All ordered graphs are equally likely; a structure is so in proportion to the number of its orders.
        """
        device = generator.device if generator is not None else "cpu"
        order = torch.rand(n, NUM_VARIABLES, generator=generator, device=device, dtype=torch.float64).argsort(1)
        coins = torch.randint(2, (n, NUM_VARIABLES, NUM_VARIABLES), generator=generator, device=device)
        return self._assemble(order, coins.bool().triu(1))

    def neighbors(self, arch: Architectures) -> Architectures:
        """All structures that differ in one edge between variables: added, dropped or turned round.

        They come by source and then target of the edit, in the order of the vocabulary. Variables keep their order as
        far as the edges allow: every place gets the first one, in the old order, that has all its parents before it.
        """
        if len(arch) != 1:
            raise InvalidArchitecture(f"neighbors() takes a batch of one architecture (got {len(arch)})")
        matrix, order = self.matrix(arch), self.order(arch)
        source, target = legal_edits(matrix)[0].nonzero().T
        near = edited(matrix.repeat(len(source), 1, 1), source, target)
        return self.build(near, order.expand(len(source), -1))

    def mutate(self, archs: Architectures, generator: Generator | None = None) -> Architectures:
        """One of the `neighbors` of every row, drawn uniformly."""
        matrices, order = self.matrix(archs), self.order(archs)
        device = generator.device if generator is not None else archs.device
        draws = torch.rand(len(archs), NUM_VARIABLES**2, generator=generator, device=device, dtype=torch.float64)
        edit = torch.where(legal_edits(matrices).flatten(1), draws.to(archs.device), -1.0).argmax(1)
        return self.build(edited(matrices, edit // NUM_VARIABLES, edit % NUM_VARIABLES), order)

    # -- identity -----------------------------------------------------------------------------------------------
    def canonical_keys(self, archs: Architectures) -> list[str]:
        """The matrix of edges between variables in 64 digits, 0 or 1, row by row and sources first.

        Raises:
            InvalidArchitecture: a row outside the space.
        """
        digits = (self.matrix(archs).flatten(1).to(torch.uint8) + ord("0")).cpu().numpy()
        return [row.tobytes().decode() for row in digits]

    def fingerprints(self, archs: Architectures) -> Tensor:
        """int64 [B], equal exactly where `canonical_keys` are: the 56 entries off the diagonal as a binary number."""
        off = ~torch.eye(NUM_VARIABLES, dtype=torch.bool, device=archs.device)
        bits = self.matrix(archs)[:, off].long()
        return (bits << torch.arange(bits.shape[1], device=archs.device)).sum(1)

    # -- text ---------------------------------------------------------------------------------------------------
    def parse(self, text: str | Sequence[str]) -> Architectures:
        """Architectures from `[[type], [type, bit], [type, bit, bit], ...]`, as in the public file of D-VAE.

        Row k holds the variable at place k, 0 to 7 in the order of the vocabulary, and for every place j < k whether it
        is a parent. Edges of input and output are implied.
        """
        return self._assemble(*parse_rows(self.name, VARIABLES, text))

    def format(self, archs: Architectures) -> list[str]:
        """The nested list of every row; `parse` is its inverse."""
        kinds = self.order(archs).tolist()
        bits = self._fit(archs)[1][:, 1:LAST, 1:LAST].transpose(1, 2).long().tolist()
        return [
            str([[kind, *parents[:place]] for place, (kind, parents) in enumerate(zip(*row, strict=True))])
            for row in zip(kinds, bits, strict=True)
        ]

    # -- worth --------------------------------------------------------------------------------------------------
    def score(self, archs: Architectures) -> Tensor:
        """BIC of every row on 5,000 rows of the asia network, float [B], higher is better, equal for isomorphic rows.

        Raises:
            InvalidArchitecture: a row outside the space.
        """
        return bic(self.matrix(archs)).float()

    def true_network(self) -> Architectures:
        """The structure the rows were drawn from, a batch of one; BIC may prefer others on a finite sample."""
        return self.build(asia_matrix()[None])

    def cost(self, archs: Architectures) -> dict[str, Tensor]:
        """Free parameters of the Bayesian network: `params`, `flops` int64 [B], `vertex_*` int64 [B, 1, 10].

        All variables are binary, so that one with p parents has 2^p, the probability of yes for each of their states.
        No network is run: `flops` repeats `params`, reading every entry of the tables once.

        Raises:
            InvalidArchitecture: a row outside the space.
        """
        inner = self._fit(self.check(archs))[1][:, 1:LAST, 1:LAST]
        params = pad(2 ** inner.sum(1), (1, 1))
        total = params.sum(1)
        each = params[:, None]
        return {"flops": total, "params": total.clone(), "vertex_flops": each, "vertex_params": each.clone()}

    @property
    def cell_layout(self) -> CellLayout:
        return CellLayout(1, self.max_nodes, 1e1, 1e1)

    # -- decoding -----------------------------------------------------------------------------------------------
    def type_mask(self, partial: Architectures, vertex: int) -> Tensor:
        mask = torch.zeros(len(partial), self.num_ops, dtype=torch.bool, device=partial.device)
        if not 0 < vertex < LAST:
            mask[:, INPUT if vertex == 0 else OUTPUT] = True
            return mask
        mask[:, FIRST:] = True
        return mask.scatter(1, partial.ops[:, 1:vertex].long(), False)

    def edge_mask(self, partial: Architectures, vertex: int, source: int) -> tuple[Tensor, Tensor]:
        closing = partial.ops[:, vertex] == OUTPUT
        if source == 0:  # visited last, when all other sources have been decided
            alone = ~closing & ~partial.adj[:, 1:vertex, vertex].any(1)
            return alone, alone.clone()
        loose = ~partial.adj[:, source, 1:vertex].any(1)
        return ~closing | loose, closing & loose
