"""NB201: text, classes and costs against published numbers."""

from __future__ import annotations

import csv
import gzip
from itertools import product
from pathlib import Path

import pytest
import torch

from graphnas.errors import InvalidArchitecture, UnknownName
from graphnas.spaces import get_space
from graphnas.spaces.nb201 import EDGES, NB201
from graphnas.spaces.nb201_classes import OPS, functional_strings, published_strings

INDEX_0 = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"
INDEX_11 = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|none~0|nor_conv_3x3~1|avg_pool_3x3~2|"
INDEX_284 = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|none~0|nor_conv_1x1~1|none~2|"
DATASETS = ("cifar10", "cifar100", "ImageNet16-120")


def uniform_cell(op: str) -> str:
    return f"|{op}~0|+|{op}~0|{op}~1|+|{op}~0|{op}~1|{op}~2|"


ALL_CONV, ALL_NONE = uniform_cell("nor_conv_3x3"), uniform_cell("none")


@pytest.fixture(scope="module")
def space() -> NB201:
    found = get_space("nb201")
    assert isinstance(found, NB201)
    return found


def test_the_graph_is_the_fixed_operation_on_node_form(space: NB201) -> None:
    arch = space.parse(INDEX_0)
    assert arch.adj[0].nonzero().tolist() == [
        [0, 1], [0, 2], [0, 4], [1, 3], [1, 5], [2, 6], [3, 6], [4, 7], [5, 7], [6, 7],
    ]  # fmt: skip
    names = [space.vocabulary[op] for op in arch.ops[0].tolist()]
    assert names[0] == "input"
    assert names[1:7] == [
        "avg_pool_3x3", "nor_conv_1x1", "skip_connect", "nor_conv_1x1", "skip_connect", "skip_connect",
    ]  # fmt: skip
    assert names[7] == "output"


def test_enumeration_is_the_whole_space_in_rank_order(space: NB201) -> None:
    archs = space.enumerate()
    assert len(archs) == space.size == 15625
    assert space.is_valid(archs).all()
    assert torch.equal(space.rank(archs), torch.arange(15625))
    assert len(set(archs.index_keys())) == 15625
    assert space.format(archs[[0, 1, 5]]) == [
        ALL_NONE,
        "|none~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|",
        "|none~0|+|none~0|none~1|+|none~0|skip_connect~1|none~2|",
    ]


def test_class_counts_match_the_published_ones(space: NB201) -> None:
    archs = space.enumerate()
    assert len(set(space.canonical_keys(archs))) == 6466
    assert len(space.fingerprints(archs).unique()) == 6466
    assert len(set(space.functional_keys(archs))) == 4930
    assert int((~space.connected(archs)).sum()) == 341
    assert len(set(published_strings(drop_none=False))) == 12751
    assert len(set(published_strings(drop_none=False, drop_skip=False))) == 15625


def test_functional_classes_are_unions_of_published_ones() -> None:
    joint = set(zip(published_strings(), functional_strings(), strict=True))
    assert len(joint) == 6466


def test_disconnected_cells_are_zero_in_the_functional_form(space: NB201) -> None:
    archs = space.enumerate()
    zero = torch.tensor([key == "#" for key in space.functional_keys(archs)])
    assert torch.equal(zero, ~space.connected(archs))


def test_equivalent_cells_share_keys(space: NB201) -> None:
    """Two ways to write one 3x3 convolution, through node 3 directly and through node 1 by a skip."""
    archs = space.parse(
        [
            "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|",
            "|skip_connect~0|+|none~0|none~1|+|none~0|nor_conv_3x3~1|none~2|",
            "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|nor_conv_3x3~1|none~2|",
        ]
    )
    keys = space.canonical_keys(archs)
    assert keys[0] == keys[1] == "#+#+(0)@nor_conv_3x3"
    assert keys[2] != keys[0]
    assert space.functional_keys(archs)[0] == "(0)@nor_conv_3x3"


def test_live_edges_lie_on_a_path(space: NB201) -> None:
    """Every cell against the list of all four paths from input to output."""
    paths = [[(0, 3)], [(0, 1), (1, 3)], [(0, 2), (2, 3)], [(0, 1), (1, 2), (2, 3)]]
    expected = []
    for digits in product(range(5), repeat=6):
        ops = dict(zip(EDGES, digits, strict=True))
        open_paths = [path for path in paths if all(ops[edge] for edge in path)]
        expected.append([any(edge in path for path in open_paths) for edge in EDGES])
    archs = space.enumerate()
    assert torch.equal(space.live_edges(archs), torch.tensor(expected))
    assert torch.equal(space.live_edges(archs).any(1), space.connected(archs))


def test_representatives_are_the_cheapest_of_their_classes(space: NB201) -> None:
    ranks, everything = space.representatives(), space.enumerate()
    assert ranks.shape == (4930,) and (ranks.diff() > 0).all()
    archs, classes = everything[ranks], space.class_ids(everything)
    assert len(set(space.functional_keys(archs))) == len(space.class_ids(archs).unique()) == 4930
    choices = space.choices(archs)
    assert torch.equal(space.live_edges(archs), choices != OPS.index("none"))
    number = classes.unique(return_inverse=True)[1]
    params = space.cost(everything)["params"]
    least = torch.full((4930,), int(params.max())).scatter_reduce_(0, number, params, "amin")
    assert torch.equal(params[ranks], least[number[ranks]])
    assert torch.equal(ranks, space.representatives())


