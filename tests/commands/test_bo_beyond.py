"""`graphnas bo --beyond`: both spaces under one budget, and one clear line for what cannot be."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from graphnas import create_model, get_space, load_table
from graphnas.bo.oracles import Answer, TableOracle
from graphnas.cli import main
from graphnas.models import save_model
from graphnas.spaces import Architectures

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
        (["--beyond=nb101"], "expected a space with the operations of toy_4"),
        (["--beyond=toys"], "unknown"),
        (["--beyond=toy", "--compare"], "leave --compare out"),
        (["--beyond=toy", "--cost=params"], "leave --cost out"),
        (["--beyond=toy", "--beyond_queries=8"], "must leave at least 2 of 9 queries"),
        (["--beyond=toy", "--candidates=1"], "candidates must be at least 2"),
        (["--beyond=toy", "--beyond_acquisition=nix"], "unknown acquisition 'nix'"),
        (["--beyond=toy", "--method=nix"], "unknown search method 'nix'"),
        (["--beyond=toy", "--metric=nix"], "unknown metric 'nix'"),
        (["--beyond=toy", "--start=999"], "6 queries beside the start of 999 are more than"),
    ],
)
def test_what_cannot_be(
    more: list[str], message: str, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(weights, *QUICK, *more, f"--out={tmp_path}")) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and message in err
    assert not list(tmp_path.iterdir())


def test_the_folder_of_another_search_stays_as_it_is(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = words(weights, *QUICK, "--beyond=toy", "--beyond_queries=2", f"--out={tmp_path}")
    assert main(given) == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert main([*given, "--candidates=31"]) == 2
    error = capsys.readouterr().err
    assert "(candidates 30, now 31): choose another --out" in error and error.count("\n") == 1
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_lower_is_better_in_both_spaces(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, archs = load_table("toy"), get_space("toy").enumerate()
    labels, errors = tmp_path / "errors.csv", (1 - table.query(archs, "score").double()).tolist()
    lines = [f'"{text}",{value}' for text, value in zip(get_space("toy").format(archs), errors, strict=True)]
    labels.write_text("\n".join(["arch,error", *lines]) + "\n")
    given = [*QUICK[:4], f"--labels={labels}", "--oracle.minimise=true", "--beyond=toy", f"--out={tmp_path / 'run'}"]
    assert main(words(weights, *given)) == 0
    own = tmp_path / "run" / "beyond" / "toy-latent-0"
    found = [-json.loads(line)["value"] for line in (own / "journal.jsonl").read_text().splitlines()]
    with (own / "evaluations.csv").open() as stream:
        assert [float(row["error"]) for row in csv.DictReader(stream)] == found and min(found) > 0
    assert capsys.readouterr().out.endswith(f"toy: best {min(found):.5g} of {len(found)} evaluations\n")
    with (own / "candidates.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    expected = [float(row["expected"]) for row in rows]
    assert expected == sorted(expected) and expected[0] >= 0
    assert {float(row["error"]) for row in rows if row["error"]} == set(found)


def test_stopping_at_the_first_failure_beyond(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(oracle: TableOracle, arch: Architectures, usual: Any = TableOracle.__call__) -> Answer:
        if oracle.space.name == "toy":
            raise RuntimeError("no memory")
        return usual(oracle, arch)  # type: ignore[no-any-return]

    given = words(weights, *QUICK, "--beyond=toy", "--beyond_queries=2", f"--out={tmp_path}")
    with monkeypatch.context() as patch:
        patch.setattr(TableOracle, "__call__", answer)
        assert main([*given, "--stop_on_error"]) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith("graphnas: evaluation 1 of ") and error.endswith("failed: RuntimeError: no memory")
    assert main(given) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("of 2 evaluations, 1 of them failed")


def test_beyond_needs_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bo", "--space=toy_4", "--method=random", "--beyond=toy", *QUICK]) == 2
    assert "--beyond decodes with a trained model: pass --model RUN" in capsys.readouterr().err


def test_changed_labels_of_the_larger_space_are_refused(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Labels of the trained space have stayed: only the journal of the larger one would mix."""
    table = load_table("toy")
    texts, values = table.space.format(table.architectures), table.column("score").tolist()
    rows = [
        [text, value, int(size)] for text, value, size in zip(texts, values, table.architectures.num_nodes, strict=True)
    ]
    labels, out = tmp_path / "all.csv", tmp_path / "run"
    given = words(weights, *QUICK[:4], f"--labels={labels}", "--metric=score", "--beyond=toy", f"--out={out}")
    for shift in (0.0, 1.0):
        lines = [f'"{text}",{value + shift * (size > 4)}' for text, value, size in rows]
        labels.write_text("\n".join(["arch,score", *lines]) + "\n")
        assert main(given) == 2 * bool(shift)
    assert "by other labels, or another predictor" in capsys.readouterr().err.splitlines()[-1]
