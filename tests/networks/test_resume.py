"""A training of a network that was stopped or killed goes on as if nothing had happened, bit for bit."""

from __future__ import annotations

import json
import logging
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from graphnas.cli import main
from graphnas.errors import CheckpointMismatch, CorruptFile
from graphnas.networks.config import NetworkConfig
from graphnas.networks.recipe import Recipe
from graphnas.networks.trainer import NetworkTrainer
from graphnas.networks.training import train_network
from graphnas.run_folder import RunFolder, plain

GENOTYPE = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('dil_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], "
    "reduce=[('max_pool_3x3', 0), ('sep_conv_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])"
)
CONFIG = NetworkConfig(
    "darts",
    GENOTYPE,
    max_images=50,
    seed=5,
    device="cpu",
    recipe=Recipe(
        epochs=4,
        batch_size=16,
        drop_path=0.4,
        mixup=0.5,
        clip_norm=1.0,
        cutout=3,
        crop_padding=1,
        network={"channels": 2, "cells": 3},
    ),
)
"""Everything that noise can come from: 4 epochs of 4 steps."""


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never interrupted; tests that change it work on a copy."""
    folder = tmp_path_factory.mktemp("runs") / "straight"
    train_network(CONFIG, folder, progress=False)
    return folder


@pytest.fixture
def copy(straight: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(straight, tmp_path / "run"))


def untimed(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in ("seconds", "cpu_seconds")}


def frozen(value: Any) -> Any:
    """Tensors as bytes, so that == compares bit for bit."""
    if isinstance(value, torch.Tensor):
        return value.dtype, tuple(value.shape), value.contiguous().numpy().tobytes()
    if isinstance(value, dict):
        return {key: frozen(inner) for key, inner in value.items()}
    return [frozen(inner) for inner in value] if isinstance(value, list | tuple) else value


def outcome(folder: Path) -> dict[str, Any]:
    """All a run leaves behind that must not depend on interruptions."""
    run = RunFolder(folder)
    state, result = run.read_state(), json.loads(run.result_file.read_text())
    assert state is not None
    state["records"] = [untimed(record) for record in state["records"]]
    for name in ("final", "best_validation"):
        result[name] = untimed(result[name])
    records = [untimed(record) for record in run.read_records()]
    left = sorted(path.name for path in folder.iterdir())
    return {
        "state": frozen(state),
        "result": result,
        "records": records,
        "weights": run.last.read_bytes(),
        "left": left,
    }


def epoch_of(folder: Path) -> int:
    state = RunFolder(folder).read_state()
    return state["epoch"] if state else 0


class Stopped(Exception):
    """Raised in the middle of a run."""


def test_stopped_in_the_middle_of_epochs(straight: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step, taken_up = NetworkTrainer._step, []
    for number, limit in enumerate((2, 5, 7, 100)):
        done = 0

        def limited(self: NetworkTrainer, *batch: Any, limit: int = limit) -> Any:
            nonlocal done
            done += 1
            if done > limit:
                raise Stopped
            return step(self, *batch)

        monkeypatch.setattr(NetworkTrainer, "_step", limited)
        taken_up.append(epoch_of(tmp_path / "run"))
        torch.manual_seed(number)
        try:
            train_network(CONFIG, tmp_path / "run", resume=number > 0, progress=False)
        except Stopped:
            continue
    assert taken_up == [0, 0, 1, 2]
    assert outcome(tmp_path / "run") == outcome(straight)


COMMAND = """
from graphnas.cli import main
sys.exit(main({words!r}))
"""
DIE_IN_A_STEP = """
import signal
from graphnas.networks.trainer import NetworkTrainer
count = 0
def step(self, *batch, step=NetworkTrainer._step):
    global count
    count += 1
    if count == {number}:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, *batch)
