"""Fronts, hypervolume and the searches for them."""

from __future__ import annotations

import pytest
import torch
from botorch.acquisition.multi_objective import logei
from botorch.utils.multi_objective.pareto import is_non_dominated
from torch import Tensor
from torch.utils import cpp_extension

from graphnas.bo.baselines import RandomSearch
from graphnas.bo.codes import Codes, RawCodes
from graphnas.bo.pareto import ParetoBO, ParetoEvolution, front_numbers, front_of, hypervolume
from graphnas.bo.searcher import Searcher
from graphnas.spaces import Architectures
from graphnas.testing import seeded
from tests.bo.searches import SPACE, score


def test_the_front_of_a_search() -> None:
    search = RandomSearch(SPACE, 0)
    assert len(front_of(search).archs) == 0
    archs = search.ask(60)
    values = score(archs)
    values[::7] = torch.nan
    search.tell(archs, values)
    front, costs = front_of(search, "flops"), SPACE.cost(archs)["flops"].double()
    good = ~values.isnan()
    best = is_non_dominated(torch.stack([values, -costs], 1)[good], deduplicate=False)
    assert sorted(SPACE.format(front.archs)) == sorted(SPACE.format(archs[good][best]))
    assert front.costs.tolist() == sorted(front.costs.tolist()) == SPACE.cost(front.archs)["flops"].double().tolist()
    assert front.values.tolist() == score(front.archs).tolist()


@pytest.mark.parametrize("seed", range(20))
def test_fronts_are_those_of_peeling(seed: int) -> None:
    generator = seeded(seed)
    values, costs = (torch.randint(0, 6, (15,), generator=generator).double() for _ in range(2))
    found, left, number = front_numbers(values, costs), torch.arange(15), 0
    while len(left):
        first = is_non_dominated(torch.stack([values, -costs], 1)[left], deduplicate=False)
        assert bool((found[left[first]] == number).all())
        left, number = left[~first], number + 1


def test_the_hypervolume_of_a_staircase() -> None:
    values, costs = torch.tensor([1.0, 0.5, 0.25, 2.0]), torch.tensor([10.0, 5.0, 6.0, 30.0])
    # over the unit square of value 0..1 and cost 20..0: 1 x 1/2 and another 1/2 x 1/4; one is dominated, one too dear
    assert hypervolume(values, costs, (0.0, 20.0), (1.0, 0.0)) == pytest.approx(0.5 + 0.125)
    assert hypervolume(values[3:], costs[3:], (0.0, 20.0), (1.0, 0.0)) == 0.0


def cost() -> Tensor:
    return SPACE.cost(SPACE.enumerate())["params"].double()


def spent(search: Searcher, queries: int) -> float:
    while len(search.values) < queries:
        archs = search.ask(min(4, queries - len(search.values)))
        search.tell(archs, score(archs))
    costs = SPACE.cost(search.archs)["params"].double()
    every = score(SPACE.enumerate())
    worst, best = (float(every.min()), float(cost().max())), (float(every.max()), float(cost().min()))
    return hypervolume(search.values, costs, worst, best)


def test_both_searches_find_more_than_they_began_with() -> None:
    codes = RawCodes(SPACE, SPACE.enumerate())
    for search in (ParetoBO(codes, "params", 0, initial=6), ParetoEvolution(SPACE, "params", 0, initial=6)):
        begin = spent(search, 6)
        assert spent(search, 18) > begin > 0
        assert len(set(SPACE.canonical_keys(search.archs))) == 18


class Informed(Codes):
    """Points that tell the value, up to a bend."""

    def __init__(self) -> None:
        self.space, self.archs = SPACE, SPACE.enumerate()
        self.points = self.place(self.archs)

    def place(self, archs: Architectures) -> Tensor:
        every, own = score(self.archs), score(archs)
        return ((own - every.min()) / (every.max() - every.min())).square()[:, None]


def test_informed_the_front_is_found_sooner_than_by_chance() -> None:
    found = [spent(ParetoBO(Informed(), "params", seed, initial=6), 18) for seed in range(3)]
    by_chance = [spent(ParetoBO(Informed(), "params", seed, initial=100), 18) for seed in range(3)]
    assert min(a - b for a, b in zip(found, by_chance, strict=True)) > 0.02


def test_the_same_seed_chooses_the_same() -> None:
    codes = RawCodes(SPACE, SPACE.enumerate())
    first, again = (ParetoBO(codes, "flops", 3, initial=6) for _ in range(2))
    assert spent(first, 14) == spent(again, 14) and first.archs == again.archs


def test_no_search_calls_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """BoTorch would build its fused loop at the first search, for a minute, and warn where there is no compiler."""
    built: list[str] = []
    monkeypatch.setattr(logei, "_load_attempted", False)
    monkeypatch.setattr(cpp_extension, "load", lambda **options: built.append(options["name"]))
    spent(ParetoBO(RawCodes(SPACE, SPACE.enumerate()), "params", 0, initial=6), 10)
    assert built == []
