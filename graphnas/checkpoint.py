"""Model files: safetensors with a JSON header, written whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphnas.errors import CheckpointMismatch, CorruptFile, GraphnasError, MissingData

if TYPE_CHECKING:
    from torch import Tensor

    from graphnas.models.base import GraphModel
    from graphnas.spaces import SearchSpace

FORMAT_VERSION = 1
HEADER = {"format": int, "model": str, "space": str, "vocabulary": str, "config": dict}
"""Entries that every header has, and their types."""


def write_atomically(path: Path, write: Callable[[Path], None]) -> Path:
    """Let `write` fill a temporary file beside `path`, then rename it; on failure an earlier file stays as it was.

    Raises:
        GraphnasError: the file could not be written (disk full, no permission).
    """
    temporary = None
    try:
        make_folder(path.parent)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        temporary = Path(name)
        write(temporary)
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise GraphnasError(
            f"could not write {path}: {error.strerror or error}; an earlier file is unchanged"
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    return path


def make_folder(path: Path) -> Path:
    """The folder, made if it is not there.

    Raises:
        GraphnasError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GraphnasError(f"could not make the folder {path}: {error.strerror or error}") from error
    return path


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value


def write_text(path: Path, text: str) -> Path:
    """A text file, whole or not at all."""
    return write_atomically(path, lambda target: _dump(target, text.encode()))


def write_bytes(path: Path, content: bytes) -> Path:
    """A binary file, whole or not at all."""
    return write_atomically(path, lambda target: _dump(target, content))


def _dump(target: Path, content: bytes) -> None:
    target.write_bytes(content)


def save_model(model: GraphModel, path: Path, extra: dict[str, Any] | None = None) -> Path:
    """Weights and everything that rebuilds the model, as one .safetensors file.

    Args:
        model: its `description()` becomes the header.
        path: where to.
        extra: further JSON for the header (metrics, versions).
    """
    from safetensors.torch import save

    header = {"format": FORMAT_VERSION, **model.description(), "extra": extra or {}}
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    return write_bytes(path, save(state, metadata={"graphnas": json.dumps(header, sort_keys=True)}))


def read_model_file(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Header and tensors of a model file.

    Raises:
        MissingData: no such file.
        CorruptFile: truncated, damaged, or not a graphnas model.
        CheckpointMismatch: written by a later version of graphnas.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise MissingData(f"no model file at {path}: train one, or see `graphnas models list`")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("graphnas", "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
    except (SafetensorError, OSError, ValueError) as error:
        raise CorruptFile(f"{path} is truncated, damaged or not a .safetensors file: {error}") from error
    if not isinstance(header, dict) or any(type(header.get(name)) is not kind for name, kind in HEADER.items()):
        raise CorruptFile(f"{path} holds tensors but no graphnas header: was it saved with save_model()?")
    if header["format"] > FORMAT_VERSION:
        raise CheckpointMismatch(
            f"{path} has format {header['format']}, this graphnas reads up to {FORMAT_VERSION}: update graphnas"
        )
    return header, tensors


def load_model(path: Path, expect: tuple[str, SearchSpace] | None = None, **overrides: Any) -> GraphModel:
    """The model saved at `path`, in eval mode.

    Args:
        path: a .safetensors file, or a run folder (its best weights).
        expect: model name and space it must have.
        overrides: config fields to change that do not change shapes.

    Raises:
        MissingData, CorruptFile: see :func:`read_model_file`.
        CheckpointMismatch: another model, space, vocabulary or shape.
    """
    from graphnas.models.base import load_weights, vocabulary_hash
    from graphnas.models.zoo import create_model
    from graphnas.spaces import get_space

    path = Path(path)
    if path.is_dir():
        path = path / "best.safetensors"
    header, tensors = read_model_file(path)
    if expect is not None and (header["model"], header["space"]) != (expect[0], expect[1].name):
        raise CheckpointMismatch(
            f"{path} holds {header['model']!r} for {header['space']!r}, expected {expect[0]!r} for {expect[1].name!r}"
        )
    space = get_space(header["space"]) if expect is None else expect[1]
    if vocabulary_hash(space) != header["vocabulary"]:
        raise CheckpointMismatch(f"{path} was trained on another vocabulary of {space.name!r} than this graphnas has")
    try:
        model = create_model(header["model"], space, **{**header["config"], **overrides})
    except (GraphnasError, TypeError, ValueError, RuntimeError) as error:  # a config that builds no model
        raise CheckpointMismatch(f"{path}: {error}") from error
    load_weights(model, tensors, str(path))
    return model.eval()
