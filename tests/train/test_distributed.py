"""Several processes do what one does: the same batches, the same weights, one writer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from socket import socket
from typing import Any

import pytest
from safetensors.torch import load_file

from graphnas.run_folder import RunFolder
from graphnas.train import VAEConfig
from graphnas.train.vae import train_vae

Pair = Callable[..., list[Any]]
TRAIN = """
from graphnas.cli import main
sys.exit(main({words!r}))
"""
DIE = """
import signal
from graphnas.run_folder import RunFolder
def write(self, state, write=RunFolder.write_state):
    if state["step"] == {step}:
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, state)
RunFolder.write_state = write
"""


@pytest.fixture
def pair(start: Callable[..., Any]) -> Pair:
    """Starts the same source as two processes that find each other, as torchrun does."""

    def begin(source: str) -> list[Any]:
        with socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        shared |= {"TORCHELASTIC_RUN_ID": "test", "GROUP_RANK": "0"}
        return [start(source, RANK=rank, LOCAL_RANK=rank, **shared) for rank in ("0", "1")]

    return begin


def words_of(config: VAEConfig, folder: Path) -> list[str]:
    model = [f"--model_args.{name}={value}" for name, value in config.model_args.items()]
    fit = [f"--fit.{name}={value}" for name, value in vars(config.fit).items()]
    return [
        "train",
        "vae",
        f"--out={folder}",
        "--space=toy",
        f"--data.num_graphs={config.data.num_graphs}",
        *model,
        *fit,
    ]


def largest_difference(one: Path, other: Path) -> float:
    a, b = load_file(one), load_file(other)
    assert a.keys() == b.keys()
    return max(float((a[name] - b[name]).abs().max()) for name in a)


def test_two_processes_equal_one(pair: Pair, make_config: Callable[..., VAEConfig], tmp_path: Path) -> None:
    config = make_config(max_steps=12, validate_every=4)
    config.model_args["noise_scale"] = 0.0
    alone = train_vae(config, tmp_path / "alone", progress=False)
    processes = pair(TRAIN.format(words=words_of(config, tmp_path / "pair")))
    assert [process.wait() for process in processes] == [0, 0], processes[0].err.read_text()
    for name in ("best", "last"):
        assert largest_difference(tmp_path / f"alone/{name}.safetensors", tmp_path / f"pair/{name}.safetensors") < 1e-5
    records = RunFolder(tmp_path / "pair").read_records()
    for one, two in zip(alone.records, records, strict=True):
        assert {name: value for name, value in two.items() if "seconds" not in name} == pytest.approx(
            {name: value for name, value in one.items() if "seconds" not in name}, abs=1e-4
        )
    assert sorted(path.name for path in (tmp_path / "pair").iterdir()) == sorted(
        path.name for path in (tmp_path / "alone").iterdir()
    )
    assert len(list((tmp_path / "pair" / "tensorboard").iterdir())) == 1
    first, second = ((process.out.read_text(), process.err.read_text()) for process in processes)
    assert first[0].startswith("step") and "run folder" in first[1]
    assert second[0] == "" and "step " not in second[1] and "run folder" not in second[1]


def test_processes_draw_different_noise_and_resume_it(
    pair: Pair, make_config: Callable[..., VAEConfig], outcome: Callable[[Path], Any], tmp_path: Path
) -> None:
    """A run of two processes that is killed and resumed ends where an uninterrupted one does, bit for bit."""
    config = make_config(max_steps=8, validate_every=4)
    straight = pair(TRAIN.format(words=words_of(config, tmp_path / "straight")))
    assert [process.wait() for process in straight] == [0, 0]
    killed = pair(DIE.format(step=8) + TRAIN.format(words=words_of(config, tmp_path / "killed")))
    assert killed[0].wait() == -signal.SIGKILL
    killed[1].process.kill()
    killed[1].wait()
    assert RunFolder(tmp_path / "killed").read_state()["step"] == 4  # type: ignore[index]
    again = pair(TRAIN.format(words=["train", "vae", f"--resume={tmp_path / 'killed'}"]))
    assert [process.wait() for process in again] == [0, 0], again[0].err.read_text()
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "straight")
    train_vae(config, tmp_path / "alone", progress=False)
    assert largest_difference(tmp_path / "alone/last.safetensors", tmp_path / "straight/last.safetensors") > 1e-5


def test_a_batch_that_cannot_be_shared_is_refused(
    pair: Pair, make_config: Callable[..., VAEConfig], tmp_path: Path
) -> None:
    processes = pair(TRAIN.format(words=words_of(make_config(batch_size=33), tmp_path / "run")))
    assert [process.wait() for process in processes] == [2, 2]
    for process in processes:
        assert "graphnas: batch_size 33 cannot be shared evenly by 2 processes" in process.err.read_text()
    assert not (tmp_path / "run" / "last.ckpt").exists()


@pytest.mark.slow
def test_torchrun(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-P",
        "-m",
        "torch.distributed.run",
        "--nproc-per-node=2",
        "--standalone",
        "-m",
        "graphnas",
    ]
    words = ["train", "vae", "--space=toy", "--quick", "--device=cpu", f"--out={tmp_path / 'run'}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = subprocess.run([*command, *words], capture_output=True, text=True, env=environment, timeout=240)
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("validation") == 0 and run.stdout.count("exact") == 1
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [25, 50]
    assert records[1]["validation/total"] < records[0]["train/total"]
    again = subprocess.run([*command, *words], capture_output=True, text=True, env=environment, timeout=240)
    assert again.returncode != 0 and "already holds a run" in again.stderr
