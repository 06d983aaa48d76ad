"""Cards of shipped weights: where they lie and what they must say."""

from __future__ import annotations

import json
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from graphnas.errors import CheckpointMismatch, CorruptFile, UnknownName

CARD_FORMAT = 1
"""Raised when the meaning of a field changes."""

CARD_FIELDS: dict[str, tuple[type, ...]] = {
    "format": (int,),
    "model": (str,),
    "kind": (str,),
    "space": (str,),
    "tag": (str,),
    "about": (str,),
    "config": (dict,),
    "parameters": (int,),
    "vocabulary_hash": (str,),
    "data_hash": (str,),
    "split_hash": (str,),
    "recipe": (str,),
    "command": (str,),
    "run": (dict,),
    "versions": (dict,),
    "seed": (int,),
    "cpu_minutes": (int, float),
    "precision": (str,),
    "largest_change": (dict,),
    "metrics": (dict,),
    "size": (int,),
    "sha256": (str,),
    "url": (str, type(None)),
    "licence": (str,),
}
"""Every field of a card and the types it may have; state_dicts/README.md says what they mean."""


def folder() -> Traversable:
    """Where cards and weights lie in the package."""
    return files("graphnas.state_dicts")


def list_pretrained() -> list[dict[str, Any]]:
    """The cards, sorted by name; each is its JSON content plus `name`.

    Raises:
        CorruptFile: a card that is no JSON object or lacks a field.
        CheckpointMismatch: a card of a later version of graphnas.
    """
    return [parse_card(name, card) for name, card in sorted(card_files().items())]


def read_card(name: str) -> dict[str, Any]:
    """The card called `name`.

    Raises:
        UnknownName: no card of that name; the text lists those there are.
        CorruptFile, CheckpointMismatch: see :func:`list_pretrained`.
    """
    cards = card_files()
    if name not in cards:
        raise UnknownName("pretrained model", name, cards)
    return parse_card(name, cards[name])


def card_files() -> dict[str, Traversable]:
    """Card files by name."""
    return {entry.name.removesuffix(".json"): entry for entry in folder().iterdir() if entry.name.endswith(".json")}


def parse_card(name: str, card: Traversable) -> dict[str, Any]:
    """Content of a card file, checked, plus `name`."""
    try:
        content = json.loads(card.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CorruptFile(f"expected JSON in the card {card.name} (got {error}): restore the file") from error
    if not isinstance(content, dict):
        raise CorruptFile(
            f"expected a JSON object in the card {card.name} (got {type(content).__name__}): restore the file"
        )
    written = content.get("format")
    if isinstance(written, int) and written > CARD_FORMAT:
        raise CheckpointMismatch(
            f"the card {card.name} has format {written}, this graphnas reads up to {CARD_FORMAT}: update graphnas"
        )
    wrong = [field for field, kinds in CARD_FIELDS.items() if not isinstance(content.get(field, ...), kinds)]
    if wrong:
        raise CorruptFile(
            f"expected every card field in {card.name} (got none or a wrong one for {', '.join(wrong)}): "
            "see state_dicts/README.md"
        )
    return {"name": name, **content}
