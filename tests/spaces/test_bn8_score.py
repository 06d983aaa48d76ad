"""BIC of Bayesian-network structures: its rows, local scores against plain counting, and the true network."""

from __future__ import annotations

import math
from collections import Counter
from itertools import product

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from graphnas.spaces import get_space
from graphnas.spaces.bn8 import BN8
from graphnas.spaces.bn8_score import ASIA, VARIABLES, asia_matrix, asia_rows, asia_scores, bic, local_scores


@pytest.fixture(scope="module")
def space() -> BN8:
    found = get_space("bn8")
    assert isinstance(found, BN8)
    return found


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def test_rows_are_the_same_everywhere() -> None:
    rows = asia_rows()
    assert rows.shape == (5000, 8) and rows.dtype == np.uint8
    assert np.array_equal(rows, asia_rows()) and not np.array_equal(rows, asia_rows(seed=1))
    assert rows.sum(0).tolist() == [47, 2440, 62, 271, 2174, 327, 552, 2174]
    assert np.array_equal(rows[:, 5], rows[:, 2] | rows[:, 3])


def test_rows_follow_the_probabilities() -> None:
    rows = asia_rows(400_000, seed=3)
    for place, entry in enumerate(ASIA.values()):
        parents = [VARIABLES.index(parent) for parent in entry.parents]
        for number, state in enumerate(product((0, 1), repeat=len(parents))):
            at = (rows[:, parents] == np.array(state, dtype=np.uint8)).all(1)
            spread = math.sqrt(max(entry.yes[number] * (1 - entry.yes[number]), 1e-12) / at.sum())
            assert abs(rows[at, place].mean() - entry.yes[number]) < 5 * spread + 1e-12


def plain_score(rows: list[tuple[int, ...]], node: int, parents: list[int]) -> float:
    """BIC of one variable by counting in dictionaries."""
    both = Counter((tuple(row[p] for p in parents), row[node]) for row in rows)
    context = Counter(tuple(row[p] for p in parents) for row in rows)
    likelihood = sum(count * math.log(count / context[state]) for (state, _), count in both.items())
    return likelihood - 0.5 * math.log(len(rows)) * 2 ** len(parents)


def test_local_scores_agree_with_plain_counting() -> None:
    table, rows = asia_scores(), [tuple(map(int, row)) for row in asia_rows()]
    assert table.shape == (8, 256) and table.dtype == torch.float64
    for node in range(8):
        for number in (0, 5, 34, 96, 146, 255 - (1 << node)):
            parents = [bit for bit in range(8) if number >> bit & 1]
            if node in parents:
                assert math.isnan(float(table[node, number]))
            else:
                assert float(table[node, number]) == pytest.approx(plain_score(rows, node, parents), abs=1e-7)
    assert int(table.isnan().sum()) == 8 * 128
    few = asia_rows(50)
    assert float(local_scores(few)[3, 2]) == pytest.approx(
        plain_score([tuple(map(int, row)) for row in few], 3, [1]), abs=1e-9
    )


def test_score_is_the_sum_over_variables(space: BN8) -> None:
    archs = space.sample(20, seeded(13))
    rows = [tuple(map(int, row)) for row in asia_rows()]
    for row in range(0, 20, 5):
        parents: dict[str, list[int]] = {name: [] for name in VARIABLES}
        for source, target in space.matrix(archs[row])[0].nonzero().tolist():
            parents[VARIABLES[target]].append(source)
        wanted = sum(plain_score(rows, VARIABLES.index(name), found) for name, found in parents.items())
        assert float(space.score(archs)[row]) == pytest.approx(wanted, abs=2e-3)  # float32 of 1e4
    assert space.score(archs).dtype == torch.float32 and space.score(archs[:0]).shape == (0,)


def test_markov_equivalent_structures_score_alike(space: BN8) -> None:
    matrix = asia_matrix()[None].clone()
    matrix[0, 1, 3], matrix[0, 3, 1] = False, True  # S -> L turned round: S stays without a second parent
    assert float(bic(matrix)) == pytest.approx(float(bic(asia_matrix()[None])), abs=1e-6)


def test_truth_is_near_the_top(space: BN8) -> None:
    truth = space.true_network()
    best = float(space.score(truth))
    assert best == pytest.approx(-11323.468, abs=0.01)
    assert torch.equal(space.matrix(truth)[0], asia_matrix()) and int(asia_matrix().sum()) == 8
    random: Tensor = space.score(space.sample(20_000, seeded(14)))
    assert best > float(random.max()) and float(random.min()) > -16_000
    near = space.score(space.neighbors(truth))
    # Dropping A -> T spares a parameter that 47 visits to Asia cannot pay for; nothing else is better.
    assert int((near > best + 1e-2).sum()) <= 1 and float(near.max()) - best < 0.5 * math.log(5000)
