"""Fixtures every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)


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
