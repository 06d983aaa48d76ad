"""Cell tensors against the published example values."""

from __future__ import annotations

import time

import pytest
import torch

from graphnas import get_space, list_spaces
from graphnas.errors import UnknownName
from graphnas.models.layers import cell_tensors as module
from graphnas.models.layers.cell_tensors import cell_tensors
from graphnas.spaces import Architectures
from graphnas.testing import mixed_batch

NB101_EXAMPLE = (
    "0100110/0010000/0001001/0000010/0000010/0000001/0000000:"
    "conv3x3-bn-relu,maxpool3x3,conv3x3-bn-relu,conv3x3-bn-relu,conv1x1-bn-relu"
)
NB201_EXAMPLE = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"


def test_nb101_example() -> None:
    tensors = cell_tensors(get_space("nb101"), get_space("nb101").parse(NB101_EXAMPLE))[0].double()
    assert tensors.shape == (19, 7, 7)
    assert tensors.sum().item() == pytest.approx(422.53625, abs=1e-4)
    types = {(0, 1): 3, (0, 4): 3, (0, 5): 2, (1, 2): 4, (2, 3): 3, (2, 6): 5, (3, 5): 2, (4, 5): 2, (5, 6): 5}
    assert {(i, j): int(tensors[0, i, j]) for i, j in tensors[0].nonzero().tolist()} == types
    flops = {(0, 1): 9.2274688, (0, 4): 9.2274688, (0, 5): 2.5296896, (3, 5): 2.5296896, (4, 5): 2.5296896}
    flops |= {(1, 2): 0.0589824, (2, 3): 7.5497472}
    found = {(i, j): float(tensors[1, i, j]) for i, j in tensors[1].nonzero().tolist()}
    assert found == pytest.approx(flops, rel=1e-6)
    last = [7.2192, 7.2192, 5.90336, 1.97632]  # parameters of vertices 1, 4, 3, 5 in the last module
    assert [float(tensors[18, i, j]) for i, j in ((0, 1), (0, 4), (2, 3), (0, 5))] == pytest.approx(last, rel=1e-6)
    assert bool((tensors[:, :, 0] == 0).all())


def test_nb101_padding_comes_before_the_output() -> None:
    space = get_space("nb101")
    tensors = cell_tensors(space, space.parse("0110/0011/0001/0000:conv3x3-bn-relu,conv1x1-bn-relu"))[0]
    types = {(0, 1): 3, (0, 2): 2, (1, 2): 2, (1, 6): 5, (2, 6): 5}
    assert {(i, j): int(tensors[0, i, j]) for i, j in tensors[0].nonzero().tolist()} == types
    assert bool((tensors[:, 3:6] == 0).all()) and bool((tensors[:, :, 3:6] == 0).all())


def test_an_edge_from_input_to_output_costs_in_the_last_column() -> None:
    space = get_space("nb101")
    tensors = cell_tensors(space, space.parse("01/00:"))[0]
    expected = [2 * c_in * c_out * area / 1e7 for c_in, c_out, area in ((128, 128, 1024), (128, 256, 256))]
    assert tensors[[1, 7], 0, 6].tolist() == pytest.approx(expected)
    assert int(tensors[0, 0, 6]) == 5


@pytest.mark.parametrize(
    ("dataset", "total"), [("cifar10-valid", 8_493_771), ("cifar100", 8_493_771), ("ImageNet16-120", 2_165_451)]
)
def test_nb201_example(dataset: str, total: int) -> None:
    space = get_space("nb201")
    raw = cell_tensors(space, space.parse(NB201_EXAMPLE), raw=True, dataset=dataset)[0].double()
    assert raw.shape == (31, 4, 4) and raw.sum().item() == total
    assert raw[0].long().tolist() == [[0, 4, 2, 2], [0, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]]
    scaled = cell_tensors(space, space.parse(NB201_EXAMPLE), dataset=dataset)[0].double()
    assert torch.allclose(scaled[1::2] * 1e6, raw[1::2]) and torch.allclose(scaled[2::2] * 1e4, raw[2::2])
    assert torch.equal(scaled[0], raw[0])
    assert float(cell_tensors(space, space.enumerate()[::50]).max()) < 10  # raw ones reach 2.4 million


@pytest.mark.parametrize("name", list_spaces())
def test_every_space_has_tensors_of_its_layout(name: str) -> None:
    space = get_space(name)
    layout, archs = space.cell_layout, mixed_batch(space, 6)
    tensors = cell_tensors(space, archs)
    assert tensors.shape == (6, 1 + 2 * layout.modules, layout.width, layout.width)
    cost = space.cost(archs)
    assert cost["vertex_flops"].shape[1] == layout.modules
    assert bool(torch.isfinite(tensors).all()) and 0.5 < float(tensors[:, 1:].max()) < 100
    assert bool((torch.tril(tensors, -1) == 0).all())
    assert torch.equal(cell_tensors(space, archs, costs=False), tensors[:, :1])


@pytest.mark.parametrize("name", ["toy", "nb101", "enas6"])
def test_values_are_those_of_the_head_of_an_edge(name: str) -> None:
    """Restated vertex by vertex."""
    space = get_space(name)
    archs = mixed_batch(space, 10)
    tensors, cost = cell_tensors(space, archs, raw=True), space.cost(archs)
    for row in range(len(archs)):
        size = int(archs.num_nodes[row])
        for i, j in archs.adj[row].nonzero().tolist():
            place = space.max_nodes - 1 if j == size - 1 else j
            for module_index in range(space.cell_layout.modules):
                for offset, kind in enumerate(("flops", "params")):
                    value = cost[f"vertex_{kind}"][row, module_index, j]
                    assert tensors[row, 1 + 2 * module_index + offset, i, place] == value
        assert int((tensors[row, 0] > 0).sum()) == int(archs.num_edges[row])


def test_chunks_padding_and_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    space = get_space("toy")
    archs = space.enumerate()
    whole = cell_tensors(space, archs)
    monkeypatch.setattr(module, "CHUNK", 100)
    assert torch.equal(cell_tensors(space, archs), whole)
    assert torch.equal(cell_tensors(space, archs[:3].widen(3)), whole[:3])
    assert cell_tensors(space, Architectures.empty(5)).shape == (0, 3, 5, 5)


def test_unknown_data_sets_are_named() -> None:
    for name in ("toy", "nb201"):
        space = get_space(name)
        with pytest.raises(UnknownName, match="svhn"):
            cell_tensors(space, space.sample(2), dataset="svhn")


@pytest.mark.slow
def test_all_nb101_cells_are_encoded_in_20_seconds() -> None:
    space = get_space("nb101")
    archs = space.enumerate()
    begin = time.process_time()
    for rows in torch.arange(len(archs)).split(50_000):
        cell_tensors(space, archs[rows])
    assert time.process_time() - begin < 20
