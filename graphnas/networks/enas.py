"""The child network of the ENAS macro space (Pham et al. 2018, arXiv 1802.03268)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from graphnas.networks.auxiliary import AuxiliaryHead, AuxiliaryNetwork
from graphnas.networks.base import NETWORKS, Images, check_positive, read_config
from graphnas.networks.defaults import DEFAULTS, Defaults
from graphnas.networks.graph import Graph, read_graph
from graphnas.networks.layers import (
    ConvNorm,
    FactorizedReduce,
    ReluConvNorm,
    SeparableConv,
    check_halvings,
)
from graphnas.spaces import Architectures
from graphnas.spaces.enas import ENAS


@dataclass(frozen=True)
class ENASConfig:
    """Size of the network; the depth is that of the space.

    Attributes:
        channels: C of the first stage, `filters` of `ENAS.cost`; each of the two reductions doubles them.
        auxiliary: adds a classifier behind the first layer of the last stage for training.
    """

    channels: int = 36
    auxiliary: bool = False

    def __post_init__(self) -> None:
        check_positive(self)


def build_operation(name: str, channels: int) -> nn.Module:
    """The operation of a layer behind its 1x1 convolution: [B, C, H, W] -> [B, C, H, W]."""
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
    if name == "max_pool_3x3":
        return nn.MaxPool2d(3, stride=1, padding=1)
    kernel = int(name[-1])
    return SeparableConv(channels, kernel) if name.startswith("sep") else ReluConvNorm(channels, channels, kernel)


class Layer(nn.Module):
    """Squeeze of the concatenated inputs where there are several, 1x1 convolution, operation.

    Shapes: list of `fan_in` maps [B, C, H, W] -> [B, C, H, W].
    """

    def __init__(self, name: str, fan_in: int, channels: int) -> None:
        super().__init__()
        self.squeeze = ReluConvNorm(fan_in * channels, channels) if fan_in > 1 else nn.Identity()
        self.entry = ReluConvNorm(channels, channels)
        self.operation = build_operation(name, channels)

    def forward(self, inputs: list[Tensor]) -> Tensor:
        return self.operation(self.entry(self.squeeze(torch.cat(inputs, 1))))


class ENASNetwork(AuxiliaryNetwork):
    """Stem, L layers in three stages, global mean, classifier without bias: the network `ENAS.cost` prices.

    Between stages every map so far, the stem's included, is halved and doubled in channels by a factorised reduction
    with weights of its own. Where no later layer reads the map, that reduction is neither computed nor trained, though
    its weights are there and counted (under DistributedDataParallel: `find_unused_parameters`). Convolutions follow a
    ReLU and precede a batch normalisation, the stem's without ReLU. Weights start as PyTorch's layers do. There is no
    path that could be dropped without cutting the chain: `drop_path` is ignored.

    Shapes: images [B, channels, size, size] -> logits [B, K].

    Args:
        names: operations of the L layers.
        graph: vertex 0 is the stem and vertex k+1 layer k.
        images: what the network sees.
        config: its size.

    Raises:
        InvalidValues: images that cannot be halved twice, or are too small for the auxiliary head.
    """

    def __init__(self, names: list[str], graph: Graph, images: Images, config: ENASConfig) -> None:
        super().__init__()
        check_halvings(images, 2)
        self.cuts = (len(names) // 3, 2 * len(names) // 3)  # layers in front of which the maps are halved
        self.sources, self.auxiliary = graph.sources[1:-1], config.auxiliary
        width, size = config.channels, images.size
        self.stem = ConvNorm(images.channels, width, 3)
        self.layers, self.reductions = nn.ModuleList(), nn.ModuleDict()
        for layer, name in enumerate(names):
            if layer in self.cuts:
                for vertex in range(layer + 1):
                    self.reductions[f"{layer}_{vertex}"] = FactorizedReduce(width, 2 * width)
                width, size = 2 * width, (size + 1) // 2
            self.layers.append(Layer(name, len(self.sources[layer]), width))
        self.classifier = nn.Linear(width, images.num_classes, bias=False)
        self.auxiliary_head = AuxiliaryHead(width, size, images.num_classes) if config.auxiliary else None

    def maps(self, images: Tensor) -> tuple[Tensor, Tensor]:
        last = middle = self.stem(images)
        maps = {0: last}
        for layer, block in enumerate(self.layers):
            if layer in self.cuts:
                read = {source for sources in self.sources[layer:] for source in sources}
                maps = {
                    vertex: self.reductions[f"{layer}_{vertex}"](maps[vertex]) for vertex in read if vertex <= layer
                }
            maps[layer + 1] = last = block([maps[source] for source in self.sources[layer]])
            middle = last if layer == self.cuts[-1] else middle
        return last, middle


for _name in ("enas6", "enas12"):
    DEFAULTS.register(_name)(Defaults("enas", ("enas",), {"channels": 8}))


@NETWORKS.register("enas6")
@NETWORKS.register("enas12")
def build(space: ENAS, arch: Architectures, images: Images, **options: object) -> ENASNetwork:
    """The child network of one chain of layers."""
    graph = read_graph(arch)
    names = [space.vocabulary[op] for op in graph.ops[1:-1]]
    return ENASNetwork(names, graph, images, read_config(ENASConfig, options))
