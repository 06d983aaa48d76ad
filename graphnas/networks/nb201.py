"""The network of NAS-Bench-201 (Dong and Yang 2020, arXiv 2001.00326)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from graphnas.errors import InvalidValues
from graphnas.networks.base import NETWORKS, Images, Network, check_positive, read_config
from graphnas.networks.defaults import DEFAULTS, Defaults
from graphnas.networks.layers import ConvNorm, ReluConvNorm
from graphnas.spaces import Architectures
from graphnas.spaces.nb201 import EDGES, NB201
from graphnas.spaces.nb201_classes import OPS

KERNELS = {"nor_conv_1x1": 1, "nor_conv_3x3": 3}
REDUCTIONS = ("residual", "pool")
STAGES = 3


@dataclass(frozen=True)
class NB201Config:
    """Size and kind of the network.

    Attributes:
        channels: C of the first stage; every further one has twice as many.
        cells: cells in each of the 3 stages.
        reduction: what halves the resolution between stages. "residual" is published: a residual block of two 3x3
            convolutions. "pool" is the shortcut of that block alone, 2x2 average pooling and a 1x1 convolution, so that
            what the network can do is up to its cells.
        batch_momentum: weight of a new batch in the running statistics of batch normalisation.
    """

    channels: int = 16
    cells: int = 5
    reduction: str = "residual"
    batch_momentum: float = 0.1

    def __post_init__(self) -> None:
        check_positive(self)
        if self.reduction not in REDUCTIONS:
            raise InvalidValues(f"expected the reduction to be one of {', '.join(REDUCTIONS)} (got {self.reduction!r})")


class Cell(nn.Module):
    """Four nodes; every node is the sum of what its edges bring from earlier ones.

    An edge that lies on no path from the input to the output keeps its parameters, as in the benchmark's count, but is
    not computed. The published code computes a convolution of zeros there, of which the bias of its normalisation
    remains; without it, strings of one functional class are one and the same function.

    Args:
        operations: of the six edges in the order of the architecture string.
        live: whether each edge is on a path from input to output.
        channels: of input and output [B, channels, H, W].
        momentum: of the batch normalisations.
    """

    def __init__(self, operations: Sequence[str], live: Sequence[bool], channels: int, momentum: float) -> None:
        super().__init__()
        self.edges = nn.ModuleDict()
        for (start, end), op in zip(EDGES, operations, strict=True):
            if op != "none":
                self.edges[f"{start}{end}"] = self._operation(op, channels, momentum)
        self.live = [edge for edge, alive in zip(EDGES, live, strict=True) if alive]

    @staticmethod
    def _operation(op: str, channels: int, momentum: float) -> nn.Module:
        if op == "skip_connect":
            return nn.Identity()
        if op == "avg_pool_3x3":
            return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        return ReluConvNorm(channels, channels, KERNELS[op], momentum=momentum)

    def forward(self, x: Tensor) -> Tensor:
        nodes = {0: x}
        for start, end in self.live:  # sorted by end, so that a node is complete when it is read
            value = self.edges[f"{start}{end}"](nodes[start])
            nodes[end] = nodes[end] + value if end in nodes else value
        return nodes[3] if 3 in nodes else torch.zeros_like(x)


class Reduction(nn.Module):
    """Halves the resolution and doubles the channels; see `NB201Config.reduction`."""

    def __init__(self, kind: str, channels: int, momentum: float) -> None:
        super().__init__()
        self.residual = kind == "residual"
        if self.residual:
            self.first = ReluConvNorm(channels, 2 * channels, 3, stride=2, momentum=momentum)
            self.second = ReluConvNorm(2 * channels, 2 * channels, 3, momentum=momentum)
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(channels, 2 * channels, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.shortcut(x)
        return shortcut + self.second(self.first(x)) if self.residual else shortcut


class NB201Network(Network):
    """Stem, 3 stages of cells with a reduction before the second and third, global mean, classifier.

    Shapes: images [B, channels, size, size] -> logits [B, K].

    Args:
        operations: of the six cell edges.
        live: which of them are on a path from the input to the output of the cell.
        images: what it sees.
        config: its size.

    Raises:
        InvalidValues: an image size not divisible by 4.
    """

    def __init__(self, operations: Sequence[str], live: Sequence[bool], images: Images, config: NB201Config) -> None:
        super().__init__()
        if images.size % 4:
            raise InvalidValues(f"two reductions need an image size divisible by 4 (got {images.size})")
        self.operations = {edge: op for edge, op, alive in zip(EDGES, operations, live, strict=True) if alive}
        width, momentum = config.channels, config.batch_momentum
        self.stem = ConvNorm(images.channels, width, 3, momentum=momentum)
        self.stages, self.reductions = nn.ModuleList(), nn.ModuleList()
        for stage in range(STAGES):
            if stage:
                self.reductions.append(Reduction(config.reduction, width, momentum))
                width *= 2
            self.stages.append(nn.Sequential(*(Cell(operations, live, width, momentum) for _ in range(config.cells))))
        self.last = nn.Sequential(nn.BatchNorm2d(width, momentum=momentum), nn.ReLU())
        self.classifier = nn.Linear(width, images.num_classes)

    def carries(self, edge: tuple[int, int], op: str) -> bool:
        """Whether a cell edge (from, to) has that operation and is on a path from input to output."""
        return self.operations.get(edge) == op

    def forward(self, images: Tensor) -> Tensor:
        x = self.stages[0](self.stem(images))
        for reduction, stage in zip(self.reductions, self.stages[1:], strict=True):
            x = stage(reduction(x))
        logits: Tensor = self.classifier(self.last(x).mean((2, 3)))
        return logits


DEFAULTS.register("nb201")(Defaults("nb201", ("nb201", "digits201"), {"channels": 4, "cells": 1}))


@NETWORKS.register("nb201")
def build(space: NB201, arch: Architectures, images: Images, **options: object) -> NB201Network:
    """The network of one cell."""
    operations = [OPS[choice] for choice in space.choices(arch)[0].tolist()]
    return NB201Network(operations, space.live_edges(arch)[0].tolist(), images, read_config(NB201Config, options))
