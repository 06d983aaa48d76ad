"""Checked tensor files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from graphnas.datasets import storage
from graphnas.errors import CorruptFile, MissingData

TENSORS = {"a": torch.arange(7), "b": torch.rand(2, 3), "none": torch.zeros(0, 4, dtype=torch.uint8)}


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.safetensors"
    storage.write(path, TENSORS, {"kind": "test", "list": [1, None]})
    tensors, header = storage.read(path)
    assert header == {"kind": "test", "list": [1, None]}
    assert tensors.keys() == TENSORS.keys()
    assert all(
        torch.equal(tensors[name], TENSORS[name]) and tensors[name].dtype == TENSORS[name].dtype for name in TENSORS
    )
    storage.write(path, {"a": torch.ones(1)}, {})
    assert storage.read(path)[0]["a"].tolist() == [1]
    assert [file.name for file in path.parent.iterdir()] == ["file.safetensors"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    storage.write(path, TENSORS, {})
    before = path.read_bytes()
    with pytest.raises(TypeError):
        storage.write(path, TENSORS, {"no json": object()})
    with pytest.raises(OSError):  # a folder is in the way
        storage.write(tmp_path, TENSORS, {})
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["file.safetensors"]


def test_every_byte_counts(tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    storage.write(path, {"a": torch.arange(2)}, {"kind": "test"})
    content = path.read_bytes()
    for place in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        with pytest.raises(CorruptFile):
            storage.read(path)
    for length in (0, 5, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(CorruptFile):
            storage.read(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingData):
        storage.read(tmp_path / "absent")
    foreign = tmp_path / "foreign.safetensors"
    save_file({"a": torch.ones(1)}, foreign)
    with pytest.raises(CorruptFile, match="not a file of graphnas"):
        storage.read(foreign)
    save_file({"a": torch.ones(1)}, foreign, metadata={"header": json.dumps([1]), "sha256": "0"})
    with pytest.raises(CorruptFile, match="checksum"):
        storage.read(foreign)
    pickled = tmp_path / "pickled.safetensors"
    torch.save({"a": torch.ones(1)}, pickled)
    with pytest.raises(CorruptFile):
        storage.read(pickled)
