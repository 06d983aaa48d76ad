"""The network of NAS-Bench-101 (Ying et al. 2019, arXiv 1902.09635)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from graphnas.errors import InvalidValues
from graphnas.networks.base import NETWORKS, Images, Network, check_positive, read_config
from graphnas.networks.defaults import DEFAULTS, Defaults
from graphnas.networks.graph import read_graph
from graphnas.networks.layers import add, check_halvings
from graphnas.spaces import Architectures
from graphnas.spaces.nb101 import NB101
from graphnas.spaces.nb101_cost import CONV1X1, CONV3X3, vertex_channels

KERNELS = {CONV3X3: 3, CONV1X1: 1}


@dataclass(frozen=True)
class NB101Config:
    """Size of the network; the defaults are those of the benchmark.

    Attributes:
        channels: of the stem and of the first stack; every further stack has twice as many.
        stacks: groups of cells; the maps are halved in front of all but the first.
        cells: cells in each stack.
        batch_momentum: weight of a new batch in the running statistics of batch normalisation. The benchmark keeps
            0.997 of the old ones, which takes hundreds of steps to settle: raise it for short training.
        batch_eps: added to the variances.
    """

    channels: int = 128
    stacks: int = 3
    cells: int = 3
    batch_momentum: float = 0.003
    batch_eps: float = 1e-5

    def __post_init__(self) -> None:
        check_positive(self)


class ConvNormRelu(nn.Sequential):
    """Convolution without bias, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, config: NB101Config) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(outputs, eps=config.batch_eps, momentum=config.batch_momentum),
            nn.ReLU(),
        )


class Cell(nn.Module):
    """One cell: interior vertices add their inputs up, the output concatenates its own.

    An edge from the input carries a projection of its own, a 1x1 convolution with normalisation and ReLU, to the
    channels of its target; where it leads to the output, it is added to the concatenation. A vertex with one channel
    more than its target loses the last one on the way (see `vertex_channels`; more never happens).

    Shapes: [B, inputs, H, W] -> [B, outputs, H, W].

    Args:
        arch: a batch of one.
        inputs: channels in.
        outputs: channels out.
        config: for the normalisations.

    Raises:
        InvalidValues: fewer channels out than vertices that share them.
    """

    def __init__(self, arch: Architectures, inputs: int, outputs: int, config: NB101Config) -> None:
        super().__init__()
        graph = read_graph(arch)
        self.channels: list[int] = vertex_channels(arch, inputs, outputs)[0, : len(graph.ops)].tolist()
        if 0 in self.channels:
            sharing = sum(source > 0 for source in graph.sources[graph.last])
            raise InvalidValues(f"expected at least {sharing} channels for a cell that divides them so (got {outputs})")
        self.sources = [[source for source in sources if source] for sources in graph.sources]
        self.projections, self.operations = nn.ModuleDict(), nn.ModuleDict()
        for vertex in range(1, len(graph.ops)):
            width = self.channels[vertex]
            if 0 in graph.sources[vertex]:
                self.projections[str(vertex)] = ConvNormRelu(inputs, width, 1, config)
            if vertex < graph.last:
                kernel = KERNELS.get(graph.ops[vertex])
                pool = nn.MaxPool2d(3, stride=1, padding=1)
                self.operations[str(vertex)] = ConvNormRelu(width, width, kernel, config) if kernel else pool

    def forward(self, maps: Tensor) -> Tensor:
        values, last = [maps], len(self.channels) - 1
        for vertex, width in enumerate(self.channels[1:last], 1):
            parts = [values[source][:, :width] for source in self.sources[vertex]]
            values.append(self.operations[str(vertex)](add(parts + self._projected(maps, vertex))))
        feeding = [values[source] for source in self.sources[last]]
        joined = [torch.cat(feeding, 1)] if feeding else []
        return add(joined + self._projected(maps, last))

    def _projected(self, maps: Tensor, vertex: int) -> list[Tensor]:
        """What the input sends to a vertex: one tensor [B, C of the vertex, H, W] or none."""
        return [self.projections[str(vertex)](maps)] if str(vertex) in self.projections else []


class NB101Network(Network):
    """Stem, stacks of cells with 2x2 max-pooling in between, global mean, classifier.

    Convolutions start from a normal distribution of standard deviation sqrt(2 / (k^2 outputs)), the classifier's
    weights from one of 0.01, biases from 0. Nothing here is droppable: `drop_path` is ignored.

    Shapes: images [B, channels, size, size] -> logits [B, K].

    Args:
        arch: a batch of one, whose vertices are taken in their order: where the channels of an output do not divide
            evenly, it decides which vertex is the wider. The benchmark trained `NB101.canonical(arch)`.
        images: what the network sees.
        config: its size.

    Raises:
        InvalidValues: images that cannot be halved often enough, or fewer channels than a cell divides.
    """

    def __init__(self, arch: Architectures, images: Images, config: NB101Config) -> None:
        super().__init__()
        check_halvings(images, config.stacks - 1)
        width = config.channels
        layers: list[nn.Module] = [ConvNormRelu(images.channels, width, 3, config)]
        for stack in range(config.stacks):
            inputs = width
            if stack:
                layers.append(nn.MaxPool2d(2))
                width *= 2
            for _ in range(config.cells):
                layers.append(Cell(arch, inputs, width, config))
                inputs = width
        self.layers = nn.Sequential(*layers)
        self.classifier = nn.Linear(width, images.num_classes)
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.layers(images).mean((2, 3)))


DEFAULTS.register("nb101")(Defaults("nb101", ("nb101",), {"channels": 8, "cells": 1, "batch_momentum": 0.1}))


@NETWORKS.register("nb101")
def build(space: NB101, arch: Architectures, images: Images, **options: object) -> NB101Network:
    """The network of one cell; isomorphic cells get the same, the one the official parameter counts are of."""
    return NB101Network(space.canonical(arch), images, read_config(NB101Config, options))
