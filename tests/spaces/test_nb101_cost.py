"""NAS-Bench-101 costs against the published values and a vertex-by-vertex calculation."""

from __future__ import annotations

import pytest
import torch

from graphnas.spaces import Architectures, get_space
from graphnas.spaces.nb101 import NB101
from graphnas.spaces.nb101_cost import network_cost, vertex_channels

C3, C1, MP = "conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3"
WIDTHS = [(128, 128, 1024)] * 3 + [(128, 256, 256)] + [(256, 256, 256)] * 2 + [(256, 512, 64)] + [(512, 512, 64)] * 2


@pytest.fixture(scope="module")
def nb101() -> NB101:
    return get_space("nb101")


def from_edges(nb101: NB101, edges: str, *interior: str) -> Architectures:
    """A cell from edges such as "01 02 13" and its interior operations."""
    size = len(interior) + 2
    matrix = [[int(f"{row}{column}" in edges.split()) for column in range(size)] for row in range(size)]
    return nb101.build(matrix, ["input", *interior, "output"])


@pytest.fixture(scope="module")
def example(nb101: NB101) -> Architectures:
    return from_edges(nb101, "01 04 05 12 23 26 35 45 56", C3, MP, C3, C3, C1)


# -- channels -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("edges", "interior", "in_channels", "out_channels", "channels"),
    [
        ("01 02 03 14 24 34", (C3, C3, C3), 128, 128, [128, 43, 43, 42, 128]),
        ("01 02 03 14 24 34", (MP, C1, C3), 128, 256, [128, 86, 85, 85, 256]),
        ("01 02 03 14 24 34", (C1, C3, C1), 256, 512, [256, 171, 171, 170, 512]),
        ("01 02 13 23", (C3, C1), 8, 15, [8, 8, 7, 15]),
        ("01", (), 128, 256, [128, 256]),
        ("01 03 12 23", (C3, C3), 64, 96, [64, 96, 96, 96]),  # the edge input -> output takes no share
        ("01 02 13 14 24 35 45", (C3, MP, C1, C3), 9, 11, [9, 6, 5, 6, 5, 11]),  # the widest successor counts
    ],
)
def test_channels(
    nb101: NB101, edges: str, interior: tuple[str, ...], in_channels: int, out_channels: int, channels: list[int]
) -> None:
    found = vertex_channels(from_edges(nb101, edges, *interior), in_channels, out_channels)
    assert found.dtype == torch.int64
    assert found.tolist() == [channels + [0] * (nb101.max_nodes - len(channels))]


def plain_channels(ops: list[int], edges: set[tuple[int, int]], in_channels: int, out_channels: int) -> list[int]:
    last = len(ops) - 1
    channels = [in_channels] + [0] * (last - 1) + [out_channels]
    feeds = [vertex for vertex in range(1, last) if (vertex, last) in edges]
    for place, vertex in enumerate(feeds):
        share, rest = divmod(out_channels, len(feeds))
        channels[vertex] = share + (place < rest)
    for vertex in range(last - 1, 0, -1):
        if vertex not in feeds:
            channels[vertex] = max(channels[target] for target in range(1, last) if (vertex, target) in edges)
    return channels


def test_channels_agree_with_plain_loops(nb101: NB101) -> None:
    archs = nb101.sample(500, torch.Generator().manual_seed(0))
    found = vertex_channels(archs, 128, 256)
    for row in range(len(archs)):
        cell = archs.describe(row)
        wanted = plain_channels(cell["ops"], set(cell["edges"]), 128, 256)
        assert found[row].tolist() == wanted + [0] * (7 - len(wanted))


def test_an_edge_loses_at_most_one_channel(nb101: NB101) -> None:
    archs = nb101.sample(20_000, torch.Generator().manual_seed(1))
    place = torch.arange(7)
    inner = (place > 0) & (place < archs.num_nodes[:, None] - 1)
    edges = archs.adj & inner[:, :, None] & inner[:, None, :]
    for width in (128, 256, 512):
        channels = vertex_channels(archs, 64, width)
        lost = (channels[:, :, None] - channels[:, None, :])[edges]
        assert set(lost.unique().tolist()) == {0, 1}


# -- published values ---------------------------------------------------------------------------------------------
WORKED_FLOPS = {
    0: [92_274_688, 589_824, 75_497_472, 92_274_688, 25_296_896],
    3: [83_886_080, 294_912, 75_497_472, 83_886_080, 16_842_752],
    4: [92_274_688, 294_912, 75_497_472, 92_274_688, 25_231_360],
    6: [83_886_080, 147_456, 75_497_472, 83_886_080, 16_809_984],
    7: [92_274_688, 147_456, 75_497_472, 92_274_688, 25_198_592],
}
WORKED_PARAMS = {
    0: [45_312, 0, 36_992, 45_312, 12_544],
    3: [164_352, 0, 147_712, 164_352, 33_280],
    4: [180_736, 0, 147_712, 180_736, 49_664],
    6: [656_384, 0, 590_336, 656_384, 132_096],
    7: [721_920, 0, 590_336, 721_920, 197_632],
}
SAME_AS = [0, 0, 0, 3, 4, 4, 6, 7, 7]


def test_every_vertex_of_the_published_example(nb101: NB101, example: Architectures) -> None:
    cost = nb101.cost(example)
    assert cost["vertex_flops"].tolist() == [[[0, *WORKED_FLOPS[module], 0] for module in SAME_AS]]
    assert cost["vertex_params"].tolist() == [[[0, *WORKED_PARAMS[module], 0] for module in SAME_AS]]
    assert all(values.dtype == torch.int64 for values in cost.values())


