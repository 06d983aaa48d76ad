"""What every space of one fixed layout keeps: NB201, ENAS with 6 and 12 layers, DARTS."""

from __future__ import annotations

import pytest
import torch
from torch import Generator, Tensor

from graphnas.errors import InvalidArchitecture, OutsideSpace
from graphnas.spaces import Architectures, get_space
from graphnas.spaces.fixed import FixedSpace, hash_rows, place_values

NAMES = ["nb201", "enas6", "enas12", "darts"]


@pytest.fixture(params=NAMES)
def space(request: pytest.FixtureRequest) -> FixedSpace:
    found = get_space(request.param)
    assert isinstance(found, FixedSpace)
    return found


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def blank(space: FixedSpace, size: int) -> Architectures:
    width = space.max_nodes
    ops, adj = torch.zeros(size, width, dtype=torch.uint8), torch.zeros(size, width, width, dtype=torch.bool)
    return Architectures(ops, adj, torch.full((size,), width))


def rollout(space: FixedSpace, size: int, generator: Generator) -> Architectures:
    """Architectures built vertex by vertex from fair coins that obey the masks."""
    partial = blank(space, size)
    for vertex in range(space.max_nodes):
        allowed = space.type_mask(partial, vertex)
        assert allowed.shape == (size, space.num_ops)
        assert allowed.any(1).all()
        partial.ops[:, vertex] = torch.multinomial(allowed.float(), 1, generator=generator)[:, 0].to(torch.uint8)
        for source in reversed(range(vertex)):
            may, must = space.edge_mask(partial, vertex, source)
            assert may.shape == must.shape == (size,)
            assert not (must & ~may).any()
            coin = torch.rand(size, generator=generator) < 0.5
            partial.adj[:, source, vertex] = must | (may & coin)
    return partial


def followed(space: FixedSpace, archs: Architectures) -> Tensor:
    """bool [B]: whether the masks allow every step that leads to the row."""
    partial, agreed = blank(space, len(archs)), torch.ones(len(archs), dtype=torch.bool)
    rows = torch.arange(len(archs))
    for vertex in range(space.max_nodes):
        agreed &= space.type_mask(partial, vertex)[rows, archs.ops[:, vertex].long()]
        partial.ops[:, vertex] = archs.ops[:, vertex]
        for source in reversed(range(vertex)):
            may, must = space.edge_mask(partial, vertex, source)
            edge = archs.adj[:, source, vertex]
            agreed &= torch.where(edge, may, ~must)
            partial.adj[:, source, vertex] = edge
    return agreed


def test_masks_lead_to_valid_architectures_only(space: FixedSpace) -> None:
    built = rollout(space, 4000, seeded())
    assert space.is_valid(built).all()
    assert len(set(built.index_keys())) > 3000


def test_masks_allow_every_valid_architecture(space: FixedSpace) -> None:
    assert followed(space, space.sample(4000, seeded())).all()


def test_masks_leave_out_what_is_invalid(space: FixedSpace) -> None:
    archs = space.sample(64, seeded())
    archs.adj[:, 0, space.max_nodes - 1] = True
    assert not followed(space, archs).any()


def test_sample_is_uniform_over_choices_and_repeats(space: FixedSpace) -> None:
    archs = space.sample(6000, seeded(1))
    assert space.is_valid(archs).all()
    assert archs == space.sample(6000, seeded(1))
    choices = space.choices(archs)
    for place, high in enumerate(space.radix):
        share = torch.bincount(choices[:, place], minlength=high) / len(archs)
        spread = (1 / high * (1 - 1 / high) / len(archs)) ** 0.5
        assert (share - 1 / high).abs().max() < 5 * spread + 1e-9


def test_choices_and_text_are_bijections(space: FixedSpace) -> None:
    archs = space.sample(300, seeded(2))
    assert space.from_choices(space.choices(archs)) == archs
    assert space.parse(space.format(archs)) == archs
    assert space.parse(space.format(archs)[0]) == archs[0]
    assert torch.tensor(space.radix).double().log().sum().exp().item() == pytest.approx(space.size, rel=1e-6)


def test_rank_counts_with_the_last_choice_fastest(space: FixedSpace) -> None:
    if space.size > 2**63:
        with pytest.raises(OutsideSpace, match="fingerprints"):
            space.rank(space.sample(1))
        return
    archs = space.sample(300, seeded(3))
    assert space.unrank(space.rank(archs)) == archs
    first = torch.zeros(1, len(space.radix), dtype=torch.int64)
    second = first.clone()
    second[0, -1] = 1
    highest = torch.tensor([space.radix]) - 1
    ranks = space.rank(space.from_choices(torch.cat([first, second, highest])))
    assert ranks.tolist() == [0, 1, space.size - 1]


def test_fingerprints_agree_with_keys(space: FixedSpace) -> None:
    archs = space.sample(1500, seeded(4))
    archs = Architectures.concat([archs, archs[:200], space.edits(archs[0])])
    codes, keys = space.fingerprints(archs), space.canonical_keys(archs)
    pairs = set(zip(codes.tolist(), keys, strict=True))
    assert len(pairs) == len(set(keys)) == len(codes.unique())
    assert codes.dtype == torch.int64


