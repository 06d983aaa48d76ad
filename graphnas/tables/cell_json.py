"""The published files of the Neural Architecture Ranker: every architecture with its costs by module, as JSON.

Guo et al., ACM MM 2022, https://arxiv.org/abs/2201.12725. Models need no such file, as costs are computed on the fly;
this reads and writes them for exchange, a few thousand architectures at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from graphnas.errors import CorruptFile, GraphnasError, InvalidValues, SpaceMismatch
from graphnas.spaces import Architectures, get_space
from graphnas.tables.base import Table
from graphnas.tables.cell_records import FORMS, Record
from graphnas.tables.json_stream import read_items, write_items
from graphnas.tables.lookup import hash_keys

CHUNK = 4096  # architectures in memory as records at once
NAN = float("nan")


def export_cells(table: Table, path: str | Path, partial: bool = False) -> Path:
    """Write the rows of a table of NAS-Bench-101 or NAS-Bench-201 in the published form.

    Labels are means over runs at the largest budget. Rows of NAS-Bench-201 are numbered as they stand, which are the
    official numbers for tables of the official files. On NAS-Bench-101 the projection of an edge input -> output is
    booked on the output vertex; the published example has no such edge and does not tell.

    Args:
        table: labels.
        path: the file to write.
        partial: leave labels out that the table does not have, which is an error otherwise.

    Raises:
        SpaceMismatch: a table of another space.
        InvalidValues: labels that are missing.
    """
    form = FORMS.get(table.space.name)
    if form is None:
        raise SpaceMismatch(f"expected a table of {' or '.join(FORMS)} (got {table.space.name})")
    missing = [metric for metric in form.labels.values() if metric not in table.metrics]
    if missing and not partial:
        raise InvalidValues(f"the table has no {missing[0]}: partial=True leaves such labels out")
    columns = {name: table.column(metric) for name, metric in form.labels.items() if metric not in missing}
    for name, column in columns.items():
        if bool(column.isnan().any()):
            row = int(column.isnan().nonzero()[0])
            raise InvalidValues(f"row {row} has no {form.labels[name]}: leave such rows out of the table first")

    def items() -> Iterator[tuple[str | None, Record]]:
        for start in range(0, len(table), CHUNK):
            records = form.records(table.architectures[start : start + CHUNK])
            for row, record in enumerate(records, start):
                yield str(row) if form.keyed else None, record | {name: float(columns[name][row]) for name in columns}

    return write_items(Path(path), items(), form.keyed)


def import_cells(path: str | Path, verify: bool = True, partial: bool = False) -> Table:
    """The table of a published file; NAS-Bench-201 rows in the order of their numbers.

    Args:
        path: the file.
        verify: compare everything that follows from the architecture with what is computed here. On NAS-Bench-101 the
            costs of the output may be left out, and may be those of the matrix as it stands.
        partial: accept records without some of the labels, which are NaN then.

    Raises:
        CorruptFile: text that is no JSON, or a record that is not of the form, names no architecture of the space or
            has other costs; with its number.
    """
    items, reader = read_items(Path(path)), None
    while chunk := list(islice(items, CHUNK)):
        if reader is None:
            reader = _Reader(Path(path), "nb101" if chunk[0][0] is None else "nb201", verify, partial)
        reader.add(chunk)
    if reader is None:
        raise CorruptFile(f"{path}: no architectures")
    return reader.table()


class _Reader:
    """What was read so far."""

    def __init__(self, path: Path, space: str, verify: bool, partial: bool) -> None:
        self.path, self.space, self.form = path, get_space(space), FORMS[space]
        self.verify, self.partial = verify, partial
        self.numbers: list[int] = []
        self.parts: list[Architectures] = []
        self.labels: list[list[float]] = []
        self.hashes: list[str] = []

    def add(self, chunk: list[tuple[str | None, Any]]) -> None:
        """Enter some records."""
        first, texts = len(self.numbers), []
        for place, (key, record) in enumerate(chunk, first):
            try:
                texts.append(self.form.text(record))
                self.numbers.append(place if key is None else int(key))
                self.labels.append([self._label(record, name) for name in self.form.labels])
                if "unique_hash" in record:
                    self.hashes.append(record["unique_hash"])
            except (KeyError, TypeError, ValueError) as error:
                raise CorruptFile(f"{self.path}: record {place} is not of the form: {error}") from None
        try:
            archs = self.space.parse(texts)
        except GraphnasError as error:
            raise CorruptFile(f"{self.path}: among the records from {first}: {error}") from None
        self.parts.append(archs)
        if self.verify:
            self._compare(first, [record for _, record in chunk], archs)

    def _label(self, record: Record, name: str) -> float:
        if name not in record and self.partial:
            return NAN
        if isinstance(record[name], bool) or not isinstance(record[name], int | float):
            raise ValueError(f"{name} is a number (got {record[name]!r})")
        return float(record[name])

    def _compare(self, first: int, records: list[Record], archs: Architectures) -> None:
        expected = [self.form.records(archs)]
        doubtful = [place for place, record in enumerate(records) if self.form.wrong_key(place, record, expected)]
        if not doubtful:
            return
        rows = archs[torch.tensor(doubtful)]
        expected = [self.form.records(rows), *(variant(rows) for variant in self.form.variants)]
        for place, row in enumerate(doubtful):
            key = self.form.wrong_key(place, records[row], expected)
            if key is not None:
                wanted, got = expected[0][place][key], records[row].get(key)
                raise CorruptFile(
                    f"{self.path}: record {first + row}: {key} should be {str(wanted)[:200]} (got {str(got)[:200]})"
                )

    def table(self) -> Table:
        """All of it.

        Raises:
            CorruptFile: numbers that are not 0, 1, 2, ..., or hashes of some records only.
        """
        order = torch.tensor(self.numbers).argsort()
        if torch.tensor(self.numbers)[order].tolist() != list(range(len(order))):
            raise CorruptFile(f"{self.path}: keys should be the numbers from 0 to {len(order) - 1}, each once")
        if len(self.hashes) not in (0, len(order)):
            raise CorruptFile(f"{self.path}: {len(self.hashes)} of {len(order)} records have a hash")
        return Table(
            self.space,
            Architectures.concat(self.parts)[order],
            torch.tensor(self.labels)[order][:, None, None, :],
            tuple(self.form.labels.values()),
            budgets=(self.form.budget,),
            units=self.form.units,
            hashes=hash_keys(self.hashes) if self.hashes else None,
            source=self.path.name,
        )
