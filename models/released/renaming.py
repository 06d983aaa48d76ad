"""From the names, shapes and type orders of a published state dict to ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from graphnas.errors import CheckpointMismatch, SpaceMismatch
from graphnas.spaces import SearchSpace

_NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")
SHOWN = 3
"""Names that a message gives before it counts the rest."""


class Published:
    """A published state dict while the sizes of its model are read off it.

    Args:
        tensors: by name.
        source: the file, for messages.
    """

    def __init__(self, tensors: Mapping[str, Tensor], source: Path) -> None:
        self.tensors, self.source = tensors, source

    def size(self, name: str, axis: int) -> int:
        """Length of a tensor along an axis.

        Raises:
            CheckpointMismatch: no such tensor, or no such axis.
        """
        if name not in self.tensors:
            raise CheckpointMismatch(f"{self.source}: the key {name} is missing")
        shape = self.tensors[name].shape
        if len(shape) <= axis:
            raise CheckpointMismatch(f"{self.source}: {name} should have more than {axis} axes (got {list(shape)})")
        return shape[axis]

    def count(self, prefix: str) -> int:
        """How many different numbers follow `prefix` in the names.

        Raises:
            CheckpointMismatch: none.
        """
        begin = f"{prefix}."
        numbers = {name.removeprefix(begin).split(".")[0] for name in self.tensors if name.startswith(begin)}
        if not numbers:
            raise CheckpointMismatch(f"{self.source}: the keys under {begin}0 are missing")
        return len(numbers)


class Part(NamedTuple):
    """A published tensor, or one entry of it along its first axis."""

    name: str
    entry: int | None = None


@dataclass(frozen=True)
class Release:
    """How the checkpoints of one published code are laid out.

    `names` leads from our modules, or single tensors, to theirs. A `*` stands for a number that is the same on both
    sides; `a + b` are laid end to end along their first axis; `a[*]` is one entry of a tensor along its first axis.
    """

    model: str
    """Name in our zoo."""
    mark: str
    """A key that every checkpoint of this code has and none of the others."""
    names: Mapping[str, str]
    types: Mapping[str, int]
    """Our tensors with an axis over vertex types, and which axis that is."""
    vocabularies: Mapping[str, tuple[str, ...]]
    """By name of the space: its vocabulary in the published order."""
    configure: Callable[[Published], dict[str, Any]]
    """The fields of our config that follow from the tensors."""
    unused: tuple[str, ...] = ()
    """Beginnings of the keys of weights that a published model may carry without using them."""
    inside: str | None = None
    """Entry of a published checkpoint that holds the state dict, where it is not alone."""

    def order(self, space: SearchSpace) -> Tensor:
        """int64 [T]: the published index of every entry of the space's vocabulary.

        Raises:
            SpaceMismatch: nothing was published for the space.
        """
        if space.name not in self.vocabularies:
            known = ", ".join(self.vocabularies)
            raise SpaceMismatch(f"released checkpoints of {self.model} are for {known} (got {space.name!r})")
        published = self.vocabularies[space.name]
        return torch.tensor([published.index(entry) for entry in space.vocabulary])

    def parts(self, own: str) -> list[Part]:
        """What one of our tensors is made of."""
        pattern, leaf = _NUMBER.sub("*", own), ""
        if pattern not in self.names:
            pattern, _, leaf = pattern.rpartition(".")
        found = []
        for name in self.names[pattern].split(" + "):
            for number in _NUMBER.findall(own):
                name = name.replace("*", number, 1)
            name, _, entry = name.partition("[")
            found.append(Part(f"{name}.{leaf}" if leaf else name, int(entry.rstrip("]")) if entry else None))
        return found


def rename(published: Published, release: Release, own: Mapping[str, Tensor], order: Tensor) -> dict[str, Tensor]:
    """Our state dict from a published one.

    Args:
        published: tensors and where they come from.
        release: how they are laid out.
        own: the state dict of our model of the same sizes, of which shapes and kinds of numbers count.
        order: published index of every vertex type, int64 [T].

    Raises:
        CheckpointMismatch: keys missing or left over, another shape, something else than finite numbers.
    """
    parts = {name: release.parts(name) for name in own}
    shapes = published_shapes(parts, own)
    check_names(published, shapes.keys(), release)
    axes = {part.name: release.types[name] for name in own if name in release.types for part in parts[name]}
    for name, shape in shapes.items():
        check_shape(published, name, shape, axes.get(name))
    state = {}
    for name, like in own.items():
        pieces = [_values(published, part, like) for part in parts[name]]
        tensor = torch.cat(pieces) if len(pieces) > 1 else pieces[0]
        if name in release.types:
            tensor = tensor.index_select(release.types[name], order)
        state[name] = tensor.to(like.dtype, copy=True)
    return state


def published_shapes(parts: Mapping[str, list[Part]], own: Mapping[str, Tensor]) -> dict[str, list[int]]:
    """By published name, the shape that makes ours of the parts."""
    shapes: dict[str, list[int]] = {}
    for name, like in own.items():
        for part in parts[name]:
            shape = list(like.shape)
            if part.entry is not None:
                shape = [max(part.entry + 1, shapes.get(part.name, [0])[0]), *shape]
            elif len(parts[name]) > 1:
                shape[0] //= len(parts[name])
            shapes[part.name] = shape
    return shapes


def check_names(published: Published, wanted: Set[str], release: Release) -> None:
    """Refuse keys missing or left over.

    Raises:
        CheckpointMismatch: naming the first of them.
    """
    there = published.tensors.keys()
    missing = sorted(wanted - there)
    surplus = sorted(name for name in there - wanted if not name.startswith(release.unused))
    if missing or surplus:
        lists = ((missing, "missing"), (surplus, "left over"))
        found = "; ".join(f"{len(names)} {kind}: {_some(names)}" for names, kind in lists if names)
        raise CheckpointMismatch(f"{published.source} has other keys than a released {release.model}: {found}")


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def check_shape(published: Published, name: str, shape: list[int], axis: int | None) -> None:
    """Refuse a tensor of another shape; `axis` is that of vertex types, if it has one.

    Raises:
        CheckpointMismatch: naming both.
    """
    got = list(published.tensors[name].shape)
    if got == shape:
        return
    wrong = f"{published.source}: {name} should be {shape} (got {got})"
    if axis is not None and len(got) == len(shape) and got[axis] != shape[axis]:
        wrong = f"{wrong}: {got[axis]} vertex types where the space has {shape[axis]}; is it of another space?"
    raise CheckpointMismatch(wrong)


def _values(published: Published, part: Part, like: Tensor) -> Tensor:
    """A part's tensor, of the same kind of numbers as `like`.

    Raises:
        CheckpointMismatch: integers for floats or the other way round, or infinite or undefined numbers.
    """
    tensor = published.tensors[part.name]
    if tensor.is_floating_point() != like.is_floating_point() or tensor.is_complex():
        raise CheckpointMismatch(f"{published.source}: {part.name} should be {like.dtype} (got {tensor.dtype})")
    if not bool(tensor.isfinite().all()):
        raise CheckpointMismatch(f"{published.source}: {part.name} holds infinite or undefined numbers")
    return tensor if part.entry is None else tensor[part.entry]
