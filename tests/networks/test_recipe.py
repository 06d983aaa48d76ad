"""How a network is trained: values a recipe takes, the learning rate, the shipped recipes and whom they suit."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import yaml

from graphnas.errors import CorruptFile, InvalidValues, MissingData, UnknownName
from graphnas.networks import build_network, list_networks
from graphnas.networks.config import NetworkConfig
from graphnas.networks.defaults import DEFAULTS, FOLDER, default_recipe, list_recipes, read_recipe
from graphnas.networks.images import list_images
from graphnas.networks.recipe import SEEDS, Recipe
from graphnas.networks.training import train_network
from graphnas.spaces import get_space

HOME = {name: next((space for space in DEFAULTS if name in DEFAULTS[space].recipes), "") for name in list_recipes()}
"""Recipe -> a space it was made for."""
TINY = {"nb101": {"channels": 8}, "darts": {"channels": 2, "cells": 3}}


def an_arch(space: str) -> str:
    """Text of one architecture."""
    found = get_space(space)
    return found.format(found.sample(1, torch.Generator().manual_seed(0)))[0]


# -- values -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"epochs": 0}, "epochs must be at least 1 (got 0)"),
        ({"batch_size": -3}, "batch_size must be at least 1 (got -3)"),
        ({"batch_size": True}, "batch_size must be at least 1 (got True)"),
        ({"learning_rate": 0.0}, "learning_rate must be positive (got 0.0)"),
        ({"learning_rate": math.nan}, "learning_rate must be positive (got nan)"),
        ({"learning_rate": "high"}, "learning_rate must be positive (got 'high')"),
        ({"final_rate": -0.1}, "final_rate must be at least 0 (got -0.1)"),
        ({"weight_decay": math.inf}, "weight_decay must be at least 0 (got inf)"),
        ({"momentum": 1.0}, "momentum must be at least 0 and below 1 (got 1.0)"),
        ({"drop_path": 1.0}, "drop_path must be at least 0 and below 1 (got 1.0)"),
        ({"label_smoothing": -1}, "label_smoothing must be at least 0 and below 1 (got -1)"),
        ({"rmsprop_eps": 0}, "rmsprop_eps must be positive (got 0)"),
        ({"auxiliary_weight": -1}, "auxiliary_weight must be at least 0 (got -1)"),
        ({"nesterov": True, "momentum": 0.0}, "nesterov needs a momentum above 0"),
    ],
)
def test_impossible_values(options: dict[str, object], reason: str) -> None:
    with pytest.raises(InvalidValues) as caught:
        Recipe(**options)  # type: ignore[arg-type]
    assert str(caught.value) == reason


def test_a_config_checks_what_is_not_in_the_recipe() -> None:
    for options, reason in (
        ({"seed": -1}, "seed must be at least 0"),
        ({"seed": SEEDS}, "below 4294967296"),
        ({"max_images": 0}, "max_images must be at least 1"),
        ({"mixed_precision": True, "recipe": Recipe(dtype="float64")}, "mixed_precision needs the dtype float32"),
    ):
        with pytest.raises(InvalidValues, match=reason):
            NetworkConfig(**options)  # type: ignore[arg-type]


# -- the learning rate ------------------------------------------------------------------------------------------------
def rates(recipe: Recipe, steps: int = 4) -> list[float]:
    return [recipe.rate(epoch, step, steps) for epoch in range(recipe.epochs) for step in range(steps)]


def test_half_a_cosine_by_step() -> None:
    found = rates(Recipe(epochs=5, learning_rate=0.2))
    assert found[0] == 0.2 and found[10] == pytest.approx(0.1)
    assert found == pytest.approx([0.1 * (1 + math.cos(math.pi * step / 20)) for step in range(20)])
    assert 0 < found[-1] < 0.2 * 0.01


def test_half_a_cosine_by_epoch_down_to_a_final_rate() -> None:
    found = rates(Recipe(epochs=4, learning_rate=0.3, final_rate=0.1, schedule_by="epoch"))
    assert [len(set(found[first : first + 4])) for first in range(0, 16, 4)] == [1] * 4
    assert found[::4] == pytest.approx([0.2 + 0.1 * math.cos(math.pi * epoch / 4) for epoch in range(4)])


def test_warm_up_then_cosine_or_constant() -> None:
    by_step = rates(Recipe(epochs=3, learning_rate=0.4, warmup_epochs=1, schedule="constant"))
    assert by_step == pytest.approx([0.1, 0.2, 0.3] + [0.4] * 9)
    by_epoch = rates(Recipe(epochs=4, learning_rate=0.4, warmup_epochs=2, schedule_by="epoch"))
    assert by_epoch[::4] == pytest.approx([0.2, 0.4, 0.4, 0.2])
    cosine = rates(Recipe(epochs=3, learning_rate=0.4, warmup_epochs=1))
    assert cosine[4:] == pytest.approx([0.2 * (1 + math.cos(math.pi * step / 8)) for step in range(8)])
    whole = rates(Recipe(epochs=2, learning_rate=0.4, warmup_epochs=2))
    assert whole == pytest.approx([0.05 * step for step in range(1, 9)])


# -- shipped recipes --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", list_recipes())
def test_a_recipe_is_what_its_file_says(name: str) -> None:
    text = (FOLDER / f"{name}.yaml").read_text()
    assert text.startswith("# "), "a recipe begins with what it is for"
    content, home = yaml.safe_load(text), HOME[name]
    assert home, "no network has this recipe among those made for it"
    recipe = read_recipe(name, home, "cifar10")
    assert {field: getattr(recipe, field) for field in content} == content
    build_network(home, an_arch(home), **(recipe.network | TINY.get(home, {}) | {"channels": 8}))


@pytest.mark.parametrize("name", list_recipes())
def test_a_recipe_trains_a_step(name: str, noise_images: str) -> None:
    """On few images, with a narrow network; of everything else what the recipe says."""
    home = HOME[name]
    recipe = read_recipe(name, home, noise_images)
    recipe.epochs, recipe.data, recipe.dtype = 1, {}, "float32"
    recipe.batch_size, recipe.drop_last = 12, False
    recipe.network |= TINY.get(home, {"channels": 8})
    config = NetworkConfig(home, an_arch(home), noise_images, recipe=recipe, device="cpu")
    result = train_network(config, progress=False)
    assert result.steps == 1 and result.final.rate == recipe.rate(0, 0, 1)


def test_the_published_values() -> None:
    """Those that are easily mistaken; sources stand in the files."""
    nb101 = read_recipe("nb101", "nb101", "cifar10")
    assert (nb101.optimizer, nb101.learning_rate, nb101.rmsprop_eps, nb101.epochs) == ("rmsprop", 0.2, 1.0, 108)
    nb201 = read_recipe("nb201", "nb201", "cifar10")
    assert nb201.nesterov and (nb201.weight_decay, nb201.epochs, nb201.network) == (5e-4, 200, {})
    darts = read_recipe("darts", "darts", "cifar10")
    assert darts.network == {"channels": 36, "cells": 20, "auxiliary": True}
    assert (darts.drop_path, darts.cutout, darts.clip_norm, darts.auxiliary_weight) == (0.2, 16, 5.0, 0.4)
    proxy = read_recipe("darts_proxy", "darts", "cifar10")
    assert (proxy.mixup, proxy.final_rate, proxy.network["channels"]) == (0.2, 1e-8, 32)
    assert read_recipe("enas", "enas6", "cifar10").weight_decay == 4e-4


# -- whom they suit ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("space", list_networks())
def test_every_network_has_defaults(space: str) -> None:
    defaults = DEFAULTS[space]
    assert {defaults.recipe, *defaults.recipes} - {"digits201"} <= set(list_recipes())
    assert default_recipe(space, "digits") == "digits201" and default_recipe(space, "cifar100") == defaults.recipe
    network = build_network(space, an_arch(space), **defaults.small)
    assert network.num_parameters < 100_000


def test_defaults_are_of_networks_and_images() -> None:
    assert sorted(DEFAULTS) == list_networks() and "digits" in list_images()
    with pytest.raises(UnknownName, match="unknown space with a network 'mars'"):
        default_recipe("mars", "digits")


def test_sizes_of_another_network_are_left_out() -> None:
    own = read_recipe("darts", "darts", "cifar10")
    other = read_recipe("darts", "nb201", "cifar10")
    assert other.network == {} and (other.epochs, other.cutout) == (own.epochs, own.cutout)
    assert read_recipe("darts", "nb201", "digits").network == DEFAULTS["nb201"].small
    other.network["channels"] = 99
    assert read_recipe("darts", "nb201", "cifar10").network == {}
    with pytest.raises(UnknownName, match="unknown recipe 'dart': did you mean 'darts'"):
        read_recipe("dart", "nb201", "digits")


def test_a_file_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("epochs: 7\nweight_decay: 1e-4\nnetwork: {layers: 3}\n")
    for name in (path, str(path)):
        recipe = read_recipe(name, "nb101", "digits")
        assert recipe == Recipe(epochs=7, weight_decay=1e-4, network={"layers": 3})
    with pytest.raises(MissingData, match="no recipe file .*none.yaml"):
        read_recipe(tmp_path / "none.yaml", "nb101", "digits")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"epochs: [1", "is no recipe"),
        (b"- a\n", "expected a mapping (got list)"),
        (b"", "expected a mapping (got NoneType)"),
        (b"\xff\xfe\x00", "is no recipe"),
        (b"speed: 3", "speed"),
        (b"epochs: many", "epochs"),
        (b"epochs: 0", "epochs must be at least 1"),
        (b"network: 3", "network"),
        (b"network: !!python/object/apply:os.getcwd []", "is no recipe"),
    ],
)
def test_a_file_that_is_no_recipe(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    with pytest.raises(CorruptFile) as caught:
        read_recipe(path, "nb201", "digits")
    assert str(path) in str(caught.value) and reason in str(caught.value)
