"""Large JSON files item by item: a list or an object at the root, of which one item at a time is in memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from json import JSONDecodeError
from pathlib import Path
from typing import Any, NoReturn

from graphnas.errors import CorruptFile, GraphnasError

CHUNK = 1 << 20  # characters read at once
LONGEST = 1 << 24  # characters of an item; more means that a bracket is missing


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON number")


class _Cursor:
    """A place in a text that is read as it is needed.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.items = path, 0
        self.file = path.open(encoding="utf-8")
        self.text, self.place, self.ended = "", 0, False
        self.decode = json.JSONDecoder(parse_constant=_refuse).raw_decode

    def more(self) -> None:
        """Read on; what was passed is forgotten."""
        chunk = self.file.read(CHUNK)
        self.text, self.place, self.ended = self.text[self.place :] + chunk, 0, not chunk

    def peek(self) -> str:
        """The next character that is no white space, "" at the end."""
        while True:
            while self.place < len(self.text) and self.text[self.place] in " \t\r\n":
                self.place += 1
            if self.place < len(self.text) or self.ended:
                return self.text[self.place : self.place + 1]
            self.more()

    def take(self, wanted: str) -> str:
        """Pass one character of `wanted`."""
        found = self.peek()
        if not found or found not in wanted:
            raise self.error(f"expected one of {wanted!r} (got {found or 'the end of the file'!r})")
        self.place += 1
        return found

    def value(self) -> Any:
        """Pass one value, which must not be a bare number."""
        self.peek()
        while True:
            try:
                found, self.place = self.decode(self.text, self.place)
                return found
            except JSONDecodeError as error:
                if self.ended or len(self.text) - self.place > LONGEST:
                    raise self.error(str(error)) from None
            except (ValueError, RecursionError) as error:
                raise self.error(str(error)) from None
            self.more()

    def error(self, reason: str) -> CorruptFile:
        """An error that says where."""
        return CorruptFile(f"{self.path}: no JSON at item {self.items}: {reason}")


def read_items(path: Path) -> Iterator[tuple[str | None, Any]]:
    """The items of a list, with None for a key, or the entries of an object.

    Raises:
        CorruptFile: text that is no JSON, naming the item; another root; something behind it.
    """
    cursor = _Cursor(path)
    with cursor.file:
        try:
            yield from _items(cursor)
        except UnicodeDecodeError as error:
            raise cursor.error(str(error)) from None


def _items(cursor: _Cursor) -> Iterator[tuple[str | None, Any]]:
    keyed = cursor.take("[{") == "{"
    close = "}" if keyed else "]"
    if cursor.peek() == close:
        cursor.take(close)
    else:
        going = True
        while going:
            key = None
            if keyed:
                key = cursor.value()
                if not isinstance(key, str):
                    raise cursor.error(f"a key is text (got {key!r})")
                cursor.take(":")
            yield key, cursor.value()
            cursor.items += 1
            going = cursor.take("," + close) == ","
    if cursor.peek():
        raise cursor.error("text behind the last bracket")


def write_items(path: Path, items: Iterable[tuple[str | None, Any]], keyed: bool) -> Path:
    """Write items as one JSON list, or as one object where `keyed`; an earlier file stays until all is written.

    Raises:
        GraphnasError: the file could not be written.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write("{" if keyed else "[")
            for number, (key, item) in enumerate(items):
                start = ", " if number else ""
                file.write(start + (f"{json.dumps(key)}: " if keyed else "") + json.dumps(item, allow_nan=False))
            file.write("}" if keyed else "]")
        partial.replace(path)
    except OSError as error:
        raise GraphnasError(f"{path} could not be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return path
