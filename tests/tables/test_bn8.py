"""The table, the dataset and training on Bayesian-network structures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from graphnas import get_space, load_dataset, load_table
from graphnas.errors import InvalidValues, UnknownName
from graphnas.spaces.bn8 import BN8
from graphnas.tables import convert, default_table
from graphnas.tables.base import Table
from graphnas.train.config import DataConfig
from graphnas.train.data import prepare


@pytest.fixture(scope="module")
def space() -> BN8:
    found = get_space("bn8")
    assert isinstance(found, BN8)
    return found


@pytest.fixture(scope="module")
def table() -> Table:
    return load_table("bn8")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_holds_distinct_structures_with_their_bic(space: BN8, table: Table) -> None:
    assert len(table) == 200_000 and table.metrics == ("bic",) and table.default_metric == "bic"
    assert default_table("bn8") == "bn8"
    assert len(space.fingerprints(table.architectures).unique()) == len(table)
    part = table.architectures[::5000]
    assert torch.equal(table.query(part, "bic"), space.score(part))
    assert torch.equal(table.column("bic")[::5000], space.score(part))


def test_answers_for_structures_outside_the_sample(space: BN8, table: Table) -> None:
    archs = space.sample(50, seeded(99))
    assert int((table.rows(archs) < 0).sum()) > 40
    assert torch.equal(table.query(archs, "bic"), space.score(archs))
    archs.ops[3, 1] = archs.ops[3, 2]
    assert table.query(archs, "bic").isnan().nonzero().flatten().tolist() == [3]
    with pytest.raises(UnknownName, match="accuracy"):
        table.query(archs, "accuracy")
    with pytest.raises(UnknownName, match="budget"):
        table.query(archs, "bic", budget=12)


def test_other_orders_are_the_same_row(space: BN8, table: Table) -> None:
    archs = table.architectures[:100]
    assert torch.equal(table.rows(space.build(space.matrix(archs))), torch.arange(100))


def test_sizes_and_seeds(tmp_path: Path) -> None:
    small, same, other = (load_table("bn8", num_graphs=300, seed=seed) for seed in (1, 1, 2))
    assert len(small) == 300 and small.architectures == same.architectures != other.architectures
    with pytest.raises(InvalidValues, match="num_graphs must be from 1"):
        load_table("bn8", num_graphs=0)
    stored = load_table(convert(small, tmp_path / "a.npz"))
    assert stored.architectures == small.architectures and torch.equal(stored.column("bic"), small.column("bic"))
    assert stored.identity == "isomorphic"


def test_dataset(tmp_path: Path, space: BN8) -> None:
    dataset = load_dataset("bn8", root=tmp_path, num_samples=50, seed=4)
    assert len(dataset) == 50 and dataset.metric == "bic" and dataset.num_node_features == 10
    assert dataset.y is not None and torch.equal(dataset.y, space.score(dataset.architectures))


def test_runs_sample_the_space_or_take_the_table(space: BN8, table: Table) -> None:
    plain = prepare(DataConfig("bn8", num_graphs=500))
    assert plain.y is None and 490 < len(plain.archs) <= 500
    labelled = prepare(DataConfig("bn8", num_graphs=500, labels="bn8"))
    assert labelled.y is not None and len(labelled.archs) == 500
    assert torch.equal(labelled.y, space.score(labelled.archs))
