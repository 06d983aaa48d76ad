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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("embed.py --space darts", "unknown pretrained model 'svge_darts'"),
        ("neighbours.py --arch foo", "(got 'foo')"),
        ("train_svge.py --space darts", "cannot be enumerated"),
        ("train_svge.py --space foo", "unknown search space 'foo'"),
        ("finetune.py --labels 3", "at least 5 labelled architectures (got 3)"),
        ("callable_oracle.py --queries 0", "expected at least 1 query"),
        ("projector.py --count 0", "expected codes [B >= 1, Z]"),
    ],
)
def test_wrong_arguments_end_with_one_line(
    words: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, *arguments = words.split()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    assert said in str(stop.value) and "\n" not in str(stop.value)


@pytest.mark.parametrize("name", ["embed.py", "finetune.py"])
def test_models_without_weights_are_refused(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [name, "--model", "mlp"])
    with pytest.raises(SystemExit):
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    assert "argument --model: invalid choice: 'mlp'" in capsys.readouterr().err
