"""The picture of a card: a map of the codes of random architectures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from graphnas.models import load_model
from graphnas.plot import latent_map
from graphnas.tables import default_table, load_table
from graphnas.train.data import seeded
from graphnas.train.evaluate import codes_of

POINTS = 2000


def picture(card: dict[str, Any], folder: Path) -> Path:
    """Where the picture of a card lies."""
    return folder / "plots" / f"{card['name']}.png"


def draw_missing(cards: list[dict[str, Any]], folder: Path) -> list[Path]:
    """Draw the pictures that are not there; those drawn."""
    return [draw_map(card, folder) for card in cards if not picture(card, folder).is_file()]


def draw_map(card: dict[str, Any], folder: Path) -> Path:
    """Codes on their first two principal components, coloured by the built-in labels of the space, else by size."""
    model = load_model(folder / f"{card['name']}.safetensors")
    space = model.space
    archs, source = space.sample(POINTS, seeded(0)), default_table(space)
    if source is None:
        values, label = (1 + space.cost(archs)["params"]).double().log10(), "log10 parameters"
    else:
        table = load_table(source, space=space)
        values, label = table.query(archs, table.default_metric), f"{source}: {table.default_metric}"
    return latent_map(codes_of(model, archs), picture(card, folder), values, label, card["name"])
