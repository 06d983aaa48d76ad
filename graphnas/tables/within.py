"""The part of a table that lies in a smaller search space."""

from __future__ import annotations

from dataclasses import replace

from graphnas.errors import SpaceMismatch
from graphnas.spaces import SearchSpace
from graphnas.tables.base import Table


def within(table: Table, space: SearchSpace) -> Table:
    """The rows of a table that are members of a smaller space under the same rules, as a table of that space.

    Args:
        table: labels of the larger space.
        space: of the same operations, with fewer vertices.

    Raises:
        SpaceMismatch: other operations, or a space that is no smaller.

    >>> from graphnas import get_space, load_table
    >>> len(load_table("toy")), len(within(load_table("toy"), get_space("toy_4")))
    (787, 43)
    """
    if space.vocabulary != table.space.vocabulary or space.max_nodes >= table.space.max_nodes:
        raise SpaceMismatch(
            f"expected a space of {table.space.name}'s operations with fewer than {table.space.max_nodes} vertices "
            f"(got {space.name} with up to {space.max_nodes})"
        )
    rows = (table.architectures.num_nodes <= space.max_nodes).nonzero().flatten()
    archs = table.architectures[rows].widen(space.max_nodes)
    valid = space.is_valid(archs)
    rows, archs = rows[valid], archs[valid]
    return replace(
        table,
        space=space,
        architectures=archs,
        values=table.values[rows],
        constants={name: column[rows] for name, column in table.constants.items()},
        curves={key: curve[rows] for key, curve in table.curves.items()},
        hashes=None if table.hashes is None else table.hashes[rows.numpy()],
    )
