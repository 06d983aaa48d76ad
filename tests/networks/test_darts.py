"""The DARTS evaluation network: size, dropped paths and the auxiliary head."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
import torch
from torch import nn

from graphnas.errors import InvalidValues
from graphnas.networks import Images, build_network
from graphnas.networks.auxiliary import AuxiliaryHead
from graphnas.networks.darts import Cell, DARTSConfig, DARTSNetwork, build
from graphnas.networks.darts_operations import OPERATIONS
from graphnas.networks.layers import FactorizedReduce, drop_path
from graphnas.spaces import get_space
from graphnas.spaces.darts import DARTS
from graphnas.spaces.darts_cells import OPS

V2 = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], "
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])"
)
TINY = {"channels": 2, "cells": 3}


@pytest.fixture(scope="module")
def darts() -> DARTS:
    return get_space("darts")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def edges(*names: str) -> list[tuple[str, int]]:
    """Eight edges with those operations in turn, each node on both cell inputs."""
    return [(names[place % len(names)], place % 2) for place in range(8)]


# -- size ---------------------------------------------------------------------------------------------------------
def test_parameters_of_the_published_genotype(darts: DARTS, count_flops: Callable[..., Counter[str]]) -> None:
    arch = darts.parse(V2)
    with torch.device("meta"):
        network = build(darts, arch, Images())
        with_head = build(darts, arch, Images(), auxiliary=True)
    assert network.num_parameters == with_head.num_parameters == 3_349_342
    assert isinstance(with_head.auxiliary_head, AuxiliaryHead) and network.auxiliary_head is None
    head = sum(weight.numel() for weight in with_head.auxiliary_head.parameters())
    assert head == 576 * 128 + 2 * 128 + 4 * 128 * 768 + 2 * 768 + 768 * 10 + 10
    found = count_flops(network, Images())
    assert found["convolution"] + found["linear"] - 10 == int(darts.cost(arch)["flops"])  # 10 of the bias


@pytest.mark.parametrize(("channels", "cells"), [(36, 20), (16, 8), (4, 1), (3, 2), (5, 4)])
def test_cost_of_random_genotypes(
    darts: DARTS, channels: int, cells: int, count_flops: Callable[..., Counter[str]]
) -> None:
    archs = darts.sample(3, seeded(1))
    cost = darts.cost(archs, channels, cells)
    for row, arch in enumerate(archs):
        with torch.device("meta"):
            network = build(darts, arch, Images(), channels=channels, cells=cells)
        assert network.num_parameters == int(cost["params"][row])
        found = count_flops(network, Images())
        assert found["convolution"] + found["linear"] - 10 == int(cost["flops"][row])


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("size", [8, 7])
def test_operations_keep_channels_and_divide_the_size(op: str, size: int) -> None:
    for stride in (1, 2):
        out = OPERATIONS[op](6, stride)(torch.randn(2, 6, size, size))
        assert out.shape == (2, 6, -(-size // stride), -(-size // stride))


def test_poolings_do_not_count_the_border() -> None:
    ones = torch.ones(1, 2, 4, 4)
    assert torch.equal(OPERATIONS["avg_pool_3x3"](2, 1)(ones), ones)
    assert torch.equal(OPERATIONS["max_pool_3x3"](2, 1)(-ones), -ones)


def test_layers_with_weights_begin_with_a_relu() -> None:
    for op in OPS:
        layer = OPERATIONS[op](2, 2)
        weighted = any(True for _ in layer.parameters())
        assert not weighted or not layer(-torch.ones(2, 2, 4, 4)).any(), op
    for shrinks in (False, True):
        cell = Cell(edges("skip_connect"), 4, 4, 2, reduces=False, shrinks=shrinks)
        older = torch.ones(2, 4, 8, 8) if shrinks else torch.ones(2, 4, 4, 4)
        assert not cell(-older, -torch.ones(2, 4, 4, 4), 0.0).any()


def test_a_factorised_reduction_sees_every_position_on_the_diagonals() -> None:
    block = FactorizedReduce(1, 2).eval()
    nn.init.ones_(block.even.weight)
    nn.init.ones_(block.odd.weight)
    maps = torch.arange(9.0).view(1, 1, 3, 3)
    even, odd = block(maps)[0] * (1 + 1e-5) ** 0.5
    assert torch.allclose(even, torch.tensor([[0.0, 2], [6, 8]]))
    assert torch.allclose(odd, torch.tensor([[4.0, 0], [0, 0]]))  # zeros from beyond the edge
    assert FactorizedReduce(4, 5)(torch.randn(2, 4, 6, 8)).shape == (2, 5, 3, 4)


# -- the cell -----------------------------------------------------------------------------------------------------
def test_a_cell_by_hand() -> None:
    """All edges plain skips: nodes are sums of the two input maps, then of nodes."""
    wiring = [("skip_connect", source) for source in (0, 1, 0, 2, 1, 3, 2, 4)]
    cell = Cell(wiring, 6, 4, 3, reduces=False, shrinks=False).eval()
    older, last = torch.randn(2, 6, 4, 4), torch.randn(2, 4, 4, 4)
    first, second = cell.older(older), cell.last(last)
    nodes = [first + second]
    nodes.append(first + nodes[0])
    nodes.append(second + nodes[1])
    nodes.append(nodes[0] + nodes[2])
    assert torch.allclose(cell(older, last, 0.0), torch.cat(nodes, 1))


def test_genotype_edges_reach_their_cells(darts: DARTS) -> None:
    network = build_network(darts, V2, **TINY)
    assert isinstance(network, DARTSNetwork)
    normal, reduction = network.cells[0], network.cells[1]
    assert isinstance(normal, Cell) and isinstance(reduction, Cell)
    assert normal.sources == [0, 1, 0, 1, 0, 1, 0, 2] and reduction.sources == [0, 1, 1, 2, 0, 2, 1, 2]
    assert [type(op).__name__ for op in normal.operations] == ["Sequential"] * 4 + [
        "Identity", "Sequential", "Identity", "SeparableConv",
    ]  # fmt: skip
    strides = [op.stride for op in reduction.operations if isinstance(op, nn.MaxPool2d)]
    assert strides == [2] * 5


# -- dropped paths ------------------------------------------------------------------------------------------------
def test_dropped_rows_are_zero_and_the_others_scaled() -> None:
    torch.manual_seed(0)
    out = drop_path(torch.ones(20_000, 2, 1, 1), 0.2)
    assert set(out.unique().tolist()) == {0.0, 1.25}
    assert torch.equal(out[:, 0], out[:, 1])
    assert out[:, 0].mean().item() == pytest.approx(1, abs=4 * (0.25 / 20_000) ** 0.5)
    assert torch.equal(drop_path(out, 0.0), out)
    for probability in (1.0, -0.1, float("nan")):
        with pytest.raises(InvalidValues, match=r"in \[0, 1\)"):
            drop_path(out, probability)


def test_every_edge_but_a_plain_skip_is_dropped() -> None:
    torch.manual_seed(0)
    older, last = torch.randn(64, 4, 4, 4), torch.randn(64, 4, 4, 4)
    skips = Cell(edges("skip_connect"), 4, 4, 2, reduces=False, shrinks=False)
    assert torch.equal(skips(older, last, 0.9), skips(older, last, 0.0))
    for op in OPS:
        cell = Cell(edges(op), 4, 4, 2, reduces=True, shrinks=False)
        silent = cell(older, last, 0.9).view(64, 4, -1).abs().sum(2) == 0  # [B, nodes]
        assert 0.81 - 0.15 < silent.float().mean().item() < 0.81 + 0.15, op
        assert not silent.all(1).all() and (silent[:, 0] != silent[:, 1]).any(), op


def test_paths_are_dropped_in_training_only(darts: DARTS) -> None:
    torch.manual_seed(0)
    network = build_network(darts, V2, Images(size=8), **TINY)
    images = torch.randn(8, 3, 8, 8)
    plain = network.train()(images)
    assert torch.equal(network(images), plain)
    network.drop_path = 0.5
    assert not torch.equal(network(images), plain)
    assert torch.equal(network.eval()(images), network(images))
    network.train().drop_path = 1.0
    with pytest.raises(InvalidValues, match="probability of dropping a path"):
        network(images)


# -- the auxiliary head -------------------------------------------------------------------------------------------
def test_the_auxiliary_head_runs_in_training_use_only(darts: DARTS, check_network: Callable[..., list[str]]) -> None:
    torch.manual_seed(0)
    network = build_network(darts, V2, auxiliary=True, **TINY)
    torch.manual_seed(0)
    without = build_network(darts, V2, **TINY)
    assert network.auxiliary and not without.auxiliary
    calls: list[tuple[int, ...]] = []
    assert isinstance(network.auxiliary_head, AuxiliaryHead)
    network.auxiliary_head.register_forward_hook(lambda module, inputs, out: calls.append(inputs[0].shape))
    images = torch.randn(2, 3, 32, 32)
    logits = network.train()(images)
    assert calls == [] and torch.equal(logits, without.train()(images))
    both = network.forward_auxiliary(images)
    assert calls == [(2, 32, 8, 8)] and torch.equal(both[0], without(images))
    assert both[1] is not None and both[1].shape == (2, 10)
    assert without.forward_auxiliary(images)[1] is None
    assert network.num_parameters == without.num_parameters
    assert check_network(network, Images()) == []


def test_the_auxiliary_head_reads_the_cell_at_two_thirds(darts: DARTS) -> None:
    network = build_network(darts, V2, Images(size=40), channels=2, cells=7, auxiliary=True)
    assert isinstance(network, DARTSNetwork) and network.auxiliary_head is not None
    seen = {}
    network.cells[4].register_forward_hook(lambda module, inputs, out: seen.update(cell=out))
    network.auxiliary_head.register_forward_hook(lambda module, inputs, out: seen.update(head=inputs[0]))
    network.forward_auxiliary(torch.randn(2, 3, 40, 40))
    assert seen["cell"] is seen["head"] and seen["head"].shape == (2, 32, 10, 10)


# -- use ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("images", [Images(channels=1, size=8, num_classes=3), Images(size=11), Images()])
def test_small_networks_run(darts: DARTS, images: Images, check_network: Callable[..., list[str]]) -> None:
    for arch in darts.sample(2, seeded(2)):
        network = build_network(darts, arch, images, channels=3, cells=3)
        network.drop_path = 0.1
        assert check_network(network, images) == []
        assert check_network(build_network(darts, arch, images, **TINY), images, batch=1) == []


@pytest.mark.parametrize(
    ("images", "options", "reason"),
    [
        (Images(), {"layers": 8}, "unknown options of a network: layers; known are channels, cells, stem_multiplier"),
        (Images(), {"auxiliary": 1}, "expected auxiliary of type bool"),
        (Images(), {"cells": 0}, "expected cells of a network to be positive"),
        (Images(size=3), {}, "halves its maps 2 times needs images of at least 4x4"),
        (Images(size=28), {"auxiliary": True}, r"maps of at least 8x8 pixels at its place \(got 7x7\)"),
    ],
)
def test_impossible_options(darts: DARTS, images: Images, options: dict[str, object], reason: str) -> None:
    with pytest.raises(InvalidValues, match=reason):
        build_network(darts, V2, images, **{**TINY, **options})


def test_defaults_are_the_published_ones() -> None:
    assert DARTSConfig() == DARTSConfig(channels=36, cells=20, stem_multiplier=3, auxiliary=False)
