"""`graphnas network train`: every space and kind of images through the command, its options, and its refusals."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from graphnas.cli import main
from graphnas.commands.network_cli import QUICK, QUICK_IMAGES, default_folder, read_options, to_config
from graphnas.networks import defaults, list_networks
from graphnas.networks.config import NetworkConfig
from graphnas.networks.defaults import DEFAULTS, read_recipe
from graphnas.networks.images import cifar
from graphnas.networks.recipe import Recipe
from graphnas.networks.weights import load_network
from graphnas.run_folder import RunFolder
from graphnas.spaces import get_space

CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|none~1|nor_conv_3x3~2|"
SIZES = {"channels": 8, "cells": 1, "batch_momentum": 0.2}


@pytest.fixture(autouse=True)
def recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shipped recipes, and as that of the digits one whose values a test knows."""
    folder = Path(shutil.copytree(defaults.FOLDER, tmp_path / "recipes"))
    recipe = {"epochs": 4, "batch_size": 30, "learning_rate": 0.05, "network": SIZES}
    (folder / "digits201.yaml").write_text(yaml.safe_dump(recipe))
    monkeypatch.setattr(defaults, "FOLDER", folder)
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def refuse(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs words that must end with status 2, nothing on stdout and one line on stderr; returns that line."""

    def run(*words: object) -> str:
        assert main(["network", "train", *map(str, words)]) == 2
        out, err = capsys.readouterr()
        lines = err.splitlines()
        assert out == "" and len(lines) == 1 and lines[0].startswith("graphnas: "), (out, err)
        return lines[0]

    return run


def config_of(*words: str) -> NetworkConfig:
    return to_config(read_options([f"--arch={CELL}", *words]))


def result_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return content


# -- what works -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", list_networks())
def test_every_space_on_the_digits(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = get_space(name)
    arch = space.format(space.sample(1, torch.Generator().manual_seed(2)))[0]
    few = ["--max_images=40", "--recipe.epochs=1", "--quiet", "--device=cpu", "--threads=1"]
    words = ["network", "train", f"--space={name}", "--arch", arch, "--dataset=digits", *few]
    assert main([*words, f"--out={tmp_path / 'run'}"]) == 0
    out, err = capsys.readouterr()
    result = result_of(tmp_path / "run")
    assert result["arch"] == arch and (result["epochs"], result["steps"]) == (1, 2)
    values = dict(re.split(r"  +", line, maxsplit=1) for line in out.partition("\n\n")[0].splitlines())
    assert values["architecture"] == arch and values["parameters"] == f"{result['parameters']:,}"
    assert values["images"] == "digits, 1x8x8, 40 / 40 / 40 (train / validation / test)"
    header, last, best = out.partition("\n\n")[2].splitlines()
    assert header.split() == ["accuracy", "epoch", "train", "validation", "test"]
    assert last.split() == ["last", "epoch", "1", *(f"{result['final'][f'{part}_accuracy']:.2%}" for part in
                                                   ("train", "validation", "test"))]  # fmt: skip
    assert best.startswith("best validation  1 ")
    assert f"run folder: {tmp_path / 'run'}" in err
    assert load_network(tmp_path / "run").num_parameters == result["parameters"]


def test_cifar_of_the_official_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A quick run on tiny files with the names and records of the official ones."""
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    draws = np.random.default_rng(0)
    for name in (*cifar.CIFAR10.train, cifar.CIFAR10.test):
        records = draws.integers(256, size=(20, 3073), dtype=np.uint8)
        records[:, 0] %= 10
        (folder / name).write_bytes(records.tobytes())
    monkeypatch.setattr(cifar, "CIFAR10", replace(cifar.CIFAR10, train_records=20, test_records=20))
    words = ["network", "train", "--arch", CELL, "--dataset=cifar10", f"--data_root={folder}", "--quick", "--quiet"]
    assert main([*words, "--recipe.data.train_fraction=0.7", "--out=run"]) == 0
    assert "cifar10, 3x32x32, 70 / 30 / 20" in capsys.readouterr().out
    config = RunFolder("run").read_config_as(NetworkConfig)
    expected = replace(
        read_recipe("nb201", "nb201", "cifar10"), **QUICK, data={"train_fraction": 0.7}, network=DEFAULTS["nb201"].small
    )
    assert config.recipe == expected and result_of(tmp_path / "run")["steps"] == 6


def test_two_commands_leave_the_same_run(tmp_path: Path) -> None:
    for folder in ("first", "second"):
        assert main(["network", "train", f"--arch={CELL}", "--quick", "--quiet", "--seed=3", f"--out={folder}"]) == 0
    assert Path("first/last.safetensors").read_bytes() == Path("second/last.safetensors").read_bytes()
    assert Path("first/config.yaml").read_bytes() == Path("second/config.yaml").read_bytes()


def test_a_config_of_a_run_repeats_it(tmp_path: Path) -> None:
    options = ["--recipe=darts", "--recipe.network.channels=5", "--recipe.network.cells=1", "--recipe.epochs=1"]
    words = ["network", "train", "--quiet"]
    assert main([*words, f"--arch={CELL}", "--max_images=20", *options, "--out=first"]) == 0
    assert main([*words, "--config=first/config.yaml", "--out=second"]) == 0
    assert Path("first/config.yaml").read_bytes() == Path("second/config.yaml").read_bytes()
    assert Path("first/last.safetensors").read_bytes() == Path("second/last.safetensors").read_bytes()


def test_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """One for tiny images, which several only slow down, unless told otherwise."""
    set_to: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", set_to.append)
    words = ["network", "train", f"--arch={CELL}", "--quick", "--quiet"]
    assert main([*words, "--out=run"]) == main(["network", "train", "--resume=run"]) == 0
    assert main([*words, "--out=other", "--threads=2"]) == 0
    assert main([*words, "--dataset=cifar10"]) == 2  # not here
    assert set_to == [1, 1, 2]


def test_the_default_folder_is_of_the_architecture() -> None:
    assert main(["network", "train", f"--arch={CELL}", "--quick", "--quiet"]) == 0
    (folder,) = Path("runs").iterdir()
    assert folder == default_folder(config_of()) and re.fullmatch(r"network-nb201-digits-[0-9a-f]{8}-0", folder.name)
    assert default_folder(config_of("--seed=1")) != folder
    assert default_folder(config_of(f"--arch={CELL.replace('1x1', '3x3')}")) != folder


# -- options ----------------------------------------------------------------------------------------------------------
def test_the_recipe_that_is_taken() -> None:
    assert config_of().recipe == read_recipe("digits201", "nb201", "digits")
    assert config_of().recipe.network == SIZES
    assert config_of("--dataset=cifar10").recipe == read_recipe("nb201", "nb201", "cifar10")
    assert config_of("--space=darts", "--dataset=cifar100").recipe == read_recipe("darts", "darts", "cifar100")
    other = config_of("--space=darts").recipe
    assert other.network == DEFAULTS["darts"].small and other.learning_rate == 0.05
    assert config_of("--recipe", "darts_proxy", "--space=darts", "--dataset=cifar10").recipe.network["channels"] == 32


def test_options_go_over_a_recipe_wherever_they_stand(tmp_path: Path) -> None:
    own = read_recipe("darts", "darts", "cifar10")
    for words in (["--recipe=darts", "--recipe.epochs=5"], ["--recipe.epochs=5", "--recipe", "darts"]):
        recipe = config_of(*words, "--space=darts", "--dataset=cifar10", "--recipe.network.cells=8").recipe
        assert recipe == replace(own, epochs=5, network={"channels": 36, "cells": 8, "auxiliary": True})
    whole = config_of("--recipe=darts", "--space=darts", '--recipe.network={"cells": 4}').recipe
    assert whole.network == {"cells": 4}
    path = tmp_path / "mine.yaml"
    path.write_text("epochs: 77\nweight_decay: 1e-4\n")
    assert config_of("--recipe", str(path), "--recipe.batch_size=9").recipe == Recipe(77, 9, weight_decay=1e-4)


def test_quick_stands_under_other_options() -> None:
    quick = config_of("--quick")
    assert quick.max_images == QUICK_IMAGES and quick.recipe.network == DEFAULTS["nb201"].small
    assert (quick.recipe.epochs, quick.recipe.learning_rate) == (QUICK["epochs"], 0.05)
    other = config_of("--quick", "--recipe.epochs=3", "--max_images=7", "--recipe.network.channels=5")
    assert (other.recipe.epochs, other.max_images) == (3, 7)
    assert other.recipe.network == {"channels": 5, "cells": 1}


def test_help_explains_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["network", "train", "--help"])
    flat = " ".join(capsys.readouterr().out.split())
    names = [f"recipe.{field.name}" for field in fields(Recipe)] + [field.name for field in fields(NetworkConfig)]
    for name in names:
        assert re.search(rf"--{re.escape(name)} \S.*? [A-Za-z]", flat), name
    assert "shipped recipe (darts, darts_proxy, digits201, enas, nb101, nb201) or a YAML file" in flat


