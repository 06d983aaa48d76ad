"""The NAS-Bench-101 network: official parameter counts, exact FLOPs, and a plain loop over vertices."""

from __future__ import annotations

import csv
import gzip
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, linear, max_pool2d, relu

from graphnas.errors import InvalidArchitecture, InvalidValues
from graphnas.networks import Images, build_network
from graphnas.networks.nb101 import Cell, NB101Config, NB101Network
from graphnas.spaces import Architectures, get_space
from graphnas.spaces.nb101 import NB101

C3, C1, MP = "conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3"
PUBLISHED = [
    ("01 04 05 12 23 26 35 45 56", (C3, MP, C3, C3, C1), 8_555_530),
    ("01 02 03 05 16 26 34 46 56", (C1, C3, C3, C3, MP), 2_694_282),
    ("01", (), 882_570),
    ("01 03 12 23", (C3, C3), 20_346_506),
]
SMALL = NB101Config(channels=6, cells=1, batch_momentum=0.1)


@pytest.fixture(scope="module")
def nb101() -> NB101:
    return get_space("nb101")


def from_edges(nb101: NB101, edges: str, *interior: str) -> Architectures:
    """A cell from edges such as "01 02 13" and its interior operations."""
    size = len(interior) + 2
    matrix = [[int(f"{row}{column}" in edges.split()) for column in range(size)] for row in range(size)]
    return nb101.build(matrix, ["input", *interior, "output"])


def weightless(arch: Architectures, config: NB101Config | None = None) -> NB101Network:
    with torch.device("meta"):
        return NB101Network(arch, Images(), config or NB101Config())


# -- published values ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("edges", "interior", "params"), PUBLISHED)
def test_published_parameters_and_flops(
    nb101: NB101, edges: str, interior: tuple[str, ...], params: int, count_flops: Callable[..., Counter[str]]
) -> None:
    arch = nb101.canonical(from_edges(nb101, edges, *interior))
    network = weightless(arch)
    assert network.num_parameters == params
    assert count_flops(network, Images()).total() == int(nb101.cost(arch)["flops"])


def test_official_parameters_of_random_rows(nb101: NB101, real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NB101Network, "_initialise", lambda network: None)  # half of the time, and nothing to count
    with gzip.open(real_data / "nb101_sample.csv.gz", "rt") as file:
        rows = random.Random(0).sample(list(csv.DictReader(file)), 60)
    archs = nb101.canonical(nb101.parse([f"{row['matrix']}:{row['ops']}" for row in rows]))
    found = [weightless(arch).num_parameters for arch in archs]
    assert found == [int(row["params"]) for row in rows]


def test_a_stored_matrix_that_was_not_the_trained_one(nb101: NB101) -> None:
    stored = nb101.parse(f"0111000/0010000/0000101/0000001/0000010/0000001/0000000:{','.join((C3, C1, C3, MP, MP))}")
    assert weightless(stored).num_parameters == 3_079_371
    assert weightless(nb101.canonical(stored)).num_parameters == 3_078_206
    assert build_network(nb101, stored, channels=8, cells=1).num_parameters == (
        weightless(nb101.canonical(stored), NB101Config(channels=8, cells=1)).num_parameters
    )


def test_cost_of_random_cells(nb101: NB101, count_flops: Callable[..., Counter[str]]) -> None:
    archs = nb101.sample(8, torch.Generator().manual_seed(0))
    cost = nb101.cost(archs)
    for row, arch in enumerate(nb101.canonical(archs)):
        network = weightless(arch)
        assert network.num_parameters == int(cost["params"][row])
        assert count_flops(network, Images()).total() == int(cost["flops"][row])


@pytest.mark.parametrize(
    ("edges", "interior", "inputs", "outputs", "channels"),
    [
        ("01 02 03 14 24 34", (C3, C3, C3), 128, 128, [128, 43, 43, 42, 128]),
        ("01 02 03 14 24 34", (C3, C3, C3), 128, 256, [128, 86, 85, 85, 256]),
        ("01 02 03 14 24 34", (C3, C3, C3), 256, 512, [256, 171, 171, 170, 512]),
        ("01 02 13 23", (C3, C1), 8, 15, [8, 8, 7, 15]),
        ("01", (), 128, 256, [128, 256]),
    ],
)
def test_channels(
    nb101: NB101, edges: str, interior: tuple[str, ...], inputs: int, outputs: int, channels: list[int]
) -> None:
    cell = Cell(from_edges(nb101, edges, *interior), inputs, outputs, NB101Config())
    assert cell.channels == channels
    assert cell(torch.randn(2, inputs, 4, 4)).shape == (2, outputs, 4, 4)
    for vertex, operation in cell.operations.items():
        assert isinstance(operation, nn.Sequential) and isinstance(operation[0], nn.Conv2d)
        assert operation[0].in_channels == operation[0].out_channels == channels[int(vertex)]


