"""The network of NAS-Bench-201: published parameter counts, classes of cells as one function, sizes."""

from __future__ import annotations

import pytest
import torch

from graphnas.errors import InvalidValues
from graphnas.networks import Images, build_network
from graphnas.networks.evaluation import count_flops
from graphnas.spaces.nb201 import NB201

SPACE = NB201()
SMALL = {"channels": 4, "cells": 1}
DEAD_END = "|nor_conv_3x3~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|nor_conv_3x3~2|"
ALIVE = "|none~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|"


def test_parameters_are_the_official_ones() -> None:
    """The costs of the space reproduce the values of the benchmark files; the network must have as many weights."""
    generator = torch.Generator().manual_seed(0)
    archs = SPACE.enumerate()[torch.randperm(SPACE.size, generator=generator)[:60]]
    for dataset, classes in (("cifar10", 10), ("cifar100", 100), ("ImageNet16-120", 120)):
        wanted = SPACE.cost(archs, dataset)["params"].tolist()
        rows = range(60) if dataset == "cifar10" else range(10)
        with torch.device("meta"):
            found = [build_network(SPACE, archs[r : r + 1], Images(3, 32, classes)).num_parameters for r in rows]
        assert found == wanted[: len(found)]


@pytest.mark.parametrize(
    ("text", "params"),
    [
        # skeleton alone 432 + 32 + 14,464 + 57,600 + 128 + 650; with 6 x 5 x (2,336 + 9,280 + 36,992) weights of edges
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", 73_306),
        ("|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|", 1_531_546),
    ],
)
def test_smallest_and_largest(text: str, params: int) -> None:
    with torch.device("meta"):
        assert build_network("nb201", text).num_parameters == params


def test_flops_are_those_of_the_space() -> None:
    archs = SPACE.enumerate()[SPACE.representatives()[torch.tensor([7, 1234, 4929])]]
    wanted = SPACE.cost(archs, convention="flops")["flops"].tolist()
    networks = [build_network(SPACE, archs[row : row + 1]) for row in range(3)]
    assert [count_flops(network, torch.zeros(1, 3, 32, 32)) for network in networks] == wanted


def test_edges_that_lead_nowhere_change_nothing() -> None:
    images = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    whole = build_network(SPACE, DEAD_END, Images(1, 8), **SMALL).eval()
    pruned = build_network(SPACE, ALIVE, Images(1, 8), **SMALL).eval()
    pruned.load_state_dict({name: whole.state_dict()[name] for name in pruned.state_dict()})
    assert torch.equal(whole(images), pruned(images))
    assert whole.num_parameters > pruned.num_parameters


def test_disconnected_cell_says_the_same_of_every_image() -> None:
    network = build_network("nb201", "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", Images(1, 8), **SMALL).eval()
    logits = network(torch.randn(3, 1, 8, 8))
    assert torch.equal(logits[0], logits[1])
    assert torch.equal(logits[1], logits[2])


@pytest.mark.parametrize("reduction", ["residual", "pool"])
def test_every_weight_of_a_live_cell_learns(reduction: str) -> None:
    text = "|nor_conv_3x3~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"
    network = build_network("nb201", text, Images(1, 8), reduction=reduction, **SMALL)
    network(torch.randn(6, 1, 8, 8)).square().sum().backward()
    assert all(weight.grad is not None and bool(weight.grad.any()) for weight in network.parameters())


@pytest.mark.parametrize(
    ("options", "size", "text"),
    [
        ({"channels": 0}, 8, "channels"),
        ({"reduction": "none"}, 8, "residual, pool"),
        ({"width": 4}, 8, "unknown options"),
        ({}, 10, "divisible by 4"),
    ],
)
def test_impossible_sizes(options: dict[str, object], size: int, text: str) -> None:
    with pytest.raises(InvalidValues, match=text):
        build_network("nb201", ALIVE, Images(1, size), **options)
