"""NAS-Bench-101: 423,624 cells trained three times for 108 epochs, in the full file for 4, 12 and 36 epochs too.

Ying et al., ICML 2019, https://arxiv.org/abs/1902.09635; files and format of
https://github.com/google-research/nasbench (Apache-2.0). A record is one training run: a JSON list of module hash,
epochs, adjacency matrix, operations and a protobuf message in MIME base64 (a newline after every 76 characters).
"""

from __future__ import annotations

import json
from binascii import a2b_base64
from collections.abc import Callable
from pathlib import Path
from sys import intern

import numpy as np
import torch
from numpy.typing import NDArray

from graphnas.errors import CorruptFile
from graphnas.spaces import Architectures, SearchSpace, get_space
from graphnas.tables.base import Table
from graphnas.tables.lookup import hash_keys, hash_texts
from graphnas.tables.tfrecord import Records, read_records
from graphnas.tables.wire import BadMessage, decode

RUNS = 3
decode_json = json.JSONDecoder().decode  # without the guess of the encoding
_STAGES = {"halfway_": 1, "": 2}  # evaluation 0 is the untrained network
_COLUMNS = {"training_seconds": 1, "train_accuracy": 2, "validation_accuracy": 3, "test_accuracy": 4}
UNITS = {
    f"{stage}{name}": "seconds" if name.endswith("seconds") else "fraction" for stage in _STAGES for name in _COLUMNS
} | {"total_seconds": "seconds", "params": "count"}
MEASURED = tuple(name for name in UNITS if name != "params")
HASHES_CHECKED = 1024


def read_nb101(path: Path, verify: bool = True, progress: Callable[[int, int], None] | None = None) -> Table:
    """Table of nasbench_only108.tfrecord or nasbench_full.tfrecord; rows in the order of their first record.

    Metrics are accuracies as fractions of 10,000 images, `training_seconds` (without evaluation) and `total_seconds`,
    and the same with the prefix `halfway_` at half the epochs of the same run: not the end of a shorter training, and
    so not a budget.

    Args:
        path: the file.
        verify: check every payload against its checksum and a sample of module hashes against the architectures.
        progress: called with (bytes done, bytes in all).

    Raises:
        CorruptFile: naming record and byte offset, or the architecture that has not three runs of a budget.
    """
    collector = _Collector(path)
    for records in read_records(path, verify, progress):
        collector.add(records)
    table = collector.table()
    if verify and table.hashes is not None:
        _check_hashes(path, table, table.hashes)
    return table


