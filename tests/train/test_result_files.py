"""Results on disk: found again, and not taken for those of another training."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphnas.errors import GraphnasError
from graphnas.train.result_files import is_finished, settled, write_result


def test_an_option_that_came_later_and_is_not_given_changes_nothing(tmp_path: Path) -> None:
    path = write_result(tmp_path / "a.json", {"made": {"run": {"data": {"space": "toy"}}}, "values": {}})
    assert is_finished(path, {"run": {"data": {"space": "toy", "whole_space": None}}})
    for run in ({"data": {"space": "toy", "whole_space": True}}, {"data": {"space": None}}):
        with pytest.raises(GraphnasError, match="made with another recipe"):
            is_finished(path, {"run": run})


def test_settled_leaves_all_else_alone() -> None:
    assert settled({"a": None, "b": [{"c": None, "d": 0}, None, False]}) == {"b": [{"d": 0}, None, False]}
