"""Bayesian-network structures: membership, masks, identity, edits, text and cost."""

from __future__ import annotations

import math
from collections import Counter
from itertools import permutations, product

import pytest
import torch
from torch import Generator

from graphnas.errors import InvalidArchitecture, OutsideSpace
from graphnas.spaces import Architectures, get_space
from graphnas.spaces.bn8 import BN8
from graphnas.spaces.bn8_score import VARIABLES

TRUE = (
    "[[0], [1, 0], [2, 1, 0], [3, 0, 1, 0], [4, 0, 1, 0, 0], [5, 0, 0, 1, 1, 0], [6, 0, 0, 0, 0, 0, 1], "
    "[7, 0, 0, 0, 0, 1, 1, 0]]"
)


@pytest.fixture(scope="module")
def space() -> BN8:
    found = get_space("bn8")
    assert isinstance(found, BN8)
    return found


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def blank(size: int) -> Architectures:
    ops, adj = torch.zeros(size, 10, dtype=torch.uint8), torch.zeros(size, 10, 10, dtype=torch.bool)
    return Architectures(ops, adj, torch.full((size,), 10))


def edges(archs: Architectures, row: int) -> set[tuple[str, str]]:
    """Edges between variables by name, read off with plain loops."""
    ops = archs.ops[row].tolist()
    names = ["in", "out", *VARIABLES]
    found = {(names[ops[u]], names[ops[v]]) for u, v in archs.adj[row].nonzero().tolist()}
    return {(u, v) for u, v in found if "in" not in (u, v) and "out" not in (u, v)}


# -- facts --------------------------------------------------------------------------------------------------------
def test_size_is_the_number_of_labelled_dags(space: BN8) -> None:
    counts = [1]
    for n in range(1, 9):  # Robinson 1973: by inclusion and exclusion over the k vertices without a parent
        terms = ((-1) ** (k + 1) * math.comb(n, k) * 2 ** (k * (n - k)) * counts[n - k] for k in range(1, n + 1))
        counts.append(sum(terms))
    assert counts[3:5] == [25, 543]
    assert counts[8] == space.size == 783_702_329_343


def test_constants(space: BN8) -> None:
    assert space.vocabulary == ("input", "output", "A", "S", "T", "L", "B", "E", "X", "D")
    assert (space.num_ops, space.max_nodes) == (10, 10)
    with pytest.raises(OutsideSpace, match="cannot be enumerated"):
        space.enumerate()


# -- membership ---------------------------------------------------------------------------------------------------
def test_samples_are_valid_and_repeat(space: BN8) -> None:
    archs = space.sample(2000, seeded(1))
    assert bool(space.is_valid(archs).all())
    assert archs == space.sample(2000, seeded(1)) and archs != space.sample(2000, seeded(2))
    assert len(space.sample(0)) == 0
    order, inner = space.order(archs), archs.adj[:, 1:9, 1:9]
    for place in range(8):
        assert order[:, place].bincount(minlength=8).min() > 180  # 250 expected
    share = inner.float().mean(0)[torch.ones(8, 8).triu(1).bool()]
    assert share.min() > 0.45 and share.max() < 0.55


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda ops, adj, size: ops.__setitem__((0, 2), 2), "each of A, S, T, L, B, E, X, D once"),
        (lambda ops, adj, size: ops.__setitem__((0, 2), 11), "the others carry an operation"),
        (lambda ops, adj, size: size.__setitem__(0, 9), "row 0"),
        (lambda ops, adj, size: adj.__setitem__((0, 5, 3), True), "a lower to a higher index"),
        (lambda ops, adj, size: adj.__setitem__((0, 0, 3), True), "without a parent"),
        (lambda ops, adj, size: adj.__setitem__((0, 0, 1), False), "without a parent"),
        (lambda ops, adj, size: adj.__setitem__((0, 0, 9), True), "none to the output"),
        (lambda ops, adj, size: adj.__setitem__((0, 1, 9), True), "without a child"),
        (lambda ops, adj, size: adj.__setitem__((0, 8, 9), False), "without a child"),
        (lambda ops, adj, size: adj.__setitem__((0, 1, 2), True), "without a parent"),
    ],
)
def test_other_graphs_are_refused(space: BN8, change, reason: str) -> None:  # type: ignore[no-untyped-def]
    arch = space.true_network()
    change(arch.ops, arch.adj, arch.num_nodes)
    assert space.is_valid(arch).tolist() == [False]
    with pytest.raises(InvalidArchitecture, match=reason):
        space.check(arch)


def test_padding_does_not_matter(space: BN8) -> None:
    archs = space.sample(20, seeded(3))
    wide = archs.widen(13)
    assert bool(space.is_valid(wide).all()) and space.canonical_keys(wide) == space.canonical_keys(archs)
    assert space.format(wide) == space.format(archs) and torch.equal(space.score(wide), space.score(archs))
    narrow = Architectures(archs.ops[:, :6], archs.adj[:, :6, :6], torch.full((20,), 6))
    assert not bool(space.is_valid(narrow).any())


