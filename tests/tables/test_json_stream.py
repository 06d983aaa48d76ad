"""JSON item by item."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from graphnas.errors import CorruptFile, GraphnasError
from graphnas.tables import json_stream
from graphnas.tables.json_stream import read_items, write_items


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("items", [[], [{"a": [1, {"b": ']},{\\"'}]}, {}, [], "text"]])
@pytest.mark.parametrize("keyed", [False, True])
def test_items_are_those_of_the_whole(
    chunk: int, indent: int | None, items: list[Any], keyed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_stream, "CHUNK", chunk)
    pairs = [(str(number) if keyed else None, item) for number, item in enumerate(items)]
    path = tmp_path / "items.json"
    path.write_text("\n" + json.dumps(dict(pairs) if keyed else items, indent=indent) + "\n")
    assert list(read_items(path)) == pairs
    assert json.loads(write_items(path, pairs, keyed).read_text()) == (dict(pairs) if keyed else items)
    assert list(read_items(path)) == pairs


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "end of the file"),
        ("7", "got '7'"),
        ("[{}, {]", "item 1"),
        ("[{} {}]", "item 1"),
        ("[{}", "end of the file"),
        ('[{"a": 1', "item 0"),
        ('{"a" 1}', "item 0"),
        ("{1: 2}", "a key is text"),
        ("[{}] 8", "text behind"),
        ('[{"a": NaN}]', "NaN is no JSON number"),
        ("[" * 100_000, "item 0"),
    ],
)
def test_damage_is_located(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(CorruptFile, match=reason):
        list(read_items(path))


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(b'[{"a": "\xff"}]')
    with pytest.raises(CorruptFile, match="utf-8"):
        list(read_items(path))


def test_an_endless_item_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "CHUNK", 100)
    monkeypatch.setattr(json_stream, "LONGEST", 1000)
    path = tmp_path / "bad.json"
    path.write_text("[[" + "1," * 5000)
    with pytest.raises(CorruptFile, match="item 0"):
        list(read_items(path))


def test_an_interrupted_export_leaves_the_earlier_file(tmp_path: Path) -> None:
    path = write_items(tmp_path / "items.json", [(None, 1)], keyed=False)

    def broken() -> Any:
        yield None, 2
        raise OSError("disk full")

    with pytest.raises(GraphnasError, match="disk full"):
        write_items(path, broken(), keyed=False)
    assert path.read_text() == "[1]" and list(tmp_path.iterdir()) == [path]
