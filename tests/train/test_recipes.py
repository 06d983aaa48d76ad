"""Every shipped recipe parses, says what it is for, and trains."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from graphnas import get_space, list_models, list_spaces
from graphnas.cli import main
from graphnas.commands.parsing import RECIPES, recipe_path
from graphnas.commands.train_cli import QUICK, read_options, to_config
from graphnas.errors import GraphnasError, UnknownName
from graphnas.testing import tiny_options
from graphnas.train import FitConfig, VAEConfig
from graphnas.train.vae import load_vae, read_vae_config

PATHS = sorted((RECIPES / "train" / "recipes").glob("*.yaml"))
SMALL = ["--fit.max_steps=1", "--fit.batch_size=16", "--fit.validate_every=1", "--fit.device=cpu", "--quiet"]


def config_of(*words: str) -> VAEConfig:
    return to_config(read_options(words))


def test_there_are_recipes() -> None:
    assert PATHS and all(path.stem == path.stem.lower() for path in PATHS)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_recipe_is_what_its_file_says(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# "), "a recipe begins with what it is for"
    content = yaml.safe_load(text)
    assert set(content) <= {"model", "model_args", "data", "fit"}
    config = config_of(f"--recipe={path.stem}")
    assert config.model in list_models(kind="vae") and config.data.space in list_spaces()
    assert config.model_args == content.get("model_args", {})
    for group in ("data", "fit"):
        values = vars(getattr(config, group))
        assert {name: values[name] for name in content.get(group, {})} == content.get(group, {})


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_recipe_trains_a_step(path: Path, tmp_path: Path) -> None:
    """On a few graphs, with a narrow model; of everything else exactly what the recipe says."""
    recipe = config_of("--recipe", path.stem)
    space = get_space(recipe.data.space)
    if space.size < 10**5:
        few = [f"--space={space.name}", "--data.num_graphs=100"]
    else:
        few = ["--space=toy", "--data.num_graphs=100"]
    narrow = tiny_options(recipe.model)
    options = [f"--model_args.{name}={value}" for name, value in narrow.items()]
    words = ["train", "vae", f"--recipe={path.stem}", *few, *options, *SMALL, f"--out={tmp_path / 'run'}"]
    assert main(words) == 0
    config = read_vae_config(tmp_path / "run")
    assert config.model_args == recipe.model_args | narrow
    changed = {"max_steps", "batch_size", "validate_every", "device"}
    assert {name: value for name, value in vars(config.fit).items() if name not in changed} == {
        name: value for name, value in vars(recipe.fit).items() if name not in changed
    }
    model = load_vae(tmp_path / "run")
    assert {name: model.config.to_dict()[name] for name in narrow} == narrow


def test_options_go_over_a_recipe_wherever_they_stand() -> None:
    name = PATHS[0].stem
    recipe = config_of("--recipe", name)
    for words in (["--recipe", name, "--fit.learning_rate=0.5"], ["--fit.learning_rate=0.5", "--recipe", name]):
        changed = config_of(*words)
        assert changed.fit.learning_rate == 0.5 and changed.model_args == recipe.model_args
        assert changed.data == recipe.data and changed.fit.max_steps == recipe.fit.max_steps
    assert config_of("--recipe", name, "--space=toy", "--seed=7").data.space == "toy"
    assert config_of("--recipe", name, "--space=toy", "--seed=7").fit.seed == 7


def test_a_file_of_the_user_is_a_recipe(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("data:\n  space: toy\nfit:\n  max_steps: 77\nmodel_args: {kl_weight: 1e-4}\n")
    config = config_of("--recipe", str(path), "--fit.batch_size=9")
    assert config.data.space == "toy" and (config.fit.max_steps, config.fit.batch_size) == (77, 9)
    assert config.model_args == {"kl_weight": 1e-4}


def test_unknown_recipes_are_refused() -> None:
    with pytest.raises(UnknownName, match=f"unknown recipe 'nothing': .*{PATHS[0].stem}"):
        config_of("--recipe=nothing")
    with pytest.raises(GraphnasError, match="no recipe file ./mine.yaml"):
        recipe_path("./mine.yaml", "train")
    with pytest.raises(UnknownName, match="unknown recipe ''"):
        config_of("--recipe")


def test_quick_lies_between_a_recipe_and_the_options() -> None:
    name = PATHS[0].stem
    quick = config_of("--recipe", name, "--quick", "--fit.batch_size=8")
    assert (quick.fit.max_steps, quick.data.num_graphs, quick.fit.batch_size) == (50, 1000, 8)
    assert config_of("--quick", "--fit.max_steps=3").fit.max_steps == 3
    assert config_of("--quick", "--space=toy").model_args["node_dim"] < 50
    assert config_of("--quick", "--model_args.node_dim=64").model_args["node_dim"] == 64
    assert all(hasattr(FitConfig, word.split("=")[0].removeprefix("--fit.")) for word in QUICK if "fit." in word)
