"""Cells of DAG spaces from text and from matrices, and the messages for everything else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from graphnas.errors import InvalidArchitecture
from graphnas.spaces import Architectures, get_space
from graphnas.spaces.dag import DagSpace


@pytest.fixture(params=["toy", "nb101"])
def space(request: pytest.FixtureRequest) -> DagSpace:
    return get_space(request.param)


@pytest.fixture(scope="module")
def toy() -> DagSpace:
    return get_space("toy")


# -- text ---------------------------------------------------------------------------------------------------------
def test_text_round_trip(space: DagSpace) -> None:
    archs = space.sample(2000, torch.Generator().manual_seed(11))
    archs = Architectures.concat([archs, space.enumerate()[:10]])
    lines = space.format(archs)
    assert space.parse(lines) == archs
    assert space.format(space.parse(lines)) == lines
    assert lines[-10] == "01/00:"
    assert space.parse(lines[0]) == archs[0] == space.parse(f"  {lines[0]}\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected 2 to 5 matrix rows"),
        ("0:", "expected 2 to 5 matrix rows"),
        ("01/00", "expected rows of 0 and 1 joined"),
        ("01/0:", "expected rows of 0 and 1 joined"),
        ("02/00:", "expected rows of 0 and 1 joined"),
        ("010/0012/00:conv", "expected rows of 0 and 1 joined"),
        ("010/0001/00:conv", "expected 3 rows of 3 digits"),
        ("010/001/000:", "expected 1 interior operations.*got 0"),
        ("010/001/000:conv,pool", "expected 1 interior operations.*got 2"),
        ("010/001/000:convolution", "unknown operation 'convolution' in toy: expected one of conv, pool"),
        ("010/001/000:input", "unknown operation 'input'"),
        ("010/001/000:conv:", "unknown operation 'conv:'"),
        ("010/101/000:conv", "lower to a higher index"),
        ("011/000/000:conv", "every vertex on a path"),
        ("00/00:", "every vertex on a path"),
        ("010000/001000/000100/000010/000001/000000:conv,conv,conv,conv", "expected 2 to 5 matrix rows .got 6"),
        ("__import__('os')", "expected 2 to 5 matrix rows"),
    ],
)
def test_text_outside_the_grammar(toy: DagSpace, text: str, message: str) -> None:
    with pytest.raises(InvalidArchitecture, match=f"row 2.*{message}"):
        toy.parse(["01/00:", "010/001/000:pool", text])


# -- matrices -----------------------------------------------------------------------------------------------------
SMALL = [[0, 1, 1], [0, 0, 1], [0, 0, 0]]


@pytest.mark.parametrize("matrix", [SMALL, np.array(SMALL), np.array(SMALL, dtype=bool), torch.tensor(SMALL).float()])
def test_build_takes_lists_and_arrays(toy: DagSpace, matrix: object) -> None:
    assert toy.format(toy.build(matrix, ["input", "pool", "output"])) == ["011/001/000:pool"]


def test_build_prunes_on_request(toy: DagSpace) -> None:
    dangling = [[0, 1, 1], [0, 0, 0], [0, 0, 0]]
    ops = ["input", "conv", "output"]
    assert toy.build(dangling, ops) == toy.parse("01/00:")
    with pytest.raises(InvalidArchitecture, match="every vertex on a path"):
        toy.build(dangling, ops, prune=False)
    chain = np.eye(7, k=1)
    chain[0, -1] = 1
    chain[2, 3] = 0  # seven vertices, of which only input and output matter
    assert toy.build(chain, ["input", *["conv"] * 5, "output"]) == toy.parse("01/00:")


@pytest.mark.parametrize(
    ("matrix", "ops", "message"),
    [
        ([[0, 1, 0], [0, 0, 1]], ["input", "conv", "output"], "square matrix"),
        ([[0, 1], [0]], ["input", "output"], "square matrix"),
        ([], [], "square matrix"),
        (3, ["input"], "square matrix"),
        ([[0]], ["input"], "square matrix"),
        ([[0, 2], [0, 0]], ["input", "output"], "matrix of 0 and 1"),
        ([[0, float("nan")], [0, 0]], ["input", "output"], "matrix of 0 and 1"),
        ([[0, "1"], [0, 0]], ["input", "output"], "matrix of 0 and 1"),
        ([[0, 1], [1, 0]], ["input", "output"], r"no cycles \(got edges \[\[1, 0\]\]\)"),
        ([[1, 1], [0, 0]], ["input", "output"], r"no cycles \(got edges \[\[0, 0\]\]\)"),
        (SMALL, ["input", "output"], "expected 3 operations"),
        (SMALL, ["conv"], "expected 3 operations"),
        (SMALL, ["output", "conv", "input"], "from 'input' to 'output'"),
        (SMALL, ["input", "cnv", "output"], "unknown operation 'cnv' in toy: expected one of conv, pool"),
        ([[0, 0], [0, 0]], ["input", "output"], "row 0: expected a path"),
        (np.eye(6, k=1), ["input", *["conv"] * 4, "output"], r"2 to 5 vertices \(got 6 vertices\)"),
    ],
)
def test_build_refuses(toy: DagSpace, matrix: object, ops: list[str], message: str) -> None:
    with pytest.raises(InvalidArchitecture, match=message):
        toy.build(matrix, ops)
