"""From a data config to graphs, labels and the split that all models share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from graphnas import get_space
from graphnas.errors import GraphnasError, InvalidValues, MissingData, SpaceMismatch, UnknownName
from graphnas.train import DataConfig
from graphnas.train.data import Prepared, prepare, random_rows, seeded

PARTS = ("train", "validation", "test")


def rows_of(data: Prepared) -> dict[str, torch.Tensor]:
    return {part: getattr(data.split, part) for part in PARTS}


def test_whole_space_is_divided_without_loss_or_leak() -> None:
    data = prepare(DataConfig("toy"))
    assert data.y is None and len(data.archs) == 787
    rows = rows_of(data)
    assert torch.equal(torch.cat(list(rows.values())).sort().values, torch.arange(787))
    assert len(rows["train"]) == 708 and abs(len(rows["validation"]) - len(rows["test"])) <= 1
    classes = {part: set(data.space.canonical_keys(data.archs[index])) for part, index in rows.items()}
    assert not classes["train"] & classes["test"] and not classes["train"] & classes["validation"]
    assert not classes["validation"] & classes["test"]


def test_same_config_same_data() -> None:
    config = DataConfig("toy", num_graphs=300, split_seed=3)
    first, second = prepare(config), prepare(config)
    assert first.archs == second.archs and first.split == second.split
    assert len(first.archs) == 300 and len(set(first.archs.index_keys())) == 300
    other = prepare(DataConfig("toy", num_graphs=300, split_seed=4))
    assert set(other.archs.index_keys()) != set(first.archs.index_keys())


def test_another_split_seed_is_another_split_of_the_same_space() -> None:
    splits = [prepare(DataConfig("toy", split_seed=seed)).split for seed in (0, 1)]
    assert splits[0].test.tolist() != splits[1].test.tolist() and len(splits[0].test) == len(splits[1].test)


def test_subset_holds_all_sizes() -> None:
    sizes = prepare(DataConfig("toy", num_graphs=100)).archs.num_nodes
    whole = prepare(DataConfig("toy")).archs.num_nodes
    share = (sizes == 5).float().mean() - (whole == 5).float().mean()
    assert abs(float(share)) < 0.1 and sizes.max() == 5


def test_a_subset_as_large_as_the_space_is_the_space() -> None:
    assert prepare(DataConfig("toy", num_graphs=10**6)).archs == get_space("toy").enumerate()


def test_a_space_too_large_to_enumerate_is_sampled() -> None:
    config = DataConfig("darts", num_graphs=400)
    data = prepare(config)
    keys = data.space.canonical_keys(data.archs)
    assert 390 <= len(data.archs) == len(set(keys)) <= 400
    assert bool(data.space.is_valid(data.archs).all()) and data.archs == prepare(config).archs


def test_labels_go_with_their_graphs() -> None:
    data = prepare(DataConfig("toy", num_graphs=200, labels="toy"))
    assert data.y is not None and len(data.y) == len(data.archs) == 200
    assert torch.allclose(data.y, get_space("toy").score(data.archs))  # type: ignore[attr-defined]
    assert data.y.std() > 0.05


def test_real_labels_of_a_file(real_data: Path) -> None:
    config = DataConfig("nb101", num_graphs=500, labels=str(real_data / "nb101_sample.csv.gz"), metric="val_acc_108")
    data = prepare(config)
    assert data.y is not None and len(data.y) == 500 and not data.y.isnan().any()
    assert 0.05 < float(data.y.min()) < float(data.y.max()) < 0.96


@pytest.mark.parametrize(
    ("config", "error", "text"),
    [
        ({"space": "toyy"}, UnknownName, "did you mean 'toy'"),
        ({"space": "nb101", "labels": "toy"}, SpaceMismatch, "toy"),
        ({"space": "toy", "labels": "nothing"}, UnknownName, "unknown table 'nothing'"),
        ({"space": "toy", "labels": "no/file.csv"}, MissingData, "no/file.csv"),
        ({"space": "toy", "labels": "toy", "metric": "accuracy"}, GraphnasError, "accuracy"),
        ({"space": "toy", "labels": "toy", "budget": 77}, GraphnasError, "77"),
        ({"space": "toy", "num_graphs": 5}, GraphnasError, "5 graphs are too few"),
        ({"space": "toy", "held_out": 0.001}, GraphnasError, "787 graphs are too few"),
    ],
)
def test_bad_configs_are_refused(config: dict[str, Any], error: type[GraphnasError], text: str) -> None:
    with pytest.raises(error, match=text):
        prepare(DataConfig(**config))


@pytest.mark.parametrize(
    "config",
    [{"held_out": 0.0}, {"held_out": 1.0}, {"held_out": float("nan")}, {"num_graphs": 0}, {"num_graphs": -5}]
    + [{"split_seed": -1}, {"split_seed": 2**32}],
)
def test_impossible_configs_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(InvalidValues, match=next(iter(config))):
        DataConfig("toy", **config)


def test_a_part_without_graphs_is_one_clear_error() -> None:
    with pytest.raises(GraphnasError, match="cannot split 4 graphs: a part of 0.1 of 4 .* is empty"):
        prepare(DataConfig("toy", num_graphs=4, held_out=0.9))


def test_random_rows_are_a_seeded_draw_without_repetition() -> None:
    rows = torch.arange(100, 200)
    drawn = random_rows(rows, 30, seed=1)
    assert len(drawn) == 30 == len(set(drawn.tolist())) and set(drawn.tolist()) <= set(rows.tolist())
    assert torch.equal(drawn, random_rows(rows, 30, seed=1)) and not torch.equal(drawn, random_rows(rows, 30, seed=2))
    assert torch.equal(random_rows(rows, 1000, seed=0).sort().values, rows)
    with pytest.raises(InvalidValues, match="got -1"):
        random_rows(rows, -1, seed=0)


@pytest.mark.parametrize("seed", [-1, 2**63, 10**30])
def test_seeds_out_of_range_are_refused(seed: int) -> None:
    with pytest.raises(InvalidValues, match="seed must be at least 0"):
        seeded(seed)


def test_the_whole_space_takes_the_labels_of_its_classes() -> None:
    """digits201 has one string per function; the others get its label, and no function lies in two parts."""
    rows, data = (prepare(DataConfig("nb201", labels="digits201", whole_space=some)) for some in (None, True))
    assert len(rows.archs) == 4930 and len(data.archs) == 15625 and data.y is not None and rows.y is not None
    label = dict(zip(data.space.functional_keys(rows.archs), rows.y.tolist(), strict=True))
    keys = data.space.functional_keys(data.archs)
    assert [label[key] for key in keys] == data.y.tolist()
    classes = [{keys[row] for row in index.tolist()} for index in rows_of(data).values()]
    assert not classes[0] & classes[1] and not classes[0] & classes[2] and not classes[1] & classes[2]
    with pytest.raises(InvalidValues, match=r"give data\.labels too"):
        prepare(DataConfig("nb201", whole_space=True))


def test_a_space_as_an_object_is_told_how_to_get_a_name() -> None:
    with pytest.raises(InvalidValues, match=r"knows its space by name .*register_space"):
        DataConfig(space=get_space("toy"))  # type: ignore[arg-type]
