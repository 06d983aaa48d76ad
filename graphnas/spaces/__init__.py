"""Search spaces: what an architecture is, valid, canonical, sampled, mutated and costed."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import TypeVar

from graphnas.errors import InvalidValues, UnknownName
from graphnas.spaces.architectures import Architectures
from graphnas.spaces.base import INPUT, OUTPUT, SearchSpace
from graphnas.spaces.cell_matrices import CellLayout, CellMatrices

__all__ = [
    "INPUT",
    "OUTPUT",
    "Architectures",
    "CellLayout",
    "CellMatrices",
    "SearchSpace",
    "family_name",
    "get_space",
    "list_spaces",
    "register_space",
]

_SPACES: dict[str, str | Callable[[], SearchSpace]] = {
    "bn8": "graphnas.spaces.bn8:BN8",
    "darts": "graphnas.spaces.darts:DARTS",
    "enas12": "graphnas.spaces.enas:ENAS12",
    "enas6": "graphnas.spaces.enas:ENAS6",
    "nb101": "graphnas.spaces.nb101:NB101",
    "nb201": "graphnas.spaces.nb201:NB201",
    "toy": "graphnas.spaces.toy:Toy",
}

_RESIZED = re.compile(r"(?P<base>\w+)_((?P<low>[1-9]\d?)to)?(?P<nodes>[1-9]\d?)(e(?P<edges>[1-9]\d{0,2}))?")


def list_spaces() -> list[str]:
    """Names `get_space` knows."""
    return sorted(_SPACES)


@cache
def _build(name: str) -> SearchSpace:
    if name not in _SPACES:
        limits = _RESIZED.fullmatch(name)
        if limits is None or limits["base"] not in _SPACES:
            raise UnknownName("search space", name, _SPACES, "a number of vertices may stand behind: nb101_8")
        edges = int(limits["edges"]) if limits["edges"] else None
        return _build(limits["base"]).resized(int(limits["nodes"]), edges, int(limits["low"] or 2))
    make = _SPACES[name]
    if isinstance(make, str):  # ours are imported when they are asked for
        module, attribute = make.split(":")
        make = getattr(import_module(module), attribute)
    space: SearchSpace = make()
    return space


S = TypeVar("S", bound=type[SearchSpace])


def register_space(space: S) -> S:
    """Class decorator that enters a search space under its `name`, for runs and commands that know spaces by name.

    Raises:
        InvalidValues: the name is taken, or is that of another size of a space there is.
    """
    if space.name in _SPACES or family_name(space.name) in _SPACES:
        raise InvalidValues(f"search space {space.name!r} is there already: choose another name")
    _SPACES[space.name] = space
    return space


def family_name(name: str) -> str:
    """The name without the limits that :func:`get_space` reads behind it."""
    limits = None if name in _SPACES else _RESIZED.fullmatch(name)
    return name if limits is None else limits["base"]


def get_space(name: str | SearchSpace) -> SearchSpace:
    """The search space of that name; an object passes through.

    A name with a number of vertices behind it, `nb101_6`, is the space under the same rules with that limit,
    `nb101_8e28` one with another limit on edges too, and `nb101_7to8` one without the smaller members.

    Raises:
        UnknownName: with close matches and the full list.
        OutsideSpace: another size of a space that has one size.
    """
    if isinstance(name, SearchSpace):
        return name
    if not isinstance(name, str):
        raise UnknownName("search space", name, _SPACES)
    return _build(name)
