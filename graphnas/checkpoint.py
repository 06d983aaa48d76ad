"""Model files: safetensors with a JSON header, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

from graphnas.errors import CheckpointMismatch, CorruptFile, GraphnasError, MissingData

if TYPE_CHECKING:
    from torch import Tensor

FORMAT_VERSION = 1
PARTIAL = ".partial"
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
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PARTIAL)
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


def remove_partial(folder: Path) -> None:
    """Delete the temporary files of processes that were killed in :func:`write_atomically`."""
    for path in folder.glob(f".*{PARTIAL}"):
        path.unlink(missing_ok=True)


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


def write_model_file(path: Path, header: dict[str, Any], tensors: dict[str, Tensor]) -> Path:
    """Tensors and a JSON header in one .safetensors file, which :func:`read_model_file` reads and checks."""
    from safetensors.torch import save

    state = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header = {"format": FORMAT_VERSION, **header, "crc32": checksum(state)}
    return write_bytes(path, save(state, metadata={"graphnas": json.dumps(header, sort_keys=True)}))


def checksum(tensors: dict[str, Tensor]) -> int:
    """CRC-32 of the bytes of all tensors, in the order of their names."""
    import torch

    value = 0
    for name in sorted(tensors):
        value = crc32(tensors[name].reshape(-1).view(torch.uint8).numpy().tobytes(), value)
    return value


def read_model_file(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Header and tensors of a model file.

    Raises:
        MissingData: no such file.
        CorruptFile: truncated, damaged, or not a graphnas model.
        CheckpointMismatch: written by a later version of graphnas.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise MissingData(f"no model file at {path}: train one, or see `graphnas models list --pretrained`")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("graphnas", "null"))
            check_header(path, header)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
    except GraphnasError:
        raise
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise CorruptFile(f"{path} is truncated, damaged or not a .safetensors file: {error}") from error
    if header.get("crc32") not in (None, checksum(tensors)):
        raise CorruptFile(f"{path} is damaged: its weights do not have the checksum of its header")
    return header, tensors


def check_header(path: Path, header: Any) -> None:
    """Refuse what is no header of a model file, or one of the future, whose entries may be others.

    Raises:
        CorruptFile, CheckpointMismatch: see :func:`read_model_file`.
    """
    written = header.get("format") if isinstance(header, dict) else None
    if type(written) is int and written > FORMAT_VERSION:
        raise CheckpointMismatch(
            f"{path} has format {written}, this graphnas reads up to {FORMAT_VERSION}: update graphnas"
        )
    if not isinstance(header, dict) or any(type(header.get(name)) is not kind for name, kind in HEADER.items()):
        raise CorruptFile(f"{path} holds tensors but no graphnas header: was it saved with save_model()?")


def digest(*tensors: Tensor) -> str:
    """SHA-256 of the bytes of tensors."""
    whole = hashlib.sha256()
    for tensor in tensors:
        whole.update(tensor.contiguous().cpu().numpy().tobytes())
    return whole.hexdigest()
