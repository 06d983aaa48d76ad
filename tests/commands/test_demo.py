"""`graphnas demo`: the quick story whole, and what its chapters say."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest

from graphnas.bo import Evaluation, History
from graphnas.bo.regret import regret_curves
from graphnas.cli import main
from graphnas.commands.demo import fresh_folder
from graphnas.commands.demo_search import find_winner
from graphnas.commands.demo_winner import Training, training_rows, winner_chapter


def history(*values: float) -> History:
    return History(
        [Evaluation(f"cell {value}", value, value, 0.0, "failed" if math.isnan(value) else "") for value in values]
    )


def test_quick_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "demo"
    assert main(["demo", "--quick", f"--out={folder}"]) == 0
    report = (folder / "report.md").read_text()
    chapters = [line[3:] for line in report.splitlines() if line.startswith("## ")]
    assert [chapter[0] for chapter in chapters] == ["1", "2", "3", "4"] and "digits201" in chapters[2]
    pictures = re.findall(r"\]\((\S+\.png)\)", report)
    assert len(pictures) == 8 and all((folder / picture).is_file() for picture in pictures)
    assert json.loads((folder / "evaluation.json").read_text())["validity_masked"] == 1.0
    winner = json.loads((folder / "winner.json").read_text())
    again, new = winner["trainings"]
    assert f"`{winner['arch']}`" in report and winner["arch"].startswith("|")
    assert again["test"] == pytest.approx(again["table_test"], abs=0.02) and new["table_test"] is None
    assert "0    " in capsys.readouterr().out


def test_a_second_demo_does_not_touch_the_first(tmp_path: Path) -> None:
    assert fresh_folder(tmp_path / "demo") == tmp_path / "demo"
    for name in ("demo", "demo-2"):
        (tmp_path / name).mkdir()
    assert fresh_folder(tmp_path / "demo") == tmp_path / "demo-3"


def test_regret_falls_to_the_optimum() -> None:
    nan = math.nan
    curves = regret_curves({"a": {0: history(nan, 0.5, nan, 0.25, 1.0)}, "b": {1: history(0.75)}}, 1.0)
    assert curves["a"][0][1:] == [0.5, 0.5, 0.5, 0.0] and math.isnan(curves["a"][0][0]) and curves["b"][1] == [0.25]


def test_the_winner_is_of_the_latent_searches() -> None:
    histories = {"latent": {0: history(0.1, 0.5), 1: history(0.6, math.nan)}, "random": {0: history(0.9)}}
    assert find_winner(histories).arch == "cell 0.6"


def test_the_chapter_on_the_winner() -> None:
    winner = Evaluation("cell", 0.9, 0.8, 0.0, "")
    trainings = [Training(0, 0.9, 0.8, 0.9, 0.75), Training(100, 0.7, 0.5, math.nan, math.nan)]
    assert list(training_rows(trainings)[1].values()) == ["100", "0.7000", "0.5000", "–", "–"]
    text = "\n".join(winner_chapter(winner, trainings))
    assert "| 0 | 0.9000 | 0.8000 | 0.9000 | 0.7500 |" in text
    assert "0.7500 in the table, 0.8000 now from the same seeds, 0.5000 from new ones." in text
