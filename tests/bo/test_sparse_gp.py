"""The energy of the sparse GP against a slow direct formula, its limits, and the training that stops early."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from graphnas.bo.converged_gp import Scale, check_rows
from graphnas.bo.sparse_gp import JITTER, LegacySparseGP
from graphnas.errors import InvalidValues
from graphnas.testing import seeded


def data(rows: int, dimensions: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    x = torch.randn(rows, dimensions, generator=seeded(seed), dtype=torch.float64)
    noise = 0.1 * torch.randn(rows, generator=seeded(seed + 1), dtype=torch.float64)
    return x, 40 + 3 * (x[:, 0].sin() + 0.5 * x[:, 1] + noise)


def shaken(model: LegacySparseGP) -> LegacySparseGP:
    """Other values than those at the start for every parameter, where mistakes could cancel."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=seeded(7), dtype=torch.float64))
    return model


def covariance(model: LegacySparseGP, a: Tensor, b: Tensor) -> Tensor:
    squares = ((a[:, None] - b) ** 2 / model.log_squared_lengthscale.exp()).sum(-1)
    return model.log_signal.exp() * (-squares / 2).exp()


def log_normaliser(precision: Tensor, natural: Tensor) -> Tensor:
    """log of the integral of exp(-u^T P u / 2 + natural^T u) over u."""
    quadratic = natural @ torch.linalg.inv(precision) @ natural
    return (len(natural) * math.log(2 * math.pi) - torch.logdet(precision) + quadratic) / 2


@torch.no_grad()
def direct_energy(model: LegacySparseGP) -> float:
    """The definition: inverses, explicit cavities, one point after the other."""
    total, size = len(model.y), len(model.inducing)
    prior_covariance = covariance(model, model.inducing, model.inducing)
    prior_covariance += JITTER * model.log_signal.exp() * torch.eye(size, dtype=torch.float64)
    prior = torch.linalg.inv(prior_covariance)
    site, natural = model.site_factor @ model.site_factor.T / total, model.site_mean / total
    full = log_normaliser(prior + total * site, total * natural)
    cavity = log_normaliser(prior + (total - 1) * site, (total - 1) * natural)
    spread = torch.linalg.inv(prior + (total - 1) * site)
    center = spread @ ((total - 1) * natural)
    energy = full - log_normaliser(prior, torch.zeros_like(natural)) + total * (cavity - full)
    for x, y in zip(model.codes, model.y, strict=True):
        weights = prior @ covariance(model, model.inducing, x[None])[:, 0]
        variance = model.log_signal.exp() - weights @ (prior_covariance - spread) @ weights
        normal = torch.distributions.Normal(weights @ center, (variance + model.log_noise.exp()).sqrt())
        energy = energy + normal.log_prob(y)
    return -float(energy)


def exact_posterior(model: LegacySparseGP, x: Tensor) -> tuple[Tensor, Tensor]:
    """Exact GP regression with the model's hyper-parameters, standardised."""
    noise = model.log_noise.exp() * torch.eye(len(model.codes), dtype=torch.float64)
    weights = torch.linalg.solve(covariance(model, model.codes, model.codes) + noise, covariance(model, model.codes, x))
    return weights.T @ model.y, model.log_signal.exp() - (weights * covariance(model, model.codes, x)).sum(0)


@pytest.mark.parametrize("inducing", [5, 20])
def test_energy_equals_the_definition(inducing: int) -> None:
    model = shaken(LegacySparseGP(*data(20), inducing))
    assert model.energy().item() == pytest.approx(direct_energy(model), rel=1e-6)


def test_batches_average_to_the_whole() -> None:
    model = shaken(LegacySparseGP(*data(24), 6))
    parts = torch.arange(24).split(8)
    mean = torch.stack([model.energy(rows) for rows in parts]).mean()
    assert mean.item() == pytest.approx(model.energy().item(), rel=1e-10)
    (gradient,) = torch.autograd.grad(mean, [model.site_factor])
    (whole,) = torch.autograd.grad(model.energy(), [model.site_factor])
    torch.testing.assert_close(gradient, whole)


def test_without_factors_every_point_is_judged_by_the_prior() -> None:
    model = LegacySparseGP(*data(20), 5)
    with torch.no_grad():
        model.site_factor.zero_()
        model.site_mean.zero_()
    prior = torch.distributions.Normal(0.0, (model.log_signal.exp() + model.log_noise.exp()).sqrt())
    assert model.energy().item() == pytest.approx(-prior.log_prob(model.y).sum().item(), rel=1e-9)