def test_the_published_network(nb101: NB101) -> None:
    torch.manual_seed(0)
    network = build_network(nb101, from_edges(nb101, "01 12", C3), cells=1)
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-5, 0.003)}
    assert all(bool((norm.weight == 1).all()) and not norm.bias.any() for norm in norms)
    assert sorted({conv.out_channels for conv in convolutions}) == [128, 256, 512]
    for conv in convolutions:
        wanted = (2 / (conv.kernel_size[0] ** 2 * conv.out_channels)) ** 0.5
        assert conv.bias is None and conv.weight.std().item() == pytest.approx(wanted, rel=0.05)
    assert isinstance(network.classifier, nn.Linear) and not network.classifier.bias.any()
    assert network.classifier.weight.std().item() == pytest.approx(0.01, rel=0.05)


# -- against a plain calculation ----------------------------------------------------------------------------------
def plain_channels(ops: list[int], edges: set[tuple[int, int]], inputs: int, outputs: int) -> list[int]:
    last = len(ops) - 1
    channels = [inputs] + [0] * (last - 1) + [outputs]
    feeds = [vertex for vertex in range(1, last) if (vertex, last) in edges]
    for place, vertex in enumerate(feeds):
        channels[vertex] = outputs // len(feeds) + (place < outputs % len(feeds))
    for vertex in range(last - 1, 0, -1):
        if vertex not in feeds:
            channels[vertex] = max(channels[target] for target in range(1, last) if (vertex, target) in edges)
    return channels


