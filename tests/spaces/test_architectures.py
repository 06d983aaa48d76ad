"""The padded batch: construction, indexing, padding and equality."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from graphnas.errors import InvalidArchitecture
from graphnas.spaces import Architectures


@pytest.fixture
def archs() -> Architectures:
    """Three graphs of 3, 2 and 4 vertices in a width of 4."""
    ops = torch.tensor([[0, 2, 1, 0], [0, 1, 0, 0], [0, 3, 2, 1]], dtype=torch.uint8)
    adj = torch.zeros(3, 4, 4, dtype=torch.bool)
    for row, source, target in [(0, 0, 1), (0, 1, 2), (1, 0, 1), (2, 0, 1), (2, 0, 2), (2, 1, 3), (2, 2, 3)]:
        adj[row, source, target] = True
    return Architectures(ops, adj, torch.tensor([3, 2, 4]))


# -- construction -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("ops", torch.zeros(3, 4, dtype=torch.int64), r"ops must be torch.uint8 of shape \[3, 4\] \(got torch.int64"),
        ("adj", torch.zeros(3, 4, 4), r"adj must be torch.bool of shape \[3, 4, 4\] \(got torch.float32"),
        ("adj", torch.zeros(3, 4, 5, dtype=torch.bool), r"adj must be .*got torch.bool of shape \[3, 4, 5\]"),
        ("adj", torch.zeros(2, 4, 4, dtype=torch.bool), r"adj must be .*shape \[2, 4, 4\]"),
        ("num_nodes", torch.tensor([3, 2]), r"ops must be torch.uint8 of shape \[2, 4\]"),
        ("num_nodes", torch.tensor([3, 2, 4], dtype=torch.int32), r"num_nodes must be torch.int64"),
    ],
)
def test_wrong_shapes_and_dtypes(archs: Architectures, field: str, value: torch.Tensor, message: str) -> None:
    with pytest.raises(InvalidArchitecture, match=message):
        dataclasses.replace(archs, **{field: value})


def test_fields_cannot_be_replaced(archs: Architectures) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        archs.ops = archs.ops.clone()  # type: ignore[misc]


def test_sizes(archs: Architectures) -> None:
    assert len(archs) == 3 and archs.max_nodes == 4
    assert archs.num_edges.tolist() == [2, 1, 4]
    assert archs.node_mask.tolist() == [[True, True, True, False], [True, True, False, False], [True] * 4]
    assert archs.device == torch.device("cpu")
    assert repr(archs) == "Architectures(3 graphs, up to 4 nodes, cpu)"
    assert archs.to("cpu") == archs


# -- indexing -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("index", "sizes"),
    [
        (0, [3]),
        (-1, [4]),
        (slice(1, None), [2, 4]),
        (slice(None, None, 2), [3, 4]),
        ([2, 0, 2], [4, 3, 4]),
        (torch.tensor([1, 1]), [2, 2]),
        (torch.tensor([True, False, True]), [3, 4]),
        ([False, True, False], [2]),
        (torch.zeros(0, dtype=torch.int64), []),
    ],
)
def test_indexing_gives_batches(archs: Architectures, index: object, sizes: list[int]) -> None:
    picked = archs[index]  # type: ignore[index]
    assert isinstance(picked, Architectures)
    assert picked.num_nodes.tolist() == sizes
    assert picked.ops.shape == (len(sizes), 4) and picked.adj.shape == (len(sizes), 4, 4)


@pytest.mark.parametrize("index", [3, -4])
def test_indexing_past_the_end(archs: Architectures, index: int) -> None:
    with pytest.raises(IndexError):
        archs[index]


def test_iteration_yields_batches_of_one(archs: Architectures) -> None:
    rows = list(archs)
    assert [len(row) for row in rows] == [1, 1, 1]
    assert Architectures.concat(rows) == archs


# -- padding ------------------------------------------------------------------------------------------------------
def test_widen_and_cut(archs: Architectures) -> None:
    wide = archs.widen(6)
    assert wide.max_nodes == 6 and wide.adj.shape == (3, 6, 6)
    assert not wide.ops[:, 4:].any() and not wide.adj[:, 4:].any() and not wide.adj[:, :, 4:].any()
    assert wide == archs and wide.widen(4) == archs
    assert archs.widen(4) is archs
    assert archs[:2].widen(3).ops.tolist() == [[0, 2, 1], [0, 1, 0]]


def test_cutting_vertices_off_is_refused(archs: Architectures) -> None:
    with pytest.raises(InvalidArchitecture, match="a graph of 4 nodes does not fit a width of 3"):
        archs.widen(3)


def test_concat_pads_to_the_widest(archs: Architectures) -> None:
    joined = Architectures.concat([archs[1].widen(2), archs, archs[:1].widen(5)])
    assert joined.max_nodes == 5
    assert joined.num_nodes.tolist() == [2, 3, 2, 4, 3]
    assert joined[1:4] == archs and joined[0] == archs[1]


def test_empty_batches(archs: Architectures) -> None:
    empty = Architectures.empty(4)
    assert len(empty) == 0 and list(empty) == [] and empty.index_keys() == []
    assert empty == archs[:0] and empty != archs
    assert Architectures.concat([empty, archs, empty]) == archs
    assert len(Architectures.concat([])) == 0
    assert len(empty.widen(2)) == 0


def test_clean_clears_padding_only(archs: Architectures) -> None:
    dirty = Architectures(archs.ops.clone(), archs.adj.clone(), archs.num_nodes)
    dirty.ops[1, 3] = 3
    dirty.adj[1, 0, 3] = dirty.adj[0, 3, 3] = True
    clean = dirty.clean()
    assert torch.equal(clean.ops, archs.ops) and torch.equal(clean.adj, archs.adj)
    assert clean.ops.dtype == torch.uint8 and clean.adj.dtype == torch.bool
    assert int(dirty.ops[1, 3]) == 3  # the original is untouched
    assert dirty == archs and dirty.index_keys() == archs.index_keys()


# -- equality -----------------------------------------------------------------------------------------------------
def test_equality_is_row_by_row_and_by_index(archs: Architectures) -> None:
    ops, adj = archs.ops.clone(), archs.adj.clone()
    ops[0, 1] = 3
    adj[2, 1, 2] = True
    other = Architectures(ops, adj, archs.num_nodes)
    assert archs.equal(other).tolist() == [False, True, False]
    assert archs != other and archs == archs.widen(7)
    assert archs != archs[:2] and archs != "archs"
    longer = Architectures(archs.ops, archs.adj, torch.tensor([3, 3, 4]))
    assert archs.equal(longer).tolist() == [True, False, True]


def test_equality_of_different_lengths(archs: Architectures) -> None:
    with pytest.raises(InvalidArchitecture, match="cannot compare 3 graphs with 2"):
        archs.equal(archs[:2])


def test_batches_are_not_hashable(archs: Architectures) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(archs)


def test_index_keys_follow_equality(archs: Architectures) -> None:
    keys = archs.index_keys()
    assert len(set(keys)) == 3 and all(isinstance(key, bytes) for key in keys)
    assert archs.widen(6).index_keys() == keys
    assert archs[[2, 0, 1, 0]].index_keys() == [keys[2], keys[0], keys[1], keys[0]]
    changed = Architectures(archs.ops, archs.adj.clone(), archs.num_nodes)
    changed.adj[1, 0, 1] = False
    assert [a == b for a, b in zip(changed.index_keys(), keys, strict=True)] == [True, False, True]


# -- views --------------------------------------------------------------------------------------------------------
def test_edge_index_of_the_disjoint_union(archs: Architectures) -> None:
    edges, counts = archs.edge_index()
    assert edges.tolist() == [[0, 1, 3, 5, 5, 6, 7], [1, 2, 4, 6, 7, 8, 8]]
    assert counts.tolist() == [2, 1, 4]
    assert archs.widen(6).edge_index()[0].tolist() == edges.tolist()
    assert Architectures.empty(3).edge_index()[0].shape == (2, 0)


def test_one_hot_is_zero_where_padded(archs: Architectures) -> None:
    found = archs.one_hot(5)
    assert found.shape == (3, 4, 5) and found.dtype == torch.float32
    assert found.sum(2).tolist() == archs.node_mask.float().tolist()
    assert found[2].argmax(1).tolist() == [0, 3, 2, 1]


def test_describe(archs: Architectures) -> None:
    assert archs.describe(0) == {"ops": [0, 2, 1], "edges": [(0, 1), (1, 2)]}
