"""DAG spaces against brute force: membership, pruning, classes, edits and the decoding masks."""

from __future__ import annotations

from itertools import permutations, product

import pytest
import torch
from torch import Generator, Tensor

from graphnas.errors import InvalidArchitecture
from graphnas.spaces import OUTPUT, Architectures, get_space
from graphnas.spaces.dag import DagSpace

Graph = tuple[tuple[int, ...], frozenset[tuple[int, int]]]  # ops, edges


@pytest.fixture(params=["toy", "nb101"])
def space(request: pytest.FixtureRequest) -> DagSpace:
    return get_space(request.param)


@pytest.fixture(scope="module")
def toy() -> DagSpace:
    return get_space("toy")


def seeded(seed: int = 0) -> Generator:
    return torch.Generator().manual_seed(seed)


def batch(graphs: list[Graph], width: int = 7) -> Architectures:
    ops = torch.zeros(len(graphs), width, dtype=torch.uint8)
    adj = torch.zeros(len(graphs), width, width, dtype=torch.bool)
    for row, (types, edges) in enumerate(graphs):
        ops[row, : len(types)] = torch.tensor(types)
        for source, target in edges:
            adj[row, source, target] = True
    return Architectures(ops, adj, torch.tensor([len(types) for types, _ in graphs]))


def graph(archs: Architectures, row: int) -> Graph:
    found = archs.describe(row)
    return tuple(found["ops"]), frozenset(found["edges"])


def labelled_dags(space: DagSpace, num_nodes: int) -> list[Graph]:
    """All valid labelled DAGs in the order of ascending matrix bits, then of labelings; plain loops."""
    pairs = [(source, target) for target in range(num_nodes) for source in range(target)]
    found = []
    for bits in range(2 ** len(pairs)):
        edges = frozenset(pair for place, pair in enumerate(pairs) if bits >> place & 1)
        sources, targets = {source for source, _ in edges}, {target for _, target in edges}
        if len(edges) <= space.max_edges and len(sources) == len(targets) == num_nodes - 1:
            for labels in product(range(2, space.num_ops), repeat=num_nodes - 2):
                found.append(((0, *labels, 1), edges))
    return found


def brute_canonical(graph: Graph) -> tuple[tuple[int, ...], list[tuple[int, int]]]:
    ops, edges = graph
    forms = []
    for inner in permutations(range(1, len(ops) - 1)):
        place = (0, *inner, len(ops) - 1)
        types = [0] * len(ops)
        for vertex, new in enumerate(place):
            types[new] = ops[vertex]
        forms.append((tuple(types), sorted((place[source], place[target]) for source, target in edges)))
    return min(forms)


def shuffled(archs: Architectures, generator: Generator) -> Architectures:
    """Every row under another topological order, drawn by repeatedly swapping neighbouring vertices without an edge."""
    archs = Architectures(archs.ops.clone(), archs.adj.clone(), archs.num_nodes)
    for _ in range(30):
        place = 1 + int(torch.randint(archs.max_nodes - 2, (), generator=generator))
        order = torch.arange(archs.max_nodes)
        order[[place, place + 1]] = order[[place + 1, place]]
        rows = (place + 1 < archs.num_nodes - 1) & ~archs.adj[:, place, place + 1]
        archs.ops[rows] = archs.ops[rows][:, order]
        archs.adj[rows] = archs.adj[rows][:, order][:, :, order]
    return archs


# -- membership ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("ops", "edges", "message"),
    [
        ((0, 2, 1), {(0, 2), (0, 1)}, r"row 1 is not in toy: expected every vertex on a path.*got vertices \[1\]"),
        ((0, 2, 1), {(0, 2), (1, 2)}, r"row 1 .*got vertices \[1\]"),
        ((0, 1), set(), r"row 1 .*vertices \[0, 1\]"),
        ((0, 5, 1), {(0, 1), (1, 2)}, r"row 1 .*carry an operation.*ops \[0, 5, 1\]"),
        ((0, 1, 1), {(0, 1), (1, 2)}, r"row 1 .*carry an operation"),
        ((0, 2, 1), {(1, 0), (1, 2)}, r"row 1 .*lower to a higher index"),
        ((0, 2, 2, 2, 2, 1), {(i, i + 1) for i in range(5)}, r"row 1 .*2 to 5 vertices \(got 6 vertices\)"),
    ],
)
def test_members_and_messages(toy: DagSpace, ops: tuple[int, ...], edges: set[tuple[int, int]], message: str) -> None:
    good: Graph = ((0, 1), frozenset({(0, 1)}))
    archs = batch([good, (ops, frozenset(edges))])
    assert toy.is_valid(archs).tolist() == [True, False]
    for call in (toy.check, toy.fingerprints, toy.format, toy.canonical_keys, toy.cost, toy.mutate, toy.index):
        with pytest.raises(InvalidArchitecture, match=message):
            call(archs)


