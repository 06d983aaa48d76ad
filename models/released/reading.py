"""Checkpoint files of other people's code: read as plain tensors, without executing anything."""

from __future__ import annotations

import pickle
import re
import struct
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from graphnas.errors import CheckpointMismatch, CorruptFile, MissingData, UnsafeFile

PREFIX = "module."
"""What torch.nn.DataParallel puts before every name."""
_ASKED = re.compile(r"GLOBAL (\S+)|(Can only (?:build|create)|call reduce)")
"""How torch says that a pickle asks for a name, or for an object, that weights do not need."""
_DAMAGE = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    OSError,
    struct.error,
)


def read_state_dict(path: Path, inside: str | None = None) -> dict[str, Tensor]:
    """The tensors of a file written by `torch.save(model.state_dict(), path)`, on the CPU.

    Args:
        path: a file in torch's zip format or in the one before torch 1.6.
        inside: entry of a larger checkpoint that may hold the state dict.

    Raises:
        MissingData: no such file.
        UnsafeFile: a pickle that asks for more than tensors.
        CorruptFile: truncated, damaged, or not written by torch.
        CheckpointMismatch: something else than a dictionary of tensors.
    """
    if not path.is_file():
        raise MissingData(f"no file at {path}: expected a checkpoint written by torch.save")
    try:
        with warnings.catch_warnings(action="ignore"):  # about storage classes of old files
            content = torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGE as error:
        raise _refusal(path, error) from error
    if inside is not None and isinstance(content, dict) and isinstance(content.get(inside), dict):
        content = content[inside]
    return _without_prefix(_named_tensors(content, path))


def _refusal(path: Path, error: Exception) -> CorruptFile:
    """Why torch would not read a file, in one line."""
    asked = _ASKED.search(str(error))
    if asked is not None:
        what = f"asks for {asked[1]}" if asked[1] else "makes objects of its own"
        return UnsafeFile(
            f"{path}: the pickle {what}, which weights do not need; nothing of it was executed. "
            "If it is a whole model, save model.state_dict() alone"
        )
    return CorruptFile(f"{path} is truncated, damaged or not a file of torch.save ({type(error).__name__})")


def _named_tensors(content: Any, path: Path) -> dict[str, Tensor]:
    if not isinstance(content, dict) or not content:
        raise CheckpointMismatch(f"{path}: expected a state dict, tensors by name (got {_kind(content)})")
    for name, value in content.items():
        dense = isinstance(value, Tensor) and value.layout is torch.strided and not value.is_quantized
        if not isinstance(name, str) or not dense:
            raise CheckpointMismatch(
                f"{path}: expected a state dict, tensors by name (got {_kind(value)} under {name!r})"
            )
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise CheckpointMismatch(f"{path}: {name} claims more numbers than the file holds for it")
    return {name: value.detach() for name, value in content.items()}


def _kind(value: Any) -> str:
    return "an empty dict" if value == {} else type(value).__name__


def _without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names as without torch.nn.DataParallel."""
    if not all(name.startswith(PREFIX) for name in state):
        return state
    return {name.removeprefix(PREFIX): tensor for name, tensor in state.items()}
