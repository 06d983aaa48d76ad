"""docs/metrics.md explains every figure that is printed."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch

from graphnas.bo.board_report import COLUMNS
from graphnas.bo.smoothness import Smoothness
from graphnas.cli import main
from graphnas.train.predictor_evaluation import measure
from graphnas.train.predictor_report import DETAILS

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = (DOCS / "metrics.md").read_text()
SMOOTHNESS = [field.name for field in fields(Smoothness) if field.name != "steps"]
VAE = [column.key.partition("_masked")[0].partition("_isomorphic")[0] for column in COLUMNS]


@pytest.mark.parametrize("name", [*measure(torch.arange(9.0), torch.arange(9.0)), *DETAILS, *SMOOTHNESS, *VAE])
def test_every_figure_is_explained(name: str) -> None:
    assert f"`{name}`" in PAGE or f"`{name}…`" in PAGE


def run_page(name: str, queries: int = 12) -> dict[str, Any]:
    """What the Python code of a page leaves behind, run with fewer queries."""
    known: dict[str, Any] = {}
    parts = re.findall(r"```python\n(.*?)```", (DOCS / name).read_text(), re.DOTALL)
    assert len(parts) >= 2
    for part in parts:
        exec(re.sub(r"queries=\d+", f"queries={queries}", part), known)
    return known


def test_the_page_on_predicting_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    known = run_page("predicting.md")
    first, again, archs = (known[name] for name in ("predictor", "again", "some"))
    assert torch.equal(first.predict(archs), again.predict(archs))


def test_the_page_on_search_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    known = run_page("search.md")
    assert len(known["history"].evaluations) == 12 and len(known["two"].values) == 8 and 1 <= len(known["front"]) <= 8


COMMANDS = [
    "train predictor", "evaluate predictor", "evaluate vae", "leaderboard predictor", "leaderboard vae",
    "plot interpolate", "plot neighbourhood", "bo",
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_says_where(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([*command.split(), "--help"])
    assert "docs/metrics.md" in capsys.readouterr().out