def test_edge_limit() -> None:
    nb101 = get_space("nb101")
    chain = {(i, i + 1) for i in range(6)}
    types = (0, 2, 2, 2, 2, 2, 1)
    nine, ten = chain | {(0, 2), (0, 3), (0, 4)}, chain | {(0, 2), (0, 3), (0, 4), (0, 5)}
    archs = batch([(types, frozenset(nine)), (types, frozenset(ten))])
    assert nb101.is_valid(archs).tolist() == [True, False]
    with pytest.raises(InvalidArchitecture, match=r"row 1 .*at most 9 edges \(got 10 edges\)"):
        nb101.check(archs)


def test_validity_agrees_with_brute_force(toy: DagSpace) -> None:
    pairs = [(source, target) for target in range(5) for source in range(target)]
    graphs: list[Graph] = [
        ((0, 2, 3, 2, 1), frozenset(pair for place, pair in enumerate(pairs) if bits >> place & 1))
        for bits in range(1024)
    ]
    valid = {edges for types, edges in labelled_dags(toy, 5) if types == (0, 2, 3, 2, 1)}
    assert toy.is_valid(batch(graphs)).tolist() == [edges in valid for _, edges in graphs]


# -- pruning ------------------------------------------------------------------------------------------------------
def brute_prune(graph: Graph) -> Graph | None:
    ops, edges = graph
    paths, frontier = [], [(0,)]
    while frontier:
        path = frontier.pop()
        if path[-1] == len(ops) - 1:
            paths.append(path)
        frontier += [(*path, target) for source, target in edges if source == path[-1]]
    kept = sorted({vertex for path in paths for vertex in path})
    if not kept:
        return None
    name = {vertex: place for place, vertex in enumerate(kept)}
    inside = frozenset((name[source], name[target]) for source, target in edges if {source, target} <= set(kept))
    return tuple(ops[vertex] for vertex in kept), inside


def test_prune_agrees_with_brute_force(space: DagSpace) -> None:
    generator = seeded(3)
    sizes = torch.randint(2, 9, (600,), generator=generator).tolist()
    graphs: list[Graph] = []
    for size in sizes:
        inner = torch.randint(2, space.num_ops, (size - 2,), generator=generator).tolist()
        edges = (torch.rand(size, size, generator=generator) < 0.35).triu(1).nonzero().tolist()
        graphs.append(((0, *inner, 1), frozenset(map(tuple, edges))))
    wanted = [brute_prune(graph) for graph in graphs]
    connected = [row for row, result in enumerate(wanted) if result is not None]
    assert 100 < len(connected) < 600
    pruned = space.prune(batch([graphs[row] for row in connected], width=8))
    assert [graph(pruned, row) for row in range(len(connected))] == [wanted[row] for row in connected]
    assert pruned == space.prune(pruned)
    disconnected = wanted.index(None)
    with pytest.raises(InvalidArchitecture, match=f"row {disconnected}: expected a path from input to output"):
        space.prune(batch(graphs, width=8))


def test_prune_refuses_backward_edges_and_lone_vertices(toy: DagSpace) -> None:
    with pytest.raises(InvalidArchitecture, match="row 0: expected edges from a lower to a higher index"):
        toy.prune(batch([((0, 2, 1), frozenset({(0, 1), (1, 2), (2, 1)}))]))
    for count in (0, 1, 9):
        lone = Architectures(torch.zeros(1, 3, dtype=torch.uint8), torch.zeros(1, 3, 3).bool(), torch.tensor([count]))
        with pytest.raises(InvalidArchitecture, match="row 0: expected a path"):
            toy.prune(lone)


def test_prune_ignores_padding(toy: DagSpace) -> None:
    archs = batch([((0, 2, 1), frozenset({(0, 1), (1, 2)}))], width=5)
    archs.adj[0, 2, 4] = archs.adj[0, 3, 4] = True
    archs.ops[0, 3] = 9
    assert toy.prune(archs) == toy.parse("010/001/000:conv")


