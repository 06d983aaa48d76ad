"""Latent codes, surrogates and acquisitions against what they restate."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from graphnas.bo import latent_bo, surrogate_search, surrogates
from graphnas.bo.acquisition import ACQUISITIONS, log_expected_improvement
from graphnas.bo.codes import LatentCodes, default_pool
from graphnas.bo.latent_bo import LatentBO
from graphnas.bo.surrogates import SURROGATES, ExactPosterior
from graphnas.errors import InvalidValues, SpaceMismatch, UnknownName
from graphnas.testing import seeded
from graphnas.train.evaluate import encode_all
from tests.bo.searches import MODEL, SPACE, score, spend


def training(count: int = 25) -> tuple[Tensor, Tensor]:
    x = torch.rand(count, 2, generator=seeded(0), dtype=torch.float64)
    y = (3 * x[:, 0]).sin() + x[:, 1]
    return x, (y - y.mean()) / y.std()


def test_codes_fill_the_unit_cube_and_can_be_restored() -> None:
    archs = SPACE.enumerate()
    codes = LatentCodes(MODEL, archs, 6)
    assert torch.allclose(codes.points.min(0).values, torch.zeros(codes.dim).double(), atol=1e-9)
    assert torch.allclose(codes.points.max(0).values, torch.ones(codes.dim).double(), atol=1e-9)
    assert torch.allclose(codes.place(archs[:7]), codes.points[:7], atol=1e-5)
    assert torch.allclose(codes.restore(codes.points), encode_all(MODEL, archs), atol=1e-3)
    assert codes.place(archs[:0]).shape == (0, codes.dim)
    drawn = codes.draw(4000, seeded(1), "normal")
    assert torch.allclose(drawn.mean(0), codes.points.mean(0), atol=0.02)


def test_codes_that_cannot_be() -> None:
    archs = SPACE.enumerate()
    with pytest.raises(InvalidValues, match="at least 2"):
        LatentCodes(MODEL, archs[:1])
    with pytest.raises(InvalidValues, match="collapsed"):
        LatentCodes(MODEL, archs[torch.zeros(5, dtype=torch.int64)])
    with pytest.raises(InvalidValues, match="box or normal"):
        LatentCodes(MODEL, archs).draw(2, seeded(0), "ball")


def test_expected_improvement_is_its_integral() -> None:
    noise = torch.randn(400_000, generator=seeded(0), dtype=torch.float64)
    for mean, std, best in ((0.0, 1.0, 0.5), (2.0, 0.5, 0.0), (-1.0, 1.0, 0.7)):
        exact = (mean + std * noise - best).clamp_min(0).mean()
        found = log_expected_improvement(torch.tensor([mean]).double(), torch.tensor([std]).double(), best).exp()
        assert float(found[0]) == pytest.approx(float(exact), rel=0.03)


def test_expected_improvement_ranks_far_below_the_best() -> None:
    mean = torch.linspace(-1e5, 1e3, 400, dtype=torch.float64)
    values = log_expected_improvement(mean, torch.ones(400).double(), 0.0)
    assert bool(values.isfinite().all()) and bool((values.diff() > 0).all())


@pytest.mark.parametrize("name", ["gp", "rbf"])
def test_believing_changes_no_mean_there_and_removes_doubt(name: str) -> None:
    x, y = training()
    posterior, new = SURROGATES[name](x, y, 0), torch.tensor([[0.45, 0.55]]).double()
    mean, variance = posterior.predict(new)
    after, less = posterior.believing(new).predict(new)
    assert torch.allclose(mean, after, atol=1e-6) and float(less[0]) < float(variance[0])
    assert torch.allclose(posterior.predict(x)[0], y, atol=0.2)


def test_draws_have_the_posterior_s_moments() -> None:
    x, y = training(8)
    posterior = SURROGATES["gp"](x, y, 0)
    assert isinstance(posterior, ExactPosterior)
    new, generator = torch.rand(3, 2, generator=seeded(5), dtype=torch.float64), seeded(1)
    draws = torch.stack([posterior.draw(new, generator) for _ in range(3000)])
    mean, variance = posterior.predict(new)
    assert torch.allclose(draws.mean(0), mean, atol=0.1)
    assert torch.allclose(draws.var(0), variance, rtol=0.15, atol=1e-3)


def test_the_legacy_surrogate_and_every_acquisition_give_numbers() -> None:
    x, y = training()
    for surrogate in SURROGATES:
        posterior = SURROGATES[surrogate](x, y, 0)
        for name in ACQUISITIONS:
            values = ACQUISITIONS[name](posterior, x, float(y.max()), seeded(0))
            assert values.shape == (len(x),) and not bool(values.isnan().any())


def test_a_batch_is_spread_by_beliefs() -> None:
    """Without believers all three would be next to each other."""
    search = LatentBO(MODEL, SPACE, seed=0, initial=6)
    spend(search, 12)
    _, values = search.known()
    posterior = SURROGATES["gp"](search.points, (values - values.mean()) / values.std(), 0)
    rows = search.pick(posterior, search.codes.points, 3, seeded(0))
    assert len(set(rows.tolist())) == 3
    first = search.pick(posterior, search.codes.points, 1, seeded(0))
    assert int(first) == int(rows[0])


def test_mutants_reach_beyond_the_pool() -> None:
    """A pool without the best half: its codes alone could not give them."""
    toy = SPACE.enumerate()
    pool = toy[score(toy).argsort()[: len(toy) // 2]]
    search = LatentBO(MODEL, SPACE, pool=pool, proposal="mutants", initial=6)
    assert max(spend(search, 30)) > float(score(pool).max())


def test_many_rows_lend_some_to_the_hyper_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.rand(120, 3, generator=seeded(5), dtype=torch.float64)
    y = torch.sin(4 * x.sum(1))
    whole = SURROGATES["gp"](x, y, 0)
    monkeypatch.setattr(surrogates, "FIT_ROWS", 60)
    some = SURROGATES["gp"](x, y, 0)
    assert isinstance(some, ExactPosterior) and len(some.x) == 120
    where = torch.rand(40, 3, generator=seeded(6), dtype=torch.float64)
    assert (some.predict(where)[0] - whole.predict(where)[0]).abs().max() < 0.3 * y.std()
    assert not torch.equal(some.predict(where)[0], whole.predict(where)[0])


def test_a_factor_that_grows_is_that_of_all_rows() -> None:
    x, y = training()
    posterior = SURROGATES["gp"](x, y, 0)
    assert isinstance(posterior, ExactPosterior)
    new = torch.rand(3, x.shape[1], generator=seeded(3), dtype=torch.float64)
    believed = torch.cat([y, posterior.predict(new)[0]])
    anew, grown = ExactPosterior(posterior.model, torch.cat([x, new]), believed), posterior.believing(new)
    where = torch.rand(50, x.shape[1], generator=seeded(4), dtype=torch.float64)
    for wanted, got in zip(anew.predict(where), grown.predict(where), strict=True):
        assert torch.allclose(wanted, got, atol=1e-9)
    assert torch.allclose(grown.y, believed)


@pytest.mark.parametrize("acquisition", ["logei", "ucb", "mean"])
def test_a_shortlist_changes_no_batch(acquisition: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of three has to be made anew several times for a batch of nine."""
    search = LatentBO(MODEL, SPACE, seed=0, initial=6, acquisition=acquisition)
    spend(search, 12)
    posterior = search.posterior()
    whole = search.pick(posterior, search.codes.points, 9, seeded(0))
    monkeypatch.setattr(surrogate_search, "SHORTLIST", 3)
    assert search.pick(posterior, search.codes.points, 9, seeded(0)).tolist() == whole.tolist()
    assert len(search.pick(posterior, search.codes.points[:2], 9, seeded(0))) == 2


