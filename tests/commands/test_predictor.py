"""`graphnas train predictor`, `evaluate predictor`, `predict` and `leaderboard predictor`."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from graphnas.cli import main
from graphnas.spaces import get_space
from graphnas.testing import seeded

TRAIN = ["train", "predictor", "--space", "nb201", "--labels", "digits201", "--model", "gin", "--num_labels", "60"]


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("predictor") / "one"
    assert main([*TRAIN, "--epochs", "20", "--members", "2", "--validation", "0.2", "--out", str(folder)]) == 0
    return folder


def test_options_go_over_the_recipe(predictor: Path) -> None:
    content = json.loads((predictor / "predictor.json").read_text())
    settings = content["settings"]
    assert settings["epochs"] == 20 and settings["members"] == 2  # said here
    assert settings["loss"] == "mse" and settings["learning_rate"] == 0.005  # said by the recipe
    assert -1 <= content["held_out"]["kendall"] <= 1


def test_evaluation_leaves_out_what_was_learned(predictor: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "predictor", str(predictor)]) == 0
    assert "kendall" in capsys.readouterr().out
    result = json.loads((predictor / "evaluation.json").read_text())
    assert result["labels"] == "digits201" and 4000 < result["count"] <= 4870
    assert (predictor / "predicted.png").read_bytes().startswith(b"\x89PNG")


def test_a_file_is_ranked(predictor: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = get_space("nb201")
    texts = space.format(space.sample(7, seeded(0)))
    lines, table, out = tmp_path / "a.txt", tmp_path / "a.csv", tmp_path / "ranked.csv"
    lines.write_text("\n".join(texts) + "\n\n")
    with table.open("w", newline="") as stream:
        csv.writer(stream).writerows([["name", "arch"], *(["x", text] for text in texts)])
    found = []
    for source in (lines, table):
        assert main(["predict", str(predictor), str(source), "--out", str(out)]) == 0
        found.append(list(csv.DictReader(out.read_text().splitlines())))
    assert found[0] == found[1] and sorted(row["arch"] for row in found[0]) == sorted(texts)
    scores = [float(row["prediction"]) for row in found[0]]
    assert scores == sorted(scores, reverse=True) and all(float(row["std"]) > 0 for row in found[0])
    assert capsys.readouterr().out.count("|") > 7


def test_a_whole_space_is_ranked(predictor: Path, tmp_path: Path) -> None:
    assert main(["predict", str(predictor), "all", "--out", str(tmp_path / "r.csv")]) == 0
    assert len((tmp_path / "r.csv").read_text().splitlines()) == 15_626


GOOD, BAD = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", "|none~0|+|none~0|nix~1|+|none~0|none~1|none~2|"
OTHER = "|skip_connect~0|+|none~0|none~1|+|none~0|none~1|none~2|"


def cells(*values: str) -> str:
    space = get_space("nb201")
    texts = space.format(space.enumerate()[: len(values)])
    return "arch,score\n" + "".join(f"{text},{value}\n" for text, value in zip(texts, values, strict=True))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"arch,score\n{GOOD},1\n{BAD},2\n", "line 3 is not in nb201"),
        (f"arch,score\n{GOOD},1\n{OTHER},0\n{GOOD},2\n", "lines 2 and 4 give other"),
        (f"arch,score\n{GOOD},1\n{OTHER},high\n", "line 3: score is a number or empty"),
        (cells(*"11111111"), "labels must differ"),
        (cells(*"123"), "at least 5"),
        (f"arch\n{GOOD}\n", "a .csv"),
        ("", "a .csv"),
    ],
)
def test_bad_labels_are_one_line_and_leave_nothing(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "my.csv", tmp_path / "out"
    path.write_text(text)
    words = ["train", "predictor", "--labels", str(path), "--space", "nb201", "--model", "gin", "--held_out", "0"]
    assert main([*words, "--quick", "--out", str(out)]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert message in error[-1] and not out.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["predict", "nowhere", "all"], "no predictor in nowhere"),
        (["evaluate", "predictor", "nowhere"], "no predictor in nowhere"),
        (["train", "predictor", "--model", "gins"], "gin"),
        (["train", "predictor", "--held_out", "1"], "held_out"),
        (["train", "predictor", "--space", "darts"], "no labels of darts"),
        (["train", "predictor", "--loss", "hunge"], "hinge"),
        (["leaderboard", "predictor", "--models", "nothing"], "no predictor is called nothing"),
        (["leaderboard", "predictor", "--labels", "nb201"], "expected SPACE=VALUE"),
        (["leaderboard", "predictor", "--report"], "no finished fit"),
        (["leaderboard", "predictor", "--report", "--sizes", "40", "78"], "no finished fit"),
    ],
)
def test_bad_input_is_one_line(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert message in capsys.readouterr().err.strip().splitlines()[-1]


def test_unknown_architectures_to_rank_are_named(
    predictor: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.txt"
    path.write_text(f"{GOOD}\n\n{BAD}\n")
    assert main(["predict", str(predictor), str(path), "--out", str(tmp_path / "r.csv")]) == 2
    assert "line 3 is not in nb201" in capsys.readouterr().err and not (tmp_path / "r.csv").exists()


def test_leaderboard_goes_on_where_it_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["leaderboard", "predictor", "--spaces", "nb201", "--models", "gin", "ridge", "--quick"]
    assert main([*words, "--seeds", "1", "--out", str(tmp_path)]) == 0
    first = {path: path.stat().st_mtime_ns for path in (tmp_path / "results").glob("*.json")}
    assert len(first) == 2
    assert main([*words, "--seeds", "2", "--out", str(tmp_path)]) == 0
    assert all(path.stat().st_mtime_ns == when for path, when in first.items())
    text = (tmp_path / "predictors.md").read_text()
    assert "| gin |" in text and "| ridge |" in text and "label noise alone" in text
    assert len((tmp_path / "predictors.csv").read_text().splitlines()) == 5
    assert next(tmp_path.glob("*.png")).read_bytes().startswith(b"\x89PNG")
    capsys.readouterr()
    damaged = next(iter(first))
    damaged.write_text("{")
    assert main([*words, "--report", "--out", str(tmp_path)]) == 2
    assert "is damaged" in capsys.readouterr().err
