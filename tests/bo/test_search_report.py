"""Files of one search against its history."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest

from graphnas.bo.search import Evaluation, History
from graphnas.bo.search_report import front_rows, ranked, top_rows, write_search_report
from graphnas.bo.setting import Setting
from tests.bo.searches import MODEL, SPACE, config, score, write_labels


def found(count: int, optimum: float = 0.0) -> History:
    """Every twentieth architecture of the space with its score, less that of the optimum; the third of them failed."""
    archs = SPACE.enumerate()[::20][:count]
    pairs = zip(SPACE.format(archs), (score(archs) - optimum).tolist(), strict=True)
    rows = [Evaluation(text, value, value / 2, 1.0, "") for text, value in pairs]
    rows[2] = rows[2]._replace(value=math.nan, test=math.nan, error="no memory")
    return History(rows)


def read(path: Path) -> list[dict[str, str]]:
    with path.open() as stream:
        return list(csv.DictReader(stream))


def test_the_best_come_first(tmp_path: Path) -> None:
    history, setting = found(12), Setting(config())
    rows = top_rows(setting, history, 4)
    values = sorted((one.value for one in history.evaluations if not one.error), reverse=True)
    assert [row["score"] for row in rows] == values[:4] and len(ranked(history)) == 11
    assert list(rows[0]) == ["score", "architecture"]
    labels = str(write_labels(tmp_path / "toy.csv"))
    tested = Setting(config(oracle={"labels": labels, "metric": "score", "test_metric": "test"}))
    assert top_rows(tested, history, 1)[0]["test"] == values[0] / 2
    untested = History([one._replace(test=math.nan) for one in history.evaluations])
    assert list(top_rows(tested, untested, 1)[0]) == ["score", "architecture"]


@pytest.mark.parametrize("model", [None, MODEL], ids=["no model", "model"])
def test_files_of_a_search(model: object, tmp_path: Path) -> None:
    history, setting = found(12), Setting(config(), MODEL if model else None)
    paths = write_search_report(setting, history, tmp_path)
    names = ["evaluations.csv", "curve.png", "best.png", *(["latent.png"] if model else [])]
    assert [path.name for path in paths] == names and all(path.stat().st_size for path in paths)
    rows = read(tmp_path / "evaluations.csv")
    assert [row["architecture"] for row in rows] == [one.arch for one in history.evaluations]
    assert (rows[2]["score"], rows[2]["failure"]) == ("", "no memory")
    assert [float(row["score"]) for row in rows if row["score"]] == [
        one.value for one in history.evaluations if not one.error
    ]


@pytest.mark.parametrize("falling", [False, True])
def test_the_front_is_what_nothing_is_better_than(falling: bool, tmp_path: Path) -> None:
    metric = "error" if falling else "score"
    oracle = {"labels": str(write_labels(tmp_path / "toy.csv")), "metric": metric}
    setting = Setting(config(cost="params", oracle=oracle | {"minimise": falling}))
    history = found(39, 1.0 if falling else 0.0)  # where lower is better a search is told minus the error, score - 1
    paths = write_search_report(setting, history, tmp_path)
    assert [path.name for path in paths] == ["evaluations.csv", "curve.png", "best.png", "front.png", "front.csv"]
    good = [one for one in history.evaluations if not one.error]
    texts = [one.arch for one in good]
    cost = dict(zip(texts, SPACE.cost(SPACE.parse(texts))["params"].tolist(), strict=True))
    expected = {
        one.arch
        for one in good
        if not any(
            other.value >= one.value and cost[other.arch] <= cost[one.arch]
            and (other.value, cost[other.arch]) != (one.value, cost[one.arch])
            for other in good
        )
    }  # fmt: skip
    rows = read(tmp_path / "front.csv")
    assert {row["architecture"] for row in rows} == expected and 2 <= len(expected) < len(good)
    costs, values = ([float(row[name]) for row in rows] for name in ("network_params", metric))
    assert costs == sorted(costs) == [cost[row["architecture"]] for row in rows]
    assert values == sorted(values, reverse=falling) and min(values) > 0
    shown = {row["architecture"]: row[metric] for row in read(tmp_path / "evaluations.csv")}
    assert all(float(shown[row["architecture"]]) == float(row[metric]) for row in rows)
    assert (tmp_path / "front.png").stat().st_size > 3000


def test_nothing_but_failures(tmp_path: Path) -> None:
    history = History([Evaluation(SPACE.format(SPACE.enumerate()[:1])[0], math.nan, math.nan, 0.0, "e")])
    setting = Setting(config(cost="flops"))
    assert [path.name for path in write_search_report(setting, history, tmp_path)] == ["evaluations.csv"]
    assert front_rows(setting, history) == [] == top_rows(setting, history, 3)