# -- masks --------------------------------------------------------------------------------------------------------
def test_masks_end_valid_whatever_is_chosen(space: BN8) -> None:
    size, generator = 600, seeded(4)
    partial, bias = blank(size), torch.rand(size, generator=generator)
    for vertex in range(10):
        allowed = space.type_mask(partial, vertex)
        assert allowed.shape == (size, 10) and bool(allowed.any(1).all())
        partial.ops[:, vertex] = torch.multinomial(allowed.float(), 1, generator=generator)[:, 0].to(torch.uint8)
        for source in reversed(range(vertex)):
            may, must = space.edge_mask(partial, vertex, source)
            assert may.shape == must.shape == (size,) and not bool((must & ~may).any())
            partial.adj[:, source, vertex] = must | (may & (torch.rand(size, generator=generator) < bias))
    assert bool(space.is_valid(partial).all())
    assert partial.num_edges.min() < 14 and partial.num_edges.max() == 28 + 2


def test_masks_reach_every_member(space: BN8) -> None:
    archs = space.sample(500, seeded(5))
    partial, rows = blank(len(archs)), torch.arange(len(archs))
    for vertex in range(10):
        assert bool(space.type_mask(partial, vertex)[rows, archs.ops[:, vertex].long()].all())
        partial.ops[:, vertex] = archs.ops[:, vertex]
        for source in reversed(range(vertex)):
            may, must = space.edge_mask(partial, vertex, source)
            edge = archs.adj[:, source, vertex]
            assert bool(torch.where(edge, may, ~must).all())
            partial.adj[:, source, vertex] = edge


# -- identity -----------------------------------------------------------------------------------------------------
def reordered(space: BN8, arch: Architectures) -> Architectures:
    """Every topological order of one architecture, up to 40 of them."""
    wanted = edges(arch, 0)
    matrix, found = space.matrix(arch), []
    for order in permutations(range(8)):
        place = {VARIABLES[kind]: index for index, kind in enumerate(order)}
        if all(place[u] < place[v] for u, v in wanted):
            found.append(space.build(matrix, torch.tensor([order])))
        if len(found) == 40:
            break
    return Architectures.concat(found)


def test_keys_do_not_depend_on_the_order(space: BN8) -> None:
    for text in (TRUE, space.format(space.sample(1, seeded(6)))[0]):
        same = reordered(space, space.parse(text))
        assert len(set(same.index_keys())) == len(same) > 1
        assert bool(space.is_valid(same).all())
        assert len(set(space.canonical_keys(same))) == len(set(space.fingerprints(same).tolist())) == 1
        assert len(set(space.score(same).tolist())) == 1


def test_keys_are_the_matrix(space: BN8) -> None:
    archs = space.sample(300, seeded(7))
    for row, key in enumerate(space.canonical_keys(archs)):
        pairs = list(product(VARIABLES, VARIABLES))
        assert {pair for pair, digit in zip(pairs, key, strict=True) if digit == "1"} == edges(archs, row)
    assert len(set(space.fingerprints(archs).tolist())) == len(set(space.canonical_keys(archs)))


def test_build_inverts_matrix_and_refuses_cycles(space: BN8) -> None:
    archs = space.sample(100, seeded(8))
    assert space.build(space.matrix(archs), space.order(archs)) == archs
    assert space.canonical_keys(space.build(space.matrix(archs))) == space.canonical_keys(archs)
    cycle = torch.zeros(2, 8, 8, dtype=torch.bool)
    cycle[1, 0, 1] = cycle[1, 1, 2] = cycle[1, 2, 0] = True
    with pytest.raises(InvalidArchitecture, match=r"row 1 .* no cycle .*'AS', 'ST', 'TA'"):
        space.build(cycle)
    with pytest.raises(InvalidArchitecture, match="expected bool"):
        space.build(cycle.float())


# -- edits --------------------------------------------------------------------------------------------------------
def acyclic(pairs: set[tuple[str, str]]) -> bool:
    left = set(VARIABLES)
    while left:
        free = {v for v in left if not any(u in left and w == v for u, w in pairs)}
        if not free:
            return False
        left -= free
    return True


def plain_neighbors(pairs: set[tuple[str, str]]) -> set[frozenset[tuple[str, str]]]:
    found = set()
    for pair in permutations(VARIABLES, 2):
        changed = pairs - {pair} if pair in pairs else (pairs - {pair[::-1]}) | {pair}
        if acyclic(changed):
            found.add(frozenset(changed))
    return found


def test_neighbors_agree_with_plain_loops(space: BN8) -> None:
    for arch in [*space.sample(12, seeded(9)), space.true_network()]:
        near = space.neighbors(arch)
        assert bool(space.is_valid(near).all())
        found = [frozenset(edges(near, row)) for row in range(len(near))]
        assert len(found) == len(set(found)) and set(found) == plain_neighbors(edges(arch, 0))
        assert near == space.neighbors(arch)
    with pytest.raises(InvalidArchitecture, match="batch of one"):
        space.neighbors(space.sample(2))