def test_the_optimum_is_exact_regression() -> None:
    """All training points as inducing points and given hyper-parameters: only the averaging of factors is left."""
    x, y = data(40)
    model = LegacySparseGP(x, y, 40)
    with torch.no_grad():
        model.inducing.copy_(model.codes)
        model.log_noise.fill_(math.log(0.2))
        start = direct_energy(model)
    optimizer = torch.optim.LBFGS([model.site_factor, model.site_mean], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        energy = model.energy()
        energy.backward()
        return energy

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    noise = model.log_noise.exp() * torch.eye(40, dtype=torch.float64)
    marginal = torch.distributions.MultivariateNormal(
        torch.zeros(40, dtype=torch.float64), (covariance(model, x, x) + noise).detach()
    )
    assert model.energy().item() < start
    assert model.energy().item() == pytest.approx(-marginal.log_prob(model.y).item(), rel=0.15)  # no bound
    points = data(200, seed=9)[0]
    mean, variance = model.predict(points)
    exact_mean, exact_variance = exact_posterior(model, points)
    expected = model.scale.restore(exact_mean.detach(), exact_variance.detach())
    assert (mean - expected[0]).abs().mean() < 0.1 * model.scale.spread
    assert (variance.sqrt() - expected[1].sqrt()).abs().mean() < 0.1 * model.scale.spread


def test_one_point_is_exact_whatever_the_factors() -> None:
    """Without the factor of the only point the cavity is the prior: the energy is the exact marginal likelihood."""
    model = LegacySparseGP(*data(2), 2)
    model.codes, model.y = model.codes[:1], model.y[:1]
    assert shaken(model).energy().item() == pytest.approx(direct_energy(model), rel=1e-6)
    prior = torch.distributions.Normal(0.0, (model.log_signal.exp() + model.log_noise.exp()).sqrt())
    assert model.energy().item() == pytest.approx(-prior.log_prob(model.y).item(), rel=1e-9)


def test_the_gradient_reaches_every_parameter() -> None:
    model = LegacySparseGP(*data(30), 8)
    model.energy().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert bool(parameter.grad.abs().max() > 1e-6), name
    shaken(model)
    gradients = torch.autograd.grad(model.energy(), list(model.parameters()))
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        values = parameter.data.view(-1)
        values[0] += 1e-5
        above = direct_energy(model)
        values[0] -= 2e-5
        slope = (above - direct_energy(model)) / 2e-5
        values[0] += 1e-5
        assert gradient.view(-1)[0].item() == pytest.approx(slope, rel=1e-3, abs=1e-4)


def test_the_published_start() -> None:
    x, y = data(50)
    model = LegacySparseGP(x, y, 10)
    squares = torch.pdist(x).square().median()
    torch.testing.assert_close(model.log_squared_lengthscale.exp(), ((squares + 1e-3) / 2).expand(3))
    assert model.log_signal.item() == model.log_noise.item() == 0
    assert bool((model.inducing[:, None] == x).all(-1).any(1).all())
    assert len(LegacySparseGP(x, y).inducing) == 50  # no more inducing points than codes


def test_the_seed_decides() -> None:
    x, y = data(60)
    first, again, other = (LegacySparseGP(x, y, 10, seed).fit(2, 20).predict(x)[0] for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_prediction_does_not_disturb_the_training() -> None:
    """Released: a typing error leaves the model in its mode of prediction for good."""
    x, y = data(60)
    straight, looked = (LegacySparseGP(x, y, 10).fit(3, 20) for _ in range(2))
    looked.predict(x)
    assert all(parameter.requires_grad for parameter in looked.parameters())
    assert torch.equal(looked.fit(3, 20).predict(x)[0], straight.fit(3, 20).predict(x)[0])


def test_the_published_training_stops_early() -> None:
    x, y = data(180)
    model = LegacySparseGP(x, y, 12)
    before = model.energy().item()
    model.fit(epochs=100, batch_size=10)  # 1,800 steps
    assert model.energy().item() < before
    assert 0.3 <= model.log_noise.exp().item() < 1
    mean, variance = model.predict(x)
    assert (mean - y).square().mean() < 0.6 * y.var()
    noisy = model.predict(x, observation_noise=True)
    torch.testing.assert_close(noisy[0], mean)
    torch.testing.assert_close(noisy[1] - variance, (model.log_noise.exp() * y.var(correction=0)).detach().expand(180))


def test_many_codes_are_predicted_in_parts() -> None:
    x, y = data(40)
    model = LegacySparseGP(x, y, 5)
    torch.testing.assert_close(model.predict(x, batch_size=7), model.predict(x))
    assert len(model.predict(x[:0])[0]) == 0


def test_what_cannot_be_fitted_is_told() -> None:
    x, y = data(10)
    with pytest.raises(InvalidValues, match=r"codes \[N, Z\] and targets \[N\]"):
        LegacySparseGP(x, y[:5])
    with pytest.raises(InvalidValues, match="finite"):
        check_rows(x, y / 0)
    with pytest.raises(InvalidValues, match=r"differ .*10 times 1\.0"):
        Scale.of(torch.ones(10))
    with pytest.raises(InvalidValues, match="at least 1 inducing"):
        LegacySparseGP(x, y, 0)
    with pytest.raises(InvalidValues, match="batch_size >= 1"):
        LegacySparseGP(x, y).fit(batch_size=0)
