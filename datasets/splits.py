"""Train, validation and test parts that share no architecture, not even a functionally equal one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graphnas.datasets import storage
from graphnas.errors import CorruptFile, SpaceMismatch
from graphnas.spaces import Architectures, SearchSpace, get_space
from graphnas.spaces.packing import digest

_PARTS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of one batch of architectures in three parts that have no functional class in common.

    Attributes:
        train: int64 indices, ascending; so are the other two.
        validation: what models and hyper-parameters are chosen on.
        test: touched once.
        space: name of the search space.
        seed: the one it was drawn with.
        data: digest of the architectures the rows belong to.
    """

    train: Tensor
    validation: Tensor
    test: Tensor
    space: str
    seed: int
    data: str

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name}={len(getattr(self, name))}" for name in _PARTS)
        return f"Split({sizes}, space={self.space!r}, seed={self.seed})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Split) and self.fingerprint == other.fingerprint

    __hash__ = None  # type: ignore[assignment]

    @property
    def _header(self) -> dict[str, str | int]:
        return {"kind": "split", "space": self.space, "seed": self.seed, "data": self.data}

    @property
    def fingerprint(self) -> str:
        """SHA-256 of everything, to record which split a result belongs to."""
        return storage.checksum({name: getattr(self, name) for name in _PARTS}, self._header)

    def save(self, path: str | Path) -> None:
        """Writes the split to one safetensors file."""
        storage.write(path, {name: getattr(self, name) for name in _PARTS}, self._header)

    @staticmethod
    def load(path: str | Path, archs: Architectures | None = None) -> Split:
        """A saved split, checked to belong to `archs` where given.

        Raises:
            CorruptFile: damaged, or not a split.
            SpaceMismatch: made for other architectures, or for these in another order.
        """
        tensors, header = storage.read(path)
        if header.get("kind") != "split" or sorted(tensors) != sorted(_PARTS):
            raise CorruptFile(f"{path} holds no split (got {header.get('kind', 'something else')!r})")
        split = Split(**tensors, space=header["space"], seed=header["seed"], data=header["data"])
        if archs is not None and digest(archs) != split.data:
            raise SpaceMismatch(
                f"{path} was made for other architectures of {split.space}, or for these in another order"
            )
        return split


def split(
    space: str | SearchSpace,
    archs: Architectures,
    fractions: Sequence[float] = (0.9, 0.05, 0.05),
    seed: int = 0,
    counts: Sequence[int] | None = None,
) -> Split:
    """Divides architectures into train, validation and test by functional class.

    Every class (`space.functional_keys`) gets a priority from its own key and the seed; test takes the classes of
    highest priority, then validation, then train. So the parts share no class, do not depend on the platform or on the
    order of `archs`, and with the same seed a larger train part contains a smaller one while the test part stays the
    same.

    Args:
        space: of the architectures.
        archs: n architectures; equal rows and equal functions stay together.
        fractions: of n for train, validation and test, at most 1 together; whole classes, so a part can be off by half
            of its last class. No row is lost if they sum to 1.
        seed: another seed, another split.
        counts: exact numbers of rows instead of fractions; what is left over, members of a class cut short included, is
            in no part.

    Raises:
        ValueError: fractions or counts that are not three, negative, too many, or that leave a wanted part empty.
    """
    space, size = get_space(space), len(archs)
    if not size:
        raise ValueError("expected architectures to split (got none)")
    classes = space.class_ids(archs).cpu().numpy()
    rows = np.lexsort((classes, _priority(classes, seed)))  # class after class, highest priority first
    starts = np.flatnonzero(np.r_[True, np.diff(classes[rows]) != 0])
    bounds = np.append(starts, size)
    if counts is None:
        test, validation, train = _by_fraction(rows, bounds, _reversed(fractions, "fractions", 1 + 1e-9))
    else:
        test, validation, train = _by_count(
            rows, bounds, [int(count) for count in _reversed(counts, "counts", size)], archs
        )
    parts = {
        name: torch.from_numpy(np.sort(part)) for name, part in zip(_PARTS, (train, validation, test), strict=True)
    }
    return Split(**parts, space=space.name, seed=seed, data=digest(archs))


def _priority(classes: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """A random-looking number per class: splitmix64 (Steele, Lea and Flood 2014), the same everywhere."""
    word = classes.astype(np.uint64) ^ _mix(np.array([seed % 2**64], dtype=np.uint64))
    return _mix(word)


def _mix(word: NDArray[np.uint64]) -> NDArray[np.uint64]:
    word = word + np.uint64(0x9E3779B97F4A7C15)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))


def _reversed(sizes: Sequence[float], name: str, limit: float) -> list[float]:
    """Sizes of test, validation, train from those of train, validation, test."""
    if name == "counts" and any(size != int(size) for size in sizes):
        raise ValueError(f"counts must be whole numbers (got {tuple(sizes)}): shares go into fractions")
    if len(sizes) != 3 or min(sizes) < 0 or sum(sizes) > limit or sum(sizes) <= 0:
        raise ValueError(
            f"{name} of train, validation and test must be three, not negative and at most {limit:g} together "
            f"(got {tuple(sizes)})"
        )
    return list(reversed(sizes))


def _by_fraction(rows: NDArray[np.int64], bounds: NDArray[np.int64], wanted: list[float]) -> list[NDArray[np.int64]]:
    """Cuts at the class boundaries nearest to the wanted places."""
    size = bounds[-1]
    cuts = np.cumsum(wanted) * size
    middles = (bounds[1:] + bounds[:-1]) / 2
    ends = bounds[np.searchsorted(middles, cuts)]
    parts = np.split(rows, ends)[:3]
    for part, share in zip(parts, wanted, strict=True):
        if share and not len(part):
            raise ValueError(
                f"a part of {share:g} of {size} architectures in {len(middles)} classes is empty: ask for more"
            )
    return parts


def _by_count(
    rows: NDArray[np.int64], bounds: NDArray[np.int64], wanted: list[int], archs: Architectures
) -> list[NDArray[np.int64]]:
    """Takes classes until a part is full; of its last class, members in the order of their index keys."""
    parts, first = [], 0
    for count in wanted:
        start = int(bounds[first])
        if start + count > bounds[-1]:
            raise ValueError(
                f"counts of {tuple(reversed(wanted))} for train, validation and test do not fit {bounds[-1]} "
                f"architectures in {len(bounds) - 1} classes that stay together: {bounds[-1] - start} are left for "
                f"the last {count}"
            )
        last = int(np.searchsorted(bounds, start + count))  # the first boundary at or beyond the wanted end
        whole = int(bounds[max(last - 1, first)])
        tail = rows[whole : bounds[last]]
        keys = archs[torch.from_numpy(tail)].index_keys()
        order = sorted(range(len(tail)), key=keys.__getitem__)[: start + count - whole]
        parts.append(np.concatenate([rows[start:whole], tail[order]]))
        first = last
    return parts
