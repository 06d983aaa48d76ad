"""Shipped recipes, and which of them and what sizes a network gets where nobody says otherwise."""

from __future__ import annotations

from argparse import ArgumentError
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from graphnas.errors import CorruptFile, InvalidValues, MissingData, UnknownName
from graphnas.networks.recipe import Recipe
from graphnas.registry import Registry
from graphnas.spaces import family_name

FOLDER = Path(__file__).resolve().parent / "recipes"
TINY_IMAGES = {"digits": "digits201"}
"""Data sets of images too small for the published networks, and their default recipe."""


@dataclass(frozen=True)
class Defaults:
    """What suits the network of a search space.

    Attributes:
        recipe: shipped recipe for images of usual size, that of the space's benchmark where it has one.
        recipes: shipped recipes whose `network` options are meant for this network.
        small: options of the network for tiny images and quick looks.
    """

    recipe: str
    recipes: tuple[str, ...] = ()
    small: Mapping[str, Any] = field(default_factory=dict)


DEFAULTS = Registry[Defaults]("space with a network")


def list_recipes() -> list[str]:
    """Names of the shipped recipes."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def default_recipe(space: str, dataset: str) -> str:
    """Name of the shipped recipe that a network of this space is trained with on these images.

    Raises:
        UnknownName: a space without a network.
    """
    own = DEFAULTS[family_name(space)].recipe
    return TINY_IMAGES.get(dataset, own)


def read_recipe(name: str | Path, space: str, dataset: str) -> Recipe:
    """A shipped recipe by name, or that of a YAML file, for a network of a space on a data set.

    The `network` options in a shipped recipe are sizes of one kind of network. Others get their own published sizes
    with it, or their small ones where the images are tiny. A file is taken as it is.

    >>> read_recipe("nb201", "darts", "digits").network
    {'channels': 4, 'cells': 3}

    Raises:
        UnknownName: no such recipe, or a space without a network.
        MissingData: no such file.
        CorruptFile: a file with entries or values that a recipe cannot have.
    """
    defaults = DEFAULTS[family_name(space)]
    if isinstance(name, Path) or name.endswith((".yaml", ".yml")) or "/" in name:
        return _read(Path(name))
    if name not in list_recipes():
        raise UnknownName("recipe", name, list_recipes())
    recipe = _read(FOLDER / f"{name}.yaml")
    if name not in defaults.recipes:
        recipe.network = dict(defaults.small) if dataset in TINY_IMAGES else {}
    return recipe


def _read(path: Path) -> Recipe:
    from jsonargparse import ArgumentParser

    if not path.is_file():
        raise MissingData(f"no recipe file {path}")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Recipe)
    try:
        content = yaml.safe_load(path.read_text())
        if not isinstance(content, dict):
            raise CorruptFile(f"{path} is no recipe: expected a mapping (got {type(content).__name__})")
        return Recipe(**parser.parse_object(content).as_dict())
    except (yaml.YAMLError, UnicodeDecodeError, ArgumentError, InvalidValues, TypeError) as error:
        raise CorruptFile(f"{path} is no recipe: {' '.join(str(error).split())}") from error
