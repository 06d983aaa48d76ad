"""Architectures to PyG objects and back."""

from __future__ import annotations

import pytest
import torch
from torch_geometric.data import Batch, Data

from graphnas.errors import InvalidArchitecture
from graphnas.spaces import Architectures, get_space

NUM_OPS = 6


def random_graphs(count: int, width: int, seed: int = 0) -> Architectures:
    """DAGs of 1 to `width` vertices with any types, some of them without edges."""
    generator = torch.Generator().manual_seed(seed)
    num_nodes = torch.randint(1, width + 1, (count,), generator=generator)
    ops = torch.randint(0, NUM_OPS, (count, width), generator=generator, dtype=torch.uint8)
    adj = torch.rand(count, width, width, generator=generator) < torch.rand(count, 1, 1, generator=generator)
    return Architectures(ops, adj.triu(1), num_nodes).clean()


def same_tensors(a: Data, b: Data) -> None:
    assert sorted(a.keys()) == sorted(b.keys())
    for key in a.keys():  # noqa: SIM118 - Data is not a mapping
        assert a[key].dtype == b[key].dtype, key
        assert torch.equal(a[key], b[key]), key


@pytest.mark.parametrize("width", [1, 2, 7, 22])
@pytest.mark.parametrize("targets", [None, (), (3,)])
def test_batch_equals_the_one_pyg_collates(width: int, targets: tuple[int, ...] | None) -> None:
    archs = random_graphs(40, width)
    y = None if targets is None else torch.randn(40, *targets)
    items, batch = archs.to_data(NUM_OPS, y), archs.to_batch(NUM_OPS, y)
    theirs = Batch.from_data_list(items)
    assert type(batch) is type(theirs)
    same_tensors(batch, theirs)
    assert batch.num_graphs == len(batch) == 40
    assert batch.num_nodes == theirs.num_nodes
    for mine, other in ((batch._slice_dict, theirs._slice_dict), (batch._inc_dict, theirs._inc_dict)):
        assert mine.keys() == other.keys()
        assert all(torch.equal(mine[key], other[key]) for key in mine)
    for mine, item in zip(batch.to_data_list(), items, strict=True):
        same_tensors(mine, item)
    same_tensors(batch[7], items[7])
    same_tensors(Batch.from_data_list(batch.index_select([3, 5])), Batch.from_data_list([items[3], items[5]]))


