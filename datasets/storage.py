"""Files of named tensors with a checksum: written in one step, read without executing anything."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from graphnas.errors import CorruptFile, MissingData


def checksum(tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> str:
    """SHA-256 of names, dtypes, shapes and values of the tensors and of a JSON header."""
    total = sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        total.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        total.update(tensor.flatten().view(torch.uint8).numpy().data)
    return total.hexdigest()


def write(path: str | Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Writes a safetensors file under a temporary name and renames it, so that no reader sees half of it.

    Args:
        path: final name; its folder is created.
        tensors: on the CPU.
        header: anything JSON holds.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = {name: tensor.contiguous() for name, tensor in tensors.items()}
    metadata = {"header": json.dumps(header, sort_keys=True), "sha256": checksum(plain, header)}
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        save_file(plain, temporary, metadata=metadata)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and header of a file :func:`write` made.

    Raises:
        MissingData: no such file.
        CorruptFile: a file that is damaged or of another kind.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingData(f"no such file: {path}")
    try:
        content = path.read_bytes()  # no memory map: a file that is cut later would take the process down
        tensors = load(content)
        metadata = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
        header = json.loads(metadata["header"])
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise CorruptFile(f"{path} is damaged or not a file of graphnas ({type(error).__name__}: {error})") from error
    if not isinstance(header, dict) or metadata.get("sha256") != checksum(tensors, header):
        raise CorruptFile(f"{path} is damaged: its content does not have the checksum it states")
    return tensors, header
