"""The ENAS macro search space with 6 and with 12 layers (Pham et al. 2018, arXiv 1802.03268)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import pad

from graphnas.errors import InvalidArchitecture, OutsideSpace
from graphnas.spaces.architectures import Architectures
from graphnas.spaces.base import as_lines
from graphnas.spaces.cell_matrices import CellLayout
from graphnas.spaces.enas_cost import network_cost
from graphnas.spaces.fixed import FixedSpace, Layout, build_layout

OPS = ("conv_3x3", "sep_conv_3x3", "conv_5x5", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3")


class ENAS(FixedSpace):
    """A chain of L layers with 6 operations each and any skip connections.

    Vertex 0 is the stem, vertex k+1 layer k, the last vertex global pooling and classifier. The edge k -> k+1 is always
    there; skip bit j of layer k (j < k) is the edge j -> k+1, so that bit 0 is the stem and bit j >= 1 layer j-1. The
    output hears the last layer only. Because of the chain there is one topological order, and two architectures are
    isomorphic exactly when they are equal.

    The choices are the integers of the flat text form: for every layer its operation 0..5, then its skip bits.
    """

    vocabulary = ("input", "output", *OPS)
    ordered = True
    num_layers: ClassVar[int]

    def __init_subclass__(cls) -> None:
        cls.max_nodes = cls.num_layers + 2
        cls.size = 6**cls.num_layers * 2 ** (cls.num_layers * (cls.num_layers - 1) // 2)
        cls.radix = tuple(radix for layer in range(cls.num_layers) for radix in (6, *[2] * layer))
        cls._op_places = [layer * (layer + 1) // 2 for layer in range(cls.num_layers)]
        places = range(len(cls.radix))
        cls._skip_places = [place for place in places if place not in cls._op_places]
        cls._skips = [(source, layer + 1) for layer in range(cls.num_layers) for source in range(layer)]

    _op_places: ClassVar[list[int]]
    _skip_places: ClassVar[list[int]]
    _skips: ClassVar[list[tuple[int, int]]]

    def _build_layout(self) -> Layout:
        types = [["input"], *[OPS] * self.num_layers, ["output"]]
        return build_layout(self.vocabulary, types, pairwise(range(self.max_nodes)), self._skips)

    def _read(self, ops: Tensor, adj: Tensor) -> Tensor:
        choices = torch.empty(len(ops), len(self.radix), dtype=torch.int64, device=ops.device)
        source, target = zip(*self._skips, strict=True)
        choices[:, self._op_places] = ops[:, 1:-1] - 2
        choices[:, self._skip_places] = adj[:, source, target].long()
        return choices

    def _write(self, choices: Tensor) -> tuple[Tensor, Tensor]:
        ops = pad(choices[:, self._op_places] + 2, (1, 1))
        ops[:, -1] = 1
        adj = self.layout.required.to(choices.device).repeat(len(choices), 1, 1)
        source, target = zip(*self._skips, strict=True)
        adj[:, source, target] = choices[:, self._skip_places].bool()
        return ops, adj

    # -- identity -----------------------------------------------------------------------------------------------
    def canonical_keys(self, archs: Architectures) -> list[str]:
        """The flat text form."""
        return self.format_flat(archs)

    # -- text ---------------------------------------------------------------------------------------------------
    def parse(self, text: str | Sequence[str]) -> Architectures:
        """Architectures from the nested form `[[op], [op, bit], ...]` or the flat one `op op bit ...`."""
        rows = [self._parse_line(row, line) for row, line in enumerate(as_lines(text))]
        return self.from_choices(torch.tensor(rows, dtype=torch.int64).reshape(-1, len(self.radix)))

    def _parse_line(self, row: int, line: str) -> list[int]:
        layers = self._nested(row, line) if line.startswith("[") else None
        if layers is not None:
            sizes = [len(layer) for layer in layers]
            if sizes != list(range(1, self.num_layers + 1)):
                wanted = f"{self.num_layers} layers, layer k with an operation and k skip bits"
                raise self._refusal(row, wanted, f"layers of {sizes[:20]} entries")
            return [entry for layer in layers for entry in layer]
        words = line.split()
        if len(words) != len(self.radix):
            raise self._refusal(row, f"[[op], [op, bit], ...] or {len(self.radix)} integers", repr(line[:200]))
        for word in words:
            if word not in ("0", "1", "2", "3", "4", "5"):
                raise self._refusal(row, "integers from 0 to 5", repr(word[:80]))
        return [int(word) for word in words]

    def _nested(self, row: int, line: str) -> list[list[int]]:
        """Lists of small integers; JSON is the strict grammar of exactly this text."""
        try:
            layers = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise self._refusal(row, "[[op], [op, bit], ...]", repr(line[:200])) from error
        for layer in layers:
            if type(layer) is not list:
                raise self._refusal(row, "a list of lists", repr(layer)[:80])
            for entry in layer:
                if type(entry) is not int or not 0 <= entry <= 5:
                    raise self._refusal(row, "integers from 0 to 5", repr(entry)[:80])
        return layers

    def _refusal(self, row: int, expected: str, got: str) -> InvalidArchitecture:
        return InvalidArchitecture(f"row {row} is not in {self.name}: expected {expected} (got {got})")

    def format(self, archs: Architectures) -> list[str]:
        """The nested form, `[[op], [op, bit], ...]`, as in the public file of trained architectures."""
        cuts = list(pairwise([*self._op_places, len(self.radix)]))
        return [str([row[start:end] for start, end in cuts]) for row in self.choices(archs).tolist()]

    def format_flat(self, archs: Architectures) -> list[str]:
        """The flat form: all integers of the nested one, separated by spaces."""
        return [" ".join(map(str, row)) for row in self.choices(archs).tolist()]

    # -- price --------------------------------------------------------------------------------------------------
    def cost(self, archs: Architectures, filters: int = 36) -> dict[str, Tensor]:
        """Cost of the child network on 32x32 images and 10 classes, as derived from the paper and its public code.

        Stem conv3x3 3 -> C; L layers of equal input and output width; behind layers L//3 - 1 and 2L//3 - 1 (0-based)
        a factorised reduction (two 1x1 convolutions to half the new width each) of every map so far, the stem included
        and with weights of its own, to half the resolution and 2C; global average pooling; a linear map to 10 without
        bias. A layer with s > 0 skips concatenates its s+1 inputs and squeezes them with a 1x1 convolution. Then comes
        a 1x1 convolution C -> C, and behind it a kxk convolution, a separable one (one depthwise kxk and one 1x1) or a
        pooling. Every convolution, a separable one as a whole and a factorised reduction have one batch normalisation
        (2 parameters a channel) and no bias.

        FLOPs are 2 per multiply-accumulate of convolutions and classifier and nothing else. There are no published
        values to compare with; the public code of a fixed architecture differs from this in that it applies the squeeze
        behind the operation and without skips too, makes every convolution dense, and leaves pooling out.

        Args:
            archs: B architectures.
            filters: C, channels of the first stage.

        Returns:
            `flops`, `params` int64 [B] and `vertex_flops`, `vertex_params` int64 [B, 1, N]: squeeze and operation of
            every layer; stem, reductions and classifier are in the totals only.
        """
        if filters < 1:
            raise OutsideSpace(f"a network needs at least 1 filter (got {filters})")
        choices = self.choices(archs)
        skips = self._fit(archs)[1][:, :, 1:-1].sum(1) - 1
        return network_cost(choices[:, self._op_places], skips, filters)

    @property
    def cell_layout(self) -> CellLayout:
        return CellLayout(1, self.max_nodes, 1e7, 1e5)


class ENAS6(ENAS):
    """6 layers: 1,528,823,808 architectures, the space of the public file of 20,020 weight-sharing accuracies."""

    name = "enas6"
    num_layers = 6


class ENAS12(ENAS):
    """12 layers: 1.6e29 architectures."""

    name = "enas12"
    num_layers = 12
