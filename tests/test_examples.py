"""Every example runs."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
QUICK = {
    "train_svge.py": (["--steps", "20"], "valid among 200 random decodes: 100%"),
    "embed.py": ([], "given back exactly: 100.0% of 500"),
    "neighbours.py": (["--count", "3"], "spread of accuracy among them: 0."),
    "finetune.py": (["--labels", "30", "--epochs", "3"], "from shipped weights: Kendall's tau 0."),
    "own_function.py": ([], "value=0.0"),
    "callable_oracle.py": (["--queries", "11"], "best of 11: 0."),
    "projector.py": (["--count", "9"], "9 codes with pictures"),
}
"""Example -> arguments that make it short, and what it ends up saying."""


@pytest.mark.parametrize("name", sorted({path.name for path in EXAMPLES.glob("*.py")} - {"own_model.py"}))
def test_example(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, said = QUICK[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    assert said in capsys.readouterr().out


def test_a_model_and_a_space_of_ones_own(tmp_path: Path) -> None:
    """In processes of their own, as what they register stays."""
    env = {**os.environ, "PYTHONPATH": str(EXAMPLES), "OMP_NUM_THREADS": "1"}
    in_command = "import own_model; from graphnas.cli import main; raise SystemExit(main())"
    words = "evaluate vae mine --quick"
    contract = """
import torch, own_model
from graphnas.models import create_model
from graphnas.testing import VAEContract, mixed_batch
torch.manual_seed(0)
model = create_model("flat", "small", hidden_dim=16, latent_dim=4)
for name in [name for name in dir(VAEContract) if name.startswith("test_")]:
    test = getattr(VAEContract(), name)
    known = {"model": model, "archs": mixed_batch(model.space), "name": "flat", "tmp_path": own_model.Path()}
    test(**{key: known[key] for key in test.__code__.co_varnames[1 : test.__code__.co_argcount]})
    print(name)
"""
    outputs = [
        subprocess.run([sys.executable, *arguments], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
        for arguments in (
            [str(EXAMPLES / "own_model.py"), "--out", "mine"],
            ["-c", in_command, *words.split()],
            ["-c", contract],
        )
    ]
    assert [one.returncode for one in outputs] == [0, 0, 0], [one.stderr[-500:] for one in outputs]
    assert float(outputs[0].stdout.splitlines()[-1].split()[1]) > 0.9
    assert "validity_masked" in outputs[1].stdout
    assert len(outputs[2].stdout.split()) >= 10


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
