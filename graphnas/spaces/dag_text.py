"""Text of cells, `0110/0001/0001/0000:conv3x3-bn-relu,maxpool3x3`: rows of the matrix, then the interior operations."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch

from graphnas.errors import InvalidArchitecture
from graphnas.spaces.architectures import Architectures
from graphnas.spaces.base import INPUT, OUTPUT, SearchSpace, as_lines

GRAMMAR = "rows of 0 and 1 joined by '/', then ':' and the interior operations joined by ','"


def parse_cells(space: SearchSpace, text: str | Sequence[str]) -> Architectures:
    """Architectures from cell texts; the grammar is checked here, membership by the caller.

    Raises:
        InvalidArchitecture: naming the row, what was expected and the text.
    """
    lines = as_lines(text)
    groups: dict[int, list[int]] = {}
    for row, line in enumerate(lines):
        groups.setdefault(line.partition(":")[0].count("/") + 1, []).append(row)
    batch = Architectures.empty(space.max_nodes)
    parts, order = [batch], []
    for size, rows in groups.items():  # texts of one size are read as one array
        parts.append(_parse_size(space, size, rows, [lines[row] for row in rows]))
        order += rows
    return Architectures.concat(parts)[torch.tensor(order, dtype=torch.int64).argsort()]


def _parse_size(space: SearchSpace, size: int, rows: list[int], lines: list[str]) -> Architectures:
    """Cells of `size` matrix rows; `rows` are their places in the whole text."""
    width = size * (size + 1) - 1

    @cache
    def interior(ops_text: str) -> list[int]:
        return [space.op_index(op) for op in ops_text.split(",")] if ops_text else []

    ops = np.zeros((len(lines), size), dtype=np.uint8)
    ops[:, -1] = OUTPUT
    matrices = []
    for place, (row, line) in enumerate(zip(rows, lines, strict=True)):
        matrix_text, colon, ops_text = line.partition(":")
        if not 2 <= size <= space.max_nodes:
            raise InvalidArchitecture(
                f"row {row}: expected 2 to {space.max_nodes} matrix rows (got {size} in {line!r})"
            )
        if not colon or len(matrix_text) != width or set(matrix_text) - set("01/"):
            raise InvalidArchitecture(f"row {row}: expected {GRAMMAR}, the matrix square (got {line!r})")
        try:
            ops[place, 1:-1] = _exactly(interior(ops_text), size - 2)
        except InvalidArchitecture as error:
            raise InvalidArchitecture(f"row {row}: {error} (in {line!r})") from None
        matrices.append(matrix_text)
    cells = np.frombuffer(("/".join(matrices) + "/").encode(), dtype=np.uint8).reshape(-1, size, size + 1)
    ragged = ((cells[:, :, -1] != ord("/")) | (cells[:, :, :-1] == ord("/")).any(2)).any(1)
    if ragged.any():
        place = int(ragged.argmax())
        raise InvalidArchitecture(
            f"row {rows[place]}: expected {size} rows of {size} digits each (got {lines[place]!r})"
        )
    return _batch(ops, cells[:, :, :-1] == ord("1")).widen(space.max_nodes)


def _exactly(ops: list[int], count: int) -> list[int]:
    if len(ops) != count:
        raise InvalidArchitecture(f"expected {count} interior operations, one per interior matrix row (got {len(ops)})")
    return ops


def format_cells(space: SearchSpace, archs: Architectures) -> list[str]:
    """The cell text of every row."""
    texts = np.empty(len(archs), dtype=object)
    rows = archs.to("cpu")
    for size in rows.num_nodes.unique().tolist():
        pick = (rows.num_nodes == size).nonzero().flatten()
        cells = np.full((len(pick), size, size + 1), ord("/"), dtype=np.uint8)
        cells[:, :, :-1] = rows.adj[pick, :size, :size].numpy() + np.uint8(ord("0"))
        cells[:, -1, -1] = ord(":")
        matrices = np.frombuffer(cells.tobytes(), dtype=f"S{size * (size + 1)}")
        distinct, which = rows.ops[pick, 1:size].unique(dim=0, return_inverse=True)
        interior = np.array(
            [",".join(space.vocabulary[op] for op in ops[:-1]) for ops in distinct.tolist()], dtype=object
        )
        texts[pick.numpy()] = [a.decode() + b for a, b in zip(matrices.tolist(), interior[which.numpy()], strict=True)]
    return list(texts)


def cell_from_matrix(space: SearchSpace, matrix: Any, ops: Sequence[str]) -> Architectures:
    """A batch of one from a square 0/1 matrix (nested lists or array) and one operation per vertex, ends included.

    Raises:
        InvalidArchitecture: not square, not 0/1, an edge that points backwards, wrong or unknown operations.
    """
    try:
        values = np.asarray(matrix)
    except ValueError:
        values = np.empty(0)
    size = len(values) if values.ndim else 0
    if size < 2 or values.shape != (size, size):
        raise InvalidArchitecture(f"expected a square matrix of at least two rows (got {matrix!r})")
    if values.dtype.kind not in "biuf" or not np.isin(values, (0, 1)).all():
        raise InvalidArchitecture(f"expected a matrix of 0 and 1 (got {matrix!r})")
    backward = np.argwhere(np.tril(values) != 0).tolist()
    if backward:
        raise InvalidArchitecture(f"expected edges from lower to higher vertices, no cycles (got edges {backward})")
    names = list(ops)
    if len(names) != size:
        raise InvalidArchitecture(
            f"expected {size} operations, one per matrix row, input and output included (got {names})"
        )
    first, last = space.vocabulary[INPUT], space.vocabulary[OUTPUT]
    if (names[0], names[-1]) != (first, last):
        raise InvalidArchitecture(f"expected operations from {first!r} to {last!r} (got {names})")
    codes = [INPUT, *(space.op_index(op) for op in names[1:-1]), OUTPUT]
    return _batch(np.array([codes], dtype=np.uint8), values[None] != 0)


def _batch(ops: np.ndarray, adj: np.ndarray) -> Architectures:
    return Architectures(torch.from_numpy(ops), torch.from_numpy(adj), torch.full((len(ops),), ops.shape[1]))
