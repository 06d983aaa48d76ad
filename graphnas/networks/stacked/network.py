"""NAS-Bench-201 networks of different cells, one next to the other in the same tensors."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.functional import batch_norm, relu

from graphnas.networks.nb201 import KERNELS, NB201Network
from graphnas.networks.stacked.rows import (
    HalvingConvolution,
    average_pool,
    even_and_odd,
    halved,
    row_convolution,
    row_matrices,
)

OPS = (*KERNELS, "avg_pool_3x3", "skip_connect")
threshold_backward = torch.ops.aten.threshold_backward


class StackedConv(nn.Module):
    """The same convolution of n networks: kernels [n, O, C, k, k] of their own."""

    def __init__(self, layers: Sequence[nn.Conv2d]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.stack([layer.weight.detach() for layer in layers]))

    def forward(self, x: Tensor, width: int, batch: int) -> Tensor:
        return row_convolution(x, self.weight, width, batch)

    def halving(self, even: Tensor, odd: Tensor, width: int, batch: int) -> Tensor:
        """With stride 2, from the even and the odd rows."""
        out: Tensor = HalvingConvolution.apply(even, odd, row_matrices(self.weight, width, 2), batch)
        return out


class StackedNorm(nn.Module):
    """The same batch normalisation of n networks, as one over n C channels."""

    def __init__(self, layers: Sequence[nn.BatchNorm2d]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.cat([layer.weight.detach() for layer in layers]))
        self.bias = nn.Parameter(torch.cat([layer.bias.detach() for layer in layers]))
        self.momentum, self.eps = layers[0].momentum, layers[0].eps
        for name in ("running_mean", "running_var"):
            self.register_buffer(name, torch.cat([getattr(layer, name) for layer in layers]))

    def forward(self, x: Tensor) -> Tensor:
        maps = x.view(1, len(self.weight), -1)
        mean, var = self.get_buffer("running_mean"), self.get_buffer("running_var")
        out = batch_norm(maps, mean, var, self.weight, self.bias, self.training, self.momentum or 0.0, self.eps)
        return out.view(x.shape)


class Spread(Function):
    """Rows of a node [n, ...] for several kinds of edges, some of which read it through a ReLU.

    One function for all of them, so that their gradients are added up in one buffer.
    """

    @staticmethod
    def forward(ctx: Any, node: Tensor, rows: list[Tensor], rectified: list[bool]) -> tuple[Tensor, ...]:
        active = relu(node)
        ctx.save_for_backward(active)
        ctx.rows, ctx.rectified = rows, rectified
        return tuple((active if on else node).index_select(0, row) for row, on in zip(rows, rectified, strict=True))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (active,) = ctx.saved_tensors
        total = torch.zeros_like(active)
        for wanted in (True, False):
            for rows, on, gradient in zip(ctx.rows, ctx.rectified, gradients, strict=True):
                if on is wanted:
                    total.index_add_(0, rows, gradient)
            if wanted:
                total = threshold_backward(total, active, 0)
        return total, None, None


class Edges(NamedTuple):
    """All edges of one operation out of one node: the networks that have them, those into node 1 first, then 2, 3."""

    op: str
    rows: Tensor
    targets: list[tuple[int, Tensor]]

    def add(self, values: Tensor, nodes: Sequence[Tensor]) -> None:
        """Adds what the edges bring, in the order of `rows`, to the nodes they lead to."""
        parts = values.split([len(rows) for _, rows in self.targets])
        for (node, rows), part in zip(self.targets, parts, strict=True):
            nodes[node].index_add_(0, rows, part)


class StackedCell(nn.Module):
    """One cell of n networks; edges out of a node that carry the same operation are computed together."""

    def __init__(self, networks: Sequence[Any], stage: int, cell: int) -> None:
        super().__init__()
        cells = [network.stages[stage][cell] for network in networks]
        self.edges: dict[tuple[int, str], Edges] = {}
        self.convs, self.norms = nn.ModuleDict(), nn.ModuleDict()
        for source, op in product(range(3), OPS):
            places = [
                (target, [row for row, network in enumerate(networks) if network.carries((source, target), op)])
                for target in range(source + 1, 4)
            ]
            targets = [(target, torch.tensor(rows)) for target, rows in places if rows]
            if not targets:
                continue
            self.edges[source, op] = Edges(op, torch.cat([rows for _, rows in targets]), targets)
            if op in KERNELS:
                modules = [cells[row].edges[f"{source}{target}"] for target, rows in places for row in rows]
                self.convs[f"{op}_{source}"] = StackedConv([module[1] for module in modules])
                self.norms[f"{op}_{source}"] = StackedNorm([module[2] for module in modules])

    def forward(self, x: Tensor, width: int, batch: int) -> Tensor:
        nodes = [x, *(torch.zeros_like(x) for _ in range(3))]
        for source in range(3):  # a node is complete when the sources before it are done
            edges = [self.edges[source, op] for op in OPS if (source, op) in self.edges]
            parts = Spread.apply(nodes[source], [edge.rows for edge in edges], [edge.op in KERNELS for edge in edges])
            for edge, values in zip(edges, parts, strict=True):
                edge.add(self.operate(edge.op, source, values, width, batch), nodes)
        return nodes[3]

    def operate(self, op: str, source: int, x: Tensor, width: int, batch: int) -> Tensor:
        """What edges out of node `source` with that operation make of their inputs."""
        if op in KERNELS:
            values: Tensor = self.norms[f"{op}_{source}"](self.convs[f"{op}_{source}"](x, width, batch))
            return values
        return average_pool(x, width, batch) if op == "avg_pool_3x3" else x


class StackedReduction(nn.Module):
    """One reduction of n networks."""

    def __init__(self, networks: Sequence[Any], index: int) -> None:
        super().__init__()
        blocks = [network.reductions[index] for network in networks]
        self.shortcut = StackedConv([block.shortcut[1] for block in blocks])
        self.residual = blocks[0].residual
        if self.residual:
            self.first = StackedConv([block.first[1] for block in blocks])
            self.first_norm = StackedNorm([block.first[2] for block in blocks])
            self.second = StackedConv([block.second[1] for block in blocks])
            self.second_norm = StackedNorm([block.second[2] for block in blocks])

    def forward(self, x: Tensor, width: int, batch: int) -> Tensor:
        even, odd = even_and_odd(x, batch)
        shortcut = halved(even, odd, self.shortcut.weight, width)
        if not self.residual:
            return shortcut
        inner = relu(self.first_norm(self.first.halving(relu(even), relu(odd), width, batch)))
        return shortcut + self.second_norm(self.second(inner, width // 2, batch))


class StackedNB201(nn.Module):
    """n networks of one size and any cells that see the same images.

    What each computes does not depend on the others, up to the rounding of sums.

    Shapes: images [B, C, S, S] -> logits [n, K, B].

    Args:
        networks: freshly initialised or trained; their weights are copied.
    """

    def __init__(self, networks: Sequence[NB201Network]) -> None:
        super().__init__()
        parts: Sequence[Any] = networks  # submodules, whose kinds their containers do not tell
        first = parts[0]
        self.stem = StackedConv([network.stem[0] for network in parts])
        self.stem_norm = StackedNorm([network.stem[1] for network in parts])
        self.reductions = nn.ModuleList(StackedReduction(networks, index) for index in range(len(first.reductions)))
        self.stages = nn.ModuleList(
            nn.ModuleList(StackedCell(networks, stage, cell) for cell in range(len(cells)))
            for stage, cells in enumerate(first.stages)
        )
        self.last = StackedNorm([network.last[0] for network in parts])
        self.weight = nn.Parameter(torch.stack([network.classifier.weight.detach() for network in networks]))
        self.bias = nn.Parameter(torch.stack([network.classifier.bias.detach()[:, None] for network in networks]))

    def __len__(self) -> int:
        return len(self.weight)

    def forward(self, images: Tensor) -> Tensor:
        batch, channels, height, width = images.shape
        rows = images.permute(1, 3, 2, 0).reshape(1, channels * width, height * batch)
        x = self.stem_norm(self.stem(rows.expand(len(self), -1, -1), width, batch))
        for stage, cells in enumerate(self.stages.children()):
            if stage:
                x = self.reductions[stage - 1](x, width, batch)
                width //= 2
            for cell in cells.children():
                x = cell(x, width, batch)
        features = relu(self.last(x)).view(len(self), -1, width * width, batch).mean(2)
        return torch.baddbmm(self.bias, self.weight, features)
