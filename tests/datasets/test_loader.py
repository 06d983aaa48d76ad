"""Order, sharding and resumption of the batch loader."""

from __future__ import annotations

import pytest
import torch
from torch_geometric.data import Batch

from graphnas.datasets import ArchitectureLoader
from graphnas.spaces import Architectures


def rows(loader: ArchitectureLoader, epoch: int = 0, start: int = 0) -> list[list[int]]:
    return [batch.rows.tolist() for batch in loader.iterate(epoch, start)]


def test_a_pass_gives_every_graph_once_with_its_label(random_cells: Architectures) -> None:
    y = torch.randn(1000, 2)
    loader = ArchitectureLoader(random_cells, y, batch_size=96)
    seen = []
    for batch in loader:
        assert batch.archs == random_cells[batch.rows]
        assert batch.y is not None
        assert torch.equal(batch.y, y[batch.rows])
        seen.append(batch.rows)
    assert [len(part) for part in seen] == [96] * 10 + [40]
    assert len(loader) == 11
    assert torch.cat(seen).sort().values.tolist() == list(range(1000))


def test_order_depends_on_seed_and_epoch_only(random_cells: Architectures) -> None:
    first = rows(ArchitectureLoader(random_cells, seed=4), epoch=2)
    torch.manual_seed(99)
    assert rows(ArchitectureLoader(random_cells, seed=4), epoch=2) == first
    others = [
        rows(ArchitectureLoader(random_cells, seed=seed), epoch) for seed, epoch in ((4, 3), (5, 2), (2, 4), (6, 0))
    ]
    assert all(other != first for other in others)
    assert len({str(other) for other in others}) == 4


def test_order_is_the_same_everywhere(random_cells: Architectures) -> None:
    assert ArchitectureLoader(random_cells[:12], seed=1).order(3).tolist() == [5, 11, 2, 6, 1, 9, 4, 10, 8, 3, 7, 0]


def test_without_shuffling_the_order_is_given(random_cells: Architectures) -> None:
    loader = ArchitectureLoader(random_cells[:10], batch_size=4, shuffle=False)
    assert rows(loader) == rows(loader, epoch=5) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_set_epoch_moves_the_plain_loop(random_cells: Architectures) -> None:
    loader = ArchitectureLoader(random_cells, batch_size=300)
    plain = [batch.rows.tolist() for batch in loader]
    assert plain == rows(loader, epoch=0)
    loader.set_epoch(7)
    assert [batch.rows.tolist() for batch in loader] == rows(loader, epoch=7) != plain


@pytest.mark.parametrize("start", [0, 1, 5, 8])
def test_resuming_gives_what_was_left(random_cells: Architectures, start: int) -> None:
    y = torch.randn(1000)
    loader = ArchitectureLoader(random_cells, y, batch_size=128, seed=3)
    whole, rest = list(loader.iterate(6))[start:], list(loader.iterate(6, start))
    assert len(whole) == len(rest) == len(loader) - start
    for a, b in zip(whole, rest, strict=True):
        assert torch.equal(a.rows, b.rows)
        assert torch.equal(a.y, b.y)
        assert torch.equal(a.archs.adj, b.archs.adj)
    with pytest.raises(ValueError, match="one of the 8 batches"):
        next(loader.iterate(6, 9))


def test_drop_last(random_cells: Architectures) -> None:
    loader = ArchitectureLoader(random_cells, batch_size=300, drop_last=True)
    assert [len(part) for part in rows(loader)] == [300] * 3
    assert len(loader) == 3


@pytest.mark.parametrize("size", [8, 9, 64, 97, 100, 1000])
@pytest.mark.parametrize("world", [2, 3, 8])
@pytest.mark.parametrize("batch_size", [1, 7, 32])
def test_shards_are_disjoint_complete_and_equally_long(
    random_cells: Architectures, size: int, world: int, batch_size: int
) -> None:
    loaders = [
        ArchitectureLoader(random_cells[:size], batch_size=batch_size, seed=2, rank=rank, world_size=world)
        for rank in range(world)
    ]
    shards = [rows(loader, epoch=1) for loader in loaders]
    assert {len(shard) for shard in shards} == {len(loader) for loader in loaders} == {len(loaders[0])}
    assert all(batch for shard in shards for batch in shard)
    seen = [row for shard in shards for batch in shard for row in batch]
    assert sorted(seen) == list(range(size))
    assert all(len(batch) <= batch_size for shard in shards for batch in shard[:-1])
    assert all(len(shard[-1]) <= batch_size + 1 for shard in shards)


def test_ranks_together_take_the_steps_of_one_process(random_cells: Architectures) -> None:
    one = rows(ArchitectureLoader(random_cells[:960], batch_size=64, seed=9))
    ranks = [
        rows(ArchitectureLoader(random_cells[:960], batch_size=16, seed=9, rank=r, world_size=4)) for r in range(4)
    ]
    for step, batch in enumerate(one):
        assert sorted(batch) == sorted(row for rank in ranks for row in rank[step])


def test_dropping_with_ranks_keeps_full_batches(random_cells: Architectures) -> None:
    ranks = [
        rows(ArchitectureLoader(random_cells, batch_size=48, drop_last=True, rank=rank, world_size=3))
        for rank in range(3)
    ]
    assert all([len(part) for part in rank] == [48] * 6 for rank in ranks)
    seen = [row for rank in ranks for part in rank for row in part]
    assert len(seen) == len(set(seen)) == 3 * 6 * 48


def test_pyg_batches_are_those_of_pyg(random_cells: Architectures) -> None:
    y = torch.randn(1000)
    loader = ArchitectureLoader(random_cells, y, batch_size=256, seed=5)
    items = random_cells.to_data(5, y)
    batches = list(loader.batches_as_pyg(5, epoch=2))
    for batch, dense in zip(batches, loader.iterate(2), strict=True):
        theirs = Batch.from_data_list([items[row] for row in dense.rows.tolist()])
        assert all(torch.equal(batch[key], theirs[key]) for key in ("x", "edge_index", "y", "batch", "ptr"))
        assert batch.num_graphs == theirs.num_graphs
    assert torch.equal(next(loader.batches_as_pyg(5, epoch=2, start=3)).x, batches[3].x)
    loader.set_epoch(2)
    assert torch.equal(next(loader.batches_as_pyg(5)).x, batches[0].x)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"batch_size": 0}, "batch_size >= 1"),
        ({"rank": 2, "world_size": 2}, "rank 2 of 2"),
        ({"rank": -1}, "rank -1 of 1"),
        ({"world_size": 11}, r"at least 11 graphs \(got 10\)"),
        ({"batch_size": 6, "drop_last": True, "world_size": 2}, r"at least 12 graphs \(got 10\)"),
        ({"y": torch.zeros(9)}, r"one label per graph \(got 9 for 10\)"),
    ],
)
def test_impossible_requests(random_cells: Architectures, options: dict, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        ArchitectureLoader(random_cells[:10], **options)
