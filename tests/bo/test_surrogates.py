"""The sparse and learned surrogates, and climbing on what they promise."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from graphnas.bo import deep_kernel, sparse_surrogates  # noqa: F401  (register themselves)
from graphnas.bo.acquisition import ACQUISITIONS
from graphnas.bo.sparse_gp import LegacySparseGP
from graphnas.bo.surrogates import SURROGATES
from graphnas.bo.uphill import climb
from graphnas.testing import seeded

every_surrogate = pytest.mark.parametrize("name", ["gp", "rbf", "deep_kernel", "svgp", "legacy"])


def training(count: int = 60) -> tuple[Tensor, Tensor]:
    x = torch.rand(count, 3, generator=seeded(0), dtype=torch.float64)
    y = (3 * x[:, 0]).sin() + x[:, 1] - x[:, 0] * x[:, 2]
    return x, (y - y.mean()) / y.std(correction=0)


@pytest.mark.parametrize(("name", "error"), [("gp", 0.1), ("rbf", 0.1), ("deep_kernel", 0.2), ("svgp", 0.4)])
def test_they_predict_what_they_have_not_seen(name: str, error: float) -> None:
    x, y = training(120)
    posterior = SURROGATES[name](x[:80], y[:80], 0)
    mean, variance = posterior.predict(x[80:])
    assert float((mean - y[80:]).square().mean().sqrt()) < error
    assert bool((variance >= 0).all())


@every_surrogate
def test_the_same_seed_gives_the_same_and_global_random_numbers_are_left_alone(name: str) -> None:
    x, y = training(30)
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    first = SURROGATES[name](x, y, 4).predict(x)[0]
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(first, SURROGATES[name](x, y, 4).predict(x)[0])


@every_surrogate
def test_believing_keeps_the_mean_and_lowers_the_variance(name: str) -> None:
    x, y = training(30)
    posterior, point = SURROGATES[name](x, y, 0), torch.tensor([[0.9, 0.1, 0.9]]).double()
    after = posterior.believing(point)
    assert torch.allclose(posterior.predict(point)[0], after.predict(point)[0], atol=1e-5)
    assert float(after.predict(point)[1]) < float(posterior.predict(point)[1])
    twice = after.believing(point)
    assert float(twice.predict(point)[1]) <= float(after.predict(point)[1]) + 1e-12


@every_surrogate
def test_draws_follow_the_marginals(name: str) -> None:
    x, y = training(20)
    posterior = SURROGATES[name](x, y, 0).believing(x[:1])
    new, generator = torch.rand(3, 3, generator=seeded(5), dtype=torch.float64), seeded(1)
    draws = torch.stack([posterior.draw(new, generator) for _ in range(400)])
    mean, variance = posterior.predict(new)
    assert torch.allclose(draws.mean(0), mean, atol=0.3)
    assert torch.allclose(draws.var(0), variance, rtol=0.4, atol=1e-3)


def test_the_legacy_posterior_is_that_of_its_process() -> None:
    x, y = training()
    gp, posterior = LegacySparseGP(x, y, len(x), 2).fit(), SURROGATES["legacy"](x, y, 2)
    for found, expected in zip(posterior.predict(x), gp.predict(x), strict=True):
        assert torch.allclose(found, expected, atol=1e-10)


@every_surrogate
def test_climbing_never_loses_and_keeps_to_its_box(name: str) -> None:
    x, y = training(30)
    posterior = SURROGATES[name](x, y, 0)
    start = torch.rand(4, 3, generator=seeded(3), dtype=torch.float64) * 0.5
    low, high = torch.zeros(3).double(), torch.full((3,), 0.6).double()
    for acquisition in ("logei", "ucb", "mean"):

        def promise(at: Tensor, acquisition: str = acquisition) -> Tensor:
            return ACQUISITIONS[acquisition](posterior, at, float(y.max()), seeded(0))

        found = climb(promise, start, low, high)
        assert bool((found >= low).all() and (found <= high).all())
        gain = (promise(found) - promise(start)).detach()
        assert bool((gain >= 0).all()) and float(gain.max()) > 1e-3
