"""Search spaces: what an architecture is, valid, canonical, sampled, mutated and costed."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from graphnas.errors import UnknownName
from graphnas.spaces.architectures import Architectures
from graphnas.spaces.base import INPUT, OUTPUT, SearchSpace
from graphnas.spaces.cell_matrices import CellLayout, CellMatrices

__all__ = ["INPUT", "OUTPUT", "Architectures", "CellLayout", "CellMatrices", "SearchSpace", "get_space", "list_spaces"]

_SPACES = {
    "bn8": "graphnas.spaces.bn8:BN8",
    "darts": "graphnas.spaces.darts:DARTS",
    "enas12": "graphnas.spaces.enas:ENAS12",
    "enas6": "graphnas.spaces.enas:ENAS6",
    "nb101": "graphnas.spaces.nb101:NB101",
    "nb201": "graphnas.spaces.nb201:NB201",
    "toy": "graphnas.spaces.toy:Toy",
}


def list_spaces() -> list[str]:
    """Names `get_space` knows."""
    return sorted(_SPACES)


@cache
def _build(name: str) -> SearchSpace:
    if name not in _SPACES:
        raise UnknownName("search space", name, _SPACES)
    module, attribute = _SPACES[name].split(":")
    space: SearchSpace = getattr(import_module(module), attribute)()
    return space


def get_space(name: str | SearchSpace) -> SearchSpace:
    """The search space of that name; an object passes through.

    Raises:
        UnknownName: with close matches and the full list.
    """
    return name if isinstance(name, SearchSpace) else _build(name)
