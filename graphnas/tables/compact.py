"""The compact file: a table as one .npz of plain arrays that loads in a fraction of a second.

Loading takes no pickle and writing is atomic. Columns with at most 65,536 different values, such as accuracies counted
on 10,000 images, are stored as 16-bit indices into their values: half the size, and exact.
"""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from graphnas.errors import CorruptFile, GraphnasError, InvalidArchitecture, SpaceMismatch
from graphnas.spaces import OUTPUT, Architectures, SearchSpace, get_space
from graphnas.spaces.packing import Packed, pack, unpack
from graphnas.tables.base import Table

FORMAT = "graphnas-table"
VERSION = 1
FEW_VALUES = 1 << 16
HEADER = "header"
DAMAGE = (
    LookupError, ValueError, TypeError, AttributeError, RuntimeError, EOFError, OSError, zipfile.BadZipFile, zlib.error
)  # fmt: skip


def is_compact(path: Path) -> bool:
    """Whether a file is a zip archive with our header in it."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return f"{HEADER}.npy" in archive.namelist()


def save_compact(table: Table, path: Path) -> Path:
    """Writes a table to `path`, whole or not at all; returns the path."""
    arrays: dict[str, NDArray[Any]] = {}
    packed = pack(table.architectures.widen(table.space.max_nodes))
    arrays["edges"], arrays["num_nodes"] = packed.edges.numpy(), packed.num_nodes.numpy()
    arrays["ops"] = _op_codes(table.space, packed)
    if table.hashes is not None:
        arrays["hashes"] = np.frombuffer(table.hashes.tobytes(), dtype=np.uint8).reshape(len(table), 16)
    for number in range(len(table.measured)):
        _put(arrays, f"values{number}", table.values[..., number].numpy())
    for number, column in enumerate(table.constants.values()):
        arrays[f"constant{number}"] = _narrow(column.numpy())
    for number, curve in enumerate(table.curves.values()):
        _put(arrays, f"curve{number}", curve.numpy())
    arrays[HEADER] = np.array(json.dumps(_header(table)))
    _write(path, arrays)
    return path


def load_compact(path: Path, space: SearchSpace | None = None) -> Table:
    """The table in a compact file.

    Raises:
        CorruptFile: a file that is cut, damaged, or written by a version of graphnas that is newer than this one.
        SpaceMismatch: a table of another space than `space`.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            header = json.loads(str(archive[HEADER]))
            _check_version(path, header)
            found = get_space(header["space"]) if space is None else space
            if found.name != header["space"]:
                raise SpaceMismatch(f"{path} is a table of {header['space']}, asked for was {found.name}")
            return _assemble(found, header, archive.__getitem__)
    except (CorruptFile, InvalidArchitecture) as error:
        raise CorruptFile(f"{path}: {error}") from None
    except GraphnasError:
        raise
    except DAMAGE as error:
        raise CorruptFile(f"{path}: a damaged table file ({type(error).__name__}: {error})") from error


def _check_version(path: Path, header: Mapping[str, Any]) -> None:
    version = header.get("version")
    if header.get("format") != FORMAT or not isinstance(version, int):
        raise CorruptFile(f"expected the format {FORMAT} (got {header.get('format')!r}, version {version!r})")
    if version > VERSION:
        raise CorruptFile(
            f"format version {version} is newer than {VERSION}, the latest this graphnas reads: upgrade it"
        )


def _header(table: Table) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "space": table.space.name,
        "rows": len(table),
        "measured": table.measured,
        "budgets": table.budgets,
        "run_ids": table.run_ids,
        "units": dict(table.units),
        "constants": list(table.constants),
        "curves": [list(key) for key in table.curves],
        "identity": table.identity,
        "hashes": table.hashes is not None,
        "source": table.source,
    }


