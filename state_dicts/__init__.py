"""Shipped weights: one .safetensors file per pretrained model and a .json card that says what it is."""

from __future__ import annotations

import json
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from graphnas.errors import CorruptFile, MissingData, UnknownName

__all__ = ["find", "list_pretrained"]

CARD_FIELDS = (
    "config",
    "space",
    "vocabulary_hash",
    "data_hash",
    "recipe",
    "command",
    "versions",
    "seed",
    "metrics",
    "sha256",
    "licence",
)


def find(name: str) -> Path:
    """Path of the weights called `name`, next to which `<name>.json` is their card.

    Raises:
        UnknownName: no card of that name; the text lists those there are.
        MissingData: there is a card but its weights are not on disk.
    """
    cards = _cards()
    if name not in cards:
        raise UnknownName("pretrained model", name, cards)
    weights = _folder() / f"{name}.safetensors"
    if not weights.is_file():
        raise MissingData(
            f"expected the weights {name}.safetensors next to their card (got none in {_folder()}): reinstall graphnas"
        )
    with as_file(weights) as path:  # wheels are unpacked on installation, so the path outlives the block
        return path


def list_pretrained() -> list[dict[str, Any]]:
    """The cards, sorted by name; each is its JSON content plus `name`.

    Raises:
        CorruptFile: a card that is no JSON object or lacks a field.
    """
    return [{"name": name, **_read(card)} for name, card in sorted(_cards().items())]


def _folder() -> Traversable:
    return files("graphnas.state_dicts")


def _cards() -> dict[str, Traversable]:
    return {entry.name.removesuffix(".json"): entry for entry in _folder().iterdir() if entry.name.endswith(".json")}


def _read(card: Traversable) -> dict[str, Any]:
    try:
        content = json.loads(card.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CorruptFile(f"expected JSON in the card {card.name} (got {error}): restore the file") from error
    if not isinstance(content, dict):
        raise CorruptFile(
            f"expected a JSON object in the card {card.name} (got {type(content).__name__}): restore the file"
        )
    missing = [field for field in CARD_FIELDS if field not in content]
    if missing:
        raise CorruptFile(
            f"expected every card field in {card.name} (got none for {', '.join(missing)}): see state_dicts/README.md"
        )
    return content
