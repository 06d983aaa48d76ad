"""Features of an architecture's function against walks over its paths, and what they must not depend on."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from graphnas import get_space
from graphnas.errors import UnknownName
from graphnas.models.functional_features import GROUPS, functional_features, word_length, working_ops
from graphnas.spaces import Architectures, SearchSpace
from graphnas.spaces.isomorphism import relabel
from graphnas.testing import mixed_batch, seeded

SPACES = ["toy", "nb101", "nb201", "enas6", "bn8", "darts"]
Path = tuple[int, ...]


class Walked:
    """All paths of one graph from input to output that no closed operation is on, and what follows from them."""

    def __init__(self, space: SearchSpace, arch: Architectures) -> None:
        self.space, self.num_ops = space, len(working_ops(space))
        self.last, self.adj = int(arch.num_nodes[0]) - 1, arch.adj[0]
        self.names = [space.vocabulary[op] for op in arch.ops[0].tolist()]
        self.kinds = [working_ops(space).index(op) if op in working_ops(space) else -1 for op in arch.ops[0].tolist()]
        self.paths: list[Path] = []
        pending: list[Path] = [(0,)]
        while pending:
            path = pending.pop()
            if path[-1] == self.last:
                self.paths.append(path)
            elif self.names[path[-1]] != "none":
                pending += [(*path, after) for after in self.adj[path[-1]].nonzero().flatten().tolist()]
        self.stays = {vertex for path in self.paths for vertex in path}
        self.edges = {edge for path in self.paths for edge in itertools.pairwise(path)}

    def word(self, path: Path) -> Path:
        return tuple(self.kinds[vertex] for vertex in path if self.kinds[vertex] >= 0)

    def before(self, vertex: int) -> list[int]:
        return sorted(u for u, v in self.edges if v == vertex)

    def signals(self) -> dict[int, float]:
        """Variance behind every vertex."""
        found = {0: 1.0}
        for vertex in sorted(self.stays - {0}):
            total = sum(found[source] for source in self.before(vertex))
            name = self.names[vertex]
            found[vertex] = 1.0 if "conv" in name else total * (0.7 if "pool" in name else 1.0)
        return found

    def chance(self, path: Path, weight: Callable[[int], float]) -> float:
        """Probability of a walk back along the path, steps in proportion to the weights of where they lead."""
        steps = itertools.pairwise(path)
        return math.prod(weight(u) / sum(weight(other) for other in self.before(v)) for u, v in steps)


def slow_counts(graph: Walked) -> list[float]:
    found = Counter(graph.names[vertex] for vertex in graph.stays)
    return [found[name] for name in graph.space.vocabulary[2:]]


def slow_degrees(graph: Walked) -> list[float]:
    into, out = Counter(v for _, v in graph.edges), Counter(u for u, _ in graph.edges)
    squares = [sum(n * n for n in degrees.values()) for degrees in (into, out)]
    most = [max(degrees.values(), default=0) for degrees in (into, out)]
    direct = (0, graph.last) in graph.edges
    return [into[graph.last], out[0], len(graph.stays), len(graph.edges), *most, *squares, direct]


def slow_distances(graph: Walked) -> list[float]:
    tests = [lambda v, op=op: graph.kinds[v] == op for op in range(graph.num_ops)]
    tests += [lambda v: graph.kinds[v] >= 0, lambda v: "conv" in graph.names[v]]
    numbers = [[sum(map(test, path)) for path in graph.paths] for test in tests]
    most, least = ([end(found, default=-1) for found in numbers] for end in (max, min))
    means = [sum(found) / max(1, len(found)) for found in numbers]
    return [*most, *least, *means, math.log1p(len(graph.paths))]


def slow_words(graph: Walked) -> list[float]:
    length = word_length(graph.num_ops, graph.space.max_nodes - 2)
    found = [0.0] * sum(graph.num_ops**size for size in range(length + 1))
    for word in map(graph.word, graph.paths):
        if len(word) <= length:
            found[sum((op + 1) * graph.num_ops ** (len(word) - 1 - place) for place, op in enumerate(word))] += 1
    return [math.log1p(value) for value in found]


def slow_shares(graph: Walked) -> list[float]:
    every, signals = range(graph.num_ops), graph.signals()
    weighted = [(graph.chance(path, signals.__getitem__), Counter(graph.word(path))) for path in graph.paths]
    first = [sum(chance * word[op] for chance, word in weighted) for op in every]
    second = [sum(chance * word[a] * word[b] for chance, word in weighted) for a in every for b in every]
    met = [sum(chance * (word[op] > 0) for chance, word in weighted) for op in every]
    return [*first, *second, *met, math.log(0.1 + (signals[graph.last] if graph.paths else 0))]


def slow_gains(graph: Walked) -> list[float]:
    settings = [[gain if op == own else 1.0 for op in range(graph.num_ops)]
                for gain in (0.0, 0.5, 2.0) for own in range(graph.num_ops)] + [[0.5] * graph.num_ops]  # fmt: skip
    found = []
    for mean in (False, True):
        for gains in settings:
            sent = [math.prod(gains[op] for op in graph.word(path)) for path in graph.paths]
            shares = [graph.chance(path, lambda _: 1.0) if mean else 1.0 for path in graph.paths]
            found.append(math.log(sum(x * y for x, y in zip(sent, shares, strict=True)) + 1e-3))
    return found


def slow_pairs(graph: Walked) -> list[float]:
    types = {0: 0, graph.last: 1} | {v: kind + 2 for v, kind in enumerate(graph.kinds) if kind >= 0}
    ways = set()
    for path in graph.paths:
        heard = [place for place, vertex in enumerate(path) if vertex in types]
        ways |= {path[one : other + 1] for one, other in itertools.pairwise(heard)}
    found, width = [0.0] * (graph.num_ops + 2) ** 2, graph.num_ops + 2
    for way in ways:
        found[types[way[0]] * width + types[way[-1]]] += 1
    return [math.log1p(value) for value in found]


SLOW = {"counts": slow_counts, "degrees": slow_degrees, "distances": slow_distances, "words": slow_words,
        "shares": slow_shares, "gains": slow_gains, "pairs": slow_pairs}  # fmt: skip


def everything(space: SearchSpace, archs: Architectures) -> Tensor:
    return torch.cat(list(functional_features(space, archs).values()), 1)


@pytest.mark.parametrize("name", SPACES)
def test_features_equal_walks_over_all_paths(name: str) -> None:
    space = get_space(name)
    archs = mixed_batch(space, 10)
    graphs, found = [Walked(space, archs[row]) for row in range(len(archs))], functional_features(space, archs)
    assert set(found) == set(SLOW) == set(GROUPS)
    for group, slow in SLOW.items():
        expected = torch.tensor([slow(graph) for graph in graphs], dtype=torch.float32)
        assert torch.allclose(found[group], expected, atol=1e-4, rtol=1e-4), group


def test_cells_without_a_path_have_features() -> None:
    space = get_space("nb201")
    archs = space.enumerate()
    dead = archs[~space.connected(archs)]  # type: ignore[attr-defined]
    found = everything(space, dead)
    assert len(dead) == 341 and bool(found.isfinite().all()) and len(found.unique(dim=0)) == 1
    slow = [value for group in SLOW.values() for value in group(Walked(space, dead[7:8]))]
    assert torch.allclose(found[0], torch.tensor(slow, dtype=torch.float32), atol=1e-5)


@pytest.mark.parametrize("name", SPACES)
def test_rows_and_padding_do_not_matter(name: str) -> None:
    space = get_space(name)
    archs = mixed_batch(space, 12)
    whole, order = everything(space, archs), torch.randperm(12, generator=seeded(1))
    assert torch.allclose(whole[order], everything(space, archs[order]), atol=1e-6)
    assert torch.allclose(whole, torch.cat([everything(space, archs[row]) for row in range(12)]), atol=1e-6)
    small = archs[archs.num_nodes == archs.num_nodes.min()]
    wide = small.widen(space.max_nodes)
    noise = torch.randint(space.num_ops, wide.ops.shape, generator=seeded(0)).to(torch.uint8)
    dirty = Architectures(torch.where(wide.node_mask, wide.ops, noise), wide.adj, wide.num_nodes)
    for same in (small.widen(int(small.num_nodes.max())), dirty):
        assert torch.allclose(everything(space, same), everything(space, wide), atol=1e-6)
    assert everything(space, archs[:0]).shape == (0, whole.shape[1])


def reordered(archs: Architectures) -> Architectures:
    """The same graphs with their vertices in another topological order, drawn at random."""
    generator, places = seeded(3), torch.arange(archs.max_nodes).repeat(len(archs), 1)
    for row, adj in enumerate(archs.adj):
        waiting = list(range(1, int(archs.num_nodes[row]) - 1))
        for place in range(1, len(waiting) + 1):
            ready = [vertex for vertex in waiting if not bool(adj[waiting, vertex].any())]
            vertex = ready[int(torch.randint(len(ready), (), generator=generator))]
            places[row, vertex] = place
            waiting.remove(vertex)
    return relabel(archs, places)


@pytest.mark.parametrize("name", ["toy", "nb101", "bn8"])
def test_isomorphic_graphs_have_the_same_features(name: str) -> None:
    space = get_space(name)
    archs = mixed_batch(space, 60)
    other = reordered(archs)
    assert float(archs.equal(other).float().mean()) < 0.9
    if name == "nb101":
        assert space.canonical_keys(archs) == space.canonical_keys(other)
    assert torch.allclose(everything(space, archs), everything(space, other), atol=1e-5)


def test_functionally_equal_cells_have_the_same_paths() -> None:
    space = get_space("nb201")
    archs = space.enumerate()
    groups, inverse = space.class_ids(archs).unique(return_inverse=True)
    found = functional_features(space, archs, ("distances", "words", "shares"))
    for name, values in found.items():
        first = torch.zeros(len(groups), values.shape[1])
        first[inverse] = values
        assert torch.allclose(first[inverse], values, atol=1e-4), name
    assert len(found["words"].unique(dim=0)) == 4120  # of 4,930 classes: sums behind an operation are multiplied out


def test_unknown_groups_are_refused() -> None:
    space = get_space("toy")
    with pytest.raises(UnknownName, match="words"):
        functional_features(space, space.sample(2, seeded()), ("word",))
