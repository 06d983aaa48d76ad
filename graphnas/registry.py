"""One registry class for everything that is looked up by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Generic, TypeVar

from graphnas.errors import UnknownName

T = TypeVar("T")


class Registry(Generic[T]):
    """A name -> object mapping that refuses duplicates and lists close matches for unknown names.

    >>> colours = Registry[int]("colour")
    >>> colours.register("red")(1)
    1
    >>> colours["red"], colours.names("r*")
    (1, ['red'])
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator that enters the decorated object under `name`."""

        def enter(entry: T) -> T:
            if name in self._entries:
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            self._entries[name] = entry
            return entry

        return enter

    def __getitem__(self, name: str) -> T:
        if name not in self._entries:
            raise UnknownName(self.kind, name, self._entries)
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def names(self, pattern: str = "*") -> list[str]:
        """Registered names that match a shell pattern, sorted."""
        return sorted(name for name in self._entries if fnmatchcase(name, pattern))
