"""Tables in text: CSV with a column of architectures, and the ENAS list of one architecture per line; gzip or not."""

from __future__ import annotations

import csv
import gzip
import math
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Literal, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray

from graphnas.errors import CorruptFile, InvalidArchitecture, SpaceMismatch, UnknownName
from graphnas.spaces import Architectures, SearchSpace, get_space
from graphnas.tables.base import Table
from graphnas.tables.header import ARCH_COLUMNS, arch_column
from graphnas.tables.lookup import Lookup, hash_keys, usual_identity

UNREADABLE = (EOFError, gzip.BadGzipFile, zlib.error)  # what a cut or damaged gzip file raises
GZIP_HEAD = b"\x1f\x8b"
ENAS_SPACES = {6: "enas6", 12: "enas12"}
Columns = Sequence[str] | Mapping[str, str | tuple[str, int]]
Repeats = Literal["refuse", "runs"]


def open_text(path: Path) -> IO[str]:
    """A text stream of a plain or gzip-compressed file, without the byte order mark that spreadsheets write."""
    with path.open("rb") as stream:
        compressed = stream.read(2) == GZIP_HEAD
    if compressed:
        return cast(IO[str], gzip.open(path, "rt", encoding="utf-8-sig", newline=""))
    return path.open(encoding="utf-8-sig", newline="")


def read_enas(path: Path, space: SearchSpace | None = None) -> Table:
    """Table of `[[op], [op, bit], ...], accuracy` lines, in file order.

    `accuracy` is the validation accuracy of a child with the shared weights of ENAS, as a fraction. Rows that repeat an
    architecture with the same value stay, as row numbers matter in the literature.

    Raises:
        CorruptFile: a line that ends in no number.
        InvalidArchitecture: a line outside the grammar.
    """
    texts, values = [], []
    try:
        with open_text(path) as stream:
            lines = stream.read().splitlines()
    except (UnicodeDecodeError, *UNREADABLE) as error:
        raise CorruptFile(f"{path}: expected lines of text ({error})") from None
    for number, line in enumerate(lines, 1):
        text, _, value = line.rpartition(",")
        texts.append(text)
        values.append(_number(path, number, "accuracy", value.strip()))
    found = get_space(ENAS_SPACES.get(texts[0].count("[") - 1, "enas6")) if space is None and texts else space
    if found is None:
        raise CorruptFile(f"{path}: an empty file where ENAS architectures were expected")
    archs = parse_lines(found, path, list(enumerate(texts, 1)))
    column = torch.tensor(values, dtype=torch.float32)[:, None, None, None]
    table = Table(found, archs, column, ("accuracy",), units={"accuracy": "fraction"}, source=path.name)
    _refuse_conflicts(path, table, first_line=1)
    return table


class _Column(NamedTuple):
    """Where a column of the file goes: `budget` is None for a constant of the architecture."""

    header: str
    metric: str
    budget: int | None


