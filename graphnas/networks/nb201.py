"""The network of NAS-Bench-201 (Dong and Yang 2020, arXiv 2001.00326)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from graphnas.errors import InvalidValues
from graphnas.networks.base import NETWORKS, Images, Network, read_config
from graphnas.spaces import Architectures
from graphnas.spaces.nb201 import EDGES, NB201
from graphnas.spaces.nb201_classes import OPS

KERNELS = {"nor_conv_1x1": 1, "nor_conv_3x3": 3}
STAGES = 3


@dataclass(frozen=True)
class NB201Config:
    """Size of the network.

    Attributes:
        channels: C of the first stage; every further one has twice as many.
        cells: cells in each of the 3 stages.
        stem_stride: of the first convolution; 1 as published.
        batch_momentum: weight of a new batch in the running statistics of batch normalisation.
    """

    channels: int = 16
    cells: int = 5
    batch_momentum: float = 0.1

    def __post_init__(self) -> None:
        if self.channels < 1 or self.cells < 1:
            raise InvalidValues(f"expected at least 1 channel and 1 cell a stage (got {self.channels}, {self.cells})")


class ReluConvNorm(nn.Sequential):
    """ReLU, convolution without bias, batch normalisation."""

    def __init__(self, inputs: int, outputs: int, kernel: int, momentum: float, stride: int = 1) -> None:
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(outputs, momentum=momentum),
        )


class Cell(nn.Module):
    """Four nodes; every node is the sum of what its edges bring from earlier ones.

    Args:
        operations: of the six edges in the order of the architecture string.
        channels: of input and output [B, channels, H, W].
        momentum: of the batch normalisations.
    """

    def __init__(self, operations: list[str], channels: int, momentum: float) -> None:
        super().__init__()
        self.edges = nn.ModuleDict()
        for (start, end), op in zip(EDGES, operations, strict=True):
            if op != "none":
                self.edges[f"{start}{end}"] = self._operation(op, channels, momentum)

    @staticmethod
    def _operation(op: str, channels: int, momentum: float) -> nn.Module:
        if op == "skip_connect":
            return nn.Identity()
        if op == "avg_pool_3x3":
            return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        return ReluConvNorm(channels, channels, KERNELS[op], momentum)

    def forward(self, x: Tensor) -> Tensor:
        nodes: list[Tensor | None] = [x, None, None, None]
        for start, end in EDGES:
            name, source = f"{start}{end}", nodes[start]
            if name in self.edges and source is not None:
                value, before = self.edges[name](source), nodes[end]
                nodes[end] = value if before is None else before + value
        return x.new_zeros(x.shape) if nodes[3] is None else nodes[3]


class Reduction(nn.Module):
    """Residual block that halves the resolution and doubles the channels."""

    def __init__(self, channels: int, momentum: float) -> None:
        super().__init__()
        self.first = ReluConvNorm(channels, 2 * channels, 3, momentum, stride=2)
        self.second = ReluConvNorm(2 * channels, 2 * channels, 3, momentum)
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(channels, 2 * channels, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.second(self.first(x))


class NB201Network(Network):
    """Stem, 3 stages of cells with a residual reduction before the second and third, global mean, classifier.

    A node that nothing reaches is zero, and an operation on it is left out of the computation although it keeps its
    parameters, as in the benchmark's count: its batch normalisation would only add a constant... see `Cell`.

    Shapes: images [B, channels, size, size] -> logits [B, K].
    """

    def __init__(self, operations: list[str], images: Images, config: NB201Config) -> None:
        super().__init__()
        if images.size % 4:
            raise InvalidValues(f"two reductions need an image size divisible by 4 (got {images.size})")
        width, momentum = config.channels, config.batch_momentum
        self.stem = nn.Sequential(
            nn.Conv2d(images.channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width, momentum=momentum)
        )
        self.stages, self.reductions = nn.ModuleList(), nn.ModuleList()
        for stage in range(STAGES):
            if stage:
                self.reductions.append(Reduction(width, momentum))
                width *= 2
            self.stages.append(nn.Sequential(*(Cell(operations, width, momentum) for _ in range(config.cells))))
        self.last = nn.Sequential(nn.BatchNorm2d(width, momentum=momentum), nn.ReLU())
        self.classifier = nn.Linear(width, images.num_classes)

    def forward(self, images: Tensor) -> Tensor:
        x = self.stages[0](self.stem(images))
        for reduction, stage in zip(self.reductions, self.stages[1:], strict=True):
            x = stage(reduction(x))
        return self.classifier(self.last(x).mean((2, 3)))


@NETWORKS.register("nb201")
def build(space: NB201, arch: Architectures, images: Images, **options: object) -> NB201Network:
    """The network of one cell."""
    operations = [OPS[choice] for choice in space.choices(arch)[0].tolist()]
    return NB201Network(operations, images, read_config(NB201Config, options))
