"""The evaluation network of DARTS (Liu, Simonyan and Yang 2019, arXiv 1806.09055)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from graphnas.networks.auxiliary import AuxiliaryHead, AuxiliaryNetwork
from graphnas.networks.base import NETWORKS, Images, check_positive, read_config
from graphnas.networks.darts_operations import OPERATIONS
from graphnas.networks.defaults import DEFAULTS, Defaults
from graphnas.networks.layers import ConvNorm, FactorizedReduce, ReluConvNorm, check_halvings, drop_path
from graphnas.spaces import Architectures
from graphnas.spaces.darts import DARTS
from graphnas.spaces.darts_cells import OPS, split

Edge = tuple[str, int]
"""Operation and source: 0 the cell before the last, 1 the last one, 2+i intermediate node i."""


@dataclass(frozen=True)
class DARTSConfig:
    """Size of the network; the defaults are those published for CIFAR-10. NAS-Bench-301 has 32 channels and 8 cells.

    Attributes:
        channels: C of the first cells; every reduction cell doubles them.
        cells: number of cells; those at 1/3 and 2/3 of the depth reduce.
        stem_multiplier: the stem has that many times C channels.
        auxiliary: adds a classifier behind the cell at 2/3 of the depth for training.
    """

    channels: int = 36
    cells: int = 20
    stem_multiplier: int = 3
    auxiliary: bool = False

    def __post_init__(self) -> None:
        check_positive(self)


class Cell(nn.Module):
    """Four nodes that add up two edges each, side by side; edges come from the two cells before and earlier nodes.

    Shapes: `older` [B, older, H', W'] and `last` [B, last, H, W] -> [B, 4 channels, H, W], halved where the cell
    reduces. H' is 2 H where the cell before reduced, else H.

    Args:
        edges: the eight edges, two a node.
        older: channels of the cell before the last.
        last: channels of the last cell.
        channels: of an edge.
        reduces: whether edges from cells have stride 2.
        shrinks: whether the cell before reduced, so that the older maps have to shrink.
    """

    def __init__(self, edges: list[Edge], older: int, last: int, channels: int, reduces: bool, shrinks: bool) -> None:
        super().__init__()
        self.sources = [source for _, source in edges]
        shrink = nn.Sequential(nn.ReLU(), FactorizedReduce(older, channels))
        self.older = shrink if shrinks else ReluConvNorm(older, channels)
        self.last = ReluConvNorm(last, channels)
        strides = [2 if reduces and source < 2 else 1 for source in self.sources]
        self.operations = nn.ModuleList(
            OPERATIONS[op](channels, stride) for (op, _), stride in zip(edges, strides, strict=True)
        )

    def forward(self, older: Tensor, last: Tensor, drop: float) -> Tensor:
        states = [self.older(older), self.last(last)]
        for first in range(0, len(self.sources), 2):
            states.append(self._edge(first, states, drop) + self._edge(first + 1, states, drop))
        return torch.cat(states[2:], 1)

    def _edge(self, place: int, states: list[Tensor], drop: float) -> Tensor:
        """The output of one edge; a plain skip is never dropped."""
        operation = self.operations[place]
        value = operation(states[self.sources[place]])
        return drop_path(value, drop) if drop and not isinstance(operation, nn.Identity) else value


class DARTSNetwork(AuxiliaryNetwork):
    """Stem, cells, global mean, classifier; in training mode every edge but plain skips is dropped with `drop_path`.

    Paths are dropped per image and edge, and what remains is scaled so that the expectation stays. Weights start as
    PyTorch's layers do.

    Shapes: images [B, channels, size, size] -> logits [B, K].

    Args:
        normal: the edges of the normal cell.
        reduction: those of the reduction cell.
        images: what the network sees.
        config: its size.

    Raises:
        InvalidValues: images that cannot be halved often enough, or are too small for the auxiliary head.
    """

    def __init__(self, normal: list[Edge], reduction: list[Edge], images: Images, config: DARTSConfig) -> None:
        super().__init__()
        reductions = {config.cells // 3, 2 * config.cells // 3}
        check_halvings(images, len(reductions))
        self.auxiliary, self.middle = config.auxiliary, 2 * config.cells // 3
        width, size = config.channels, images.size
        older = last = config.stem_multiplier * width
        self.stem, self.cells = ConvNorm(images.channels, last, 3), nn.ModuleList()
        for index in range(config.cells):
            reduces, shrinks = index in reductions, index - 1 in reductions
            if reduces:
                width, size = 2 * width, (size + 1) // 2
            self.cells.append(Cell(reduction if reduces else normal, older, last, width, reduces, shrinks))
            older, last = last, 4 * width
        self.classifier = nn.Linear(last, images.num_classes)
        # the cell at 2/3 of the depth is the last to reduce: all behind it have its channels and size
        self.auxiliary_head = AuxiliaryHead(last, size, images.num_classes) if config.auxiliary else None

    def maps(self, images: Tensor) -> tuple[Tensor, Tensor]:
        drop = self.drop_path if self.training else 0.0
        older = last = middle = self.stem(images)
        for index, cell in enumerate(self.cells):
            older, last = last, cell(older, last, drop)
            middle = last if index == self.middle else middle
        return last, middle


DEFAULTS.register("darts")(Defaults("darts", ("darts", "darts_proxy"), {"channels": 4, "cells": 3}))


@NETWORKS.register("darts")
def build(space: DARTS, arch: Architectures, images: Images, **options: object) -> DARTSNetwork:
    """The network of one genotype."""
    sources, operations = (part[0].flatten(1).tolist() for part in split(space.choices(arch)))
    normal, reduction = (
        [(OPS[op], source) for op, source in zip(*cell, strict=True)] for cell in zip(operations, sources, strict=True)
    )
    return DARTSNetwork(normal, reduction, images, read_config(DARTSConfig, options))
