"""Cells as matrices."""

from __future__ import annotations

import pytest
import torch

from graphnas import get_space, list_spaces
from graphnas.spaces import Architectures
from graphnas.spaces.cell_matrices import output_last
from graphnas.testing import mixed_batch


@pytest.mark.parametrize("name", list_spaces())
def test_shapes_are_those_of_the_layout(name: str) -> None:
    space = get_space(name)
    archs, layout = mixed_batch(space, 6), space.cell_layout
    matrices = space.cell_matrices(archs)
    assert matrices.types.shape == (6, layout.width, layout.width)
    assert matrices.flops.shape == matrices.params.shape == (6, layout.modules, layout.width, layout.width)
    assert all(part.dtype == torch.int64 and bool((part >= 0).all()) for part in matrices)


def test_padding_comes_before_the_output() -> None:
    archs = mixed_batch(get_space("toy"), 12)
    order = output_last(archs)
    for row, size in enumerate(archs.num_nodes.tolist()):
        assert order[row, -1] == size - 1 and order[row, : size - 1].tolist() == list(range(size - 1))
        assert sorted(order[row].tolist()) == list(range(archs.max_nodes))


def test_what_lies_in_the_padding_does_not_matter() -> None:
    space = get_space("toy")
    archs = space.enumerate()[:20]
    dirty = Architectures(torch.where(archs.node_mask, archs.ops, 3).to(torch.uint8), archs.adj, archs.num_nodes)
    assert not torch.equal(dirty.ops, archs.ops)
    for clean, same in zip(space.cell_matrices(archs), space.cell_matrices(dirty), strict=True):
        assert torch.equal(clean, same)


def test_nb201_matrices_are_by_cell_edge() -> None:
    space = get_space("nb201")
    text = "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|none~1|none~2|"
    matrices = space.cell_matrices(space.parse(text))
    assert matrices.types[0].tolist() == [[0, 3, 0, 1], [0, 0, 2, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert [matrices.flops[0, k, 0, 1].item() for k in (0, 5, 10)] == [2_392_064, 2_375_680, 2_367_488]
    assert [matrices.params[0, k, 1, 2].item() for k in (4, 9, 14)] == [288, 1_088, 4_224]
