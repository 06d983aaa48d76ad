"""The network of the toy space: cells of 3x3 convolutions and poolings that train in seconds."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from graphnas.networks.base import NETWORKS, Images, Network, check_positive, read_config
from graphnas.networks.defaults import DEFAULTS, Defaults
from graphnas.networks.graph import Graph, read_graph
from graphnas.networks.layers import add
from graphnas.spaces import Architectures
from graphnas.spaces.toy import CONV, Toy


@dataclass(frozen=True)
class ToyConfig:
    """Size of the network.

    Attributes:
        channels: C everywhere.
        cells: cells in a row.
    """

    channels: int = 16
    cells: int = 1

    def __post_init__(self) -> None:
        check_positive(self)


class ConvNormRelu(nn.Sequential):
    """3x3 convolution without bias, batch normalisation without weights, ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs, affine=False),
            nn.ReLU(),
        )


class Cell(nn.Module):
    """Every vertex works on the sum of its inputs, a convolution with one kernel per edge, as `Toy.cost` says.

    Shapes: [B, C, H, W] -> [B, C, H, W].
    """

    def __init__(self, graph: Graph, channels: int) -> None:
        super().__init__()
        self.sources, self.convs = graph.sources, nn.ModuleDict()
        for vertex, op in enumerate(graph.ops):
            if op == CONV:
                # summed outputs of one kernel per edge are one convolution of the inputs side by side
                self.convs[str(vertex)] = ConvNormRelu(len(self.sources[vertex]) * channels, channels)
        self.pool = nn.MaxPool2d(3, stride=1, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        values, last = [maps], len(self.sources) - 1
        for vertex in range(1, last):
            inputs = [values[source] for source in self.sources[vertex]]
            convolves = str(vertex) in self.convs
            value = self.convs[str(vertex)](torch.cat(inputs, 1)) if convolves else self.pool(add(inputs))
            values.append(value)
        return add([values[source] for source in self.sources[last]])


class ToyNetwork(Network):
    """Stem convolution, cells of constant size, global mean, classifier.

    With C channels and n cells it has n C^2 times the parameters of `Toy.cost`, and those of stem and classifier.
    `drop_path` is ignored.

    Shapes: images [B, channels, size, size] -> logits [B, K]; any size.
    """

    def __init__(self, graph: Graph, images: Images, config: ToyConfig) -> None:
        super().__init__()
        cells = [Cell(graph, config.channels) for _ in range(config.cells)]
        self.layers = nn.Sequential(ConvNormRelu(images.channels, config.channels), *cells)
        self.classifier = nn.Linear(config.channels, images.num_classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.layers(images).mean((2, 3)))


DEFAULTS.register("toy")(Defaults("nb201", (), {"channels": 8}))


@NETWORKS.register("toy")
def build(space: Toy, arch: Architectures, images: Images, **options: object) -> ToyNetwork:
    """The network of one cell; isomorphic cells get the same."""
    return ToyNetwork(read_graph(space.canonical(arch)), images, read_config(ToyConfig, options))
