"""Folders say what their searches share, so that searches of different settings never mix."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from graphnas.bo.search_folder import SETTINGS, alone, claim, read_histories
from graphnas.errors import CorruptFile, GraphnasError
from tests.bo.searches import config


def test_other_settings_are_named_and_refused(tmp_path: Path) -> None:
    own = config(oracle={"metric": "score"})
    claim(own, tmp_path / "new", write=False)
    assert not (tmp_path / "new").exists()
    claim(own, tmp_path)
    claim(replace(own, method="local", seed=3), tmp_path)
    before = (tmp_path / SETTINGS).read_text()
    for write in (True, False):
        with pytest.raises(GraphnasError, match=r"\(oracle.minimise False, now True\)"):
            claim(config(queries=9, oracle={"metric": "score", "minimise": True}), tmp_path, write)
    assert (tmp_path / SETTINGS).read_text() == before


def test_a_budget_may_grow_but_not_shrink(tmp_path: Path) -> None:
    timed = {"oracle": {"metric": "score", "seconds_metric": "seconds"}}
    claim(config(max_seconds=5.0, **timed), tmp_path)
    before = (tmp_path / SETTINGS).read_text()
    claim(config(queries=9, max_seconds=5.0, **timed), tmp_path, write=False)
    assert (tmp_path / SETTINGS).read_text() == before
    with pytest.raises(GraphnasError, match=r"whose budget cannot change \(queries 8, now 9\)"):
        claim(config(queries=9, max_seconds=5.0, **timed), tmp_path, grows=False)
    claim(config(queries=9, max_seconds=5.0, **timed), tmp_path)
    claim(config(queries=9, **timed), tmp_path)  # no limit is more than any
    for less, named in (
        ({"queries": 8}, "queries 9, now 8"),
        ({"queries": 10, "max_seconds": 7.0}, "max_seconds None, now 7.0, queries 9, now 10"),
    ):
        with pytest.raises(GraphnasError, match=rf"a larger budget \({named}\): it may only grow"):
            claim(config(**less, **timed), tmp_path)
    assert json.loads((tmp_path / SETTINGS).read_text())["queries"] == 9


@pytest.mark.parametrize("text", ["", "[1, 2]", "nonsense"])
def test_damaged_settings(text: str, tmp_path: Path) -> None:
    (tmp_path / SETTINGS).write_text(text)
    with pytest.raises(CorruptFile, match="is damaged: delete it and run the same command again"):
        claim(config(), tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"method": "random", "seed": 0, "made": {}, "values": {"evaluations": []}},
        {"method": "random", "seed": "0", "made": {}, "values": {"evaluations": [{"arch": "x"}]}},
        {"method": "random", "seed": 0, "made": {}, "values": {"evaluations": [{"arch": "x"}]}},
    ],
)
def test_results_that_are_none_are_named(content: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "random-0.json").write_text(json.dumps(content))
    with pytest.raises(GraphnasError, match="random-0.json is damaged"):
        read_histories(tmp_path)


def test_a_second_process_keeps_away_until_the_first_ends(start: Callable[..., Any], tmp_path: Path) -> None:
    journal, begun = tmp_path / "journals" / "random-0.jsonl", tmp_path / "begun"
    source = f"""
import time
from pathlib import Path
from graphnas.bo.search_folder import alone
with alone(Path({str(journal)!r})):
    Path({str(begun)!r}).touch()
    time.sleep(60)
"""
    first = start(source)
    while not begun.exists() and first.process.is_alive():
        time.sleep(0.01)
    with pytest.raises(GraphnasError, match="another process is writing .*random-0.jsonl"), alone(journal):
        pytest.fail("two processes write one journal")
    first.process.kill()
    first.wait()
    with alone(journal):
        assert journal.read_bytes() == b""


def test_a_folder_without_results(tmp_path: Path) -> None:
    assert read_histories(tmp_path) == {}
