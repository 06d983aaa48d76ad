"""ENAS macro: both text forms, the meaning of skip bits, and costs against networks really built."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from graphnas.errors import InvalidArchitecture, OutsideSpace
from graphnas.spaces import get_space
from graphnas.spaces.enas import ENAS

ROW = "[[1], [4, 0], [5, 0, 0], [0, 1, 1, 1], [2, 1, 1, 1, 1], [3, 0, 0, 0, 0, 1]]"
FLAT = "1 4 0 5 0 0 0 1 1 1 2 1 1 1 1 3 0 0 0 0 1"


def space_of(name: str) -> ENAS:
    space = get_space(name)
    assert isinstance(space, ENAS)
    return space


@pytest.fixture(scope="module")
def space() -> ENAS:
    return space_of("enas6")


def test_sizes() -> None:
    assert space_of("enas6").size == 1_528_823_808
    assert space_of("enas12").size == 6**12 * 2**66
    assert (space_of("enas6").max_nodes, space_of("enas12").max_nodes) == (8, 14)
    with pytest.raises(OutsideSpace, match="cannot be enumerated"):
        space_of("enas6").enumerate()


def test_a_skip_bit_is_an_edge_from_the_vertex_of_its_place(space: ENAS) -> None:
    arch = space.parse(ROW)
    assert [space.vocabulary[op] for op in arch.ops[0].tolist()] == [
        "input", "sep_conv_3x3", "avg_pool_3x3", "max_pool_3x3", "conv_3x3", "conv_5x5", "sep_conv_5x5", "output",
    ]  # fmt: skip
    chain = {(vertex, vertex + 1) for vertex in range(7)}
    skips = {(0, 4), (1, 4), (2, 4), (0, 5), (1, 5), (2, 5), (3, 5), (4, 6)}
    assert {tuple(edge) for edge in arch.adj[0].nonzero().tolist()} == chain | skips


def test_both_text_forms_are_read_and_written(space: ENAS) -> None:
    assert space.parse([ROW, FLAT])[0] == space.parse([ROW, FLAT])[1]
    assert space.format(space.parse(FLAT)) == [ROW]
    assert space.format_flat(space.parse(ROW)) == space.canonical_keys(space.parse(ROW)) == [FLAT]
    assert space.parse(ROW.replace(" ", "")) == space.parse(ROW)
    deep = space_of("enas12")
    archs = deep.sample(50)
    assert deep.parse(deep.format_flat(archs)) == archs


def test_neighbors_change_one_operation_or_one_skip(space: ENAS) -> None:
    neighbors = space.neighbors(space.parse(ROW))
    assert len(neighbors) == len(set(neighbors.index_keys())) == 6 * 5 + 15
    assert len(space_of("enas12").neighbors(space_of("enas12").sample(1))) == 12 * 5 + 66


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (ROW.replace("[1]", "[6]"), "integers from 0 to 5 (got 6)"),
        (ROW.replace("[1]", "[-1]"), "integers from 0 to 5 (got -1)"),
        (ROW.replace("[1]", "[1.0]"), "integers from 0 to 5 (got 1.0)"),
        (ROW.replace("[1]", "[true]"), "integers from 0 to 5 (got True)"),
        (ROW.replace("[1]", '["1"]'), "integers from 0 to 5 (got '1')"),
        (ROW.replace("[1]", "[[1]]"), "integers from 0 to 5 (got [1])"),
        (ROW.replace("[1]", "1"), "a list of lists (got 1)"),
        (ROW.replace("[4, 0]", "[4, 2]"), "choice 2 in 0..1 (got 2)"),
        (ROW.replace("[4, 0]", "[4]"), "layer k with an operation and k skip bits"),
        (ROW.replace(", [3, 0, 0, 0, 0, 1]", ""), "6 layers"),
        (ROW + ", 0.7302", "[[op], [op, bit], ...]"),
        (ROW[:-1], "[[op], [op, bit], ...]"),
        ("[" * 100_000, "[[op], [op, bit], ...]"),
        ("__import__('os')", "or 21 integers"),
        (FLAT + " 0", "or 21 integers"),
        (FLAT.replace("5", "6", 1), "integers from 0 to 5 (got '6')"),
        (FLAT.replace("5", "+5", 1), "integers from 0 to 5 (got '+5')"),
        (FLAT.replace("4 0", "4 3", 1), "choice 2 in 0..1 (got 3)"),
        ("", "or 21 integers"),
    ],
)
def test_text_outside_the_grammar_is_refused(space: ENAS, text: str, reason: str) -> None:
    with pytest.raises(InvalidArchitecture, match="row 1 is not in enas6") as caught:
        space.parse([ROW, text])
    assert reason in str(caught.value)
    assert len(str(caught.value)) < 500


def test_invalid_tensors_are_refused(space: ENAS) -> None:
    """A skip into the output, a broken chain, a missing layer."""
    arch = space.parse(ROW)
    arch.adj[0, 3, 7] = True
    with pytest.raises(
        InvalidArchitecture, match=r"no edges but the possible ones of the space \(got edges \[\[3, 7\]\]"
    ):
        space.check(arch)
    arch = space.parse(ROW)
    arch.adj[0, 2, 3] = False
    with pytest.raises(InvalidArchitecture, match=r"got no edges \[\[2, 3\]\]"):
        space.check(arch)


# -- costs --------------------------------------------------------------------------------------------------------
def test_cost_of_one_layer_by_hand(space: ENAS) -> None:
    """With C = 2 and 32x32 maps: layer 0 has no skips, layer 1 may squeeze two inputs."""
    archs = space.parse(["0" + " 0" * 20, "1" + " 0" * 20, "4 4 1" + " 0" * 18])
    cost = space.cost(archs, filters=2)
    assert cost["vertex_params"].shape == (3, 1, 8)
    conv = 2 * 2 + 9 * 2 * 2  # 1x1, then 3x3
    separable = 2 * 2 + 9 * 2 + 2 * 2
    squeezed_pool = (4 * 2) + 2 * 2
    assert cost["vertex_params"][:, 0, 1].tolist() == [conv + 8, separable + 8, 4 + 4]
    assert cost["vertex_flops"][:, 0, 1].tolist() == [2 * 1024 * conv, 2 * 1024 * separable, 2 * 1024 * 4]
    assert cost["vertex_params"][2, 0, 2] == squeezed_pool + 8
    assert cost["vertex_flops"][2, 0, 2] == 2 * 1024 * squeezed_pool
    assert (cost["vertex_params"][:, 0, [0, 7]] == 0).all()
    with pytest.raises(OutsideSpace, match="at least 1 filter"):
        space.cost(archs, filters=0)


def conv_bn(width_in: int, width_out: int, kernel: int = 1, separable: bool = False) -> nn.Sequential:
    middle: list[nn.Module] = [nn.ReLU()]
    if separable:
        middle.append(nn.Conv2d(width_in, width_in, kernel, padding=kernel // 2, groups=width_in, bias=False))
        kernel = 1
    middle.append(nn.Conv2d(width_in, width_out, kernel, padding=kernel // 2, bias=False))
    return nn.Sequential(*middle, nn.BatchNorm2d(width_out))


class Reduction(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.left, self.right = (nn.Conv2d(width, width, 1, stride=2, bias=False) for _ in range(2))
        self.norm = nn.BatchNorm2d(2 * width)

    def forward(self, maps: Tensor) -> Tensor:
        return self.norm(torch.cat([self.left(maps), self.right(maps[:, :, 1:, 1:])], 1))


class Child(nn.Module):
    """The macro child, built layer by layer from the edges of an architecture."""

    def __init__(self, ops: list[str], inputs: list[list[int]], filters: int) -> None:
        super().__init__()
        self.inputs, self.cuts = inputs, (len(ops) // 3 - 1, 2 * len(ops) // 3 - 1)
        self.stem = nn.Sequential(nn.Conv2d(3, filters, 3, padding=1, bias=False), nn.BatchNorm2d(filters))
        self.layers, self.squeezes, self.reductions = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        width = filters
        for layer, (op, sources) in enumerate(zip(ops, inputs, strict=True)):
            self.squeezes.append(conv_bn(len(sources) * width, width) if len(sources) > 1 else nn.Identity())
            kernel = int(op[-1])
            last = nn.AvgPool2d(3, 1, 1) if "pool" in op else conv_bn(width, width, kernel, "sep" in op)
            self.layers.append(nn.Sequential(conv_bn(width, width), last))
            if layer in self.cuts:
                self.reductions.append(nn.ModuleList(Reduction(width) for _ in range(layer + 2)))
                width *= 2
        self.classifier = nn.Linear(width, 10, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        maps, reductions = [self.stem(images)], iter(self.reductions)
        for layer, sources in enumerate(self.inputs):
            joined = self.squeezes[layer](torch.cat([maps[source] for source in sources], 1))
            maps.append(self.layers[layer](joined))
            if layer in self.cuts:
                maps = [reduce(part) for reduce, part in zip(next(reductions), maps, strict=True)]
        return self.classifier(maps[-1].mean((2, 3)))


def count(network: nn.Module) -> tuple[int, int]:
    """FLOPs of convolutions and linear maps, 2 per multiply-accumulate, in a forward pass without data; parameters."""
    flops = []

    def note(module: nn.Module, _: object, out: Tensor) -> None:
        positions = out[0, 0].numel() if out.ndim == 4 else 1
        flops.append(2 * positions * sum(weight.numel() for weight in module.parameters()))

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(note)
    network(torch.empty(2, 3, 32, 32, device="meta"))
    return sum(flops), sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize(("name", "filters"), [("enas6", 36), ("enas6", 8), ("enas12", 36)])
def test_cost_equals_that_of_a_network_built_from_the_graph(name: str, filters: int) -> None:
    space = space_of(name)
    archs = space.sample(4, torch.Generator().manual_seed(0))
    cost = space.cost(archs, filters)
    for row in range(len(archs)):
        ops = [space.vocabulary[op] for op in archs.ops[row, 1:-1].tolist()]
        inputs = [archs.adj[row, :, vertex].nonzero().flatten().tolist() for vertex in range(1, space.max_nodes - 1)]
        with torch.device("meta"):
            network = Child(ops, inputs, filters)
        assert count(network) == (cost["flops"][row].item(), cost["params"][row].item())


# -- real rows ----------------------------------------------------------------------------------------------------
def test_the_public_rows_round_trip(space: ENAS, real_data: Path) -> None:
    with gzip.open(real_data / "enas_macro6.txt.gz", "rt") as file:
        lines = [line.rpartition(", ")[0] for line in file]
    archs = space.parse(lines)
    assert len(archs) == 18_018
    assert space.format(archs) == lines
    assert space.is_valid(archs).all()
    assert len(space.fingerprints(archs).unique()) == len(set(lines))
    density = space.choices(archs)[:, space._skip_places].double().mean()
    assert density.item() == pytest.approx(0.300, abs=0.005)
    assert space.parse(space.format_flat(archs)) == archs
