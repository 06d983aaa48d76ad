"""`graphnas data build-digits` from its options to its table."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphnas.cli import main
from graphnas.tables import load_compact


def test_builds_a_small_table_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["data", "build-digits", "--cells=2", "--seeds", "5", "--jobs=1", "--quiet", f"--out={tmp_path}"]
    assert main([*words, f"--fit-seconds={tmp_path / 'seconds.json'}"]) == 0
    table = load_compact(tmp_path / "digits201.npz")
    assert (len(table), table.run_ids, len(table.budgets)) == (2, (5,), 6)
    assert "digits201.npz" in capsys.readouterr().out
    assert "nor_conv_3x3" in (tmp_path / "seconds.json").read_text()
    before = [path.stat().st_mtime_ns for path in (tmp_path / "shards").rglob("*.npz")]
    content = (tmp_path / "digits201.npz").read_bytes()
    assert main(words) == 0
    assert [path.stat().st_mtime_ns for path in (tmp_path / "shards").rglob("*.npz")] == before
    assert (tmp_path / "digits201.npz").read_bytes() == content


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--cells=0"], "1 to 4930 cells"),
        (["--jobs=-1"], "at least one job"),
        (["--jobs=0"], "at least one job"),
        (["--seeds", "1", "1"], "different seeds"),
        (["--seeds=-1"], "seeds from 0"),
        (["--epochs=3"], "unrecognized arguments"),
    ],
)
def test_bad_options(words: list[str], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "build-digits", f"--out={tmp_path}", *words]) == 2
    assert text in capsys.readouterr().err
