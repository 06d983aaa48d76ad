"""Encoders that pass messages asynchronously, along the edges and against them (D-VAE, DAGNN)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from graphnas.models.layers.aggregate import Aggregator
from graphnas.models.layers.async_distinct import SharedStates, propagate_distinct
from graphnas.models.layers.async_gru import fold_stack, make_cells, one_hot_types, propagate
from graphnas.spaces import Architectures

SHARED = 32
"""Graphs from which on it pays to look for states that they share."""


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
        read = [self.read(layer, archs, last=True) for layer in self.stream(archs, self.cells, self.aggregators)]
        if self.back_cells is not None and self.back_aggregators is not None:
            against = self.stream(archs, self.back_cells, self.back_aggregators, against=True)
            read += [self.read(layer, archs, last=False) for layer in against]
        merged: Tensor = self.merge(torch.cat(read, 1))
        return merged

    def stream(
        self, archs: Architectures, cells: nn.ModuleList, aggregators: nn.ModuleList, against: bool = False
    ) -> list[Tensor | SharedStates]:
        """States of every layer, [B, N, H]; of many graphs without gradients, each different state computed once."""
        folded = fold_stack(cells, aggregators)
        linear = all(aggregator.linear for aggregator in folded.aggregators)
        if linear and len(archs) >= SHARED and not torch.is_grad_enabled():
            return [*propagate_distinct(folded, archs.ops.long(), self.num_types, archs.adj.bool(), against)]
        like = folded.cells[0].hidden
        types, adj = one_hot_types(archs, self.num_types, like), archs.adj.to(like.dtype)
        return [*propagate(folded, types, adj, against)]

    def read(self, states: Tensor | SharedStates, archs: Architectures, last: bool) -> Tensor:
        """One stream's share of the graph state, [B, H], from the states of a layer."""
        size = archs.num_nodes.long()
        if self.readout == "sum":
            dense = states if isinstance(states, Tensor) else states.dense()
            place = torch.arange(archs.max_nodes, device=archs.device)
            between = (place > 0) & (place < size[:, None] - 1)
            return (dense * between[..., None]).sum(1)
        end = size - 1 if last else torch.zeros_like(size)
        if isinstance(states, Tensor):
            return states[torch.arange(len(size), device=archs.device), end]
        return states.at(end)
