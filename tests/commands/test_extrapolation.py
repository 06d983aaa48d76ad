"""`graphnas evaluate extrapolation`: rows, resuming, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from graphnas.cli import main
from tests.bo.searches import write_labels

WORDS = ["evaluate", "extrapolation", "--parts", "ranking", "--space", "toy", "--most_nodes", "4", "--labels", "toy"]


def test_ranking_on_the_toy_space(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*WORDS, "--encoders", "svae", "--predictors", "gates", "--vae_steps", "4", "--num_labels", "40"]
    words += ["--quick", "--out", str(tmp_path)]
    assert main(words) == 0
    report = capsys.readouterr().out
    assert "Ranking 744 larger cells by 40 labels of toy_4" in report
    assert "codes of svae, gp" in report and "weights per place: encoder.gru.weight_ih" in report
    results = sorted((tmp_path / "results").glob("*.json"))
    times = [path.stat().st_mtime_ns for path in results]
    assert len(results) == 11 and json.loads(results[0].read_text())["seed"] == 0
    assert main(words) == 0
    assert [path.stat().st_mtime_ns for path in results] == times
    text, settings = (tmp_path / "extrapolation.md").read_text().split("\n\nThe last command's settings:\n\n")
    assert text.strip() == report.strip()
    assert '"labels": "toy"' in settings and '"quick": true' in settings and '"vae_steps": 4' in settings


def test_decoders_go_on_in_the_toy_space(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--parts", "generate", "--encoders", "svge", "--vae_steps", "4", "--quick", "--out", str(tmp_path)]
    assert main([*WORDS, *words]) == 0
    report = capsys.readouterr().out
    assert "| svge | toy_4 | toy | masked, larger | 100.0 | 100.0 | 100.0 |" in report
    assert "| svge | toy_4 | toy_6 | unmasked |" in report and "svge to toy |" in report


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--parts", "weather"], "must be of"),
        (["--seeds", "0"], "--seeds must be at least 1"),
        (["--encoders", "resnet"], "unknown vae 'resnet'"),
        (["--most_nodes", "5"], "and of more"),
        (["--labels", "nowhere.csv"], "nowhere.csv"),
        (["--report"], "no finished result"),
        (["--parts", "ranking", "pools", "--scorers", "nix"], "unknown scorer 'nix'"),
        (["--parts", "layers"], "pass --layer_labels FILE"),
        (["--parts", "transfer"], "pass --source_labels FILE"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main([*WORDS, "--out", str(tmp_path / "out"), *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_results_of_other_labels_are_not_used_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels, out = write_labels(tmp_path / "toy.csv"), str(tmp_path / "out")
    words = [
        "evaluate",
        "extrapolation",
        "--space=toy",
        "--most_nodes=4",
        "--quick",
        "--parts",
        "ranking",
        "--encoders",
    ]
    words += ["--predictors", "--labels", str(labels), "--out", out]
    assert main([*words, "--metric=score"]) == 0
    before = (tmp_path / "out" / "extrapolation.md").stat().st_mtime_ns, capsys.readouterr().out
    assert main([*words, "--metric=error"]) == 2
    after = capsys.readouterr()
    assert "choose another --out" in after.err.splitlines()[-1]
    assert not after.out and (tmp_path / "out" / "extrapolation.md").stat().st_mtime_ns == before[0]
