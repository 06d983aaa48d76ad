"""Spaces under the rules of another one with more or fewer vertices."""

from __future__ import annotations

import pytest
import torch

from graphnas.errors import InvalidArchitecture, OutsideSpace, UnknownName
from graphnas.spaces import OUTPUT, Architectures, SearchSpace, family_name, get_space
from graphnas.spaces.resized import covered_count, covered_matrices


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def decode_at_random(space: SearchSpace, count: int) -> Architectures:
    """Graphs whose every choice is a coin toss under the masks of the space."""
    generator, width = seeded(), space.max_nodes
    ops, adj = torch.zeros(count, width, dtype=torch.uint8), torch.zeros(count, width, width, dtype=torch.bool)
    sizes, live = torch.full((count,), width), torch.arange(count)
    for vertex in range(1, width):
        partial = Architectures(ops[live], adj[live], torch.full_like(live, width))
        allowed = space.type_mask(partial, vertex).double()
        assert bool(allowed.any(1).all())
        partial.ops[:, vertex] = torch.multinomial(allowed, 1, generator=generator)[:, 0].to(torch.uint8)
        for source in range(vertex - 1, -1, -1):
            may, must = space.edge_mask(partial, vertex, source)
            assert bool((may | ~must).all())
            coin = torch.rand(len(live), generator=generator) < 0.5
            partial.adj[:, source, vertex] = (coin & may) | must
        ops[live], adj[live] = partial.ops, partial.adj
        ended = partial.ops[:, vertex] == OUTPUT
        sizes[live[ended]] = vertex + 1
        live = live[~ended]
    assert len(live) == 0
    return Architectures(ops, adj, sizes).clean()


def test_a_smaller_space_holds_the_small_members_of_the_space() -> None:
    whole, small = get_space("nb101"), get_space("nb101_6")
    members = small.enumerate()
    assert small.size == len(members) == 1 + 6 + 84 + 2441 + 62010
    assert torch.equal(small.fingerprints(members), whole.fingerprints(members))
    assert whole.canonical_keys(members[-5:]) == small.canonical_keys(members[-5:])
    assert not bool(small.is_valid(whole.enumerate()[-3:]).any())


def test_names_say_the_limits_and_give_the_same_object() -> None:
    for name in ("nb101_6", "nb101_8", "nb101_8e28", "nb101_8to8", "toy_3to4", "nb101_7to8e12"):
        space = get_space(name)
        assert space.name == name and get_space(name) is space
        assert space.family == family_name(name) == name.partition("_")[0]
    assert family_name("nb101") == "nb101" and family_name("my_space") == "my_space"
    assert get_space("nb101").resized(8).name == "nb101_8"
    assert get_space("nb101_8e28").at_least(8).name == "nb101_8to8e28"
    assert get_space("enas6").at_least(8) is get_space("enas6")


@pytest.mark.parametrize("name", ["nb101_8", "nb101_8e28", "toy_6"])
def test_samples_of_a_larger_space_are_its_members_from_a_seed(name: str) -> None:
    space = get_space(name)
    first, again = space.sample(60, seeded(3)), space.sample(60, seeded(3))
    assert len(first) == 60 and first == again and bool(space.is_valid(first).all())
    assert set(first.num_nodes.tolist()) == {space.max_nodes}
    assert space.parse(space.format(first)) == first
    assert len(set(space.canonical_keys(first))) > 50
    with pytest.raises(OutsideSpace, match="use sample"):
        space.enumerate()


def test_larger_cells_are_priced_and_changed() -> None:
    space = get_space("nb101_8")
    cells = space.sample(5, seeded())
    assert bool((space.cost(cells)["params"] > 0).all())
    changed = space.mutate(cells, seeded())
    assert bool(space.is_valid(changed).all()) and not bool((changed.equal(cells)).any())
    assert bool(space.is_valid(space.neighbors(cells[:1])).all())


@pytest.mark.parametrize("name", ["nb101_8", "nb101_7to8", "nb101_8to8", "nb101_8to8e28", "toy_5to6", "nb101_8to8e7"])
def test_every_random_choice_under_the_masks_ends_in_a_member(name: str) -> None:
    space = get_space(name)
    graphs = decode_at_random(space, 400)
    assert bool(space.is_valid(graphs).all())
    assert int(graphs.num_nodes.min()) >= getattr(space, "min_nodes", 2)


def test_the_lower_limit_is_a_rule() -> None:
    space = get_space("nb101_8to8")
    with pytest.raises(InvalidArchitecture, match="at least 8 vertices"):
        space.check(get_space("nb101").enumerate()[-1:].widen(8))


def test_counted_matrices_are_the_grown_ones() -> None:
    for nodes, edges in ((4, 4), (5, 6), (6, 15)):
        rows = covered_matrices(nodes, edges)
        assert len(rows) == covered_count(nodes, edges) == len(rows.unique(dim=0))


def test_impossible_limits_are_refused() -> None:
    for name in ("nb101_1", "nb101_8to7", "nb101_12", "nb101_8to8e6"):
        with pytest.raises(OutsideSpace):
            get_space(name)
    assert get_space("nb101_9").max_nodes == 9  # the most that the message says is there
    with pytest.raises(OutsideSpace, match="10 vertices cannot be numbered exactly: expected at most 9"):
        get_space("nb101_10")
    with pytest.raises(OutsideSpace, match="one size"):
        get_space("nb201_9")
    with pytest.raises(OutsideSpace, match="at most 8"):
        get_space("enas6").at_least(9)
    with pytest.raises(UnknownName):
        get_space("nb102_6")
