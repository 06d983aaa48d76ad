"""Architectures to PyTorch Geometric objects and back, with tensor operations only."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch_geometric.data import Batch, Data

from graphnas.errors import InvalidArchitecture
from graphnas.spaces.architectures import Architectures


def _pointer(counts: Tensor) -> Tensor:
    """Cumulative sum with a leading zero: [B] -> [B + 1]."""
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])


def _labels(y: Tensor | None, size: int, device: torch.device) -> Tensor | None:
    if y is None:
        return None
    y = torch.as_tensor(y)
    if y.dim() == 0 or len(y) != size:
        raise InvalidArchitecture(
            f"y must hold one entry per graph, [{size}] or [{size}, targets] (got shape {list(y.shape)})"
        )
    return y.to(device=device, dtype=torch.float32)


def node_features(archs: Architectures, num_ops: int) -> Tensor:
    """One-hot types of all real vertices, graph after graph: float32 [sum n, num_ops].

    Raises:
        InvalidArchitecture: a type outside the vocabulary.
    """
    types = archs.ops[archs.node_mask].long()
    if len(types) and int(types.max()) >= num_ops:
        raise InvalidArchitecture(
            f"types lie in 0..{num_ops - 1} (got {int(types.max())}): is num_ops that of another space?"
        )
    return torch.eye(num_ops, device=archs.device)[types]


def to_batch(archs: Architectures, num_ops: int, y: Tensor | None = None) -> Batch:
    """PyG `Batch` of B graphs, the one `Batch.from_data_list(to_data(...))` gives but without a loop over graphs.

    Holds `x` one-hot float32 [sum n, num_ops], `edge_index` int64 [2, sum e] with edges ordered by source and then by
    target within each graph, `y` float32 [B] or [B, targets] where given, `batch` and `ptr`.

    Raises:
        InvalidArchitecture: a type outside the vocabulary, or labels of another length.
    """
    size, labels = len(archs), _labels(y, len(archs), archs.device)
    edge_index, num_edges = archs.edge_index()
    ptr = _pointer(archs.num_nodes)
    batch = Batch(_base_cls=Data, x=node_features(archs, num_ops), edge_index=edge_index)
    slices, zeros = {"x": ptr.cpu(), "edge_index": _pointer(num_edges).cpu()}, torch.zeros(size, dtype=torch.int64)
    steps = {"x": zeros, "edge_index": slices["x"][:-1]}
    if labels is not None:
        batch.y = labels
        slices["y"], steps["y"] = torch.arange(size + 1), zeros
    batch.batch = torch.repeat_interleave(archs.num_nodes, output_size=len(batch.x))
    batch.ptr = ptr
    # What `Batch` remembers to take itself apart again (`to_data_list`, indexing).
    batch._num_graphs, batch._slice_dict, batch._inc_dict = size, slices, steps
    return batch


def to_collated(archs: Architectures, num_ops: int, y: Tensor | None = None) -> tuple[Data, dict[str, Tensor]]:
    """The storage of a PyG `InMemoryDataset`: one `Data` of all graphs with local vertex numbers, and its slices."""
    labels = _labels(y, len(archs), archs.device)
    edge_index, num_edges = archs.edge_index()
    nodes, edges = _pointer(archs.num_nodes), _pointer(num_edges)
    data = Data(x=node_features(archs, num_ops), edge_index=edge_index - torch.repeat_interleave(nodes[:-1], num_edges))
    slices = {"x": nodes, "edge_index": edges}
    if labels is not None:
        data.y = labels
        slices["y"] = torch.arange(len(archs) + 1, device=archs.device)
    return data, slices


def to_data(archs: Architectures, num_ops: int, y: Tensor | None = None) -> list[Data]:
    """One PyG `Data` per graph: x, edge_index and, where given, y as :func:`to_batch` describes them; y is [1] or [1,
    targets].

    The objects are views into common tensors; for training use :func:`to_batch`.
    """
    data, slices = to_collated(archs, num_ops, y)
    sizes = {key: (pointer[1:] - pointer[:-1]).tolist() for key, pointer in slices.items()}
    parts = {key: data[key].split(sizes[key], dim=data.__cat_dim__(key, data[key])) for key in slices}
    return [Data(**dict(zip(parts, values, strict=True))) for values in zip(*parts.values(), strict=True)]


def from_data(data: Data | Batch | Sequence[Data]) -> Architectures:
    """Architectures from one `Data` (a batch of one), a `Batch` or several `Data`; inverse of `to_data` and `to_batch`.

    `x` must be one-hot, and edges go from a lower to a higher index; other attributes are not read. The width is that
    of the largest graph.

    Raises:
        InvalidArchitecture: missing or malformed attributes, edges between graphs, repeated or backward edges.
    """
    if isinstance(data, Batch):
        sizes = data.ptr.diff() if "ptr" in data else torch.bincount(data.batch)
        return _from_union(*_parts(data, 0), sizes)
    items = [data] if isinstance(data, Data) else list(data)
    if not items:
        return Architectures.empty(1)
    if any(isinstance(item, Batch) for item in items):
        raise InvalidArchitecture(
            "expected a list of Data (got one with a Batch in it): convert each and use Architectures.concat"
        )
    parts = [_parts(item, row) for row, item in enumerate(items)]
    x, edges = torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts], 1)
    sizes = torch.tensor([len(part[0]) for part in parts], device=x.device)
    num_edges = torch.tensor([part[1].shape[1] for part in parts], device=x.device)
    if bool(((edges < 0) | (edges >= sizes.repeat_interleave(num_edges))).any()):
        raise InvalidArchitecture(
            f"edge_index of a graph must name its own vertices (got {edges.min()}..{edges.max()})"
        )
    offset = (sizes.cumsum(0) - sizes).repeat_interleave(num_edges)
    return _from_union(x, edges + offset, sizes)


def _parts(data: Data, row: int) -> tuple[Tensor, Tensor]:
    """x [n, T] and edge_index [2, e] of an object that is checked to have them."""
    x, edge_index = data.x, data.edge_index
    if x is None or x.dim() != 2 or not 1 <= x.shape[1] <= 256:
        shape = None if x is None else list(x.shape)
        raise InvalidArchitecture(f"graph {row}: x must be the one-hot types [vertices, types] (got {shape})")
    if edge_index is None or edge_index.dim() != 2 or edge_index.shape[0] != 2:
        shape = None if edge_index is None else list(edge_index.shape)
        raise InvalidArchitecture(f"graph {row}: edge_index must be integers [2, edges] (got {shape})")
    return x, edge_index


def _from_union(x: Tensor, edge_index: Tensor, sizes: Tensor) -> Architectures:
    """Dense tensors of a disjoint union: x [sum n, T], edge_index [2, sum e], sizes [B]."""
    bad = ~(((x == 0) | (x == 1)).all(1) & (x.sum(1) == 1))
    if bool(bad.any()):
        vertex = int(bad.nonzero()[0])
        raise InvalidArchitecture(f"x must be one-hot in every row (got {x[vertex].tolist()} in row {vertex})")
    if bool(((edge_index < 0) | (edge_index >= len(x))).any()):
        raise InvalidArchitecture(
            f"edge_index must name the {len(x)} vertices there are (got {edge_index.min()}..{edge_index.max()})"
        )
    graph = torch.repeat_interleave(sizes)
    local = torch.arange(len(x), device=x.device) - (sizes.cumsum(0) - sizes)[graph]
    rows, (source, target) = graph[edge_index[0]], local[edge_index]
    wrong = (rows != graph[edge_index[1]]) | (source >= target)
    if bool(wrong.any()):
        edge = int(wrong.nonzero()[0])
        raise InvalidArchitecture(
            f"edges must stay in their graph and go from a lower to a higher index (got {edge_index[:, edge].tolist()} "
            f"in graph {int(rows[edge])}): order vertices topologically first"
        )
    width = max(int(sizes.max()) if len(sizes) else 1, 1)
    ops = torch.zeros(len(sizes), width, dtype=torch.uint8, device=x.device)
    ops[graph, local] = x.argmax(1).to(torch.uint8)
    adj = torch.zeros(len(sizes), width, width, dtype=torch.bool, device=x.device)
    adj[rows, source, target] = True
    if int(adj.sum()) != edge_index.shape[1]:
        raise InvalidArchitecture(
            f"edges must be listed once (got {edge_index.shape[1]} of which {int(adj.sum())} are distinct)"
        )
    return Architectures(ops, adj, sizes.to(torch.int64))