def test_around_points_of_known_architectures_others_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as points were asked about, none known, no two alike, by a decoder that gives the nearest code's."""
    search = LatentBO(MODEL, SPACE, proposal="box", initial=6, seed=2)
    codes = search.codes.codes
    nearest = lambda model, wanted, sample: SPACE.enumerate()[torch.cdist(wanted, codes).argmin(1)]  # noqa: E731
    monkeypatch.setattr(latent_bo, "decode_all", nearest)
    spend(search, 12)
    posterior, box = search.posterior(), search.region()
    points = search.codes.place(search.archs)[:4].clamp(0, 1)
    found = search.nearby(posterior, 0.0, points, box, seeded(0))
    assert 0 < len(found) <= 4 and bool(search.fresh(found).all()) and bool(SPACE.is_valid(found).all())
    assert search.nearby(posterior, 0.0, points, box, seeded(0)) == found
    assert len(search.nearby(posterior, 0.0, points[:1], box, seeded(0))) == 1
    search.within(lambda archs: torch.zeros(len(archs), dtype=torch.bool))
    assert len(search.nearby(posterior, 0.0, points, box, seeded(0))) == 0


def test_the_region_halves_without_improvement_and_starts_anew() -> None:
    search = LatentBO(MODEL, SPACE, proposal="trust_region")
    widths = []
    for stale in (0, 4, 5, 10, 1000):
        search.values = torch.tensor([1.0] + [0.0] * stale, dtype=torch.float64)
        search.archs = SPACE.enumerate()[torch.zeros(1 + stale, dtype=torch.int64)]
        widths.append(search.region_width())
    assert widths == pytest.approx([0.8, 0.8, 0.4, 0.2, 0.8])


def test_impossible_searches() -> None:
    with pytest.raises(SpaceMismatch, match="about toy, the search about nb201"):
        LatentBO(MODEL, "nb201")
    with pytest.raises(InvalidValues, match="codes, mutants, box, trust_region"):
        LatentBO(MODEL, SPACE, proposal="sphere")  # type: ignore[arg-type]
    for wrong in ({"acquisition": "pi"}, {"surrogate": "forest"}):
        with pytest.raises(UnknownName):
            LatentBO(MODEL, SPACE, **wrong)  # type: ignore[arg-type]


def test_pools_are_bounded_and_seeded() -> None:
    assert len(default_pool(SPACE, 0)) == len(SPACE.enumerate())
    assert default_pool(SPACE, 0, 10) == default_pool(SPACE, 0, 10) != default_pool(SPACE, 1, 10)
    assert not math.isnan(float(score(default_pool(SPACE, 0, 10)).sum()))


@pytest.mark.parametrize("model", ["svge_nb201", None])
def test_what_is_no_vae_is_refused(model: object) -> None:
    with pytest.raises(InvalidValues, match=r"expected a graph VAE \(got (str|NoneType)\)"):
        LatentBO(model)  # type: ignore[arg-type]