def read_csv(
    path: Path,
    space: SearchSpace | None = None,
    arch: str | None = None,
    columns: Columns | None = None,
    units: Mapping[str, str] | None = None,
    repeats: Repeats = "refuse",
) -> Table:
    """Table of a CSV with a header line.

    Architectures come from the column `arch` (or `architecture`, `cell`, `arch_str`) in the text form of the space, or
    from `matrix` (rows joined by /) and `ops` (interior operations, comma separated); a column `hash` with them is kept
    as the official MD5.

    Args:
        path: .csv or .csv.gz.
        space: the search space; a CSV does not say which.
        arch: header of the architecture column, where it has none of these names.
        columns: which columns hold values: their headers, or header -> name or (name, epochs). Columns without epochs
            beside others that have them are constants. By default all columns that begin with a number.
        units: unit per metric name; a CSV does not say.
        repeats: what rows of the same architecture with other values are: an error, or further runs.

    Raises:
        SpaceMismatch: without a space.
        CorruptFile: no architecture column, no row, a cell that is no number, repeated rows that disagree.
        InvalidArchitecture: naming the row.
        UnknownName: a column that is not there.
    """
    if space is None:
        raise SpaceMismatch(
            f"{path} does not say which search space it is about: pass one, such as --space nb201 "
            '(in Python space="nb201")'
        )
    with open_text(path) as stream:
        try:
            header, *rows = csv.reader(stream)
            header = [name.strip() for name in header]
        except (ValueError, csv.Error, *UNREADABLE) as error:
            raise CorruptFile(f"{path}: expected a header line and rows of text ({error})") from None
    while rows and not rows[-1]:  # empty lines at the end
        rows.pop()
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise CorruptFile(f"{path}: line 1 has two columns {twice!r}")
    ragged = next((number for number, row in enumerate(rows, 2) if len(row) != len(header)), None)
    if ragged is not None and not rows[ragged - 2]:
        raise CorruptFile(f"{path}: line {ragged} is empty, with more lines behind it: take it out")
    if ragged is not None:
        raise CorruptFile(f"{path}: line {ragged} has {len(rows[ragged - 2])} cells where the header has {len(header)}")
    cells = dict(zip(header, zip(*rows, strict=True), strict=True)) if rows else {name: () for name in header}
    column = _arch_column(path, cells, arch)
    archs = parse_lines(space, path, list(enumerate(_arch_texts(cells, column), 2)))
    chosen = _choose(path, cells, columns, {column, "matrix", "ops", "hash"})
    table = _assemble(path, space, archs, cells, chosen, units or {})
    if repeats == "runs":
        return _as_runs(table)
    _refuse_conflicts(path, table, first_line=2)
    return table


def _arch_column(path: Path, cells: Mapping[str, Sequence[str]], asked: str | None) -> str:
    """The column of architectures; "matrix" where that and `ops` hold them."""
    found = asked or arch_column(cells)
    if {"matrix", "ops"} <= cells.keys() and (asked or ARCH_COLUMNS[0]) not in cells:
        return "matrix"
    if found is None or found not in cells:
        expected = f"{asked!r}" if asked else f"{ARCH_COLUMNS[0]!r} (or {', '.join(ARCH_COLUMNS[1:])})"
        raise CorruptFile(f"{path}: expected a column {expected}, or matrix and ops (got {', '.join(cells)})")
    return found


def _arch_texts(cells: Mapping[str, Sequence[str]], column: str) -> Sequence[str]:
    if column != "matrix":
        return cells[column]
    return [f"{matrix}:{ops}" for matrix, ops in zip(cells["matrix"], cells["ops"], strict=True)]


def _choose(path: Path, cells: Mapping[str, Sequence[str]], columns: Columns | None, taken: set[str]) -> list[_Column]:
    """Columns with values and where they go."""
    if columns is None:
        headers = [name for name, column in cells.items() if name not in taken and _begins_with_a_number(column)]
        wanted: dict[str, str | tuple[str, int]] = {name: name for name in headers}
    else:
        wanted = dict(columns) if isinstance(columns, Mapping) else {name: name for name in columns}
    unknown = next((name for name in wanted if name not in cells), None)
    if unknown is not None:
        raise UnknownName(f"column of {path.name}", unknown, cells)
    if not wanted:
        if not next(iter(cells.values()), ()):
            raise CorruptFile(f"{path}: expected rows below the header (got none)")
        raise CorruptFile(f"{path}: no column of numbers beside the architectures (got {', '.join(cells)})")
    plain = None if any(isinstance(place, tuple) for place in wanted.values()) else 0
    return [
        _Column(name, *place) if isinstance(place, tuple) else _Column(name, place, plain)
        for name, place in wanted.items()
    ]


def _begins_with_a_number(column: Sequence[str]) -> bool:
    first = next((cell for cell in column if cell), "")
    try:
        return not math.isnan(float(first)) or first.lower() == "nan"
    except ValueError:
        return False


