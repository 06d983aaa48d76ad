"""Messages of the parser library as it writes them now; when it changes them, the words of options get lost here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pytest

from graphnas.commands.parsing import UsageError, make_parser, parse


@dataclass
class Options:
    """Of a command."""

    cost: Literal["params", "flops"] | None = None
    limit: float | None = None
    count: int = 1
    name: Literal["a", "b", "c"] = "a"
    args: dict[str, Any] | None = None


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("--cost=latency", "--cost: expected params or flops (got latency)"),
        ("--limit=many", "--limit: expected a number (got many)"),
        ("--count=1.5", "--count: expected a whole number (got 1.5)"),
        ("--name=d", "--name: expected a, b or c (got d)"),
        ("--args=3", 'key "args": Does not validate'),
    ],
)
def test_a_wrong_value(word: str, text: str) -> None:
    parser = make_parser("bo", "A command.")
    parser.add_class_arguments(Options)
    with pytest.raises(UsageError) as found:
        parse(parser, [word])
    assert text in str(found.value) and str(found.value).endswith("(see `graphnas bo --help`)")


def test_a_missing_file() -> None:
    parser = make_parser("bo", "A command.")
    parser.add_argument("--config", action="config")
    with pytest.raises(UsageError, match="^--config: File does not exist: '.*none.yaml' "):
        parse(parser, ["--config=none.yaml"])
