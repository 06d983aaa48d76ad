"""A run that was stopped, killed or cut off by a full disk goes on as if nothing had happened, bit for bit."""

from __future__ import annotations

import logging
import shutil
import signal
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from graphnas.cli import main
from graphnas.errors import CheckpointMismatch, GraphnasError, MissingData
from graphnas.run_folder import RunFolder
from graphnas.train import FitConfig, VAEConfig
from graphnas.train.trainer import Trainer
from graphnas.train.vae import read_vae_config, train_vae

MakeConfig = Callable[..., VAEConfig]
Outcome = Callable[[Path], dict[str, Any]]
SCHEDULES: dict[str, dict[str, Any]] = {
    "cosine": {"schedule": "cosine"},
    "plateau": {"schedule": "plateau", "patience": 0, "learning_rate": 0.3, "validate_every": 4, "weight_decay": 0.01},
}


class Stopped(Exception):
    """Raised in the middle of a run."""


@pytest.fixture
def stop_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Ends training by an exception as soon as that many optimiser steps are done in all; 0 lets it run."""
    step = Trainer.train_step

    def arrange(limit: int) -> None:
        def limited(self: Trainer, *batch: Any) -> None:
            if limit and self.step == limit:
                raise Stopped
            step(self, *batch)

        monkeypatch.setattr(Trainer, "train_step", limited)

    return arrange


def run_to_the_end(config: VAEConfig, folder: Path, stops: list[int], stop_after: Callable[[int], None]) -> list[int]:
    """Trains with an interruption at each of `stops`; the steps at which the run was taken up again."""
    taken_up = []
    for number, stop in enumerate([*stops, 0]):
        stop_after(stop)
        state = RunFolder(folder).read_state()
        taken_up.append(state["step"] if state else 0)
        try:
            train_vae(config, folder, resume=number > 0, progress=False)
        except Stopped:
            continue
    return taken_up


@pytest.mark.parametrize("name", SCHEDULES)
def test_stopped_in_the_middle_of_an_interval(
    name: str, make_config: MakeConfig, outcome: Outcome, stop_after: Callable[[int], None], tmp_path: Path
) -> None:
    straight = make_config(max_steps=24, **SCHEDULES[name])
    train_vae(straight, tmp_path / "straight", progress=False)
    every_step = replace(straight, fit=replace(straight.fit, save_minutes=0))
    taken_up = run_to_the_end(every_step, tmp_path / "stopped", [3, 11, 23], stop_after)
    assert taken_up == [0, 3, 11, 23]
    assert outcome(tmp_path / "stopped") == outcome(tmp_path / "straight")


def test_plateau_run_lowers_its_rate(make_config: MakeConfig, tmp_path: Path) -> None:
    """Without this the comparison above would not see a schedule whose state is lost."""
    result = train_vae(make_config(max_steps=24, **SCHEDULES["plateau"]), tmp_path, progress=False)
    rates = [record["rate"] for record in result.records]
    assert rates[-1] < 0.2 * rates[0]


def test_stopped_between_checkpoints(
    make_config: MakeConfig, outcome: Outcome, finished_run: Path, stop_after: Callable[[int], None], tmp_path: Path
) -> None:
    taken_up = run_to_the_end(make_config(), tmp_path / "run", [7, 19, 35], stop_after)
    assert taken_up == [0, 0, 10, 30]
    assert outcome(tmp_path / "run") == outcome(finished_run)


def test_early_stop_counts_on_over_interruptions(
    make_config: MakeConfig, outcome: Outcome, stop_after: Callable[[int], None], tmp_path: Path
) -> None:
    fit = {"max_steps": 400, "validate_every": 2, "learning_rate": 0.2, "warmup_steps": 0, "stop_after": 4}
    config = make_config(**fit, schedule="constant", save_minutes=0)
    straight = train_vae(config, tmp_path / "straight", progress=False)
    assert 8 <= straight.steps < 400
    values = [record["validation/total"] for record in straight.records]
    assert values.index(min(values)) == len(values) - 1 - 4 and straight.best == min(values)
    run_to_the_end(config, tmp_path / "stopped", [straight.steps - 5, straight.steps - 1], stop_after)
    assert outcome(tmp_path / "stopped") == outcome(tmp_path / "straight")


COMMAND = """
from graphnas.cli import main
sys.exit(main({words!r}))
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
DIE_BEFORE_RENAMING = """
import signal
from pathlib import Path
def die(self, target):
    if str(target).endswith({name!r}):
        os.kill(os.getpid(), signal.SIGKILL)
    return os.replace(self, target)
Path.replace = die
"""


