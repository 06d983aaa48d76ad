"""The published pools, and what is trained of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from graphnas.bo.grown_training import Cell, TrainingSizes, group_table, train_cell, train_groups
from graphnas.bo.pool_study import PoolSizes, best_of, pools
from graphnas.bo.pools import PUBLISHED_BASE, Pool, published_pool, valid_classes
from graphnas.errors import GraphnasError, InvalidValues
from graphnas.spaces import Architectures, get_space

LOOSE = get_space("nb101_8e28")
C3, C1 = "conv3x3-bn-relu", "conv1x1-bn-relu"
WINNER = f"01111111/00110101/00000010/00001000/00000100/00000010/00000001/00000000:{','.join([C3] * 5 + [C1])}"
"""The cell that the released code trains as the best of the pools."""


@pytest.fixture(scope="module")
def published() -> Pool:
    base = get_space("nb101").parse(PUBLISHED_BASE)
    return published_pool(base, LOOSE, torch.Generator().manual_seed(0))


def test_the_published_pools_have_their_sizes_and_hold_the_published_winner(published: Pool) -> None:
    assert published.family.bincount().tolist() == [192, 192, 1000]
    winner = Architectures.concat([LOOSE.parse(WINNER)] * len(published.archs))
    rows = published.archs.equal(winner).nonzero().flatten()
    assert published.family[rows].tolist() == [1]


def test_grown_cells_are_valid_beyond_nine_edges_and_all_different(published: Pool) -> None:
    grown = published.archs[published.family < 2]
    assert bool(LOOSE.is_valid(grown).all()) and int(grown.num_edges.min()) == 11 - 1
    assert len(set(grown.index_keys())) == 384
    assert not bool(get_space("nb101_8").is_valid(grown).any())


def test_a_new_vertex_before_the_output_takes_its_edges(published: Pool) -> None:
    first = published.archs[0]
    base = get_space("nb101").parse(PUBLISHED_BASE)
    assert torch.equal(first.adj[0, :7, :7], base.adj[0]) and first.adj[0, :, 7].tolist() == [False] * 6 + [True, False]
    every = published.archs[63]
    assert every.adj[0, :, 7].tolist() == [True] * 7 + [False]


def test_valid_classes_are_valid_and_different(published: Pool) -> None:
    kept = valid_classes(published, LOOSE)
    assert bool(LOOSE.is_valid(kept.archs).all()) and len(set(LOOSE.canonical_keys(kept.archs))) == len(kept.archs)
    assert 384 < len(kept.archs) < len(published.archs)
    doubled = Pool(Architectures.concat([kept.archs, kept.archs]), kept.family.repeat(2))
    assert valid_classes(doubled, LOOSE).archs == kept.archs


def test_the_pools_come_from_a_seed_and_keep_their_limits() -> None:
    sizes = PoolSizes(random_graphs=30)
    first, again = pools(get_space("nb101"), sizes), pools(get_space("nb101"), sizes)
    for name, (space, pool) in first.items():
        assert pool.archs == again[name][1].archs
        assert name == "published" or bool(space.is_valid(pool.archs).all())
    assert first["few edges"][0].name == "nb101_8" and len(first["published"][1].archs) == 414


def test_the_best_are_the_best_scored(published: Pool) -> None:
    scores = torch.arange(len(published.archs)).double()
    content = best_of(LOOSE, published, scores)
    assert content["rows"] == [1383, 1382, 1381, 1380, 1379] and content["families"] == [2] * 5
    valid = LOOSE.is_valid(published.archs[content["rows"]])
    assert len(content["archs"]) == int(valid.sum())


def test_another_base_is_refused() -> None:
    small = get_space("nb101").enumerate()[:1]
    with pytest.raises(InvalidValues, match="7 vertices"):
        published_pool(small, LOOSE, torch.Generator())


def test_trainings_are_kept_and_not_mixed(tmp_path: Path) -> None:
    sizes = TrainingSizes(epochs=1, channels=8, seeds=2)
    small = Cell("nb101_8", "01/00:")
    groups = {"one": [small], "two": [small, Cell("nb101", f"011/001/000:{C1}")]}
    trained = train_groups(groups, sizes, tmp_path)
    files = sorted((tmp_path / "results").glob("training_*.json"))
    assert len(files) == 4 and trained["one"][0] == trained["two"][0]
    assert [run["test"] for run in trained["one"][0]] == [
        run["test"] for run in train_groups(groups, sizes, tmp_path)["one"][0]
    ]
    table = group_table(trained)
    assert table[2].startswith("| one | 1 |") and table[3].startswith("| two | 2 |")
    with pytest.raises(GraphnasError, match="other"):
        train_cell(small, 0, TrainingSizes(2, 8, 2), tmp_path)