def test_mutation_is_one_edit_and_never_the_row_itself(space: FixedSpace) -> None:
    archs = space.sample(3000, seeded(5))
    mutants = space.mutate(archs, seeded(6))
    assert space.is_valid(mutants).all()
    assert not archs.equal(mutants).any()
    assert mutants == space.mutate(archs, seeded(6))
    for row in range(20):
        assert archs[row].index_keys()[0] not in space.edits(archs[row]).index_keys()
        assert mutants[row].index_keys()[0] in space.edits(archs[row]).index_keys()


def test_mutation_reaches_every_neighbor_equally(space: FixedSpace) -> None:
    start = space.sample(1, seeded(7))
    neighbors = space.neighbors(start)
    draws = 300 * len(neighbors)
    mutants = space.mutate(start[[0] * draws], seeded(8))
    place = {key: index for index, key in enumerate(neighbors.index_keys())}
    counts = torch.bincount(torch.tensor([place[key] for key in mutants.index_keys()]), minlength=len(neighbors))
    assert (counts - 300).abs().max() < 5.5 * 300**0.5


def test_neighbors_want_one_architecture(space: FixedSpace) -> None:
    with pytest.raises(InvalidArchitecture, match=r"batch of one architecture \(got 2\)"):
        space.neighbors(space.sample(2))


def test_costs_have_the_promised_shapes_and_add_up(space: FixedSpace) -> None:
    archs = space.sample(50, seeded(9))
    cost = space.cost(archs)
    assert set(cost) == {"flops", "params", "vertex_flops", "vertex_params"}
    for part in ("flops", "params"):
        total, vertex = cost[part], cost[f"vertex_{part}"]
        assert total.dtype == vertex.dtype == torch.int64
        assert total.shape == (50,)
        assert vertex.shape[0] == 50
        assert vertex.shape[2] == space.max_nodes
        skeleton = total - vertex.sum((1, 2))
        assert (skeleton == skeleton[0]).all()
        assert skeleton[0] > 0


def test_empty_batches_pass_through(space: FixedSpace) -> None:
    none = space.sample(0)
    assert len(none) == 0
    assert space.parse([]) == none
    assert space.format(none) == space.canonical_keys(none) == space.functional_keys(none) == []
    assert len(space.mutate(none)) == len(space.fingerprints(none)) == len(space.cost(none)["flops"]) == 0


def test_padding_does_not_matter(space: FixedSpace) -> None:
    archs = space.sample(20, seeded(10))
    wide = archs.widen(space.max_nodes + 3)
    assert space.is_valid(wide).all()
    assert space.canonical_keys(wide) == space.canonical_keys(archs)
    assert space.mutate(wide, seeded(1)) == space.mutate(archs, seeded(1))
    assert torch.equal(space.cost(wide)["vertex_params"], space.cost(archs)["vertex_params"])


def test_wrong_sizes_are_refused(space: FixedSpace) -> None:
    narrow = get_space("nb101").max_nodes
    ops = torch.tensor([[0, 2, 1] + [0] * (narrow - 3)], dtype=torch.uint8)
    adj = torch.zeros(1, narrow, narrow, dtype=torch.bool)
    small = Architectures(ops, adj, torch.tensor([3]))
    assert not space.is_valid(small).any()
    with pytest.raises(InvalidArchitecture, match=rf"row 0 .* exactly {space.max_nodes} vertices \(got 3 vertices\)"):
        space.canonical_keys(small)


def test_wrong_wiring_is_refused_by_every_method(space: FixedSpace) -> None:
    archs = space.sample(3, seeded(11))
    first = int(archs.adj[2, 0].nonzero()[0])
    archs.adj[2, 0, first] = False
    assert space.is_valid(archs).tolist() == [True, True, False]
    for method in (space.check, space.format, space.cost, space.fingerprints, space.mutate, space.canonical_keys):
        with pytest.raises(InvalidArchitecture, match=rf"row 2 is not in {space.name}: expected all edges.*\[\[0, "):
            method(archs)


def test_extra_edges_and_wrong_types_are_refused(space: FixedSpace) -> None:
    last = space.max_nodes - 1
    archs = space.sample(2, seeded(12))
    archs.adj[1, 0, last] = True
    with pytest.raises(InvalidArchitecture, match=rf"row 1 .*no edges but the possible ones.*\[\[0, {last}\]\]"):
        space.check(archs)
    archs = space.sample(2, seeded(12))
    archs.ops[0, 3] = space.num_ops
    with pytest.raises(InvalidArchitecture, match=r"row 0 .*operation of the space"):
        space.check(archs)
    assert space.is_valid(archs).tolist() == [False, True]


def test_choices_out_of_range_are_refused(space: FixedSpace) -> None:
    choices = space.choices(space.sample(3, seeded(13)))
    choices[1, -1] = space.radix[-1]
    with pytest.raises(
        InvalidArchitecture, match=rf"row 1 .*choice {len(space.radix) - 1} in 0\.\.{space.radix[-1] - 1}"
    ):
        space.from_choices(choices)
    with pytest.raises(InvalidArchitecture, match="got shape"):
        space.from_choices(choices[:, 1:])


def test_rows_of_other_spaces_are_not_members() -> None:
    for name in NAMES:
        for other in NAMES:
            if name != other:
                assert not get_space(name).is_valid(get_space(other).sample(200, seeded(14))).any()


def test_hash_of_rows_has_no_easy_collisions() -> None:
    rows = torch.cartesian_prod(*[torch.arange(3)] * 10)
    assert len(hash_rows(rows).unique()) == len(rows)
    assert place_values((2, 3, 5)).tolist() == [15, 5, 1]