def words_of(config: VAEConfig, folder: Path) -> list[str]:
    """The command line of a run."""
    model = [f"--model_args.{name}={value}" for name, value in config.model_args.items()]
    fit = [f"--fit.{name}={value}" for name, value in asdict(config.fit).items() if value != getattr(FitConfig, name)]
    data = ["--space=toy", f"--data.num_graphs={config.data.num_graphs}"]
    return ["train", "vae", f"--out={folder}", "--quiet", *data, *model, *fit]


def test_killed_again_and_again(
    make_config: MakeConfig, outcome: Outcome, finished_run: Path, start: Callable[..., Any], tmp_path: Path
) -> None:
    """SIGKILL in the middle of every kind of file, between files, and at random moments."""
    folder = tmp_path / "run"
    first = COMMAND.format(words=words_of(make_config(), folder))
    again = COMMAND.format(words=["train", "vae", f"--resume={folder}"])
    deaths = [
        first.replace("from", DIE_WHILE_WRITING.format(name="config.yaml", number=1) + "from", 1),
        DIE_WHILE_WRITING.format(name="best.safetensors", number=1) + first,
        DIE_WHILE_WRITING.format(name="last.ckpt", number=2) + again,
        DIE_BEFORE_RENAMING.format(name="last.ckpt") + again,
        DIE_WHILE_WRITING.format(name="metrics.jsonl", number=1) + again,
        DIE_WHILE_WRITING.format(name="best.safetensors", number=2) + again,
        DIE_WHILE_WRITING.format(name="last.safetensors", number=1) + again,
    ]
    steps = []
    for source in deaths:
        assert start(source).wait() == -signal.SIGKILL
        assert list(folder.glob(".*.partial")), "it was not killed while writing"
        state = RunFolder(folder).read_state()
        steps.append(state["step"] if state else 0)
    assert steps == [0, 0, 10, 10, 10, 20, 40]
    last = start(again)
    assert last.wait() == 0, last.err.read_text()
    assert f"{folder} goes on from step 40" in last.err.read_text()
    assert outcome(folder) == outcome(finished_run)


def test_killed_at_random_moments(
    make_config: MakeConfig, outcome: Outcome, finished_run: Path, start: Callable[..., Any], tmp_path: Path
) -> None:
    folder, random = tmp_path / "run", Random(0)
    moments = sorted(random.uniform(0.05, 1.0) for _ in range(6))  # the first comes before the fastest machine is done
    config = make_config(save_minutes=0)
    train = COMMAND.format(words=words_of(config, folder))
    again = COMMAND.format(words=["train", "vae", f"--resume={folder}"])
    killed = 0
    for moment in moments:
        started = start(again if (folder / "last.ckpt").exists() else train)
        if started.wait(moment) is None:
            started.process.kill()
            killed += started.wait() == -signal.SIGKILL
    assert killed >= 1, "the processes were too fast to be killed"
    train_vae(config, folder, resume=(folder / "last.ckpt").exists(), progress=False)
    assert outcome(folder) == outcome(finished_run)


FILL_THE_DISK = """
import resource
from graphnas.train.trainer import Trainer
def step(self, *batch, step=Trainer.train_step):
    if self.step == 25:
        resource.setrlimit(resource.RLIMIT_FSIZE, (15_000, 15_000))
    step(self, *batch)
Trainer.train_step = step
"""