def _assemble(
    path: Path,
    space: SearchSpace,
    archs: Architectures,
    cells: Mapping[str, Sequence[str]],
    columns: Sequence[_Column],
    units: Mapping[str, str],
) -> Table:
    measured = tuple(dict.fromkeys(column.metric for column in columns if column.budget is not None))
    budgets = sorted({column.budget for column in columns if column.budget is not None}) or [0]
    values = np.full((len(archs), len(budgets), 1, len(measured)), np.nan, dtype=np.float32)
    constants = {}
    for column in columns:
        numbers = np.array(
            [_number(path, line, column.header, cell) for line, cell in enumerate(cells[column.header], 2)]
        )
        if column.budget is None:
            constants[column.metric] = torch.from_numpy(numbers.astype(np.float64))
        else:
            values[:, budgets.index(column.budget), 0, measured.index(column.metric)] = numbers
    return Table(
        space=space,
        architectures=archs,
        values=torch.from_numpy(values),
        measured=measured,
        budgets=tuple(budgets),
        units={name: units.get(name, "") for name in (*measured, *constants)},
        constants=constants,
        hashes=_hashes(path, cells),
        source=path.name,
    )


def _hashes(path: Path, cells: Mapping[str, Sequence[str]]) -> NDArray[np.bytes_] | None:
    if not {"hash", "matrix"} <= cells.keys():
        return None
    try:
        return hash_keys(list(cells["hash"]))
    except CorruptFile as error:
        raise CorruptFile(f"{path}: {error}") from None


def _number(path: Path, line: int, name: str, cell: str) -> float:
    try:
        value = float(cell) if cell else math.nan
    except ValueError:
        raise CorruptFile(f"{path}: line {line}: {name} is a number or empty (got {cell[:80]!r})") from None
    if math.isinf(value):
        raise CorruptFile(f"{path}: line {line}: {name} is a finite number or empty (got {cell[:80]!r})")
    return value


def parse_lines(space: SearchSpace, source: Path | str, rows: Sequence[tuple[int, str]]) -> Architectures:
    """The architectures of some numbered lines of a file.

    Raises:
        InvalidArchitecture: naming the file and the line.
    """
    try:
        return space.parse([text for _, text in rows])
    except InvalidArchitecture:
        for number, text in rows:
            try:
                space.parse([text])
            except InvalidArchitecture as error:
                raise InvalidArchitecture(f"{source}: {str(error).replace('row 0', f'line {number}', 1)}") from None
        raise


# -- repeated architectures -------------------------------------------------------------------------------------------
def _refuse_conflicts(path: Path, table: Table, first_line: int) -> None:
    pairs = Lookup(table.space, table.architectures, usual_identity(table.space)).classes.repeated()
    flat = table.values.flatten(1).numpy()
    agree = ((flat[pairs[:, 0]] == flat[pairs[:, 1]]) | np.isnan(flat[pairs[:, 0]]) & np.isnan(flat[pairs[:, 1]])).all(
        1
    )
    if not agree.all():
        clashes = pairs[~agree]
        first, second = sorted((clashes[clashes.max(1).argmin()] + first_line).tolist())
        raise CorruptFile(
            f"{path}: lines {first} and {second} give other values to the same architecture: remove one; if they are "
            "repeated trainings, `graphnas train predictor` and `graphnas data convert` take --repeats runs "
            '(in Python load_table(..., repeats="runs"))'
        )


def _as_runs(table: Table) -> Table:
    """The table with one row per architecture, at its first place, and its repetitions as runs."""
    keys = Lookup(table.space, table.architectures, usual_identity(table.space)).classes
    order: NDArray[np.int64] = keys.order
    starts = np.flatnonzero(np.concatenate([[True], keys.keys[1:] != keys.keys[:-1]])) if len(order) else order
    group = np.repeat(np.arange(len(starts)), np.diff([*starts, len(order)]))
    run = np.arange(len(order)) - starts[group]
    first = np.sort(order[starts])
    row = np.searchsorted(first, order[starts])[group]
    shape = (len(first), len(table.budgets), int(run.max(initial=0)) + 1, len(table.measured))
    values = np.full(shape, np.nan, dtype=np.float32)
    values[row, :, run] = table.values[:, :, 0].numpy()[order]
    return Table(
        space=table.space,
        architectures=table.architectures[torch.from_numpy(first)],
        values=torch.from_numpy(values),
        measured=table.measured,
        budgets=table.budgets,
        run_ids=tuple(range(shape[2])),
        units=table.units,
        constants={name: column[torch.from_numpy(first)] for name, column in table.constants.items()},
        hashes=None if table.hashes is None else table.hashes[first],
        source=table.source,
    )