NetworkTrainer._step = step
"""
DIE_WHILE_WRITING = """
import signal
from graphnas import checkpoint
count = 0
def write_half_and_die(target, content, write=checkpoint._dump):
    global count
    count += target.name.startswith("." + {name!r})
    if count == {number}:
        write(target, content[: len(content) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    write(target, content)
checkpoint._dump = write_half_and_die
"""


def words_of(config: NetworkConfig, folder: Path) -> list[str]:
    """The command line of a run."""
    recipe = {name: value for name, value in plain(config.recipe).items() if value != getattr(Recipe(), name)}
    options = [f"--recipe.{name}={json.dumps(value)}" for name, value in recipe.items()]
    others = [f"--{name}={getattr(config, name)}" for name in ("space", "arch", "max_images", "seed", "device")]
    empty = folder.parent / "empty.yaml"
    empty.write_text("{}")
    return ["network", "train", f"--recipe={empty}", f"--out={folder}", "--quiet", *others, *options]


def test_killed_again_and_again(straight: Path, start: Callable[..., Any], tmp_path: Path) -> None:
    """SIGKILL in the middle of an epoch and of every kind of file."""
    folder = tmp_path / "run"
    first = COMMAND.format(words=words_of(CONFIG, folder))
    again = COMMAND.format(words=["network", "train", f"--resume={folder}"])
    deaths = [
        DIE_IN_A_STEP.format(number=7) + first,
        DIE_WHILE_WRITING.format(name="last.ckpt", number=1) + again,
        DIE_WHILE_WRITING.format(name="metrics.jsonl", number=2) + again,
        DIE_IN_A_STEP.format(number=6) + again,
        DIE_WHILE_WRITING.format(name="last.safetensors", number=1) + again,
        DIE_WHILE_WRITING.format(name="result.json", number=1) + again,
    ]
    epochs = []
    for source in deaths:
        started = start(source)
        assert started.wait() == -signal.SIGKILL, started.err.read_text()
        epochs.append(epoch_of(folder))
    assert epochs == [1, 1, 2, 3, 4, 4]
    last = start(again)
    assert last.wait() == 0, last.err.read_text()
    assert f"{folder} goes on from epoch 4" in last.err.read_text()
    assert outcome(folder) == outcome(straight)


def test_a_finished_run_is_left_alone(
    copy: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in copy.rglob("*") if path.is_file()}
    with caplog.at_level(logging.INFO):
        assert main(["network", "train", f"--resume={copy}"]) == 0
    assert f"{copy} is finished, nothing to do" in caplog.text
    assert capsys.readouterr().out.splitlines()[-2].split()[:3] == ["last", "epoch", "4"]
    after = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in copy.rglob("*") if path.is_file()}
    assert before == after


@pytest.mark.parametrize("finished", [True, False])
def test_a_damaged_checkpoint_is_named(copy: Path, finished: bool, capsys: pytest.CaptureFixture[str]) -> None:
    if not finished:
        (copy / "result.json").unlink()
    state = copy / "last.ckpt"
    content = state.read_bytes()
    for damaged in (b"", content[: len(content) // 2], content[:1000] + b"x" + content[1001:]):
        state.write_bytes(damaged)
        assert main(["network", "train", f"--resume={copy}"]) == 2
        out, err = capsys.readouterr()
        assert out == "" and len(err.splitlines()) == 1
        assert err.startswith(f"graphnas: {state} is truncated, damaged or not ours")


@pytest.mark.parametrize("key", ["epoch", "records", "network", "optimizer"])
def test_a_state_of_another_version_is_refused(key: str, copy: Path) -> None:
    (copy / "result.json").unlink()
    state = torch.load(copy / "last.ckpt", weights_only=True)
    del state[key]
    torch.save(state, copy / "last.ckpt")
    with pytest.raises(CheckpointMismatch, match=f"of another network or version of graphnas: '{key}'"):
        train_network(CONFIG, copy, resume=True, progress=False)


def test_a_state_of_another_network_is_refused(copy: Path) -> None:
    (copy / "result.json").unlink()
    state = torch.load(copy / "last.ckpt", weights_only=True)
    state["network"]["classifier.weight"] = torch.zeros(10, 3)
    torch.save(state, copy / "last.ckpt")
    with pytest.raises(CheckpointMismatch, match="another network .* size mismatch"):
        train_network(CONFIG, copy, resume=True, progress=False)


@pytest.mark.parametrize("content", ["", "[1]", '{"space": "nb201"}', '{"final": {"epoch": 1}}', "\x00"])
def test_a_damaged_result_is_named(content: str, copy: Path) -> None:
    (copy / "result.json").write_text(content)
    with pytest.raises(CorruptFile, match="result.json is damaged or of another version of graphnas"):
        train_network(CONFIG, copy, resume=True, progress=False)


def test_what_a_killed_process_left_is_cleared(tmp_path: Path) -> None:
    (tmp_path / ".last.ckpt.abcd1234.partial").write_bytes(b"half a file")
    (tmp_path / ".notes").write_text("the user's")
    train_network(NetworkConfig("toy", "01/00:", max_images=10, recipe=Recipe(epochs=1)), tmp_path, progress=False)
    assert [path.name for path in tmp_path.glob(".*")] == [".notes"]