# -- classes ------------------------------------------------------------------------------------------------------
def test_enumeration_takes_the_first_of_every_class(toy: DagSpace) -> None:
    archs = toy.enumerate()
    first: dict[object, Graph] = {}
    for size in range(2, toy.max_nodes + 1):
        for candidate in labelled_dags(toy, size):
            first.setdefault((size, repr(brute_canonical(candidate))), candidate)
    assert [graph(archs, row) for row in range(len(archs))] == list(first.values())


def test_enumeration_of_small_nb101_cells_is_the_first_of_every_class() -> None:
    nb101 = get_space("nb101")
    archs = nb101.enumerate()
    for size in (4, 5):
        first: dict[str, Graph] = {}
        for candidate in labelled_dags(nb101, size):
            first.setdefault(repr(brute_canonical(candidate)), candidate)
        rows = (archs.num_nodes == size).nonzero().flatten().tolist()
        assert [graph(archs, row) for row in rows] == list(first.values())


def test_enumeration_is_valid_distinct_and_ordered(space: DagSpace) -> None:
    archs = space.enumerate()
    numbers = space.fingerprints(archs)
    assert len(archs) == space.size and archs.max_nodes == space.max_nodes
    assert bool(space.is_valid(archs).all())
    assert bool((numbers[1:] > numbers[:-1]).all())
    assert space.enumerate() is archs


def test_fingerprints_are_exact(toy: DagSpace) -> None:
    graphs = [candidate for size in range(2, 6) for candidate in labelled_dags(toy, size)]
    numbers = toy.fingerprints(batch(graphs)).tolist()
    forms = [repr(brute_canonical(candidate)) for candidate in graphs]
    assert len(graphs) > 1000
    assert len(set(zip(numbers, forms, strict=True))) == len(set(numbers)) == len(set(forms)) == toy.size


def test_relabelled_members_are_recognised(space: DagSpace) -> None:
    archs = space.sample(3000, seeded(1))
    other = shuffled(archs, seeded(2))
    assert int((~other.equal(archs)).sum()) > 300
    assert bool(space.is_valid(other).all())
    assert torch.equal(space.fingerprints(other), space.fingerprints(archs))
    assert torch.equal(space.index(other), space.index(archs))
    assert space.canonical_keys(other) == space.canonical_keys(archs)
    assert space.canonical(other) == archs == space.enumerate()[space.index(other)]


def test_identity_ignores_padding_and_batch(space: DagSpace) -> None:
    archs = space.sample(50, seeded(4))
    alone = Architectures.concat([space.canonical(arch.widen(int(arch.num_nodes))) for arch in archs])
    assert alone == space.canonical(archs)
    wide = archs.widen(10)
    assert torch.equal(space.fingerprints(wide), space.fingerprints(archs))
    assert space.canonical_keys(wide[7:8]) == space.canonical_keys(archs)[7:8]


def test_index_is_the_place_in_the_enumeration(space: DagSpace) -> None:
    assert torch.equal(space.index(space.enumerate()), torch.arange(space.size))


def test_empty_batches(space: DagSpace) -> None:
    none = Architectures.empty(space.max_nodes)
    for result in (space.prune(none), space.mutate(none), space.sample(0), space.parse([]), space.canonical(none)):
        assert len(result) == 0
    assert len(space.fingerprints(none)) == 0 and space.format(none) == [] and space.canonical_keys(none) == []
    assert space.cost(none)["flops"].shape == (0,)


# -- sampling and edits -------------------------------------------------------------------------------------------
def test_samples_are_uniform_over_classes(toy: DagSpace) -> None:
    draws = 200 * toy.size
    counts = torch.bincount(toy.index(toy.sample(draws, seeded(5))), minlength=toy.size)
    statistic = float(((counts - 200) ** 2 / 200).sum())
    spread = (2 * toy.size) ** 0.5
    assert abs(statistic - toy.size) < 5 * spread  # chi-square with 786 degrees of freedom


def test_samples_repeat_under_a_seed(space: DagSpace) -> None:
    assert space.sample(20, seeded(6)) == space.sample(20, seeded(6))
    assert space.sample(20, seeded(6)) != space.sample(20, seeded(7))


