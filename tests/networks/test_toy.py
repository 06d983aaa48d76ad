"""The network of the toy space, and what holds for every registered network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import batch_norm, conv2d, max_pool2d, relu

from graphnas.errors import InvalidValues, UnknownName
from graphnas.networks import NETWORKS, Images, Network, build_network, list_networks
from graphnas.networks.graph import read_graph
from graphnas.networks.toy import Cell, ToyConfig, ToyNetwork
from graphnas.spaces import get_space, list_spaces
from graphnas.spaces.toy import Toy

DIGITS = Images(channels=1, size=8)


@pytest.fixture(scope="module")
def toy() -> Toy:
    return get_space("toy")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("channels", "cells"), [(1, 1), (4, 2)])
def test_cost_of_random_cells(toy: Toy, channels: int, cells: int, count_flops: Callable[..., Counter[str]]) -> None:
    archs = toy.sample(30, seeded())
    cost = toy.cost(archs)
    outside = 9 * channels + 10 * channels + 10  # stem and classifier
    for row, arch in enumerate(toy.canonical(archs)):
        with torch.device("meta"):
            network = ToyNetwork(read_graph(arch), DIGITS, ToyConfig(channels, cells))
        assert network.num_parameters == cells * channels**2 * int(cost["params"][row]) + outside
        found = count_flops(network, DIGITS)
        convolution = found["convolution"] - 2 * 9 * channels * 64
        poolings = found["pooling"] - channels * 64 + found["addition"]
        assert convolution == cells * channels**2 * 2 * 64 * int(cost["params"][row])
        assert convolution // channels + poolings == cells * channels * int(cost["flops"][row])


def plain(cell: Cell, ops: list[int], edges: set[tuple[int, int]], maps: Tensor) -> Tensor:
    """One kernel per edge, outputs summed."""
    values, width = [maps], maps.shape[1]
    for vertex in range(1, len(ops)):
        sources = [source for source in range(vertex) if (source, vertex) in edges]
        if ops[vertex] == 2:
            kernels = cell.convs[str(vertex)][0].weight.split(width, 1)
            total = sum(
                conv2d(values[source], kernel, padding=1) for source, kernel in zip(sources, kernels, strict=True)
            )
            assert isinstance(total, Tensor)
            values.append(relu(batch_norm(total, None, None, training=True)))
            continue
        total = torch.stack([values[source] for source in sources]).sum(0)
        values.append(max_pool2d(total, 3, 1, 1) if vertex < len(ops) - 1 else total)
    return values[-1]


def test_a_cell_agrees_with_plain_loops(toy: Toy) -> None:
    torch.manual_seed(0)
    maps = torch.randn(3, 4, 8, 8)
    for arch in toy.sample(20, seeded(1)):
        found = arch.describe(0)
        cell = Cell(read_graph(arch), 4)
        assert torch.allclose(cell(maps), plain(cell, found["ops"], set(found["edges"]), maps), atol=1e-4)


def test_small_networks_run(toy: Toy, check_network: Callable[..., list[str]]) -> None:
    for arch in toy.sample(8, seeded(2)):
        assert check_network(build_network(toy, arch, DIGITS, channels=3, cells=2), DIGITS) == []
        assert check_network(build_network(toy, arch, DIGITS, channels=3), DIGITS, batch=1) == []
    tiny = Images(size=1)
    assert check_network(build_network(toy, toy.optimum(), tiny, channels=3), tiny) == []


def test_isomorphic_cells_give_the_same_network(toy: Toy) -> None:
    outputs, images = [], torch.randn(2, 1, 8, 8)
    for wiring in ("01100/00001/00010/00001/00000", "01100/00010/00001/00001/00000"):  # which branch is pooled
        torch.manual_seed(0)
        outputs.append(build_network(toy, f"{wiring}:conv,conv,pool", DIGITS)(images))
    assert torch.equal(*outputs)


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"width": 1}, "known are channels, cells"), ({"cells": 0}, "positive"), ({"channels": None}, "of type int")],
)
def test_impossible_options(toy: Toy, options: dict[str, object], reason: str) -> None:
    with pytest.raises(InvalidValues, match=reason):
        build_network(toy, toy.optimum(), **options)


# -- all networks -------------------------------------------------------------------------------------------------
NO_NETWORKS = {"bn8"}
"""Spaces of structures that are no neural networks, so that there is nothing to build."""


def test_every_space_of_neural_networks_has_a_network() -> None:
    assert list_networks() == NETWORKS.names() == sorted(set(list_spaces()) - NO_NETWORKS)


@pytest.mark.parametrize("name", sorted(NO_NETWORKS))
def test_other_spaces_are_refused(name: str) -> None:
    with pytest.raises(UnknownName, match=name):
        build_network(name, get_space(name).sample(1, seeded(0)))


@pytest.mark.parametrize("name", list_networks())
def test_every_network_is_built_from_text_and_restored(name: str) -> None:
    space = get_space(name)
    text = space.format(space.sample(1, seeded(3)))[0]
    networks = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        networks.append(build_network(name, text, Images(channels=1, size=8, num_classes=3), channels=6).eval())
    same, again, other = networks
    images = torch.randn(2, 1, 8, 8, generator=seeded(4))
    assert isinstance(same, Network) and same(images).shape == (2, 3)
    assert torch.equal(same(images), again(images)) and not torch.equal(same(images), other(images))
    other.load_state_dict(same.state_dict())
    assert torch.equal(same(images), other(images))
    assert same.drop_path == 0 and not same.auxiliary and same.forward_auxiliary(images)[1] is None


def test_unknown_spaces_are_named() -> None:
    with pytest.raises(UnknownName, match="unknown search space 'nb102'"):
        build_network("nb102", "")


@pytest.mark.parametrize("sizes", [{"channels": 0}, {"size": -1}, {"num_classes": 2.0}])
def test_images_have_positive_sizes(sizes: dict[str, int]) -> None:
    with pytest.raises(InvalidValues, match=f"expected {next(iter(sizes))} of the images to be a positive integer"):
        Images(**sizes)