def test_all_neighbors_differ_in_one_operation(space: NB201) -> None:
    arch = space.parse(INDEX_0)
    neighbors = space.neighbors(arch)
    assert len(neighbors) == len(set(neighbors.index_keys())) == 24
    assert ((space.choices(neighbors) != space.choices(arch)).sum(1) == 1).all()


@pytest.mark.parametrize(
    ("text", "dataset", "flops", "params"),
    [
        (INDEX_0, "cifar10-valid", 16_315_008, 129_306),
        (INDEX_0, "cifar100", 16_320_768, 135_156),
        (INDEX_0, "ImageNet16-120", 4_086_272, 136_456),
        (INDEX_11, "cifar10", 114_905_728, 802_426),
        (INDEX_11, "cifar100", 114_911_488, 808_276),
        (INDEX_11, "ImageNet16-120", 28_733_952, 809_576),
    ],
)
def test_default_convention(space: NB201, text: str, dataset: str, flops: int, params: int) -> None:
    cost = space.cost(space.parse(text), dataset)
    assert (cost["flops"].item(), cost["params"].item()) == (flops, params)


@pytest.mark.parametrize(
    ("text", "millions", "params"),
    [
        (INDEX_0, (15.64737, 15.65322, 3.91948), 129_306),
        (INDEX_11, (113.95137, 113.95722, 28.49548), 802_426),
        (INDEX_284, (11.71521, 11.72106, 2.93644), 101_306),
        (ALL_CONV, (220.11969,), 1_531_546),
        (ALL_NONE, (7.78305,), 73_306),
    ],
)
def test_official_convention(space: NB201, text: str, millions: tuple[float, ...], params: int) -> None:
    for dataset, expected in zip(DATASETS, millions, strict=False):
        assert space.cost(space.parse(text), dataset, "macs")["flops"].item() == round(expected * 1e6)
    assert space.cost(space.parse(text))["params"].item() == params


def test_flops_are_twice_the_macs_without_the_bias(space: NB201) -> None:
    archs = space.sample(50)
    macs, flops = (space.cost(archs, convention=name)["flops"] for name in ("macs", "flops"))
    assert torch.equal(flops, 2 * (macs - 10))


def test_vertex_costs_follow_the_published_edge_table(space: NB201) -> None:
    cost = space.cost(space.parse([INDEX_0, ALL_CONV]))
    assert cost["vertex_flops"].shape == cost["vertex_params"].shape == (2, 15, 8)
    conv1 = [(294_912, 288), (278_528, 1_088), (270_336, 4_224)]
    conv3 = [(2_392_064, 2_336), (2_375_680, 9_280), (2_367_488, 36_992)]
    for cell in range(15):
        small, large = conv1[cell // 5], conv3[cell // 5]
        assert cost["vertex_flops"][0, cell].tolist() == [0, 0, small[0], 0, small[0], 0, 0, 0]
        assert cost["vertex_params"][0, cell].tolist() == [0, 0, small[1], 0, small[1], 0, 0, 0]
        assert cost["vertex_flops"][1, cell].tolist() == [0, *[large[0]] * 6, 0]
        assert cost["vertex_params"][1, cell].tolist() == [0, *[large[1]] * 6, 0]


def test_unknown_cost_options_are_named(space: NB201) -> None:
    with pytest.raises(UnknownName, match="'cifar100'"):
        space.cost(space.parse(INDEX_0), "cifar1000")
    with pytest.raises(UnknownName, match="FLOP convention 'mac'"):
        space.cost(space.parse(INDEX_0), convention="mac")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (INDEX_0.replace("avg_pool_3x3", "avg_pool_5x5"), "avg_pool_5x5~0"),
        (INDEX_0.replace("skip_connect~2|", ""), "6 edges"),
        (INDEX_0 + "|none~3|", "6 edges"),
        (INDEX_0.replace("~2", "~1"), "followed by ~2"),
        (INDEX_0.replace("skip_connect~2", "skip_connect"), "followed by ~2"),
        (INDEX_0.replace("avg_pool_3x3~0", "input~0"), "input~0"),
        (INDEX_0[1:], "6 edges"),
        ("", "6 edges"),
    ],
)
def test_text_outside_the_grammar_is_refused(space: NB201, text: str, reason: str) -> None:
    with pytest.raises(InvalidArchitecture, match="row 1 is not in nb201") as caught:
        space.parse([INDEX_11, text])
    assert reason in str(caught.value)


def test_the_public_strings_are_the_whole_space(space: NB201, real_data: Path) -> None:
    with gzip.open(real_data / "nb201_accuracies.csv.gz", "rt") as file:
        lines = [row["arch"] for row in csv.DictReader(file)]
    archs = space.parse(lines)
    assert space.format(archs) == lines
    assert space.is_valid(archs).all()
    assert torch.equal(space.rank(archs).sort().values, torch.arange(15625))
    assert (lines[0], lines[11], lines[284]) == (INDEX_0, INDEX_11, INDEX_284)
