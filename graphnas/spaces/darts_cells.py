"""DARTS cells as integers: sources and operations, their rank, single changes and canonical numbering.

A cell is sources and operations, int64 [..., 4, 2]: for each of the 4 intermediate nodes two sources (0 and 1 the cell
inputs, 2+i intermediate node i; the lower one first) and the operations they pass through. As choices it is the four
pairs of sources and the eight operations.
"""

from __future__ import annotations

from itertools import permutations

import torch
from torch import Tensor

from graphnas.spaces.fixed import place_values

OPS = ("max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5")
NUM_NODES = 4
CELL_RADIX = (1, 3, 6, 10, *[len(OPS)] * 8)
CELL_SIZE = 180 * len(OPS) ** 8
PAIRS = torch.tensor([(low, high) for high in range(5) for low in range(high)])
"""int64 [10, 2]: the pairs of sources; node j chooses among the first (j+1)(j+2)/2."""

EDITS = torch.tensor(
    [(slot, shift, -1) for slot in range(16) for shift in range(1, len(OPS))]
    + [(slot, 0, rest) for slot in range(16) for rest in range(slot % 8 // 2)]
)
"""int64 [120, 3]: slot, shift of its operation, and the number of the unused source it gets (-1: it keeps its own)."""


def split(choices: Tensor) -> tuple[Tensor, Tensor]:
    """Sources and operations, both int64 [B, 2, 4, 2], of the choices [B, 24] of two cells."""
    cells = choices.reshape(-1, 2, len(CELL_RADIX))
    return PAIRS.to(choices.device)[cells[..., :NUM_NODES]], cells[..., NUM_NODES:].reshape(-1, 2, NUM_NODES, 2)


def join(sources: Tensor, operations: Tensor) -> Tensor:
    """Inverse of :func:`split`."""
    low, high = sources.unbind(-1)
    return torch.cat([high * (high - 1) // 2 + low, operations.flatten(2)], 2).flatten(1)


def ordered(sources: Tensor, operations: Tensor) -> tuple[Tensor, Tensor]:
    """The same pairs [..., 2] with the lower source first."""
    swap = (sources[..., 0] > sources[..., 1])[..., None]
    return torch.where(swap, sources.flip(-1), sources), torch.where(swap, operations.flip(-1), operations)


def edited(choices: Tensor, edit: Tensor) -> Tensor:
    """Choices [B, 24] with change number `edit` int64 [B] of `EDITS` made."""
    slot, shift, rest = EDITS.to(choices.device)[edit].unbind(1)
    sources, operations = (part.flatten(1).clone() for part in split(choices))
    rows = torch.arange(len(choices), device=choices.device)
    operations[rows, slot] = (operations[rows, slot] + shift) % len(OPS)
    first = slot - slot % 2
    other = rest + (rest >= sources[rows, first]).long()  # steps over the two sources the node has
    other += (other >= sources[rows, first + 1]).long()
    sources[rows, slot] = torch.where(rest >= 0, other, sources[rows, slot])
    shape = (-1, 2, NUM_NODES, 2)
    return join(*ordered(sources.view(shape), operations.view(shape)))


def canonical_rank(choices: Tensor) -> Tensor:
    """int64 [B]: lowest rank over the renumberings of intermediate nodes that keep sources before their readers."""
    device = choices.device
    sources, operations = split(choices)
    weights = place_values(CELL_RADIX).to(device)
    latest = torch.arange(1, NUM_NODES + 1, device=device)
    best = torch.full((len(choices), 2), CELL_SIZE, device=device)
    for order in permutations(range(NUM_NODES)):  # order[p]: the old node that becomes node p
        renamed = torch.tensor([0, 1, *(2 + order.index(node) for node in range(NUM_NODES))], device=device)
        new, moved = ordered(renamed[sources][:, :, list(order)], operations[:, :, list(order)])
        legal = (new[..., 1] <= latest).all(2)
        codes = (join(new, moved).view(-1, 2, len(CELL_RADIX)) * weights).sum(2)
        best = torch.where(legal & (codes < best), codes, best)
    return best[:, 0] * CELL_SIZE + best[:, 1]
