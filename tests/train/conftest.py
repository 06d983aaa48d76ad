"""Small runs on the toy space."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from graphnas.train import DataConfig, FitConfig, VAEConfig
from graphnas.train.vae import train_vae


@pytest.fixture(scope="session")
def make_config() -> Callable[..., VAEConfig]:
    """A run of a second: 40 steps of a narrow SVGE on 200 toy graphs; keywords go to FitConfig."""

    def make(**fit: Any) -> VAEConfig:
        sizes = {"max_steps": 40, "batch_size": 32, "validate_every": 10, "warmup_steps": 5, "device": "cpu"}
        model = {"node_dim": 8, "latent_dim": 4, "noise_scale": 1.0}
        return VAEConfig("svge", model, DataConfig("toy", num_graphs=200), FitConfig(**{**sizes, **fit}))

    return make


@pytest.fixture(scope="session")
def finished_run(make_config: Callable[..., VAEConfig], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run that was never interrupted; tests that change it work on a copy."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    train_vae(make_config(), folder, progress=False)
    return folder


@pytest.fixture(scope="session")
def outcome() -> Callable[[Path], dict[str, Any]]:
    """All a run leaves behind that must not depend on interruptions: weights, optimizer, schedule, metrics."""

    def read(folder: Path) -> dict[str, Any]:
        state = torch.load(folder / "last.ckpt", weights_only=True)
        records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        for timed in (state, *state["records"], *records):
            del timed["seconds"], timed["cpu_seconds"]
        files = {name: (folder / f"{name}.safetensors").read_bytes() for name in ("best", "last")}
        left = sorted(path.name for path in folder.iterdir())
        return {"state": plain(state), "records": records, "files": files, "names": left}

    return read


def plain(value: Any) -> Any:
    """Tensors as bytes, so that == compares bit for bit."""
    if isinstance(value, torch.Tensor):
        return value.dtype, tuple(value.shape), value.contiguous().numpy().tobytes()
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list | tuple) else value


@pytest.fixture
def one_line() -> Callable[[str], str]:
    """What `graphnas: ` says in the only line of a stderr."""

    def read(stderr: str) -> str:
        lines = stderr.splitlines()
        assert len(lines) == 1 and lines[0].startswith("graphnas: "), stderr
        return lines[0].removeprefix("graphnas: ")

    return read


@pytest.fixture(scope="session")
def is_root() -> bool:
    """Root may write where the permissions say no."""
    return os.geteuid() == 0