def brute_neighbors(space: DagSpace, graph: Graph) -> set[str]:
    ops, edges = graph
    size, last = len(ops), len(ops) - 1
    edits: list[Graph] = []
    for pair in [(source, target) for target in range(size) for source in range(target)]:
        edits.append((ops, edges ^ {pair}))
        for op in range(2, space.num_ops):
            moved = {(s + (s == last), t + (t == last)) for s, t in edges}  # the new vertex goes before the output
            new = {(pair[0], last), (last, pair[1] + (pair[1] == last))}
            edits.append(((*ops[:-1], op, 1), frozenset(moved | new)))
            edits.append(((*ops[:-1], op, 1), frozenset((moved | new) - {(pair[0], pair[1] + (pair[1] == last))})))
    for vertex, op in product(range(1, last), range(2, space.num_ops)):
        edits.append(((*ops[:vertex], op, *ops[vertex + 1 :]), edges))
    pruned = [result for result in map(brute_prune, edits) if result is not None]
    kept = [g for g in pruned if len(g[0]) <= space.max_nodes and len(g[1]) <= space.max_edges]
    return {repr(brute_canonical(g)) for g in kept} - {repr(brute_canonical(graph))}


def test_neighbors_agree_with_brute_force(space: DagSpace) -> None:
    small = torch.arange(0, 2532, 211) if space.name == "nb101" else torch.arange(0, 787, 29)
    rows = [*small.tolist(), space.size - 1]
    for row in rows:
        arch = space.enumerate()[row]
        near = space.neighbors(arch)
        assert bool(space.is_valid(near).all())
        found = [repr(brute_canonical(graph(near, place))) for place in range(len(near))]
        assert len(found) == len(set(found))
        assert set(found) == brute_neighbors(space, graph(arch, 0))


def test_neighbors_connect_the_space_both_ways(toy: DagSpace) -> None:
    links = [toy.index(toy.neighbors(arch)).tolist() for arch in toy.enumerate()]
    back: list[list[int]] = [[] for _ in links]
    for row, targets in enumerate(links):
        for target in targets:
            back[target].append(row)
    for graph_links in (links, back):
        seen, frontier = {0}, [0]
        while frontier:
            fresh = set(graph_links[frontier.pop()]) - seen
            seen |= fresh
            frontier += fresh
        assert len(seen) == toy.size


def test_mutation_does_not_empty_the_large_cells() -> None:
    """A walk that could only lose vertices would end in the smallest cell."""
    nb101, generator = get_space("nb101"), seeded(15)
    archs = nb101.parse(["01/00:"] * 2000)
    for _ in range(60):
        archs = nb101.mutate(archs, generator)
    shares = archs.num_nodes.bincount(minlength=8) / len(archs)
    assert shares[7] > 0.2 and shares[2:5].sum() < 0.35


def test_neighbors_takes_one_architecture(toy: DagSpace) -> None:
    with pytest.raises(InvalidArchitecture, match=r"batch of one architecture \(got 2\)"):
        toy.neighbors(toy.enumerate()[:2])


def test_mutations_are_valid_and_different(space: DagSpace) -> None:
    archs = space.sample(4000, seeded(8))
    before = archs.index_keys()
    mutated = space.mutate(archs, seeded(9))
    assert bool(space.is_valid(mutated).all())
    assert not bool((space.fingerprints(mutated) == space.fingerprints(archs)).any())
    assert archs.index_keys() == before
    assert mutated == space.mutate(archs, seeded(9)) and mutated != space.mutate(archs, seeded(10))
    change = mutated.num_nodes - archs.num_nodes
    assert int((change > 0).sum()) > 20 and int((change < 0).sum()) > 200
    same_wiring = (mutated.adj == archs.adj).flatten(1).all(1)
    assert int(same_wiring.sum()) > 500


def test_mutations_reach_exactly_the_neighbors(space: DagSpace) -> None:
    for row in (0, 5, 60, 400):
        arch = space.enumerate()[row]
        many = arch[torch.zeros(6000, dtype=torch.int64)]
        reached = set(space.fingerprints(space.mutate(many, seeded(row))).tolist())
        assert reached == set(space.fingerprints(space.neighbors(arch)).tolist())


