"""A batch of architectures as padded tensors: the one representation every part of graphnas shares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot, pad

from graphnas.errors import InvalidArchitecture

if TYPE_CHECKING:
    from torch_geometric.data import Batch, Data


@dataclass(frozen=True, eq=False)
class Architectures:
    """B architectures, each a DAG of typed vertices in topological order.

    Args:
        ops: uint8 [B, N], index of every vertex in the vocabulary of the space; 0 where padded.
        adj: bool [B, N, N], adj[b, u, v] says that there is an edge u -> v; strictly upper triangular.
        num_nodes: int64 [B], vertices that count; the rest is padding.

    Raises:
        InvalidArchitecture: shapes or dtypes that do not fit each other.
    """

    ops: Tensor
    adj: Tensor
    num_nodes: Tensor

    def __post_init__(self) -> None:
        size, width = len(self.num_nodes), self.ops.shape[-1]
        wanted = {
            "ops": (torch.uint8, (size, width)),
            "adj": (torch.bool, (size, width, width)),
            "num_nodes": (torch.int64, (size,)),
        }
        for name, (dtype, shape) in wanted.items():
            tensor = getattr(self, name)
            if tensor.dtype != dtype or tensor.shape != shape:
                raise InvalidArchitecture(
                    f"{name} must be {dtype} of shape {list(shape)} (got {tensor.dtype} of shape {list(tensor.shape)})"
                )

    # -- container ----------------------------------------------------------------------------------------------
    def __len__(self) -> int:
        return len(self.num_nodes)

    def __getitem__(self, index: int | slice | Sequence[int] | Tensor) -> Architectures:
        """Rows `index` (int, slice, list, index or mask tensor), always as a batch."""
        if isinstance(index, int):
            index = range(len(self))[index]  # raises IndexError like a list, allows negatives
            index = slice(index, index + 1)
        elif not isinstance(index, slice):
            index = torch.as_tensor(index, device=self.device)
        return Architectures(self.ops[index], self.adj[index], self.num_nodes[index])

    def __iter__(self) -> Iterator[Architectures]:
        return (self[row] for row in range(len(self)))

    def __repr__(self) -> str:
        return f"Architectures({len(self)} graphs, up to {self.max_nodes} nodes, {self.device})"

    @property
    def max_nodes(self) -> int:
        """Padded width N."""
        return self.ops.shape[1]

    @property
    def device(self) -> torch.device:
        return self.ops.device

    @property
    def node_mask(self) -> Tensor:
        """bool [B, N], True where a vertex is real."""
        return torch.arange(self.max_nodes, device=self.device) < self.num_nodes[:, None]

    @property
    def num_edges(self) -> Tensor:
        """int64 [B]."""
        return self.adj.flatten(1).sum(1)

    def to(self, device: torch.device | str) -> Architectures:
        """The same batch on another device."""
        return Architectures(self.ops.to(device), self.adj.to(device), self.num_nodes.to(device))

    def widen(self, max_nodes: int) -> Architectures:
        """The same batch padded, or cut where only padding is lost, to width `max_nodes`."""
        extra = max_nodes - self.max_nodes
        if extra == 0:
            return self
        if extra < 0 and len(self) and int(self.num_nodes.max()) > max_nodes:
            raise InvalidArchitecture(
                f"a graph of {int(self.num_nodes.max())} nodes does not fit a width of {max_nodes}"
            )
        return Architectures(pad(self.ops, (0, extra)), pad(self.adj, (0, extra, 0, extra)), self.num_nodes)

    @staticmethod
    def concat(parts: Sequence[Architectures]) -> Architectures:
        """One batch from several, padded to the widest."""
        width = max((part.max_nodes for part in parts), default=1)
        wide = [part.widen(width) for part in parts] or [Architectures.empty(width)]
        return Architectures(
            torch.cat([part.ops for part in wide]),
            torch.cat([part.adj for part in wide]),
            torch.cat([part.num_nodes for part in wide]),
        )

    @staticmethod
    def empty(max_nodes: int) -> Architectures:
        """A batch of no graphs."""
        return Architectures(
            torch.zeros(0, max_nodes, dtype=torch.uint8),
            torch.zeros(0, max_nodes, max_nodes, dtype=torch.bool),
            torch.zeros(0, dtype=torch.int64),
        )

    def replaced(self, rows: Tensor, source: Architectures) -> Architectures:
        """The same batch with `rows` (int64) taken from the same rows of another batch of its length and width."""
        ops, adj, num_nodes = self.ops.clone(), self.adj.clone(), self.num_nodes.clone()
        ops[rows], adj[rows], num_nodes[rows] = source.ops[rows], source.adj[rows], source.num_nodes[rows]
        return Architectures(ops, adj, num_nodes)

    def clean(self) -> Architectures:
        """The same batch with padding set to zero: no op and no edge outside the real vertices."""
        real = self.node_mask
        return Architectures(self.ops * real, self.adj & real[:, :, None] & real[:, None, :], self.num_nodes)

    # -- comparison ---------------------------------------------------------------------------------------------
    def equal(self, other: Architectures) -> Tensor:
        """bool [B]: row by row index-wise equality (same types and same edges at the same indices)."""
        if len(self) != len(other):
            raise InvalidArchitecture(f"cannot compare {len(self)} graphs with {len(other)}")
        width = max(self.max_nodes, other.max_nodes)
        a, b = self.widen(width).clean(), other.widen(width).clean()
        same = (a.ops == b.ops).all(1) & (a.adj == b.adj).flatten(1).all(1)
        return same & (a.num_nodes == b.num_nodes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Architectures) and len(self) == len(other) and bool(self.equal(other).all())

    __hash__ = None  # type: ignore[assignment]

    def index_keys(self) -> list[bytes]:
        """One byte string per row, equal exactly for index-wise equal graphs (of batches of any padding)."""
        rows = self.clean().to("cpu")
        keys: list[tuple[int, bytes]] = []
        for size in rows.num_nodes.unique().tolist():  # a handful of sizes, not a loop over graphs
            pick = (rows.num_nodes == size).nonzero().flatten()
            flat = torch.cat([rows.ops[pick, :size], rows.adj[pick, :size, :size].flatten(1).to(torch.uint8)], 1)
            keys.extend(zip(pick.tolist(), map(bytes, flat.numpy()), strict=True))
        return [key for _, key in sorted(keys, key=lambda item: item[0])]

    # -- PyG ----------------------------------------------------------------------------------------------------
    def edge_index(self) -> tuple[Tensor, Tensor]:
        """Edges of the disjoint union: int64 [2, E] over the real vertices, and int64 [B] edges per graph."""
        rows, source, target = self.clean().adj.nonzero(as_tuple=True)
        offset = torch.cumsum(self.num_nodes, 0) - self.num_nodes
        return torch.stack([source + offset[rows], target + offset[rows]]), torch.bincount(rows, minlength=len(self))

    def to_batch(self, num_ops: int, y: Tensor | None = None) -> Batch:
        """PyG `Batch` with x one-hot float [sum n, num_ops], edge_index, optional y; no loop over graphs."""
        from graphnas.spaces.pyg import to_batch

        return to_batch(self, num_ops, y)

    def to_data(self, num_ops: int, y: Tensor | None = None) -> list[Data]:
        """PyG `Data` objects, one per graph."""
        from graphnas.spaces.pyg import to_data

        return to_data(self, num_ops, y)

    @staticmethod
    def from_data(data: Data | Batch | Sequence[Data]) -> Architectures:
        """Inverse of :meth:`to_data` and :meth:`to_batch`; a single `Data` gives a batch of one."""
        from graphnas.spaces.pyg import from_data

        return from_data(data)

    def one_hot(self, num_ops: int) -> Tensor:
        """float [B, N, num_ops], zero rows where padded."""
        return one_hot(self.ops.long(), num_ops).float() * self.node_mask[..., None]

    def describe(self, row: int) -> dict[str, Any]:
        """Vertex op indices and edge list of one row, for messages and reports."""
        size = int(self.num_nodes[row])
        edges = self.adj[row, :size, :size].nonzero().tolist()
        return {"ops": self.ops[row, :size].tolist(), "edges": [tuple(edge) for edge in edges]}


def expect_architectures(value: object) -> Architectures:
    """The value itself.

    Raises:
        InvalidArchitecture: it is something else, such as texts.
    """
    if not isinstance(value, Architectures):
        raise InvalidArchitecture(f"expected Architectures (got {type(value).__name__}): space.parse(text) makes them")
    return value