def test_edits_keep_the_order_where_they_can(space: BN8) -> None:
    arch = space.parse(TRUE)
    near = space.neighbors(arch)
    kept = (space.order(near) == space.order(arch)).all(1)
    for row in range(len(near)):
        forward = all(VARIABLES.index(u) < VARIABLES.index(v) for u, v in edges(near, row))
        assert bool(kept[row]) == forward


def test_mutations_are_uniform_neighbors(space: BN8) -> None:
    archs = space.sample(300, seeded(10))
    changed = space.mutate(archs, seeded(1))
    assert changed == space.mutate(archs, seeded(1)) and bool(space.is_valid(changed).all())
    for row in range(0, 300, 30):
        assert frozenset(edges(changed, row)) in plain_neighbors(edges(archs, row))
    truth = space.true_network()
    near = space.canonical_keys(space.neighbors(truth))
    drawn = Counter(space.canonical_keys(space.mutate(truth[[0] * 9200], seeded(2))))
    assert set(drawn) == set(near) and len(near) == 46
    assert min(drawn.values()) > 140 and max(drawn.values()) < 260  # 200 expected, deviation 14


# -- text ---------------------------------------------------------------------------------------------------------
def test_text_round_trip(space: BN8) -> None:
    archs = space.sample(200, seeded(11))
    assert space.parse(space.format(archs)) == archs
    assert space.format(space.true_network()) == [TRUE]
    assert space.parse(TRUE.replace(" ", "")) == space.parse(f"  {TRUE}\n") == space.true_network()
    assert len(space.parse([])) == 0 and space.format(archs[:0]) == []


def test_bits_are_parents_by_place(space: BN8) -> None:
    text = "[[7], [5, 1], [0, 0, 1], [1, 0, 0, 0], [2, 0, 0, 0, 0], " + (
        "[3, 0, 0, 0, 0, 0], [4, 0, 0, 0, 0, 0, 0], [6, 1, 0, 0, 0, 0, 0, 0]]"
    )
    assert edges(space.parse(text), 0) == {("D", "E"), ("E", "A"), ("D", "X")}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (TRUE.replace("[0]", "[8]"), "types from 0 to 7 (got 8)"),
        (TRUE.replace("[0]", "[-1]"), "types from 0 to 7 (got -1)"),
        (TRUE.replace("[0]", "[true]"), "types from 0 to 7 (got True)"),
        (TRUE.replace("[0]", "[1]"), "each of A, S, T, L, B, E, X, D once (got types [1, 1, 2"),
        (TRUE.replace("[1, 0]", "[1, 2]"), "bits 0 or 1 (got 2)"),
        (TRUE.replace("[1, 0]", "[1, 1.0]"), "bits 0 or 1 (got 1.0)"),
        (TRUE.replace("[1, 0]", "[1, [0]]"), "bits 0 or 1 (got [0])"),
        (TRUE.replace("[1, 0]", "[1]"), "vertex k with a type and k bits (got sizes [1, 1, 3"),
        (TRUE.replace("[0], ", ""), "8 vertices"),
        (TRUE.replace("[0]", "0"), "[[type], [type, bit]"),
        (TRUE + ", -11107.29", "[[type], [type, bit]"),
        (TRUE[:-1], "[[type], [type, bit]"),
        ("[" * 100_000, "[[type], [type, bit]"),
        ("__import__('os')", "[[type], [type, bit]"),
        ("{}", "[[type], [type, bit]"),
        ("3", "[[type], [type, bit]"),
        ("", "[[type], [type, bit]"),
    ],
)
def test_bad_text_is_refused(space: BN8, text: str, reason: str) -> None:
    with pytest.raises(InvalidArchitecture) as caught:
        space.parse([TRUE, text])
    assert "row 1 is not in bn8" in str(caught.value) and reason in str(caught.value)
    assert len(str(caught.value)) < 500


# -- cost ---------------------------------------------------------------------------------------------------------
def test_cost_counts_free_parameters(space: BN8) -> None:
    cost = space.cost(space.true_network())
    assert cost["params"].tolist() == [18]  # as bnlearn's nparams of asia
    assert cost["vertex_params"].tolist() == [[[0, 1, 1, 2, 2, 2, 4, 2, 4, 0]]]
    archs = space.sample(50, seeded(12))
    cost = space.cost(archs)
    for row in range(50):
        fan_in = Counter(target for _, target in edges(archs, row))
        assert int(cost["params"][row]) == sum(2 ** fan_in[name] for name in VARIABLES)
    assert torch.equal(cost["flops"], cost["params"])
    assert torch.equal(cost["vertex_flops"].sum((1, 2)), cost["flops"]) and cost["vertex_flops"].shape == (50, 1, 10)
