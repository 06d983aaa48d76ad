"""Training many networks at once gives the counts of training each alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from graphnas.errors import InvalidValues
from graphnas.networks.config import NetworkConfig
from graphnas.networks.defaults import read_recipe
from graphnas.networks.images import ImageData, load_images
from graphnas.networks.recipe import Recipe
from graphnas.networks.stacked import Counts, train_stacked
from graphnas.networks.training import train_network
from graphnas.spaces import Architectures, get_space

SEED = 11
SPACE = get_space("nb201")
ALL_NONE = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
EASY: dict[str, Any] = {"batch_size": 50, "crop_padding": 1, "flip": False, "epochs": 1}


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    """Running statistics adapt faster than in the shipped one, so that networks differ after two epochs."""
    shipped = read_recipe("digits201", "nb201", "digits")
    return replace(shipped, epochs=2, network=shipped.network | {"batch_momentum": 0.5})


@pytest.fixture(scope="module")
def data(recipe: Recipe) -> ImageData:
    return load_images("digits", **recipe.data)


@pytest.fixture(scope="module")
def archs() -> Architectures:
    drawn = SPACE.sample(5, torch.Generator().manual_seed(SEED))
    return SPACE.parse([*SPACE.format(drawn), ALL_NONE])


@pytest.fixture(scope="module")
def together(archs: Architectures, data: ImageData, recipe: Recipe) -> Counts:
    return train_stacked(SPACE, archs, data, recipe, SEED)


def same(one: Counts, other: Counts, rows: list[int]) -> bool:
    return all(torch.equal(part, wanted[rows]) for part, wanted in zip(one, other, strict=True))


def trained_alone(arch: Architectures, data: ImageData, recipe: Recipe) -> list[list[int]]:
    """Correct images of the three parts after every epoch, by the trainer of single networks."""
    config = NetworkConfig("nb201", SPACE.format(arch)[0], recipe=recipe, seed=SEED, device="cpu")
    records = train_network(config, progress=False).records
    return [
        [round(getattr(record, f"{name}_accuracy") * len(getattr(data, name))) for record in records]
        for name in Counts._fields
    ]


def test_shapes_and_ranges(together: Counts, data: ImageData) -> None:
    for counts, part in zip(together, (data.train, data.validation, data.test), strict=True):
        assert counts.shape == (6, 2) and counts.dtype == torch.int64
        assert counts.min() >= 0 and counts.max() <= len(part)
    assert len(together.validation[:, -1].unique()) > 3


@pytest.mark.parametrize("rows", [[0], [3], [5], [1, 4], [5, 3, 1, 4, 2, 0], [2, 2]], ids=str)
def test_company_and_order_change_nothing(
    rows: list[int], together: Counts, archs: Architectures, data: ImageData, recipe: Recipe
) -> None:
    assert same(train_stacked(SPACE, archs[rows], data, recipe, SEED), together, rows)


@pytest.mark.parametrize("row", [0, 1, 5])
def test_equals_the_training_of_one_network(
    row: int, together: Counts, archs: Architectures, data: ImageData, recipe: Recipe
) -> None:
    assert trained_alone(archs[[row]], data, recipe) == [counts[row].tolist() for counts in together]


def test_equals_the_training_of_one_network_by_the_shipped_recipe(archs: Architectures) -> None:
    recipe = read_recipe("digits201", "nb201", "digits")
    data = load_images("digits", **recipe.data)
    counts = train_stacked(SPACE, archs[[3]], data, recipe, SEED)
    assert trained_alone(archs[[3]], data, recipe) == [part[0].tolist() for part in counts]


def test_a_warm_up_augmentation_and_smoothing_are_followed(archs: Architectures) -> None:
    options = EASY | {"label_smoothing": 0.2, "warmup_epochs": 0.5, "cutout": 2, "drop_last": True, "batch_size": 70}
    recipe = Recipe(**options, dtype="float64", network={"channels": 4, "cells": 1, "reduction": "residual"})
    data = load_images("digits")
    counts = train_stacked(SPACE, archs[[0]], data, recipe, 3)
    config = NetworkConfig("nb201", SPACE.format(archs[[0]])[0], recipe=recipe, seed=3, device="cpu")
    final = train_network(config, progress=False).final
    assert final.train_accuracy * 280 == pytest.approx(counts.train.item())
    assert final.test_accuracy is not None and final.test_accuracy * 500 == pytest.approx(counts.test.item())


def test_seeds_differ_and_the_global_generator_stays(
    together: Counts, archs: Architectures, data: ImageData, recipe: Recipe
) -> None:
    before = torch.get_rng_state()
    other = train_stacked(SPACE, archs[[0, 1]], data, recipe, SEED + 1)
    assert torch.equal(torch.get_rng_state(), before)
    assert not same(other, together, [0, 1])


def test_evaluating_the_last_epoch_only(
    together: Counts, archs: Architectures, data: ImageData, recipe: Recipe
) -> None:
    last = train_stacked(SPACE, archs[[0, 1]], data, recipe, SEED, every_epoch=False)
    assert all(torch.equal(part, all_[:2, 1:]) for part, all_ in zip(last, together, strict=True))


@pytest.mark.parametrize(
    ("name", "value"), [("optimizer", "rmsprop"), ("clip_norm", 1.0), ("mixup", 0.2), ("drop_path", 0.1)]
)
def test_recipes_it_cannot_follow(name: str, value: Any, archs: Architectures, data: ImageData, recipe: Recipe) -> None:
    with pytest.raises(InvalidValues, match=f"{name} .* \\(got {value!r}\\)"):
        train_stacked(SPACE, archs[[0]], data, replace(recipe, **{name: value}), 0)


@pytest.mark.parametrize("name", ["toy", "nb101"])
def test_other_spaces(name: str, data: ImageData) -> None:
    space = get_space(name)
    with pytest.raises(InvalidValues, match="only NAS-Bench-201 networks"):
        train_stacked(space, space.sample(2, torch.Generator().manual_seed(0)), data, Recipe(**EASY), 0)
