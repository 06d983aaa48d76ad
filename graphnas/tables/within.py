"""The part of a table that lies in a smaller search space."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from graphnas.errors import GraphnasError, InvalidArchitecture, SpaceMismatch
from graphnas.spaces import SearchSpace, get_space
from graphnas.tables.base import Table
from graphnas.tables.load import load_table

log = logging.getLogger(__name__)


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


def load_members(source: str | Path, space: SearchSpace, **options: Any) -> tuple[Table, bool]:
    """The labels of a space, where they are among those of a larger one under the same rules these alone.

    Args:
        source: as of :func:`load_table`.
        space: such as `nb101_6`, of which a file about `nb101` has some members.
        options: for the reader.

    Returns:
        The table, and whether it has every row of the source.

    Raises:
        GraphnasError: see :func:`load_table`; SpaceMismatch also where no row is a member.
    """
    family = get_space(space.family)
    try:
        return load_table(source, space=space, **options), True
    except (InvalidArchitecture, SpaceMismatch) as error:
        if family.max_nodes <= space.max_nodes:
            raise
        try:
            whole = load_table(source, space=family, **options)
        except GraphnasError:
            raise error from None
    found = within(whole, space)
    if not len(found):
        raise SpaceMismatch(f"{source} is about {family.name} and has no member of {space.name}")
    log.info("%s: %d of %d rows are members of %s", source, len(found), len(whole), space.name)
    return found, False
