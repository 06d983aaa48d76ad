"""Searches by name: all of them climb, keep to limits, and find the last architecture that is left."""

from __future__ import annotations

import pytest
import torch

from graphnas.bo.baselines import RandomSearch, RegularisedEvolution
from graphnas.bo.latent_bo import LatentBO
from graphnas.bo.methods import METHODS, make_searcher
from graphnas.bo.pareto import ParetoBO, ParetoEvolution
from graphnas.bo.pool_bo import PoolBO
from graphnas.bo.searcher import Searcher
from graphnas.bo.setting import Setting
from graphnas.errors import InvalidValues, OutsideSpace, UnknownName
from tests.bo.searches import MODEL, SPACE, config, score, spend

every_method = pytest.mark.parametrize("method", list(METHODS))


def test_names_and_what_they_make() -> None:
    setting, front = Setting(config(), MODEL), Setting(config(cost="params"), MODEL)
    made = {name: type(make_searcher(setting, name, 0)) for name in METHODS}
    assert made["latent"] is LatentBO and made["raw_gp"] is PoolBO
    assert made["evolution"] is RegularisedEvolution and made["random"] is RandomSearch
    two = {name: type(make_searcher(front, name, 0)) for name in METHODS}
    assert two["latent"] is two["raw_gp"] is ParetoBO and two["evolution"] is ParetoEvolution


def test_settings_reach_the_search() -> None:
    changes = {"proposal": "trust_region", "draws": 3, "targets": "standardised", "incumbent": "box", "dim": 2}
    search = make_searcher(Setting(config(**changes, initial=7), MODEL), "latent", 5)
    assert isinstance(search, LatentBO)
    assert {name: getattr(search, name) for name in changes if name != "dim"} | {"dim": search.codes.dim} == changes
    assert (search.initial, search.seed) == (7, 5)


def test_unknown_names_and_missing_models() -> None:
    for changes in ({"acquisition": "nix"}, {"surrogate": "nix"}):
        with pytest.raises(UnknownName, match="nix"):
            make_searcher(Setting(config(**changes)), "raw_gp", 0)
    with pytest.raises(UnknownName, match="unknown search method 'nix'"):
        make_searcher(Setting(config()), "nix", 0)
    for name in ("latent", "latent_random"):
        with pytest.raises(InvalidValues, match="pass --model RUN"):
            make_searcher(Setting(config()), name, 0)


@every_method
def test_limits_are_kept(method: str) -> None:
    """Few architectures are so small: mutants, neighbours and decodes have to be refused."""
    setting, _ = smallest(60)
    search = make_searcher(setting, method, 0)
    spend(search, 12)
    assert len(search.values) == 12 and bool((SPACE.cost(search.archs)["flops"] <= setting.limits["flops"]).all())


def smallest(count: int) -> tuple[Setting, set[str]]:
    """A setting in which no more than about `count` of 787 architectures are allowed, and these."""
    flops = SPACE.cost(SPACE.enumerate())["flops"]
    limit = max(float(flops.sort().values[count]), 0.5)
    rows = SPACE.enumerate()[flops <= limit]
    assert count <= len(rows) < 2 * count
    return Setting(config(max_flops=limit, queries=1, initial=3), MODEL), set(SPACE.canonical_keys(rows))


@every_method
def test_all_that_is_allowed_is_found_before_a_search_ends(method: str) -> None:
    setting, keys = smallest(4)
    search = make_searcher(setting, method, 0)
    found = exhausted(search)
    assert set(SPACE.canonical_keys(search.archs)) == keys and found == len(keys)


def exhausted(search: Searcher) -> int:
    """Evaluations until nothing is left."""
    while True:
        try:
            archs = search.ask(4)
        except OutsideSpace:
            return len(search.values)
        search.tell(archs, score(archs))


def test_local_search_leaves_a_centre_whose_other_neighbours_are_refused() -> None:
    """It used to propose these again and again, and drew at random instead of going on from the next best."""
    setting, allowed = smallest(60)
    search = make_searcher(setting, "local", 0)
    spend(search, 4, 4)
    moved = 0
    for _ in range(25):
        known, best_first = set(SPACE.canonical_keys(search.archs)), search.values.argsort(descending=True, stable=True)
        around = [
            set(SPACE.canonical_keys(SPACE.neighbors(search.archs[row : row + 1]))) for row in best_first.tolist()
        ]
        left = [keys & allowed - known for keys in around]
        centre = next(place for place, keys in enumerate(left) if keys)
        archs = search.ask(1)
        assert set(SPACE.canonical_keys(archs)) <= left[centre]
        moved += centre > 0 and bool(around[0] - allowed)
        search.tell(archs, score(archs))
    assert moved


@pytest.mark.parametrize("method", ["raw_gp", "local", "evolution"])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_guided_searches_end_above_chance(method: str, sign: float) -> None:
    pool = score(SPACE.enumerate(), sign)
    values = torch.tensor(spend(make_searcher(Setting(config(initial=8)), method, 1), 20, 6, sign))
    assert float(values[-12:].mean()) > float(pool.mean())
    assert float((pool > values.max() + 1e-9).double().mean()) < 0.1