def test_full_disk_is_one_line_and_leaves_what_was_there(
    make_config: MakeConfig, outcome: Outcome, finished_run: Path, start: Callable[..., Any], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    words = words_of(make_config(), folder)
    full = start(FILL_THE_DISK + COMMAND.format(words=words))
    assert full.wait() == 2
    lines = [line for line in full.err.read_text().splitlines() if not line.startswith("step ")]
    assert len(lines) == 1 and lines[0].startswith(f"graphnas: could not write {folder}/"), lines
    assert "File too large" in lines[0] and "unchanged" in lines[0]
    assert RunFolder(folder).read_state()["step"] == 20  # type: ignore[index]
    assert not list(folder.glob(".*"))
    assert main(["train", "vae", f"--resume={folder}", "--quiet"]) == 0
    assert outcome(folder) == outcome(finished_run)


def test_resume_of_a_finished_run_changes_nothing(
    finished_run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished_run, folder)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}
    with caplog.at_level(logging.INFO):
        assert main(["train", "vae", f"--resume={folder}"]) == 0
    assert f"{folder} is finished, nothing to do after step 40" in caplog.text
    assert capsys.readouterr().out.splitlines()[-1].split()[0] == "40"
    after = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}
    assert before == after


def test_a_finished_run_that_lost_a_file_is_not_trained_again(finished_run: Path, tmp_path: Path) -> None:
    """Its weights stay as they are: nobody asked for others."""
    for number, (lost, told) in enumerate(
        [("last.ckpt", "cannot be continued without it"), ("best.safetensors", "though the run is finished")]
    ):
        run = tmp_path / str(number)
        shutil.copytree(finished_run, run)
        (run / lost).unlink()
        weights = (run / "last.safetensors").read_bytes()
        with pytest.raises(MissingData, match=f"{lost} is missing.*{told}"):
            train_vae(read_vae_config(run), run, resume=True, progress=False)
        assert (run / "last.safetensors").read_bytes() == weights


def test_another_config_is_refused_by_name(make_config: MakeConfig, finished_run: Path) -> None:
    config = make_config(learning_rate=0.5)
    with pytest.raises(CheckpointMismatch, match=r"fit.learning_rate was 0.001 and is now 0.5"):
        train_vae(config, finished_run, resume=True)
    config = make_config()
    config.model_args["rounds"] = 1
    with pytest.raises(CheckpointMismatch, match=r"model_args.rounds was None and is now 1"):
        train_vae(config, finished_run, resume=True)


def test_another_config_is_refused_by_the_command(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], one_line: Callable[[str], str]
) -> None:
    assert main(["train", "vae", f"--resume={finished_run}", "--fit.max_steps=80"]) == 2
    assert "not --fit.max_steps" in one_line(capsys.readouterr().err)
    folder = tmp_path / "run"
    shutil.copytree(finished_run, folder)
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text.replace("node_dim: 8", "node_dim: 12"))
    assert main(["train", "vae", f"--resume={folder}"]) == 2
    assert "checkpoint is of another model" in one_line(capsys.readouterr().err)


def test_config_of_an_earlier_version_resumes(finished_run: Path, tmp_path: Path) -> None:
    """An option that did not exist then has its default."""
    folder = tmp_path / "run"
    shutil.copytree(finished_run, folder)
    lines = (folder / "config.yaml").read_text().splitlines(keepends=True)
    (folder / "config.yaml").write_text("".join(line for line in lines if "compile" not in line))
    assert train_vae(read_vae_config(folder), folder, resume=True).steps == 40


@pytest.mark.parametrize("key", ["cpu_seconds", "sums", "optimizer", "rng", "warmup"])
def test_state_of_another_version_is_refused(key: str, finished_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished_run, folder)
    state = torch.load(folder / "last.ckpt", weights_only=True)
    del state[key]
    torch.save(state, folder / "last.ckpt")
    with pytest.raises(CheckpointMismatch, match=f"version of graphnas.*{key}"):
        train_vae(read_vae_config(folder), folder, resume=True)


def test_without_resume_a_run_is_never_overwritten(make_config: MakeConfig, finished_run: Path) -> None:
    before = {path: path.read_bytes() for path in finished_run.rglob("*") if path.is_file()}
    with pytest.raises(GraphnasError, match="already holds a run: pass --resume"):
        train_vae(make_config(), finished_run)
    assert before == {path: path.read_bytes() for path in finished_run.rglob("*") if path.is_file()}


def test_what_a_killed_process_left_is_cleared(make_config: MakeConfig, tmp_path: Path) -> None:
    litter = tmp_path / ".last.ckpt.abcd1234.partial"
    litter.write_bytes(b"half a file")
    mine = tmp_path / ".notes"
    mine.write_text("the user's")
    train_vae(make_config(max_steps=1), tmp_path, progress=False)
    assert not litter.exists() and mine.exists()
