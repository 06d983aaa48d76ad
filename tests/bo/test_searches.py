"""What every search promises: nothing is paid for twice, it climbs, failures and the end of the space are survived."""

from __future__ import annotations

import pytest
import torch

from graphnas import create_model, get_space
from graphnas.bo.baselines import LocalSearch, RandomSearch
from graphnas.bo.latent_bo import LatentBO
from graphnas.errors import InvalidValues, OutsideSpace, SpaceMismatch
from graphnas.models import GraphVAE
from tests.bo.searches import MODEL, SEARCHES, SPACE, Make, score, spend

every_search = pytest.mark.parametrize("make", SEARCHES.values(), ids=list(SEARCHES))


@every_search
def test_nothing_is_paid_for_twice(make: Make) -> None:
    search = make(0)
    spend(search, 14)
    keys = SPACE.canonical_keys(search.archs)
    assert len(set(keys)) == len(keys) == 14
    assert bool(SPACE.is_valid(search.archs).all())


@every_search
def test_same_seed_same_trajectory_other_seed_another(make: Make) -> None:
    first, again, other = (make(seed) for seed in (3, 3, 4))
    assert spend(first, 9) == spend(again, 9)
    assert first.archs == again.archs
    spend(other, 6)
    assert other.archs != first.archs[:6]


CLIMBS = [
    ("evolution", 3, 150, 2),
    ("local", 3, 40, 2),
    ("informed codes", 1, 26, 4),
    pytest.param("informed codes", 3, 40, 2, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("name", "seeds", "queries", "batch_size"), CLIMBS)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_climbs_whatever_the_sign(name: str, seeds: int, queries: int, batch_size: int, sign: float) -> None:
    """The released NAS-Bench-101 loop maximised what it should have minimised: here its values would fall."""
    pool, late = score(SPACE.enumerate(), sign), min(30, queries // 2)
    for seed in range(seeds):
        search = informed(seed) if name == "informed codes" else SEARCHES[name](seed)
        values = torch.tensor(spend(search, queries, batch_size, sign))
        assert float(values[-late:].mean() - pool.mean()) > 0.4 * float(pool.std())
        assert float((pool > values.max() + 1e-9).double().mean()) < 0.1


def informed(seed: int) -> LatentBO:
    """On codes that carry structure without training: those of a graph isomorphism network."""
    torch.manual_seed(0)
    model = create_model("arch2vec", SPACE)
    assert isinstance(model, GraphVAE)
    return LatentBO(model, SPACE, seed=seed)


@every_search
def test_survives_failures(make: Make) -> None:
    search = make(0)
    for number in range(4):
        archs = search.ask(3)
        values = score(archs)
        values[number % 3] = torch.nan
        search.tell(archs, values)
    arch, value = search.best()
    assert value == float(search.values[~search.values.isnan()].max()) == float(score(arch)[0])
    assert int(search.values.isnan().sum()) == 4


def test_only_failures() -> None:
    for make in SEARCHES.values():
        search = make(0)
        for _ in range(3):
            archs = search.ask(3)
            search.tell(archs, torch.full((len(archs),), torch.nan))
        with pytest.raises(InvalidValues, match="no evaluation has succeeded"):
            search.best()


def test_the_end_of_a_pool() -> None:
    """Nothing outside of it is asked for when it is used up."""
    pool = SPACE.enumerate()[:12]
    keys = set(SPACE.canonical_keys(pool))
    for search in (RandomSearch(SPACE, 0, pool), LatentBO(MODEL, SPACE, pool=pool, initial=4)):
        while len(search.values) < len(keys):
            archs = search.ask(5)
            search.tell(archs, score(archs))
        assert set(SPACE.canonical_keys(search.archs)) == keys
        with pytest.raises(OutsideSpace, match="nothing new"):
            search.ask()


def test_wrong_values() -> None:
    search = RandomSearch(SPACE, 0)
    archs = search.ask(2)
    for values in (torch.ones(3), torch.ones(2, 1), torch.tensor([1.0, torch.inf])):
        with pytest.raises(InvalidValues, match="finite value or NaN for each of 2"):
            search.tell(archs, values)
    with pytest.raises(InvalidValues, match="at least 1"):
        search.ask(0)
    other = get_space("nb201")
    with pytest.raises(SpaceMismatch, match="not of toy"):
        search.tell(other.sample(1), torch.ones(1))


def test_local_search_looks_at_neighbours_of_the_best() -> None:
    search = LocalSearch(SPACE, 0, initial=5)
    spend(search, 5, 5)
    centre = search.archs[int(search.values.argmax())]
    around = set(SPACE.canonical_keys(SPACE.neighbors(centre)))
    assert set(SPACE.canonical_keys(search.ask(3))) <= around


def test_a_random_search_keeps_to_its_pool() -> None:
    pool = SPACE.enumerate()[:20]
    search = RandomSearch(SPACE, 0, pool)
    assert set(SPACE.canonical_keys(search.ask(10))) <= set(SPACE.canonical_keys(pool))
