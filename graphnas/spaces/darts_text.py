"""The DARTS genotype as text: a strict reader of the one call expression, and a writer."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from graphnas.errors import InvalidArchitecture
from graphnas.spaces.darts_cells import NUM_NODES, OPS

CELLS = ("normal", "reduce")
MAX_LENGTH = 4000  # a genotype has about 500 characters; longer text could exhaust the parser's stack

Pair = tuple[str, int]


class _Refused(Exception):
    """What was expected, and the part of the text that is something else."""

    def __init__(self, expected: str, got: ast.AST | object) -> None:
        self.expected, self.got = expected, got


def read_genotype(row: int, text: str) -> list[list[Pair]]:
    """(operation, source) pairs of the normal and of the reduction cell, in the order written.

    Args:
        row: number of the text, for messages.
        text: `Genotype(normal=[(op, source), ...], normal_concat=[2, 3, 4, 5], reduce=..., reduce_concat=...)`; the
            concatenations may also be `range(2, 6)`. It is read as a syntax tree and never evaluated.

    Raises:
        InvalidArchitecture: anything else.
    """
    try:
        fields = _fields(text)
        return [_cell(name, fields[name], fields[f"{name}_concat"]) for name in CELLS]
    except _Refused as refused:
        got = ast.get_source_segment(text, refused.got) if isinstance(refused.got, ast.AST) else str(refused.got)
        raise InvalidArchitecture(
            f"row {row} is not in darts: expected {refused.expected} (got {str(got)[:200]})"
        ) from refused


def _fields(text: str) -> dict[str, ast.expr]:
    """The four keyword arguments of the call."""
    if len(text) > MAX_LENGTH:
        raise _Refused(f"at most {MAX_LENGTH} characters", f"{len(text)} characters")
    try:
        call = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _Refused("Genotype(normal=[...], ...)", repr(text)) from error
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.func.id != "Genotype" or call.args:
        raise _Refused("Genotype(normal=[...], ...)", repr(text))
    wanted = [name for cell in CELLS for name in (cell, f"{cell}_concat")]
    names = [str(keyword.arg) for keyword in call.keywords]
    if sorted(names) != sorted(wanted):
        raise _Refused(f"the fields {', '.join(wanted)}", ", ".join(names) or "none")
    return {str(keyword.arg): keyword.value for keyword in call.keywords}


def _cell(name: str, entries: ast.expr, concat: ast.expr) -> list[Pair]:
    joined = _constants(concat.elts) if isinstance(concat, ast.List) else _range(concat)
    if joined != [2, 3, 4, 5]:
        raise _Refused(f"{name}_concat=[2, 3, 4, 5] or range(2, 6)", concat)
    if not isinstance(entries, ast.List) or len(entries.elts) != 2 * NUM_NODES:
        raise _Refused(f"{name}=[{2 * NUM_NODES} pairs (operation, source)]", entries)
    pairs = [_pair(name, place, entry) for place, entry in enumerate(entries.elts)]
    for node in range(NUM_NODES):
        if pairs[2 * node][1] == pairs[2 * node + 1][1]:
            raise _Refused(f"two different sources at node {node + 2} of {name}", f"twice {pairs[2 * node][1]}")
    return pairs


def _pair(name: str, place: int, entry: ast.expr) -> Pair:
    values = _constants(entry.elts) if isinstance(entry, ast.Tuple) else []
    op, source = values if len(values) == 2 else (None, None)
    if not isinstance(op, str) or not isinstance(source, int):
        raise _Refused(f"a pair (operation, source) as entry {place} of {name}", entry)
    if op not in OPS:
        raise _Refused(f"one of {', '.join(OPS)} as entry {place} of {name}", repr(op))
    if not 0 <= source < place // 2 + 2:
        raise _Refused(f"a source from 0 to {place // 2 + 1} at node {place // 2 + 2} of {name}", source)
    return op, source


def _range(entry: ast.expr) -> list[int]:
    """Values of a literal `range(2, 6)`; nothing for any other expression."""
    if not isinstance(entry, ast.Call) or not isinstance(entry.func, ast.Name) or entry.func.id != "range":
        return []
    return [2, 3, 4, 5] if _constants(entry.args) == [2, 6] and not entry.keywords else []


def _constants(entries: Sequence[ast.expr]) -> list[object]:
    """Literal values, None for anything that is none; True is no 1."""
    values = [entry.value if isinstance(entry, ast.Constant) else None for entry in entries]
    return [value if type(value) in (str, int) else None for value in values]


def write_genotype(cells: Sequence[Sequence[Pair]]) -> str:
    """Inverse of :func:`read_genotype`."""
    fields = [f"{cell}={list(pairs)}, {cell}_concat=[2, 3, 4, 5]" for cell, pairs in zip(CELLS, cells, strict=True)]
    return f"Genotype({', '.join(fields)})"
