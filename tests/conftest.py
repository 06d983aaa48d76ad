"""Fixtures every test may use, among them real processes that cost a fork instead of an import."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)

PRELOADED = [
    *(f"graphnas.commands.{name}" for name in ("train_cli", "evaluate_cli", "network_cli", "bo_cli")),
    "lightning_fabric", "sklearn.datasets", "botorch.fit", "matplotlib.backends.backend_agg",
]  # fmt: skip
"""The commands, and what they import only once they are at work."""

PRELUDE = """
import os, sys
os.environ.update({environment!r})
for number, name in ((1, {out!r}), (2, {err!r})):
    os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
import torch
torch.set_num_threads(1)
"""


@dataclass
class Started:
    """A running process, and where its two streams go."""

    process: BaseProcess
    out: Path
    err: Path

    def wait(self, seconds: float | None = 60) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        self.process.join(seconds)
        return self.process.exitcode


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Started]:
    """Runs Python source in a process of its own, forked from one that has imported what training needs."""
    context = get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)

    def begin(source: str, **environment: str) -> Started:
        folder = tmp_path_factory.mktemp("process")
        out, err = folder / "stdout", folder / "stderr"
        prelude = PRELUDE.format(environment=environment, out=str(out), err=str(err))
        process = context.Process(target=exec, args=(prelude + source, {}))
        process.start()
        return Started(process, out, err)

    return begin


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real labels, which are not part of the project; tests that need them skip where they are absent."""
    folder = Path(os.environ.get("GRAPHNAS_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
    if not (folder / "nb101_sample.csv.gz").exists():
        pytest.skip(f"real labels are not at {folder}: set GRAPHNAS_TEST_DATA")
    return folder


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Caches of tests live in one folder per test run, never in the user's home."""
    home = tmp_path_factory.getbasetemp() / "graphnas-home"
    monkeypatch.setenv("GRAPHNAS_HOME", str(home))
