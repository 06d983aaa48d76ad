"""The toy space: its counts, score and costs against plain loops."""

from __future__ import annotations

import pytest
import torch

from graphnas.spaces import Architectures, get_space
from graphnas.spaces.toy import Toy


@pytest.fixture(scope="module")
def toy() -> Toy:
    return get_space("toy")


def paths(archs: Architectures, row: int) -> list[tuple[int, ...]]:
    found = archs.describe(row)
    complete, frontier = [], [(0,)]
    while frontier:
        path = frontier.pop()
        if path[-1] == len(found["ops"]) - 1:
            complete.append(path)
        frontier += [(*path, target) for source, target in found["edges"] if source == path[-1]]
    return complete


def test_counts(toy: Toy) -> None:
    assert toy.enumerate().num_nodes.bincount().tolist() == [0, 0, 1, 4, 38, 744]
    assert toy.vocabulary == ("input", "output", "conv", "pool") and toy.num_ops == 4
    assert toy.size == 787 and toy.max_nodes == 5 and toy.max_edges == 10


def test_keys_tell_all_classes_apart(toy: Toy) -> None:
    keys = toy.canonical_keys(toy.enumerate())
    assert len(set(keys)) == toy.size
    assert all(len(key) == 8 and int(key, 16) >= 0 for key in keys)


def test_score_agrees_with_plain_loops(toy: Toy) -> None:
    archs = toy.enumerate()
    found = toy.score(archs)
    assert found.shape == (787,) and found.dtype == torch.float32
    for row in range(len(archs)):
        ops = archs.describe(row)["ops"]
        routes = paths(archs, row)
        deep = max(sum(ops[vertex] == 2 for vertex in route) for route in routes)
        spread = max(map(len, routes)) - min(map(len, routes))
        wanted = 0.5 * deep / 3 + 0.25 * (1 - abs(len(routes) - 2) / 6) + 0.15 * spread / 3 + 0.1 * ops.count(2) / 3
        assert float(found[row]) == pytest.approx(wanted, abs=1e-6)


def test_score_is_that_of_the_class(toy: Toy) -> None:
    left = toy.parse("0110/0001/0001/0000:conv,pool")
    right = toy.parse("0110/0001/0001/0000:pool,conv")
    assert torch.equal(toy.score(left), toy.score(right))


def test_optimum_is_unique(toy: Toy) -> None:
    archs = toy.enumerate()
    score = toy.score(archs)
    best = (score == score.max()).nonzero().flatten()
    assert len(best) == 1
    assert archs[best] == toy.canonical(toy.optimum())
    assert float(toy.score(toy.optimum())) == 1.0
    assert float(score.topk(2).values[1]) < 0.96


def test_score_depends_on_operations_and_on_wiring(toy: Toy) -> None:
    wiring = "01001/00100/00010/00001/00000"
    assert float(toy.score(toy.parse(f"{wiring}:conv,pool,conv"))) < 1
    assert float(toy.score(toy.parse("01000/00100/00010/00001/00000:conv,conv,conv"))) < 1
    assert len(toy.score(toy.enumerate()).unique()) > 50


def test_cost_of_worked_cells(toy: Toy) -> None:
    cost = toy.cost(toy.parse(["0111/0011/0001/0000:conv,pool", "01/00:"]))
    assert cost["vertex_params"].tolist() == [[[0, 9, 0, 0, 0]], [[0, 0, 0, 0, 0]]]
    assert cost["vertex_flops"].tolist() == [[[0, 2 * 9 * 64, (1 + 9) * 64, 2 * 64, 0]], [[0, 0, 0, 0, 0]]]
    assert cost["params"].tolist() == [9, 0]
    assert cost["flops"].tolist() == [30 * 64, 0]


def test_cost_agrees_with_plain_loops(toy: Toy) -> None:
    archs = toy.enumerate()
    cost = toy.cost(archs)
    for row in range(0, len(archs), 7):
        found = archs.describe(row)
        flops = params = 0
        for vertex, op in enumerate(found["ops"][1:], start=1):
            entering = sum(target == vertex for _, target in found["edges"])
            flops += 64 * {2: 18 * entering, 3: entering - 1 + 9, 1: entering - 1}[op]
            params += 9 * entering if op == 2 else 0
        assert (int(cost["flops"][row]), int(cost["params"][row])) == (flops, params)
    assert torch.equal(cost["flops"], cost["vertex_flops"].sum((1, 2)))
    assert torch.equal(cost["params"], cost["vertex_params"].sum((1, 2)))
