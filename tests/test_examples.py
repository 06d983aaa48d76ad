"""Every example runs."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
QUICK = {
    "train_svge.py": (["--steps", "20"], "valid among 200 random decodes: 100%"),
    "embed.py": ([], "given back exactly: 100.0% of 500"),
    "neighbours.py": (["--count", "3"], "spread of accuracy among them: 0."),
    "finetune.py": (["--labels", "30", "--epochs", "3"], "from shipped weights: Kendall's tau 0."),
    "callable_oracle.py": (["--queries", "13"], "best of 13: 0."),
    "projector.py": (["--count", "9"], "9 codes with pictures"),
}
"""Example -> arguments that make it short, and what it ends up saying."""


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_example(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, said = QUICK[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    assert said in capsys.readouterr().out
