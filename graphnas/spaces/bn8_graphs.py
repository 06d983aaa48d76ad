"""Directed graphs on a few labelled vertices as batches of matrices: reachability, order, edits and text."""

from __future__ import annotations

import json
from collections.abc import Sequence

import torch
from torch import Tensor

from graphnas.errors import InvalidArchitecture
from graphnas.spaces.base import as_lines

FORM = "[[type], [type, bit], [type, bit, bit], ...]"


def reachable(matrices: Tensor) -> Tensor:
    """bool [B, V, V]: whether a path of at least one edge leads from u to v, of bool [B, V, V]."""
    paths = matrices.float()
    length = 1  # of the paths known so far
    while length < matrices.shape[1]:
        paths = ((paths + paths @ paths) > 0).float()
        length *= 2
    return paths > 0


def stable_order(matrices: Tensor, order: Tensor) -> tuple[Tensor, Tensor]:
    """A topological order near a given one, int64 [B, V], and bool [B] where the graph is acyclic.

    Every place gets the first vertex of `order` that is left and whose parents have all been placed, so that an order
    that is topological comes back unchanged.

    Args:
        matrices: bool [B, V, V], edges source, target.
        order: int64 [B, V], a permutation per row.
    """
    inner = permuted(matrices, order)
    left = torch.ones_like(order, dtype=torch.bool)
    acyclic = torch.ones(len(order), dtype=torch.bool, device=order.device)
    picks = []
    for _ in range(order.shape[1]):
        ready = left & ~(inner & left[:, :, None]).any(1)
        acyclic &= ready.any(1)
        pick = torch.where(ready.any(1, keepdim=True), ready, left).to(torch.uint8).argmax(1, keepdim=True)
        left = left.scatter(1, pick, False)
        picks.append(pick)
    return order.gather(1, torch.cat(picks, 1)), acyclic


def permuted(matrices: Tensor, order: Tensor) -> Tensor:
    """Matrices [B, V, V] with row and column i taken from `order[:, i]` (int64 [B, V])."""
    width = order.shape[1]
    rows = matrices.gather(1, order[:, :, None].expand(-1, -1, width))
    return rows.gather(2, order[:, None, :].expand(-1, width, -1))


def legal_edits(matrices: Tensor) -> Tensor:
    """bool [B, V, V]: whether edit (u, v) of an acyclic graph leaves it acyclic; see :func:`edited`."""
    paths = reachable(matrices)
    detour = (matrices.float() @ paths.float()) > 0  # a path of two edges or more
    add, reverse = ~paths.transpose(1, 2), ~detour.transpose(1, 2)
    legal = torch.where(matrices.transpose(1, 2), reverse, add) | matrices
    return legal & ~torch.eye(matrices.shape[1], dtype=torch.bool, device=matrices.device)


def edited(matrices: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """Copies with edit (source, target), int64 [B] each: drop the edge, turn its reverse round, or else add it."""
    rows, result = torch.arange(len(matrices), device=matrices.device), matrices.clone()
    result[rows, source, target] = ~matrices[rows, source, target]
    result[rows, target, source] = False
    return result


def parse_rows(space: str, names: Sequence[str], text: str | Sequence[str]) -> tuple[Tensor, Tensor]:
    """Types int64 [B, V] and edges bool [B, V, V] by place, from nested lists; JSON is the grammar of this text.

    Raises:
        InvalidArchitecture: naming the row, the rule and the value.
    """
    rows = [_parse_line(space, names, row, line) for row, line in enumerate(as_lines(text))]
    width = len(names)
    order = torch.tensor([[entries[0] for entries in nodes] for nodes in rows], dtype=torch.int64).reshape(-1, width)
    columns = [[[*entries[1:], *[0] * (width - place)] for place, entries in enumerate(nodes)] for nodes in rows]
    parents = torch.tensor(columns, dtype=torch.bool).reshape(-1, width, width)
    return order, parents.transpose(1, 2).contiguous()


def _parse_line(space: str, names: Sequence[str], row: int, line: str) -> list[list[int]]:
    try:
        nodes = json.loads(line)
    except (ValueError, RecursionError):
        raise _refusal(space, row, FORM, repr(line[:200])) from None
    if type(nodes) is not list or not all(type(entries) is list for entries in nodes):
        raise _refusal(space, row, FORM, repr(line[:200]))
    sizes = [len(entries) for entries in nodes]
    if sizes != list(range(1, len(names) + 1)):
        raise _refusal(space, row, f"{len(names)} vertices, vertex k with a type and k bits", f"sizes {sizes[:20]}")
    for entries in nodes:
        if type(entries[0]) is not int or not 0 <= entries[0] < len(names):
            raise _refusal(space, row, f"types from 0 to {len(names) - 1}", repr(entries[0])[:80])
        for bit in entries[1:]:
            if type(bit) is not int or bit not in (0, 1):
                raise _refusal(space, row, "bits 0 or 1", repr(bit)[:80])
    kinds = [entries[0] for entries in nodes]
    if len(set(kinds)) != len(kinds):
        raise _refusal(space, row, f"each of {', '.join(names)} once", f"types {kinds}")
    return nodes


def _refusal(space: str, row: int, expected: str, got: str) -> InvalidArchitecture:
    return InvalidArchitecture(f"row {row} is not in {space}: expected {expected} (got {got})")
