"""Architectures without labels from a text file or a CSV, every complaint with its line."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from graphnas.errors import GraphnasError, InvalidArchitecture, MissingData
from graphnas.spaces import Architectures, SearchSpace
from graphnas.tables.header import ARCH_COLUMNS, arch_column, looks_like_header, other_separator
from graphnas.tables.text import UNREADABLE, open_text, parse_lines

Line = tuple[int, str]
LABELLED = re.compile(r"\[\[.*\]\]\s*,[^\]]*")
"""A line of a labelled ENAS list, whose label is left out."""


def read_architectures(space: SearchSpace, source: Path | str) -> Architectures:
    """The lines of a text file, or of a CSV the column of architectures, or its columns `matrix` and `ops`.

    Of a labelled ENAS list the labels are left out.

    Raises:
        InvalidArchitecture: naming file and line.
        MissingData: no such file.
        GraphnasError: it cannot be read, or holds no architecture.
    """
    try:
        with open_text(Path(source)) as stream:
            lines = stream.read().splitlines()
    except FileNotFoundError as error:
        raise MissingData(f"there is no file {source}") from error
    except (OSError, UnicodeDecodeError, *UNREADABLE) as error:
        raise GraphnasError(f"cannot read architectures from {source}: {error}") from error
    rows = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    header = next(csv.reader([rows[0][1]])) if rows else []
    if (column := arch_column(header)) is not None:
        rows = [(number, cells[0]) for number, cells in read_columns(source, header, [column], rows[1:])]
    elif {"matrix", "ops"} <= {*header}:
        pairs = read_columns(source, header, ["matrix", "ops"], rows[1:])
        rows = [(number, ":".join(cells)) for number, cells in pairs]
    elif header and LABELLED.fullmatch(rows[0][1]):
        rows = [(number, line.rpartition(",")[0]) for number, line in rows]
    elif rows and looks_like_header(rows[0][1]):
        refuse_header(source, *rows[0])
    if not rows:
        raise GraphnasError(f"{source} holds no architecture")
    return parse_lines(space, source, rows)


def read_columns(
    source: Path | str, header: Sequence[str], columns: Sequence[str], rows: Sequence[Line]
) -> list[tuple[int, list[str]]]:
    """The cells of some columns, by line.

    Raises:
        InvalidArchitecture: a line that ends before one of them.
    """
    places, found = [header.index(column) for column in columns], []
    for number, line in rows:
        cells = next(csv.reader([line]))
        if len(cells) <= max(places):
            raise InvalidArchitecture(f"{source}: line {number} has no column {header[max(places)]}")
        found.append((number, [cells[place] for place in places]))
    return found


def refuse_header(source: Path | str, number: int, line: str) -> None:
    """Say what is wrong with the header of a CSV that names no column of architectures.

    Raises:
        InvalidArchitecture: always.
    """
    head = f"{source}: line {number} is the header of a CSV"
    if (sign := other_separator(line)) is not None:
        raise InvalidArchitecture(f"{head} with {sign} between the cells: save it with commas (got {line[:80]!r})")
    names = f"{ARCH_COLUMNS[0]} (or {', '.join(ARCH_COLUMNS[1:])})"
    raise InvalidArchitecture(
        f"{head} without a column of architectures: name it {names}, or pass matrix and ops (got {line[:80]!r})"
    )