# -- refusals ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("--arch=", "--arch is missing: the text of an architecture of nb201"),
        ("--arch=|conv~0|", "row 0 is not in nb201"),
        ("--space=mars", "'mars': did you mean 'darts'"),
        ("--dataset=cifar1", "unknown image data set 'cifar1': did you mean 'cifar10'"),
        ("--dataset=cifar10", "cifar10 is not in"),
        ("--dataset=cifar10", "graphnas data download cifar10"),
        ("--dataset=imagenet16", "imagenet16 is not in"),
        ("--dataset=cifar100 --data_root=nowhere", "cifar100 is not in nowhere"),
        ("--recipe=nb2", "unknown recipe 'nb2': did you mean 'nb201'"),
        ("--recipe=./none.yaml", "no recipe file none.yaml"),
        ("--recipe", "--recipe needs the name of a recipe or a YAML file"),
        ("--recipe.epochs=0", "epochs must be at least 1 (got 0)"),
        ("--recipe.epochs=many", "--recipe.epochs: expected a whole number (got many)"),
        ("--recipe.optimizer=adam", "--recipe.optimizer: expected sgd or rmsprop (got adam)"),
        ("--recipe.speed=3", "speed"),
        ("--recipe.network.layers=3", "unknown options of a network: layers; known are channels"),
        ("--recipe.network=3", 'key "recipe.network": Expected'),
        ("--recipe.data.train_size=5000", "expected train_size to be from 10"),
        ("--recipe.data.train_fraction=0.5", "the loader of digits has no such option"),
        ("--recipe.batch_size=301 --recipe.drop_last=true", "300 training images do not fill one batch of 301"),
        ("--recipe.learning_rate=1e30 --quick", "training loss is nan in epoch 1: lower the learning rate"),
        ("--recipe.dtype=float64 --mixed_precision=true", "mixed_precision needs the dtype float32"),
        ("--space=darts --recipe=darts", "an auxiliary head needs maps of at least 8x8"),
        ("--max_images=0", "max_images must be at least 1"),
        ("--seed=-1", "seed must be at least 0"),
        ("--seed=1.5", "--seed: expected a whole number (got 1.5)"),
        ("--device=gpu0", "device must be auto, cpu, cuda, mps (got 'gpu0')"),
        ("--threads=0", "--threads must be at least 1"),
        ("--config=none.yaml", "File does not exist"),
        ("--bogus=3", "unrecognized arguments: --bogus"),
        ("stray", "unrecognized arguments: stray"),
    ],
)
def test_bad_input_is_one_line(words: str, text: str, refuse: Callable[..., str]) -> None:
    arch = CELL
    if "--space=darts" in words:
        space = get_space("darts")
        arch = space.format(space.sample(1, torch.Generator().manual_seed(0)))[0]
    line = refuse(f"--arch={arch}", "--quiet", "--out=run", *words.split())
    assert text in line and not list(Path().rglob("*.ckpt"))


