"""Tables of the predictor leaderboard from results written by hand."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from graphnas.train.predictor_report import markdown, seeds_text, write_predictor_report


def result(model: str, num_train: int, seed: int, tau: float | None) -> dict[str, Any]:
    values = {"kendall": tau, "rmse": 10.0 + seed, "fit_seconds": 1.5}
    return {"model": model, "task": "one", "num_train": num_train, "seed": seed, "values": values}


RESULTS = [
    result("ridge", 50, 0, 0.5), result("ridge", 50, 1, 0.7), result("ridge", 100, 0, 0.75),
    result("gin", 100, 0, 0.8), result("gin", 100, 1, None),
]  # fmt: skip


def rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]


def test_the_best_at_the_most_labels_comes_first() -> None:
    head, _, first, second, noise, *details = rows(markdown(RESULTS, {"one": 0.9}))
    assert head == ["model", "50", "100", "seeds"]
    assert first == ["gin", "–", "0.800", "1"]
    assert second[0] == "ridge" and second[1].startswith("0.600 ± ") and second[2:] == ["0.750", "1–2"]
    assert noise == ["label noise alone", "0.900", "0.900", "–"]
    place = details[0].index("RMSE")
    assert [row[place] for row in details[2:]] == ["10.5 ± 6.4", "10.0"]


def test_number_of_seeds() -> None:
    assert seeds_text({50: [1.0] * 3, 100: [1.0] * 3}) == "3"
    assert seeds_text({50: [1.0] * 5, 100: [1.0] * 3, 200: [1.0] * 4}) == "3–5"


def test_files(tmp_path: Path) -> None:
    paths = write_predictor_report(tmp_path, RESULTS, {})
    assert [path.name for path in paths] == ["predictors.md", "predictors.csv", "predictors_one.png"]
    lines = list(csv.DictReader(paths[1].open()))
    assert len(lines) == 5 and [line["kendall"] for line in lines].count("") == 1
    assert "label noise" not in paths[0].read_text()


def test_no_ranking_says_so(tmp_path: Path) -> None:
    paths = write_predictor_report(tmp_path, [result("gin", 100, 0, None)], {})
    assert [path.name for path in paths] == ["predictors.md", "predictors.csv"]
    assert "No ranking: labels or predictions do not differ" in paths[0].read_text()