class Plain:
    """The network in evaluation mode, vertex by vertex, on weights looked up by name."""

    def __init__(self, network: NB101Network, arch: Architectures, config: NB101Config) -> None:
        found = arch.describe(0)
        self.ops, self.edges, self.config = found["ops"], set(found["edges"]), config
        self.weights = network.state_dict()

    def conv(self, x: Tensor, name: str) -> Tensor:
        """Convolution, normalisation by running statistics, ReLU."""
        weight = self.weights[f"{name}.0.weight"]
        x = conv2d(x, weight, padding=weight.shape[2] // 2)
        scale, shift, mean, variance = (
            self.weights[f"{name}.1.{part}"][:, None, None]
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        return relu((x - mean) / (variance + self.config.batch_eps).sqrt() * scale + shift)

    def cell(self, x: Tensor, name: str, outputs: int) -> Tensor:
        last = len(self.ops) - 1
        channels = plain_channels(self.ops, self.edges, x.shape[1], outputs)
        values = {0: x}
        for vertex in range(1, last):
            total = torch.zeros(len(x), channels[vertex], *x.shape[2:])
            for source in range(vertex):
                if (source, vertex) in self.edges and source == 0:
                    total = total + self.conv(x, f"{name}.projections.{vertex}")
                elif (source, vertex) in self.edges:
                    total = total + values[source][:, : channels[vertex]]
            pools = self.ops[vertex] == 4
            values[vertex] = max_pool2d(total, 3, 1, 1) if pools else self.conv(total, f"{name}.operations.{vertex}")
        feeding = [values[vertex] for vertex in range(1, last) if (vertex, last) in self.edges]
        total = torch.cat(feeding, 1) if feeding else torch.zeros(len(x), outputs, *x.shape[2:])
        return total + self.conv(x, f"{name}.projections.{last}") if (0, last) in self.edges else total

    def __call__(self, images: Tensor) -> Tensor:
        x, place, width = self.conv(images, "layers.0"), 1, self.config.channels
        for stack in range(self.config.stacks):
            if stack:
                x, place, width = max_pool2d(x, 2), place + 1, 2 * width
            for _ in range(self.config.cells):
                x, place = self.cell(x, f"layers.{place}", width), place + 1
        means = avg_pool2d(x, x.shape[2]).flatten(1)
        return linear(means, self.weights["classifier.weight"], self.weights["classifier.bias"])


def test_forward_agrees_with_plain_loops(nb101: NB101) -> None:
    torch.manual_seed(0)
    three = from_edges(nb101, "01 02 03 04 12 14 24 34", C3, C1, MP)  # three branches of 6 and 7 channels, a shortcut
    cells = [from_edges(nb101, "01"), three, nb101.sample(10, torch.Generator().manual_seed(2))]
    shortcuts, config, images = 0, NB101Config(channels=7, cells=2, batch_momentum=0.5), torch.randn(3, 3, 8, 8)
    for arch in Architectures.concat(cells):
        network = NB101Network(arch, Images(size=8), config)
        network.train()(images)  # running statistics away from 0 and 1
        with torch.no_grad():
            for weight in network.parameters():
                weight += 0.1 * torch.randn_like(weight)
            assert torch.allclose(network.eval()(images), Plain(network, arch, config)(images), atol=1e-4, rtol=1e-4)
        shortcuts += bool(arch.adj[0, 0, int(arch.num_nodes) - 1])
    assert shortcuts >= 3


def test_isomorphic_cells_give_the_same_network(nb101: NB101) -> None:
    first = from_edges(nb101, "01 02 03 14 24 34", C3, C1, MP)
    other = from_edges(nb101, "01 02 03 14 24 34", MP, C1, C3)
    outputs = []
    for arch in (first, other):
        torch.manual_seed(0)
        outputs.append(build_network(nb101, arch, channels=7, cells=1)(torch.ones(2, 3, 32, 32)))
    assert torch.equal(*outputs)


# -- use ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("images", [Images(), Images(channels=1, size=8, num_classes=3), Images(size=9)])
def test_small_networks_run(nb101: NB101, images: Images, check_network: Callable[..., list[str]]) -> None:
    for arch in nb101.sample(4, torch.Generator().manual_seed(3)):
        assert check_network(build_network(nb101, arch, images, channels=5, cells=1), images) == []


def test_a_batch_of_one_trains(nb101: NB101, check_network: Callable[..., list[str]]) -> None:
    images = Images(size=8)
    network = build_network(nb101, from_edges(nb101, "01 12", C3), images, channels=4, cells=1)
    assert check_network(network, images, batch=1) == []
    assert network.forward_auxiliary(torch.ones(1, 3, 8, 8))[1] is None and not network.auxiliary


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"width": 8}, r"unknown options of a network: width; known are channels, stacks, cells, batch_momentum"),
        ({"channels": 0}, r"expected channels of a network to be positive \(got 0\)"),
        ({"cells": -1}, r"expected cells of a network to be positive \(got -1\)"),
        ({"channels": 8.0}, r"expected channels of type int, such as 128 \(got 8.0\)"),
        ({"cells": True}, r"expected cells of type int, such as 3 \(got True\)"),
        ({"batch_momentum": "0.1"}, r"expected batch_momentum of type float"),
        ({"batch_eps": 0.0}, r"expected batch_eps of a network to be positive"),
        ({"channels": 2}, r"expected at least 3 channels for a cell that divides them so \(got 2\)"),
        ({"stacks": 7}, r"halves its maps 6 times needs images of at least 64x64 pixels \(got 32x32\)"),
    ],
)
def test_impossible_options(nb101: NB101, options: dict[str, object], reason: str) -> None:
    arch = from_edges(nb101, "01 02 03 14 24 34", C3, C1, MP)
    with pytest.raises(InvalidValues, match=reason):
        build_network(nb101, arch, **options)


def test_more_than_one_architecture_is_refused(nb101: NB101) -> None:
    with pytest.raises(InvalidArchitecture, match="got 2"):
        build_network(nb101, nb101.sample(2))


def test_a_whole_number_is_a_fraction_too(nb101: NB101) -> None:
    assert build_network(nb101, from_edges(nb101, "01"), channels=4, batch_momentum=1).num_parameters > 0


def test_cells_of_eight_vertices_are_networks_of_the_same_kind(count_flops: Callable[..., Counter[str]]) -> None:
    space = get_space("nb101_8e28")
    for arch in space.sample(3, torch.Generator().manual_seed(0)):
        network = build_network(space, arch, channels=32, cells=1)
        assert isinstance(network, NB101Network)
        assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
        full = weightless(space.canonical(arch))
        assert full.num_parameters == int(space.cost(arch)["params"])
        assert count_flops(full, Images()).total() == int(space.cost(arch)["flops"])