# -- decoding masks -----------------------------------------------------------------------------------------------
def rollout(space: DagSpace, count: int, generator: Generator, eagerness: float) -> Architectures:
    """Random decisions inside the masks; `eagerness` is the chance to take an edge that may but need not be there."""
    width = space.max_nodes
    archs = Architectures(
        torch.zeros(count, width, dtype=torch.uint8),
        torch.zeros(count, width, width).bool(),
        torch.full((count,), width),
    )
    open_rows = torch.ones(count, dtype=torch.bool)
    for vertex in range(1, width):
        allowed = space.type_mask(archs, vertex).float()
        assert bool((allowed.sum(1) > 0)[open_rows].all())
        allowed[:, OUTPUT] *= 0.3  # longer graphs are the harder case
        types = torch.multinomial(allowed, 1, generator=generator)[:, 0]
        archs.ops[open_rows, vertex] = types[open_rows].to(torch.uint8)
        for source in range(vertex - 1, -1, -1):
            may, must = space.edge_mask(archs, vertex, source)
            assert not bool((must & ~may)[open_rows].any())
            wish = torch.rand(count, generator=generator) < eagerness
            archs.adj[:, source, vertex] = open_rows & (must | (may & wish))
        closed = open_rows & (types == OUTPUT)
        archs.num_nodes[closed] = vertex + 1
        open_rows &= ~closed
    assert not bool(open_rows.any())
    return archs


@pytest.mark.parametrize("eagerness", [0.0, 0.3, 0.7, 1.0])
def test_masked_decisions_end_in_members(space: DagSpace, eagerness: float) -> None:
    archs = rollout(space, 10_000, seeded(12), eagerness)
    assert bool(space.is_valid(archs).all())
    assert len(set(space.fingerprints(archs).tolist())) > (1 if eagerness in (0, 1) else 100)


def test_masks_allow_exactly_the_members(toy: DagSpace) -> None:
    """Following every allowed decision yields each valid labelled DAG once and nothing else."""
    finished: list[Graph] = []
    partials: list[tuple[tuple[int, ...], frozenset[tuple[int, int]]]] = [((0,), frozenset())]
    for vertex in range(1, toy.max_nodes):
        types = toy.type_mask(batch(partials), vertex)
        partials = [
            ((*ops, op), edges)
            for (ops, edges), allowed in zip(partials, types.tolist(), strict=True)
            for op in range(toy.num_ops)
            if allowed[op]
        ]
        for source in range(vertex - 1, -1, -1):
            may, must = toy.edge_mask(batch(partials), vertex, source)
            choices = zip(partials, may.tolist(), must.tolist(), strict=True)
            partials = [
                (ops, edges | {(source, vertex)} if taken else edges)
                for (ops, edges), allowed, forced in choices
                for taken in (False, True)
                if (allowed if taken else not forced)
            ]
        finished += [partial for partial in partials if partial[0][-1] == OUTPUT]
        partials = [partial for partial in partials if partial[0][-1] != OUTPUT]
    assert not partials
    wanted = [candidate for size in range(2, 6) for candidate in labelled_dags(toy, size)]
    assert len(finished) == len(wanted) and set(finished) == set(wanted)


def forbidden(space: DagSpace, archs: Architectures) -> Tensor:
    """bool [B]: rows that some mask would not have let through."""
    wrong = torch.zeros(len(archs), dtype=torch.bool)
    rows = torch.arange(len(archs))
    partial = Architectures(torch.zeros_like(archs.ops), torch.zeros_like(archs.adj), archs.num_nodes)
    for vertex in range(1, space.max_nodes):
        real = vertex < archs.num_nodes
        types = archs.ops[:, vertex]
        wrong |= real & ~space.type_mask(partial, vertex)[rows, types.long()]
        partial.ops[:, vertex] = types
        for source in range(vertex - 1, -1, -1):
            may, must = space.edge_mask(partial, vertex, source)
            present = archs.adj[:, source, vertex]
            wrong |= real & torch.where(present, ~may, must)
            partial.adj[:, source, vertex] = present
    return wrong


def test_masks_let_every_member_through(space: DagSpace) -> None:
    archs = space.enumerate() if space.name == "toy" else space.sample(20_000, seeded(13))
    assert not bool(forbidden(space, archs).any())
    assert not bool(forbidden(space, shuffled(archs, seeded(14))).any())


@pytest.mark.slow
def test_masks_let_all_of_nb101_through() -> None:
    nb101 = get_space("nb101")
    assert not bool(forbidden(nb101, nb101.enumerate()).any())
