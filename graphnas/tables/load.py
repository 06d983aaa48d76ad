"""One door to all tables: by registered name, by file, or from an open API object."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from graphnas.errors import CorruptFile, MissingData, SpaceMismatch, UnknownName
from graphnas.registry import Registry
from graphnas.spaces import SearchSpace, get_space
from graphnas.tables.base import Table
from graphnas.tables.bn8 import bn8_table
from graphnas.tables.cell_json import import_cells
from graphnas.tables.compact import is_compact, load_compact, save_compact
from graphnas.tables.digits import NAME as DIGITS
from graphnas.tables.digits import digits_table
from graphnas.tables.header import arch_column, looks_like_header, other_separator
from graphnas.tables.nb101 import read_nb101
from graphnas.tables.nb201 import (
    BZ2_HEAD,
    PICKLE_HEAD,
    ZIP_HEAD,
    holds_members,
    is_nb201_api,
    read_nb201_api,
    read_nb201_file,
    read_nb201_members,
)
from graphnas.tables.sources import SOURCES
from graphnas.tables.text import GZIP_HEAD, open_text, read_csv, read_enas
from graphnas.tables.tfrecord import looks_like_tfrecord
from graphnas.tables.toy import toy_table

BUILT_IN = Registry[Callable[..., Table]]("table")
BUILT_IN.register("toy")(toy_table)
BUILT_IN.register("bn8")(bn8_table)
BUILT_IN.register(DIGITS)(digits_table)
DEFAULTS = {"bn8": "bn8", "toy": "toy", "nb201": DIGITS}
"""Search space -> the built-in table whose labels are used where nobody names another."""
KNOWN_FORMS = (
    "a NAS-Bench-101 .tfrecord, a NAS-Bench-201 .pth, a NATS-Bench .pickle.pbz2, .tar or folder, "
    "an ENAS .txt, a .csv, a .json of NAR, or a table written by `graphnas data convert`"
)
_READERS: dict[str, Callable[..., Table]] = {
    "compact": load_compact,
    "nb101": read_nb101,
    "nb201": read_nb201_file,
    "nb201_members": read_nb201_members,
    "enas": read_enas,
    "csv": read_csv,
    "cells": import_cells,
}
_NEED_SPACE = ("compact", "enas", "csv")
_SHOW_PROGRESS = ("nb101", "nb201", "nb201_members")
Progress = Callable[[int, int], None]


def list_tables() -> list[str]:
    """Names `load_table` knows; those of official files work once the file is there."""
    return sorted({*SOURCES, *BUILT_IN})


def default_table(space: str | SearchSpace) -> str | None:
    """Name of the built-in table of a search space, None where there is none."""
    return DEFAULTS.get(get_space(space).name)


def load_table(
    source: str | Path | Table | Any,
    space: str | SearchSpace | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Table:
    """The labels of a benchmark.

    A file is recognised by its content: an official file of NAS-Bench-101, NAS-Bench-201 or NATS-Bench (topology), an
    ENAS list, a CSV, or the compact form `convert` writes.

    Args:
        source: a name of `list_tables()`, a path, or an open API object of nats_bench or nas_201_api. A name stands for
            the file in the data folder, in its compact form if that is there and no options are given.
        space: the search space; needed for a CSV, checked for the rest.
        progress: called with (bytes done, bytes in all) while an official file is read.
        options: for the reader: `verify` (NAS-Bench-101), `curves`, `partial` (NAS-Bench-201, NATS-Bench), `arch`,
            `columns`, `units`, `repeats` (CSV).

    Raises:
        UnknownName: neither a name nor a file.
        MissingData: a name whose file is not there, saying how to get it; or a path that does not exist.
        CorruptFile: a file that is damaged or of no known form; UnsafeFile where reading would execute code.
        SpaceMismatch: labels of another space, or a CSV without a space.
    """
    wanted = None if space is None else get_space(space)
    table = _load(source, wanted, progress, options)
    if wanted is not None and table.space.name != wanted.name:
        raise SpaceMismatch(f"{source} is a table of {table.space.name}, asked for was {wanted.name}")
    return table


def _load(source: Any, space: SearchSpace | None, progress: Progress | None, options: dict[str, Any]) -> Table:
    if isinstance(source, Table):
        return source
    if is_nb201_api(source):
        return read_nb201_api(source, **options)
    if isinstance(source, str) and source in BUILT_IN:
        return BUILT_IN[source](**options)
    if isinstance(source, str) and source in SOURCES:
        return _read(_local(source, bool(options)), space, progress, options)
    path = Path(source).expanduser()
    if path.exists():
        return _read(path, space, progress, options)
    if path.name == str(source) and not path.suffix:
        raise UnknownName("table", source, list_tables())
    raise MissingData(f"there is no file {path}")


def _local(name: str, official: bool) -> Path:
    entry = SOURCES[name]
    path = entry.local(official)
    if path is None:
        raise MissingData(f"{name} is not in {entry.place().parent}: {entry.how_to_get()}")
    return path


def _read(path: Path, space: SearchSpace | None, progress: Progress | None, options: dict[str, Any]) -> Table:
    form = detect(path)
    known: dict[str, Any] = {"space": space} if form in _NEED_SPACE else {}
    if form in _SHOW_PROGRESS:
        known["progress"] = progress
    return _READERS[form](path, **known, **options)


def detect(path: Path) -> str:
    """What a file or folder holds, by its content: compact, nb101, nb201, nb201_members, enas, csv or cells (JSON).

    Raises:
        CorruptFile: none of these.
    """
    if path.is_dir():
        if holds_members(path):
            return "nb201_members"
        raise CorruptFile(f"{path}: a folder without NATS-Bench files (000000.pickle.pbz2, ...)")
    with path.open("rb") as stream:
        head = stream.read(512)
    if head.startswith(ZIP_HEAD):
        return "compact" if path.suffix == ".npz" or is_compact(path) else "nb201"
    if head.startswith((BZ2_HEAD, PICKLE_HEAD)):
        return "nb201"
    if head[257:262] == b"ustar":
        return "nb201_members"
    if looks_like_tfrecord(head) or path.suffix == ".tfrecord":
        return "nb101"
    return _detect_text(path, head)


def _detect_text(path: Path, head: bytes) -> str:
    try:
        with open_text(path) as stream:
            first = stream.readline(1 << 16)
    except (UnicodeDecodeError, OSError, EOFError, zlib.error) as error:
        kind = "gzip file" if head.startswith(GZIP_HEAD) else "file"
        raise CorruptFile(f"{path}: a damaged or unknown {kind} ({error}): expected {KNOWN_FORMS}") from None
    if not first:
        raise CorruptFile(f"{path} is empty: expected {KNOWN_FORMS}")
    if first.startswith("[["):
        return "enas"
    if first.lstrip("[ ").startswith("{"):
        return "cells"
    plain = first.rstrip("\r\n")
    if plain.isprintable() and ("," in plain or arch_column([plain]) is not None):
        return "csv"
    if looks_like_header(first) and (sign := other_separator(first)) is not None:
        raise CorruptFile(f"{path}: expected a CSV with commas between the cells (got {sign}): save it with commas")
    raise CorruptFile(f"{path}: expected {KNOWN_FORMS} (it begins with {head[:16]!r})")


def convert(
    source: str | Path | Table | Any,
    target: str | Path | None = None,
    space: str | SearchSpace | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Path:
    """Writes the compact form of a table, which loads in a fraction of a second; returns its path.

    Args:
        source: as for :func:`load_table`; a name stands for the official file, if that is there.
        target: the .npz to write; by default the place where the registered name `source` is looked for first.
        space: as for :func:`load_table`.
        progress: as for :func:`load_table`.
        options: as for :func:`load_table`.

    Raises:
        MissingData: no target for a source that is no registered name.
        UnknownName: a target that is not a .npz.
    """
    name = source if isinstance(source, str) and source in SOURCES else None
    if target is None:
        if name is None:
            raise MissingData(f"{source} is not a registered name: say where to write its compact form")
        target = SOURCES[name].compact()
    path = Path(target).expanduser()
    if path.suffix != ".npz":
        raise UnknownName("form of a table to write", path.suffix, [".npz"])
    origin = source if name is None else _local(name, official=True)
    return save_compact(load_table(origin, space, progress, **options), path)