def _assemble(space: SearchSpace, header: Mapping[str, Any], read: Callable[[str], NDArray[Any]]) -> Table:
    rows, measured = header["rows"], tuple(header["measured"])
    shape = (len(measured), rows, len(header["budgets"]), len(header["run_ids"]))
    values = np.empty(shape, dtype=np.float32)  # one metric after the other: a query reads one
    for number in range(len(measured)):
        _get(read, f"values{number}", values[number])
    curves = {}
    for number, (metric, budget) in enumerate(header["curves"]):
        curves[metric, budget] = torch.from_numpy(_get(read, f"curve{number}"))
    return Table(
        space=space,
        architectures=_architectures(space, read("ops"), read("edges"), read("num_nodes")),
        values=torch.from_numpy(values).permute(1, 2, 3, 0),
        measured=measured,
        budgets=tuple(header["budgets"]),
        run_ids=tuple(header["run_ids"]),
        units=header["units"],
        constants={
            name: torch.from_numpy(read(f"constant{number}").astype(np.float64))
            for number, name in enumerate(header["constants"])
        },
        curves=curves,
        identity=header["identity"],
        hashes=read("hashes").reshape(-1).view("S16") if header["hashes"] else None,
        source=header["source"],
    )


# -- columns ----------------------------------------------------------------------------------------------------------
def _put(arrays: dict[str, NDArray[Any]], name: str, column: NDArray[np.float32]) -> None:
    """Stores a float column as it is, or as indices into its distinct values."""
    distinct, index = np.unique(column, return_inverse=True)  # all NaN count as one value
    if len(distinct) <= FEW_VALUES and 2 * len(distinct) < column.size:
        arrays[name] = index.astype(np.uint16).reshape(column.shape)
        arrays[f"{name}_distinct"] = distinct
    else:
        arrays[name] = np.ascontiguousarray(column)


def _get(read: Callable[[str], NDArray[Any]], name: str, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
    """Reads what `_put` stored, into `out` where given."""
    column = read(name)
    if out is None:
        out = np.empty(column.shape, dtype=np.float32)
    if column.shape != out.shape:
        raise CorruptFile(f"{name} must have the shape {out.shape} (got {column.shape})")
    if column.dtype == np.uint16:
        distinct = read(f"{name}_distinct")
        np.take(distinct, column, out=out, mode="raise")
    else:
        out[...] = column
    return out


def _narrow(column: NDArray[np.float64]) -> NDArray[Any]:
    """Whole numbers below 2^31 as int32, the rest unchanged."""
    whole = np.isfinite(column).all() and (column == np.rint(column)).all() and (np.abs(column) < 2**31).all()
    return column.astype(np.int32) if whole else column


# -- architectures ----------------------------------------------------------------------------------------------------
def _op_codes(space: SearchSpace, packed: Packed) -> NDArray[Any]:
    """Operations of the vertices 1 to N - 1 as digits of one number, or one byte each where 63 bits are too few."""
    kinds, ops = space.num_ops - OUTPUT, packed.ops.numpy()[:, 1:]
    if kinds ** ops.shape[1] >= 2**63:
        return ops
    digits = np.maximum(ops.astype(np.int64) - OUTPUT, 0)
    codes = digits @ (kinds ** np.arange(ops.shape[1], dtype=np.int64))
    return codes.astype(np.min_scalar_type(-(kinds ** ops.shape[1])))


def _architectures(
    space: SearchSpace, codes: NDArray[Any], edges: NDArray[np.uint8], num_nodes: NDArray[np.uint8]
) -> Architectures:
    """Inverse of packing: interior vertices from their digits, input and output from the number of vertices."""
    width, size = space.max_nodes, num_nodes.astype(np.int64)
    ops = np.zeros((len(size), width), dtype=np.uint8)
    if codes.ndim == 2:
        ops[:, 1:] = codes
    else:
        kinds = space.num_ops - OUTPUT
        digits = codes.astype(np.int64)[:, None] // kinds ** np.arange(width - 1, dtype=np.int64) % kinds
        ops[:, 1:] = np.where(np.arange(1, width) < size[:, None], digits + OUTPUT, 0)
    packed = Packed(torch.from_numpy(ops), torch.from_numpy(edges), torch.from_numpy(num_nodes))
    return space.check(unpack(packed))


# -- the file ---------------------------------------------------------------------------------------------------------
def _write(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as stream:
        temporary = Path(stream.name)
        try:
            np.savez(stream, **arrays)  # type: ignore[arg-type]
            stream.flush()
            os.fsync(stream.fileno())
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    temporary.chmod(0o644)
    temporary.replace(path)
