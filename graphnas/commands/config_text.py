"""What the docstrings of models say, as plain text for a terminal."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from typing import Any

from docstring_parser import parse_from_object

ROLE = re.compile(r":\w+:`~?(?:[\w.]*\.)?(\w+)`")


def plain(text: str) -> str:
    """One line in which a Sphinx role is the last name of what it refers to."""
    return ROLE.sub(r"\1", " ".join(text.split()))


def plain_text(text: str) -> str:
    """The same of many lines, which stay, as formulas among them are indented."""
    return ROLE.sub(r"\1", text).replace("`", "")


def field_texts(config: type) -> dict[str, str]:
    """The text below every field of a dataclass, those of its bases included: name -> one line."""
    texts: dict[str, str] = {}
    for base in reversed(config.__mro__):
        if is_dataclass(base):
            texts |= {one.arg_name: plain(one.description or "") for one in parse_from_object(base).params}
    return texts


def field_rows(config: type, defaults: dict[str, Any]) -> list[dict[str, Any]]:
    """Options as rows of a table: name, type as written, default, meaning."""
    texts = field_texts(config)
    return [
        {
            "option": one.name,
            "type": one.type if isinstance(one.type, str) else one.type.__name__,
            "default": f"{value:g}" if isinstance(value := defaults[one.name], float) else value,
            "meaning": texts.get(one.name, ""),
        }
        for one in fields(config)
    ]