def test_an_existing_run_is_kept(refuse: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    words = [f"--arch={CELL}", "--quick", "--quiet", "--out=run"]
    assert main(["network", "train", *words]) == 0
    capsys.readouterr()
    before = {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}
    assert "run already holds a run: pass --resume" in refuse(*words)
    for option in ("--recipe.epochs=9", "--seed=1", "--recipe=nb201", "--quick"):
        assert f"takes the options of the run it goes on with, not {option}" in refuse("--resume=run", option)
    assert before == {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}


def test_resuming_what_is_no_run(refuse: Callable[..., str]) -> None:
    assert "nowhere is not a run folder: it has no config.yaml" in refuse("--resume=nowhere")
    Path("run").mkdir()
    for text, reason in (("a: [1", "is damaged"), ("recipe: 3", "recipe"), ("recipe: {epochs: 0}", "at least 1")):
        Path("run/config.yaml").write_text(text)
        line = refuse("--resume=run")
        assert "run/config.yaml" in line and reason in line


def test_a_folder_that_cannot_be_written(refuse: Callable[..., str]) -> None:
    Path("file").touch()
    assert "file/run" in refuse(f"--arch={CELL}", "--quick", "--quiet", "--out=file/run")


@pytest.mark.parametrize("content", [b"epochs: [1", b"- a\n", b"", b"\xff\xfe\x00", b"speed: 3"])
def test_bad_recipe_files(content: bytes, refuse: Callable[..., str]) -> None:
    Path("bad.yaml").write_bytes(content)
    assert "bad.yaml is no recipe" in refuse(f"--arch={CELL}", "--recipe=bad.yaml", "--out=run")
    assert not Path("run").exists()