class _Collector:
    """Runs sorted into preallocated arrays as the records pass by."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.row_of: dict[str, int] = {}
        self.cells: list[tuple[str, str]] = []
        self.params: list[int] = []
        self.counts: dict[int, bytearray] = {}
        self.values: dict[int, NDArray[np.float32]] = {}

    def add(self, records: Records) -> None:
        """Enters one chunk."""
        rows, epochs, runs, messages = [], [], [], []
        for index, payload in enumerate(records.payloads):
            try:
                name, budget, *cell, text = decode_json(payload.decode())
                message = a2b_base64(text.replace("\n", ""), strict_mode=True)
                row = self._row(name, budget, *cell)
                run = self._next_run(row, budget)
            except (ValueError, TypeError, AttributeError) as error:
                raise records.corrupt(self.path, index, f"not a NAS-Bench-101 record: {error}") from None
            rows.append(row)
            epochs.append(budget)
            runs.append(run)
            messages.append(message)
        self._store(records, np.array(rows), np.array(epochs), np.array(runs), messages)

    def _row(self, name: str, budget: int, adjacency: str, operations: str) -> int:
        """Row of an architecture, a new one at first sight.

        Raises:
            ValueError: fields of other types, or another architecture under a known hash.
        """
        row = self.row_of.get(name)
        if type(budget) is not int or budget < 1:
            raise ValueError(f"epochs are a positive integer (got {budget!r})")
        if row is None:
            if not (isinstance(name, str) and isinstance(adjacency, str) and isinstance(operations, str)):
                raise ValueError("hash, adjacency and operations are text")
            row = self.row_of[name] = len(self.row_of)
            self.cells.append((intern(adjacency), intern(operations)))
        elif self.cells[row] != (adjacency, operations):
            raise ValueError(
                f"{name} stands for {self.cells[row]} in an earlier record (got {(adjacency, operations)})"
            )
        return row

    def _next_run(self, row: int, budget: int) -> int:
        counts = self.counts.setdefault(budget, bytearray())
        if len(counts) <= row:
            counts.extend(bytes(max(1024, len(counts), row + 1 - len(counts))))
        run = counts[row]
        if run == RUNS:
            raise ValueError(f"a fourth run of {budget} epochs of this architecture")
        counts[row] = run + 1
        return run

    def _store(
        self,
        records: Records,
        rows: NDArray[np.int64],
        epochs: NDArray[np.int64],
        runs: NDArray[np.int64],
        messages: list[bytes],
    ) -> None:
        try:
            metrics = decode(messages)
        except BadMessage as error:
            raise records.corrupt(self.path, error.index, f"metrics: {error}") from None
        at = metrics.evaluations[:, :, 0]
        late = np.flatnonzero((np.abs(at[:, 2] - epochs) >= 1) | (np.abs(at[:, 1] - epochs / 2) >= 1))
        if len(late):
            index = int(late[0])
            raise records.corrupt(
                self.path,
                index,
                f"evaluations of {epochs[index]} epochs are at 0, half and the end (got {at[index].tolist()})",
            )
        columns = [metrics.evaluations[:, stage, column] for stage in _STAGES.values() for column in _COLUMNS.values()]
        values = np.stack([*columns, metrics.total_time], axis=1).astype(np.float32)
        for budget in np.unique(epochs).tolist():
            here = epochs == budget
            self._array(budget)[rows[here], runs[here]] = values[here]
        self._store_params(records, rows, metrics.parameters)

    def _store_params(self, records: Records, rows: NDArray[np.int64], params: NDArray[np.int64]) -> None:
        first = np.unique(rows, return_index=True)[1]
        self.params.extend(params[index] for index in first.tolist() if rows[index] >= len(self.params))
        wrong = np.flatnonzero(np.array(self.params)[rows] != params)
        if len(wrong):
            index = int(wrong[0])
            raise records.corrupt(
                self.path, index, f"{self.params[rows[index]]} parameters in an earlier record (got {params[index]})"
            )

    def _array(self, budget: int) -> NDArray[np.float32]:
        """Values of one budget, float32 [at least the rows so far, runs, measured]; doubled when full."""
        array = self.values.get(budget, np.full((1024, RUNS, len(MEASURED)), np.nan, dtype=np.float32))
        while len(array) < len(self.row_of):
            array = np.concatenate([array, np.full_like(array, np.nan)])
        self.values[budget] = array
        return array

    def table(self) -> Table:
        """Everything collected.

        Raises:
            CorruptFile: an architecture without exactly three runs of every budget, or outside the space.
        """
        names, count = list(self.row_of), len(self.row_of)
        budgets = sorted(self.counts)
        for budget in budgets:
            counts = np.frombuffer(self.counts[budget].ljust(count, b"\0"), dtype=np.uint8)[:count]
            short = np.flatnonzero(counts != RUNS)
            if len(short):
                raise CorruptFile(
                    f"{self.path}: {len(short)} architectures have not {RUNS} runs of {budget} epochs, the first is "
                    f"{names[short[0]]} with {counts[short[0]]}: the file is incomplete, download it again"
                )
        space = get_space("nb101")
        values = np.empty((len(MEASURED), count, len(budgets), RUNS), dtype=np.float32)
        for place, budget in enumerate(budgets):
            values[:, :, place] = np.moveaxis(self._array(budget)[:count], 2, 0)
        try:
            architectures, hashes = self._architectures(space), hash_keys(names)
        except ValueError as error:
            raise CorruptFile(f"{self.path}: {error}") from None
        return Table(
            space=space,
            architectures=architectures,
            values=torch.from_numpy(values).permute(1, 2, 3, 0),
            measured=MEASURED,
            budgets=tuple(budgets),
            run_ids=tuple(range(RUNS)),
            units=UNITS,
            constants={"params": torch.tensor(self.params, dtype=torch.float64)},
            hashes=hashes,
            source=self.path.name,
        )

    def _architectures(self, space: SearchSpace) -> Architectures:
        return space.parse([_cell_text(*cell) for cell in self.cells])


def _cell_text(adjacency: str, operations: str) -> str:
    """A cell in the text form of the space: rows of the matrix, then the interior operations.

    Raises:
        ValueError: operations that do not go from input to output, or a matrix of another size.
    """
    first, *interior, last = operations.split(",") if "," in operations else (operations, "")
    size = len(interior) + 2
    if (first, last) != ("input", "output") or len(adjacency) != size * size:
        raise ValueError(
            f"expected input,...,output and a matrix of as many rows (got {operations!r} and {adjacency!r})"
        )
    rows = [adjacency[start : start + size] for start in range(0, size * size, size)]
    return f"{'/'.join(rows)}:{','.join(interior)}"


def _check_hashes(path: Path, table: Table, stored: NDArray[np.bytes_]) -> None:
    """Compares the stored module hashes of some rows with those of their architectures."""
    rows = torch.linspace(0, len(table) - 1, min(HASHES_CHECKED, len(table))).long()
    computed = hash_keys(table.space.canonical_keys(table.architectures[rows]))
    wrong = np.flatnonzero(stored[rows.numpy()] != computed)
    if len(wrong):
        place = slice(int(wrong[0]), int(wrong[0]) + 1)
        raise CorruptFile(
            f"{path}: architecture {int(rows[place])} is stored under the hash "
            f"{hash_texts(stored[rows.numpy()][place])[0]}, its own is {hash_texts(computed[place])[0]}"
        )
