"""Predictive quality of codes: the exact GP against its formula, and the two tables that are printed together."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from graphnas import get_space
from graphnas.bo.converged_gp import fit_converged_gp
from graphnas.bo.predictivity import latent_predictivity, raw_feature_rows
from graphnas.errors import InvalidValues
from graphnas.testing import seeded


def data(rows: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    x = torch.randn(rows, 3, generator=seeded(seed))
    return x, 40 + 3 * (2 * x[:, 0]).sin() + x[:, 1] + 0.1 * torch.randn(rows, generator=seeded(seed + 1))


def test_the_posterior_uses_all_rows() -> None:
    """The dense formula with the fitted hyper-parameters, of which 150 rows are not among those they came from."""
    x, y = data(200)
    gp = fit_converged_gp(x, y, fit_points=50)
    assert gp.codes.shape == (200, 3)
    points = data(30, 5)[0]
    mean, variance = gp.predict(points)
    scaled = (points.double() - gp.low) / gp.width
    with torch.no_grad():
        prior = gp.kernel(gp.codes).to_dense() + gp.noise * torch.eye(200)
        cross = gp.kernel(gp.codes, scaled).to_dense()
    # rows are in another order than they were given in
    order = (gp.codes[:, None] - (x.double() - gp.low) / gp.width).abs().sum(-1).argmin(1)
    target = gp.scale.standardise(y)[order] - gp.constant
    expected = gp.constant + cross.T @ torch.linalg.solve(prior, target)
    spread = gp.kernel(scaled, diag=True).detach() - (cross * torch.linalg.solve(prior, cross)).sum(0)
    for found, wanted in zip((mean, variance), gp.scale.restore(expected, spread), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    noisy = gp.predict(points, observation_noise=True)[1]
    torch.testing.assert_close(noisy - variance, torch.full_like(noisy, gp.noise * gp.scale.spread**2))


def test_it_finds_the_function_and_the_noise() -> None:
    x, y = data(200)
    points, actual = data(100, 5)
    mean, variance = fit_converged_gp(x, y, seed=1).predict(points)
    assert (mean - actual).square().mean().sqrt() < 0.5
    assert mean.dtype == variance.dtype == torch.float64
    assert bool((variance > 0).all())


def test_rows_can_be_limited_and_the_seed_decides_which() -> None:
    x, y = data(80)
    first, other = (fit_converged_gp(x, y, seed, fit_points=20, max_points=40) for seed in (0, 1))
    assert len(first.codes) == len(other.codes) == 40
    assert not torch.equal(first.codes, other.codes)


def test_a_dimension_without_spread_and_too_few_rows() -> None:
    x, y = data(40)
    x[:, 2] = 1
    assert torch.isfinite(fit_converged_gp(x, y).predict(x)[0]).all()
    with pytest.raises(InvalidValues, match="at least 5 rows"):
        fit_converged_gp(x[:4], y[:4])
    with pytest.raises(InvalidValues, match="at least 5 rows"):
        fit_converged_gp(x, y, max_points=0)


def test_both_rows_of_codes() -> None:
    x, y = (part.double() for part in data(120))
    points, actual = data(60, 5)
    sizes = {"legacy_epochs": 20, "num_inducing": 20, "fit_points": 80}
    found = latent_predictivity(x, y, points, actual, (0,), **sizes)
    names = {f"{row}_{metric}" for row in ("legacy", "converged") for metric in ("rmse", "pearson")}
    assert set(found) == names | {f"{name}_sd" for name in names}
    assert 0 < found["converged_rmse"] < 0.3 < found["legacy_rmse"]
    assert found["converged_pearson"] > 0.95
    assert all(math.isnan(found[f"{name}_sd"]) for name in names)
    moved = latent_predictivity(x, 5 + 100 * y, points, 5 + 100 * actual, (0, 0), **sizes)
    for name in names:  # in training standard deviations, whatever the unit
        assert moved[name] == pytest.approx(found[name], rel=1e-6 if "legacy" in name else 0.02)
        assert moved[f"{name}_sd"] == 0


def test_inputs_that_do_not_fit() -> None:
    x, y = data(20)
    with pytest.raises(InvalidValues, match="3 and 2 dimensions"):
        latent_predictivity(x, y, x[:, :2], y)
    with pytest.raises(InvalidValues, match="at least one seed"):
        latent_predictivity(x, y, x, y, ())


def test_rows_of_the_architectures() -> None:
    space = get_space("toy")
    archs = space.sample(300, seeded(0))
    y = archs.num_edges.float() * 7 + 100
    rows = raw_feature_rows(space, archs[:200], y[:200], archs[200:], y[200:])
    assert [row["features"] for row in rows] == ["mean", "ridge", "ridge + pairs", "gradient boosting"]
    assert rows[0]["rmse"] == pytest.approx(1, abs=0.3)
    assert math.isnan(float(rows[0]["pearson"]))
    assert float(rows[1]["rmse"]) < 0.01 and float(rows[1]["pearson"]) > 0.999
    with pytest.raises(InvalidValues, match=r"codes \[N, Z\] and targets \[N\]"):
        raw_feature_rows(space, archs[:200], y[:100], archs[200:], y[200:])
