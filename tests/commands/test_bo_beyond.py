"""`graphnas bo --beyond`: both spaces under one budget, and one clear line for what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from graphnas import create_model, get_space, load_table
from graphnas.cli import main
from graphnas.models import save_model

QUICK = ["--queries=9", "--initial=4", "--batch_size=2", "--candidates=30", "--labels=toy"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("bo") / "svge.safetensors"
    save_model(create_model("svge", "toy_4", node_dim=16, latent_dim=6), path)
    return path


def words(weights: Path, *more: object) -> list[str]:
    return ["bo", "--space=toy_4", f"--model={weights}", *map(str, more)]


def test_a_search_goes_on_in_a_larger_space(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = words(weights, *QUICK, "--beyond=toy", "--beyond_queries=4", f"--out={tmp_path}")
    assert main(given) == 0
    out = capsys.readouterr().out
    first = out.splitlines()[-1]
    assert first.startswith("toy_4: best ") and first.count("of 5 evaluations; toy: best") == 1
    assert first.endswith("of 4 evaluations")
    own = tmp_path / "beyond" / "toy-latent-0"
    files = {path.name for path in own.iterdir()}
    assert files == {"search.json", "journal.jsonl", "candidates.csv", "evaluations.csv", "best.png"}
    journal = (own / "journal.jsonl").read_bytes()
    assert main(given) == 0 and capsys.readouterr().out == out
    assert (own / "journal.jsonl").read_bytes() == journal


def test_a_space_that_nobody_judges_is_ranked(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "small.csv"
    archs = get_space("toy_4").enumerate()
    values = load_table("toy").query(archs.widen(5), "score").tolist()
    texts = get_space("toy_4").format(archs)
    lines = [f'"{text}",{value}' for text, value in zip(texts, values, strict=True)]
    labels.write_text("\n".join(["arch,score", *lines]) + "\n")
    given = words(weights, *QUICK[:4], f"--labels={labels}", "--beyond=toy", f"--out={tmp_path / 'run'}")
    assert main(given) == 0
    out = capsys.readouterr().out
    assert "of 9 evaluations; toy: nothing evaluated, ranked by expectation only" in out
    assert "has no label of more than 4 vertices" in out and "deviation" in out


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--beyond=toy_4"], "expected a space of more than 4 vertices (got toy_4 with up to 4)"),
        (["--beyond=toy_3"], "at least 4 vertices"),
        (["--beyond=nb101"], "expected a space of toy_4's operations"),
        (["--beyond=toys"], "unknown"),
        (["--beyond=toy", "--compare"], "leave --compare out"),
        (["--beyond=toy", "--cost=params"], "leave --cost out"),
        (["--beyond=toy", "--beyond_queries=8"], "must leave at least 2 of 9 queries"),
        (["--beyond=toy", "--candidates=1"], "candidates must be at least 2"),
    ],
)
def test_what_cannot_be(
    more: list[str], message: str, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(weights, *QUICK, *more, f"--out={tmp_path}")) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and message in err
    assert not list(tmp_path.iterdir())


def test_beyond_needs_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bo", "--space=toy_4", "--method=random", "--beyond=toy", *QUICK]) == 2
    assert "--beyond decodes with a trained model: pass --model RUN" in capsys.readouterr().err