@pytest.mark.parametrize(
    ("edges", "interior", "params", "flops"),
    [
        ("01 04 05 12 23 26 35 45 56", (C3, MP, C3, C3, C1), 8_555_530, 2_527_684_618),
        ("01 02 03 05 16 26 34 46 56", (C1, C3, C3, C3, MP), 2_694_282, 805_783_562),
        ("01", (), 882_570, 275_752_970),
        ("01 03 12 23", (C3, C3), 20_346_506, 5_980_694_538),
    ],
)
def test_published_totals(nb101: NB101, edges: str, interior: tuple[str, ...], params: int, flops: int) -> None:
    cost = nb101.cost(from_edges(nb101, edges, *interior))
    assert cost["params"].tolist() == [params]
    assert cost["flops"].tolist() == [flops]


# -- structure ----------------------------------------------------------------------------------------------------
def test_vertices_agree_with_plain_loops(nb101: NB101) -> None:
    archs = nb101.sample(200, torch.Generator().manual_seed(2))
    cost = network_cost(archs)
    for row in range(len(archs)):
        cell = archs.describe(row)
        ops, edges, last = cell["ops"], set(cell["edges"]), len(cell["ops"]) - 1
        for module, (wide_in, wide_out, positions) in enumerate(WIDTHS):
            channels = plain_channels(ops, edges, wide_in, wide_out)
            for vertex in range(1, last + 1):
                c, entering = channels[vertex], sum((source, vertex) in edges for source in range(vertex))
                flops = params = 0
                if (0, vertex) in edges:
                    flops, params = 2 * wide_in * c * positions, wide_in * c + 2 * c
                    flops += c * positions if vertex == last and entering > 1 else 0
                if vertex < last:
                    flops += (entering - 1) * c * positions
                    kernel = {C3: 9, C1: 1, MP: 0}[nb101.vocabulary[ops[vertex]]]
                    flops += (2 * kernel * c * c if kernel else 9 * c) * positions
                    params += (kernel * c * c + 2 * c) if kernel else 0
                assert int(cost["vertex_flops"][row, module, vertex]) == flops
                assert int(cost["vertex_params"][row, module, vertex]) == params
    padded = ~archs.node_mask
    assert not cost["vertex_flops"].movedim(1, 2)[padded].any() and not cost["vertex_params"][:, :, 0].any()


def test_totals_are_vertices_plus_the_fixed_layers(nb101: NB101) -> None:
    cost = nb101.cost(nb101.sample(1000, torch.Generator().manual_seed(3)))
    stem, head = 27 * 128 + 256, 512 * 10 + 10
    assert torch.equal(cost["params"], cost["vertex_params"].sum((1, 2)) + stem + head)
    fixed = 7_077_888 + 196_608 + 32_768 + 10_250
    assert torch.equal(cost["flops"], cost["vertex_flops"].sum((1, 2)) + fixed)


def test_shortcut_to_the_output_is_booked_on_the_output(nb101: NB101) -> None:
    with_edge, without = from_edges(nb101, "01 02 12", C3), from_edges(nb101, "01 12", C3)
    extra_flops = nb101.cost(with_edge)["vertex_flops"] - nb101.cost(without)["vertex_flops"]
    extra_params = nb101.cost(with_edge)["vertex_params"] - nb101.cost(without)["vertex_params"]
    assert not extra_flops[..., :2].any() and not extra_params[..., :2].any()
    assert extra_flops[0, :, 2].tolist() == [2 * i * o * s + o * s for i, o, s in WIDTHS]
    assert extra_params[0, :, 2].tolist() == [i * o + 2 * o for i, o, _ in WIDTHS]
    alone = nb101.cost(from_edges(nb101, "01"))
    assert alone["vertex_flops"][0, :, 1].tolist() == [2 * i * o * s for i, o, s in WIDTHS]  # nothing to add it to


def test_isomorphic_cells_cost_the_same(nb101: NB101) -> None:
    """Three branches share 128 channels as 43, 43 and 42: the order of the vertices decides which is narrow."""
    first = from_edges(nb101, "01 02 03 14 24 34", C3, C1, MP)
    other = from_edges(nb101, "01 02 03 14 24 34", MP, C1, C3)
    as_first, as_other = network_cost(first), network_cost(other)
    assert int(as_first["params"]) != int(as_other["params"])
    assert int(nb101.cost(other)["params"]) == int(nb101.cost(first)["params"]) == int(as_first["params"])
    swap = [0, 3, 2, 1, 4, 5, 6]
    for name in ("vertex_flops", "vertex_params"):
        assert torch.equal(nb101.cost(other)[name], as_first[name][..., swap])


def test_published_parameters_are_those_of_the_first_of_the_class(nb101: NB101) -> None:
    """A row of the official file: the matrix it stores would have 3,079,371 parameters, the published count differs."""
    rows, ops = "0111000/0010000/0000101/0000001/0000010/0000001/0000000", ",".join((C3, C1, C3, MP, MP))
    stored = nb101.parse(f"{rows}:{ops}")
    assert int(network_cost(stored)["params"]) == 3_079_371
    assert int(nb101.cost(stored)["params"]) == int(network_cost(nb101.canonical(stored))["params"]) == 3_078_206


def test_representatives_are_priced_as_they_stand(nb101: NB101) -> None:
    archs = nb101.sample(5000, torch.Generator().manual_seed(4))
    literal, cost = network_cost(archs), nb101.cost(archs)
    assert all(torch.equal(literal[name], cost[name]) for name in cost)


def test_cost_in_chunks(nb101: NB101) -> None:
    archs = nb101.enumerate()[-8300:]
    whole, tail = nb101.cost(archs), nb101.cost(archs[-150:])
    assert all(torch.equal(whole[name][-150:], tail[name]) for name in whole)
    assert torch.equal(nb101.cost(archs.widen(9))["flops"], whole["flops"])
