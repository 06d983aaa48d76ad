"""Encoders that pass messages asynchronously, along the edges and against them (D-VAE, DAGNN)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from graphnas.models.layers.aggregate import Aggregator
from graphnas.models.layers.async_gru import fold_stack, make_cells, one_hot_types, propagate
from graphnas.spaces import Architectures


class AsyncEncoder(nn.Module):
    """Graph state from two asynchronous streams.

    With readout "ends" it is the forward state of the last vertex and the backward state of the first, all layers side
    by side, merged by a linear map where there are several; with "sum" the sum of the states of all vertices between.

    Args:
        num_types: T.
        hidden_dim: H.
        layers: L.
        bidirectional: add the stream against the edges.
        readout: what the graph state is.
        aggregator: makes the aggregator of one layer.
        input_scale: factor on the initial weights of the types.
    """

    def __init__(
        self,
        num_types: int,
        hidden_dim: int,
        layers: int,
        bidirectional: bool,
        readout: Literal["ends", "sum"],
        aggregator: Callable[[], Aggregator],
        input_scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.num_types, self.readout = num_types, readout
        self.cells = make_cells(num_types, hidden_dim, layers, input_scale)
        self.aggregators = nn.ModuleList(aggregator() for _ in range(layers))
        self.back_cells = make_cells(num_types, hidden_dim, layers, input_scale) if bidirectional else None
        self.back_aggregators = nn.ModuleList(aggregator() for _ in range(layers)) if bidirectional else None
        width = layers * hidden_dim * (1 + bidirectional)
        self.merge = nn.Linear(width, hidden_dim) if width > hidden_dim else nn.Identity()

    def forward(self, archs: Architectures) -> Tensor:
        """Graph states [B, H] of prepared architectures; in full precision under autocast too."""
        with torch.autocast(archs.device.type, enabled=False):
            return self.encode(archs)

    def encode(self, archs: Architectures) -> Tensor:
        """The same in the precision of the weights."""
        like = next(self.parameters())
        types, adj = one_hot_types(archs, self.num_types, like), archs.adj.to(like.dtype)
        along = propagate(fold_stack(self.cells, self.aggregators), types, adj)
        read = [self.read(layer, archs, last=True) for layer in along]
        if self.back_cells is not None and self.back_aggregators is not None:
            against = propagate(fold_stack(self.back_cells, self.back_aggregators), types, adj, against=True)
            read += [self.read(layer, archs, last=False) for layer in against]
        merged: Tensor = self.merge(torch.cat(read, 1))
        return merged

    def read(self, states: Tensor, archs: Architectures, last: bool) -> Tensor:
        """One stream's share of the graph state, [B, H], from states [B, N, H]."""
        size = archs.num_nodes
        if self.readout == "sum":
            place = torch.arange(archs.max_nodes, device=archs.device)
            between = (place > 0) & (place < size[:, None] - 1)
            return (states * between[..., None]).sum(1)
        return states[torch.arange(len(size), device=archs.device), size - 1] if last else states[:, 0]
