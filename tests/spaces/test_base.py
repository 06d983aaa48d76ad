"""What every search space says of itself."""

from __future__ import annotations

import pytest

from graphnas.spaces import get_space, list_spaces
from graphnas.testing import seeded


@pytest.mark.parametrize("name", list_spaces())
def test_ordered_spaces_are_those_with_a_chain_through_all_vertices(name: str) -> None:
    """An edge from every vertex to the next is what leaves one topological order only."""
    space = get_space(name)
    archs = space.sample(200, seeded(0))
    chained = [bool(archs.adj[:, vertex, vertex + 1].all()) for vertex in range(space.max_nodes - 1)]
    assert all(chained) == space.ordered
