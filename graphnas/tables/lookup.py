"""Finding architectures among the rows of a table."""

from __future__ import annotations

from functools import cached_property
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graphnas.errors import CorruptFile, UnknownName
from graphnas.spaces import Architectures, SearchSpace
from graphnas.spaces.dag import DagSpace
from graphnas.spaces.packing import pack

Identity = Literal["exact", "isomorphic", "functional"]
Keys = NDArray[np.bytes_] | NDArray[np.int64]


def usual_identity(space: SearchSpace) -> Identity:
    """When two architectures of a space are the same row.

    In the spaces of connected DAGs a row stands for its isomorphism class; elsewhere every architecture was trained for
    itself, so that isomorphic ones have labels of their own.
    """
    return "isomorphic" if isinstance(space, DagSpace) else "exact"


def exact_keys(archs: Architectures, width: int) -> NDArray[np.bytes_]:
    """One byte string per row, equal exactly for index-wise equal graphs: bytes [B]."""
    packed = pack(archs.widen(width))
    rows = torch.cat([packed.num_nodes[:, None], packed.ops, packed.edges], 1)
    return _as_strings(rows.numpy())


def hash_keys(hashes: list[str]) -> NDArray[np.bytes_]:
    """MD5 hashes in hexadecimal as byte strings of 16: bytes [B].

    Raises:
        CorruptFile: text that is not 32 hexadecimal digits.
    """
    try:
        raw = [bytes.fromhex(text) for text in hashes]
    except ValueError as error:
        raise CorruptFile(f"a module hash is 32 hexadecimal digits ({error})") from None
    wrong = next((text for text, key in zip(hashes, raw, strict=True) if len(key) != 16), None)
    if wrong is not None:
        raise CorruptFile(f"a module hash is 32 hexadecimal digits (got {wrong!r})")
    return np.frombuffer(b"".join(raw), dtype="S16")


def hash_texts(keys: NDArray[np.bytes_]) -> list[str]:
    """Inverse of :func:`hash_keys`."""
    digits = keys.tobytes().hex()
    return [digits[start : start + 32] for start in range(0, len(digits), 32)]


def _as_strings(rows: NDArray[np.uint8]) -> NDArray[np.bytes_]:
    return np.ascontiguousarray(rows).view(f"S{rows.shape[1]}").reshape(len(rows))


class SortedKeys:
    """Keys of all rows in sorted order; of equal keys the first row counts."""

    def __init__(self, keys: Keys) -> None:
        self.order = np.argsort(keys, kind="stable")
        self.keys = keys[self.order]

    def find(self, wanted: Keys) -> NDArray[np.int64]:
        """Row of every wanted key, -1 where there is none: int64 [B]."""
        if not len(self.keys):
            return np.full(len(wanted), -1, dtype=np.int64)
        place = np.searchsorted(self.keys, wanted)
        there = self.keys[np.minimum(place, len(self.keys) - 1)] == wanted
        return np.where(there, self.order[np.minimum(place, len(self.keys) - 1)], -1)

    def repeated(self) -> NDArray[np.int64]:
        """Pairs of rows that share a key with the row before them in sorted order: int64 [K, 2]."""
        same = np.flatnonzero(self.keys[1:] == self.keys[:-1])
        return np.stack([self.order[same], self.order[same + 1]], 1)


class Lookup:
    """Row numbers of architectures, by their identity in the space.

    Args:
        space: the space of all of them.
        architectures: the rows.
        identity: "exact" compares graphs index by index; "isomorphic" does so first and then looks for the class;
            "functional" compares what is computed, as far as the space knows it (`class_ids`).
    """

    def __init__(self, space: SearchSpace, architectures: Architectures, identity: Identity) -> None:
        if identity not in get_args(Identity):
            raise UnknownName("identity", identity, get_args(Identity))
        self.space, self.architectures, self.identity = space, architectures, identity

    @cached_property
    def _exact(self) -> SortedKeys:
        return SortedKeys(exact_keys(self.architectures, self.space.max_nodes))

    @cached_property
    def classes(self) -> SortedKeys:
        """Keys under which two rows count as the same architecture."""
        if self.identity == "exact":
            return self._exact
        return SortedKeys(self._keys(self.architectures))

    def _keys(self, archs: Architectures) -> Keys:
        if self.identity == "functional":
            return np.asarray(self.space.class_ids(archs).cpu().numpy(), dtype=np.int64)
        return class_keys(self.space, archs)

    def find(self, archs: Architectures) -> Tensor:
        """Row of every architecture, -1 where it is absent or outside the space: int64 [B]."""
        archs = archs.to("cpu")
        rows = np.full(len(archs), -1, dtype=np.int64)
        valid = np.flatnonzero(self.space.is_valid(archs).numpy())
        if self.identity == "functional":
            rows[valid] = self.classes.find(
                self._keys(archs if len(valid) == len(archs) else archs[torch.from_numpy(valid)])
            )
            return torch.from_numpy(rows)
        rows[valid] = self._exact.find(exact_keys(archs[torch.from_numpy(valid)], self.space.max_nodes))
        missing = valid[rows[valid] < 0]
        if self.identity == "isomorphic" and len(missing):
            rows[missing] = self.classes.find(self._keys(archs[torch.from_numpy(missing)]))
        return torch.from_numpy(rows)


def class_keys(space: SearchSpace, archs: Architectures) -> Keys:
    """One key per row, equal exactly for isomorphic architectures; integers where the space computes such."""
    fingerprints = getattr(space, "fingerprints", None)
    if fingerprints is not None:
        return np.asarray(fingerprints(archs).cpu().numpy(), dtype=np.int64)
    return np.array([key.encode() for key in space.canonical_keys(archs)], dtype=np.bytes_)
