"""Paths, circles and grids have the geometry they promise, and the figures count what they say."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Generator, Tensor

from graphnas import create_model, get_space
from graphnas.bo.smoothness import (
    angle,
    class_numbers,
    decode_codes,
    edit_distance,
    great_circle,
    grid_pairs,
    linear_path,
    neighbourhood_grid,
    path_pairs,
    smoothness,
)
from graphnas.errors import InvalidValues
from graphnas.models import GraphVAE, ModelConfig
from graphnas.spaces import Architectures
from graphnas.testing import codes, seeded

SPACE = get_space("toy")
CHAIN = "0100/0010/0001/0000:conv,pool"
REVERSED = "0100/0010/0001/0000:pool,conv"
SKIP = "0101/0010/0001/0000:conv,pool"
LONGER = "01000/00100/00010/00001/00000:conv,pool,pool"
PAIR = "0110/0001/0001/0000:conv,pool"
PAIR_AGAIN = "0110/0001/0001/0000:pool,conv"  # isomorphic to PAIR, other indices


class Oracle(GraphVAE):
    """Knows the architecture at every whole number on the first axis, and gives it the share `sure` of all draws."""

    registered_name = "oracle"
    latent_dim = 2

    def __init__(self, texts: list[str], sure: float = 0.7) -> None:
        super().__init__(ModelConfig(), SPACE)
        self.archs, self.sure = SPACE.parse(texts), sure

    def encode(self, archs: Architectures) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def loss(self, archs: Architectures, y: Tensor | None = None) -> dict[str, Tensor]:
        raise NotImplementedError

    def log_prob(self, archs: Architectures, z: Tensor) -> Tensor:
        raise NotImplementedError

    def decode(
        self, z: Tensor, sample: bool = True, generator: Generator | None = None, mask: bool = True, repeats: int = 1
    ) -> Architectures:
        rows = z[:, 0].round().long().repeat_interleave(repeats)
        if sample:
            lost = torch.rand(len(rows), generator=generator) > self.sure
            rows = torch.where(lost, torch.randint(len(self.archs), (len(rows),), generator=generator), rows)
        return self.archs[rows]


def along(count: int) -> Tensor:
    return torch.stack([torch.arange(count).float(), torch.zeros(count)], 1)


# -- codes ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("steps", [2, 3, 10])
def test_a_line_is_even_and_holds_both_ends(steps: int) -> None:
    start, end = torch.randn(2, 7, generator=seeded())
    path = linear_path(start, end, steps)
    assert path.shape == (steps, 7) and torch.equal(path[0], start) and torch.equal(path[-1], end)
    assert torch.allclose(path.diff(dim=0), ((end - start) / (steps - 1)).expand(steps - 1, 7), atol=1e-6)


@pytest.mark.parametrize("size", [2, 3, 56])
def test_a_great_circle(size: int) -> None:
    z0 = 3 * torch.randn(size, generator=seeded(1), dtype=torch.float64)
    circle = great_circle(z0, seeded(2), 36)
    assert circle.shape == (36, size) and torch.allclose(circle[0], z0, atol=1e-12)
    assert torch.allclose(circle.norm(dim=1), z0.norm().expand(36), rtol=1e-6)
    z1 = circle[9]
    assert abs(float(z0 @ z1)) < 1e-6 * float(z0.norm()) ** 2
    assert torch.allclose(circle[18], -z0, atol=1e-9) and torch.allclose(circle[27], -z1, atol=1e-9)
    turns = angle(circle, circle.roll(-1, 0))
    assert torch.allclose(turns, torch.full((36,), math.pi / 18, dtype=torch.float64), atol=1e-6)
    assert torch.linalg.matrix_rank(circle, rtol=1e-9) == 2


def test_circles_repeat_with_their_seed_and_keep_the_type() -> None:
    z0 = torch.randn(5, generator=seeded())
    assert great_circle(z0, seeded(1)).dtype == torch.float32
    assert torch.equal(great_circle(z0, seeded(1)), great_circle(z0, seeded(1)))
    assert not torch.equal(great_circle(z0, seeded(1))[1], great_circle(z0, seeded(2))[1])


@pytest.mark.parametrize("size", [1, 3, 9])
def test_a_grid_has_its_centre_in_the_middle_and_orthonormal_directions(size: int) -> None:
    center = torch.randn(6, generator=seeded(), dtype=torch.float64)
    grid = neighbourhood_grid(center, seeded(3), size, 0.25).view(size, size, 6)
    assert torch.equal(grid[size // 2, size // 2], center)
    if size > 1:
        down, across = (grid[1:] - grid[:-1]) / 0.25, (grid[:, 1:] - grid[:, :-1]) / 0.25
        for steps in (down, across):
            assert torch.allclose(steps.norm(dim=-1), torch.ones(1, dtype=torch.float64), atol=1e-6)
            assert torch.allclose(steps, steps[0, 0].expand_as(steps), atol=1e-9)
        assert abs(float(down[0, 0] @ across[0, 0])) < 1e-6


def test_angles() -> None:
    a = torch.randn(50, 8, generator=seeded())
    assert angle(a, a).tolist() == [0.0] * 50 and torch.allclose(angle(a, 7 * a), torch.zeros(50).double(), atol=1e-6)
    assert torch.allclose(angle(a, -a), torch.full((50,), math.pi).double())
    assert float(angle(torch.tensor([1.0, 0]), torch.tensor([0, 5.0]))) == pytest.approx(math.pi / 2)
    b = a.roll(1, 0)
    cosine = (a * b).sum(1).double() / (a.double().norm(dim=1) * b.double().norm(dim=1))
    assert torch.allclose(angle(a, b), cosine.clamp(-1, 1).arccos(), atol=1e-5)
    assert math.isnan(float(angle(torch.zeros(2), torch.ones(2))))


def test_refuses_what_has_no_geometry() -> None:
    one = torch.ones(3)
    for call, text in (
        (lambda: linear_path(one, one, 1), "at least 2 steps"),
        (lambda: linear_path(one, torch.ones(4)), "two codes"),
        (lambda: great_circle(one, steps=1), "at least 2 steps"),
        (lambda: great_circle(torch.zeros(3)), "positive length"),
        (lambda: great_circle(torch.ones(1)), "Z >= 2"),
        (lambda: neighbourhood_grid(one, size=4), "odd size"),
        (lambda: neighbourhood_grid(one, step=0.0), "must be positive"),
        (lambda: neighbourhood_grid(torch.ones(2, 3)), "Z >= 2"),
        (lambda: smoothness(SPACE, SPACE.parse([CHAIN]), path_pairs(1)), "pairs of neighbours"),
        (lambda: decode_codes(Oracle([CHAIN]), along(1), draws=-1), "at least 0"),
        (lambda: edit_distance(SPACE.parse([CHAIN]), SPACE.parse([CHAIN, CHAIN])), "1 graphs with 2"),
    ):
        with pytest.raises(InvalidValues, match=text):
            call()


# -- figures ----------------------------------------------------------------------------------------------------------
def test_edit_distances_by_hand() -> None:
    left = SPACE.parse([CHAIN, CHAIN, CHAIN, CHAIN])
    right = SPACE.parse([CHAIN, REVERSED, SKIP, LONGER])
    # LONGER: the output's place holds pool, a fifth vertex and its edge are new
    assert edit_distance(left, right).tolist() == [0, 2, 1, 3]
    assert torch.equal(edit_distance(left, right), edit_distance(right, left))
    assert edit_distance(left.widen(9), right).tolist() == [0, 2, 1, 3]


@pytest.mark.parametrize("draws", [0, 60])
def test_figures_of_an_oracle(draws: int) -> None:
    model = Oracle([CHAIN, CHAIN, SKIP, PAIR, PAIR_AGAIN, CHAIN])
    decoded = decode_codes(model, along(6), draws, seeded(4))
    assert class_numbers(SPACE, decoded.archs).tolist() == [1, 1, 2, 3, 3, 1]
    found = smoothness(SPACE, decoded.archs, path_pairs(6))
    assert (found.steps, found.changed, found.distinct) == (5, 3 / 5, 3)
    if draws == 0:
        pairs = edit_distance(decoded.archs[[1, 2, 4]], decoded.archs[[2, 3, 5]])
        assert found.edit_distance == pytest.approx(float(pairs.sum()) / 5) and int(pairs[0]) == 1
        assert decoded.votes.tolist() == [1] * 6
    else:
        assert bool((decoded.votes > 30).all()) and decoded.valid.tolist() == [60] * 6
    closed = smoothness(SPACE, decoded.archs, path_pairs(6, closed=True))
    assert (closed.steps, closed.changed) == (6, 3 / 6)


def test_the_same_architecture_everywhere_is_smooth() -> None:
    found = smoothness(SPACE, decode_codes(Oracle([SKIP] * 9), along(9), 5, seeded()).archs, grid_pairs(3))
    assert (found.steps, found.changed, found.edit_distance, found.distinct) == (12, 0.0, 0.0, 1)


def test_neighbours_on_a_grid() -> None:
    pairs = {tuple(pair) for pair in grid_pairs(3).tolist()}
    assert len(pairs) == 12 and {(0, 1), (1, 2), (0, 3), (5, 8)} <= pairs and (2, 3) not in pairs
    assert path_pairs(3).tolist() == [[0, 1], [1, 2]] and path_pairs(3, True).tolist() == [[0, 1], [1, 2], [2, 0]]


def test_a_real_model_decodes_its_path() -> None:
    torch.manual_seed(0)
    model = create_model("svge", "toy", node_dim=8, latent_dim=4)
    assert isinstance(model, GraphVAE)
    path = linear_path(*codes(model.eval(), 2), steps=6)
    best = decode_codes(model, path, 0)
    assert best.archs == model.decode(path, sample=False) and bool(SPACE.is_valid(best.archs).all())
    again = [decode_codes(model, path, 20, seeded(1)).archs for _ in range(2)]
    assert again[0] == again[1]
