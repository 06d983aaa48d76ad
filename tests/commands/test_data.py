from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from graphnas.commands import data
from graphnas.errors import DownloadFailed
from graphnas.tables import SOURCES


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHNAS_HOME", str(tmp_path / "home"))


def test_list_tells_what_is_here() -> None:
    rows = {row["name"]: row for row in data.list_data()}
    assert set(SOURCES) < set(rows)
    assert rows["toy"]["state"] == "built in"
    assert {rows[name]["state"] for name in SOURCES} == {"absent"}
    place = SOURCES["nb101"].place()
    place.parent.mkdir(parents=True)
    place.touch()
    row = next(row for row in data.list_data() if row["name"] == "nb101")
    assert (row["state"], row["path"], row["download"]) == ("official", str(place), "automatic")
    shutil.copy(place, SOURCES["nb101"].compact())
    row = next(row for row in data.list_data() if row["name"] == "nb101")
    assert row["state"] == "compact"
    json.dumps(rows)


def test_info() -> None:
    facts = data.info("toy")
    assert (facts["space"], facts["rows"], facts["budgets"], facts["runs"]) == ("toy", 787, [0], {0: [0]})
    score = facts["metrics"]["score"]
    assert (score["unit"], score["rows"], score["greatest"]) == ("fraction", {0: 787}, 1.0)
    assert score["noise"] is None and score["repeated_rows"] == 0
    json.dumps(facts)


def test_info_of_a_csv_with_repeats(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('arch,accuracy,empty\n"01/00:",1,\n"01/00:",3,\n')
    facts = data.info(path, "toy", columns=["accuracy", "empty"], repeats="runs")
    accuracy = facts["metrics"]["accuracy"]
    assert (facts["rows"], accuracy["repeated_rows"]) == (1, 1)
    assert (accuracy["least"], accuracy["greatest"], accuracy["noise"]) == (2.0, 2.0, pytest.approx(2**0.5))
    assert facts["metrics"]["empty"] == {"unit": "", "rows": {0: 0}}


def test_convert(tmp_path: Path) -> None:
    report = data.convert("toy", tmp_path / "a.npz", bar=False)
    assert report["path"] == str(tmp_path / "a.npz") and report["bytes"] == (tmp_path / "a.npz").stat().st_size
    assert data.info(tmp_path / "a.npz")["source"] == "closed form"


def test_download_by_hand_says_so() -> None:
    with pytest.raises(DownloadFailed, match="browser"):
        data.download("nb201", bar=False)


def test_download_checks_a_file_that_is_there(tmp_path: Path) -> None:
    (tmp_path / SOURCES["enas6"].file).write_bytes(b"not it")
    with pytest.raises(DownloadFailed, match="1677427 bytes"):
        data.download("enas6", tmp_path)