def test_data_says_what_the_docstring_says() -> None:
    archs = Architectures(
        torch.tensor([[0, 3, 1, 0]], dtype=torch.uint8),
        torch.tensor([[[0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]], dtype=torch.bool),
        torch.tensor([3]),
    )
    (item,) = archs.to_data(4, torch.tensor([0.5], dtype=torch.float64))
    assert item.x.tolist() == [[1, 0, 0, 0], [0, 0, 0, 1], [0, 1, 0, 0]]
    assert item.x.dtype == item.y.dtype == torch.float32
    assert item.edge_index.tolist() == [[0, 0, 1], [1, 2, 2]]
    assert item.y.tolist() == [0.5]
    assert item.num_nodes == 3


def test_edges_are_ordered_by_source_then_target() -> None:
    for item in random_graphs(30, 9, seed=3).to_data(NUM_OPS):
        pairs = item.edge_index.T.tolist()
        assert pairs == sorted(pairs)


@pytest.mark.parametrize("width", [1, 7, 22])
def test_round_trips(width: int) -> None:
    archs = random_graphs(200, width, seed=1)
    items = archs.to_data(NUM_OPS)
    assert Architectures.from_data(items) == archs
    assert Architectures.from_data(archs.to_batch(NUM_OPS)) == archs
    assert Architectures.from_data(Batch.from_data_list(items)) == archs
    assert Architectures.from_data(items[4]) == archs[4]
    assert Architectures.from_data(tuple(items[:3])) == archs[:3]


def test_round_trip_of_a_space_and_of_padding() -> None:
    space = get_space("nb201")
    archs = space.enumerate()[::50]
    back = Architectures.from_data(archs.widen(11).to_batch(space.num_ops))
    assert back == archs
    assert back.max_nodes == 8
    assert bool(space.is_valid(back).all())


def test_edges_in_any_order_and_a_batch_without_ptr() -> None:
    archs = random_graphs(20, 6, seed=2)
    batch = archs.to_batch(NUM_OPS)
    batch.edge_index = batch.edge_index.flip(1)
    del batch.ptr
    assert Architectures.from_data(batch) == archs[: int(batch.batch.max()) + 1]


def test_no_graphs() -> None:
    empty = Architectures.empty(5)
    assert empty.to_data(4) == []
    batch = empty.to_batch(4)
    assert (batch.num_graphs, batch.x.shape, batch.edge_index.shape) == (0, (0, 4), (2, 0))
    assert batch.to_data_list() == []
    assert len(Architectures.from_data([])) == len(Architectures.from_data(batch)) == 0


def test_padding_rubbish_does_not_show() -> None:
    clean = random_graphs(30, 7, seed=5)
    dirty = Architectures(
        torch.where(clean.node_mask, clean.ops, torch.tensor(200, dtype=torch.uint8)),
        clean.adj | (~clean.node_mask)[:, None, :].expand(-1, 7, -1).triu(1),
        clean.num_nodes,
    )
    same_tensors(dirty.to_batch(NUM_OPS), clean.to_batch(NUM_OPS))


def test_types_and_labels_are_checked() -> None:
    archs = random_graphs(10, 5)
    with pytest.raises(InvalidArchitecture, match=r"types lie in 0\.\.2 \(got 5\)"):
        archs.to_batch(3)
    with pytest.raises(InvalidArchitecture, match=r"one entry per graph.*got shape \[9\]"):
        archs.to_batch(NUM_OPS, torch.zeros(9))
    with pytest.raises(InvalidArchitecture, match="one entry per graph"):
        archs.to_data(NUM_OPS, torch.tensor(1.0))


def chain(**changes: object) -> Data:
    """A chain of three vertices, with attributes replaced."""
    fields = {"x": torch.eye(4)[[0, 2, 1]], "edge_index": torch.tensor([[0, 1], [1, 2]])} | changes
    return Data(**fields)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"x": torch.full((3, 4), 0.25)}, "one-hot in every row"),
        ({"x": torch.zeros(3, 4)}, "one-hot in every row"),
        ({"x": torch.full((3, 4), torch.nan)}, "one-hot in every row"),
        ({"x": torch.tensor([0, 2, 1])}, r"\[vertices, types\] \(got \[3\]\)"),
        ({"x": None}, r"\(got None\)"),
        ({"edge_index": None}, r"integers \[2, edges\] \(got None\)"),
        ({"edge_index": torch.tensor([[0, 1, 0], [1, 2, 1]])}, "listed once"),
        ({"edge_index": torch.tensor([[0, 2], [1, 1]])}, "order vertices topologically"),
        ({"edge_index": torch.tensor([[0, 1], [1, 1]])}, "lower to a higher index"),
        ({"edge_index": torch.tensor([[0, 1], [1, 3]])}, "its own vertices"),
        ({"edge_index": torch.tensor([[-1, 1], [1, 2]])}, "its own vertices"),
    ],
)
def test_malformed_data_is_refused(changes: dict[str, object], text: str) -> None:
    with pytest.raises(InvalidArchitecture, match=text):
        Architectures.from_data([chain(), chain(**changes)])


def test_batches_that_join_or_leave_their_graphs_are_refused() -> None:
    batch = Batch.from_data_list([chain(), chain()])
    batch.edge_index = torch.tensor([[0, 1, 2], [1, 2, 3]])
    with pytest.raises(InvalidArchitecture, match=r"stay in their graph.*got \[2, 3\] in graph 0"):
        Architectures.from_data(batch)
    batch.edge_index = torch.tensor([[0], [6]])
    with pytest.raises(InvalidArchitecture, match="name the 6 vertices"):
        Architectures.from_data(batch)
    with pytest.raises(InvalidArchitecture, match="a list of Data"):
        Architectures.from_data([batch])
