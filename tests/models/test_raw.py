"""Regressions on fixed features against plain formulas, and what they promise as predictors."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from graphnas import create_model, get_space, list_models
from graphnas.errors import GraphnasError, InvalidValues
from graphnas.metrics import kendall_tau
from graphnas.models import Blend, Boosting, FeaturePredictor, GaussianProcess, Ridge
from graphnas.models.layers.group_gp import JITTER, GroupGP
from graphnas.models.layers.normal_scores import NormalScores
from graphnas.spaces import Architectures, SearchSpace
from graphnas.testing import mixed_batch, seeded
from graphnas.train.predictor import fit_predictor
from graphnas.train.predictor_evaluation import Task, part_rows, read_labels

NAMES = ["ridge", "gp", "gbdt", "blend"]
FEW = {"trees": 20, "ensemble": 3}


def make(name: str, space: str | SearchSpace = "toy", **options: object) -> FeaturePredictor:
    few = FEW if name in ("gbdt", "blend") else {}
    model = create_model(name, space, **{**few, **options})
    assert isinstance(model, FeaturePredictor)
    return model


def toys(count: int, seed: int = 0) -> tuple[Architectures, Tensor]:
    space = get_space("toy")
    archs = space.enumerate()
    archs = archs[torch.randperm(len(archs), generator=seeded(seed))[:count]]
    return archs, space.score(archs).double()  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", NAMES)
def test_learns_the_score_of_the_toy_space(name: str) -> None:
    archs, y = toys(787)
    options = {"trees": 100} if name in ("gbdt", "blend") else {}
    fitted = fit_predictor(name, archs[:150], y[:150], "toy", **{**(FEW if options else {}), **options})
    predicted, std = fitted.predict(archs[150:]), fitted.predict_std(archs[150:])
    assert kendall_tau(predicted, y[150:]) > 0.8 and name in list_models(kind="predictor")
    assert predicted.dtype == std.dtype == torch.float64 and bool((std > 0).all())
    assert float((predicted - y[150:]).abs().mean()) < 0.1  # in the labels' unit
    assert 0.05 < float(((predicted - y[150:]) / std).square().mean()) < 5


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("features", ["functional", "places", "path", "raw"])
@pytest.mark.parametrize("space", ["nb101", "nb201"])
def test_rows_do_not_see_their_batch(name: str, features: str, space: str) -> None:
    archs = mixed_batch(get_space(space), 24)
    model = make(name, space, features=features, costs=features == "raw")
    model.fit(archs, torch.randn(24, generator=seeded()))
    mean, std = model.predict(archs), model.predict_std(archs)
    singles = [(model.predict(archs[row]), model.predict_std(archs[row])) for row in range(6)]
    assert torch.allclose(mean[:6], torch.cat([one for one, _ in singles]), atol=1e-4)
    assert torch.allclose(std[:6], torch.cat([one for _, one in singles]), atol=1e-4)
    codes = model.embed(archs)
    assert codes.shape == (24, model.embed_dim) and model.member_scores(archs).shape == (1, 24)
    assert torch.allclose(model.labels.restore(model.score(codes)), mean, atol=1e-4)
    assert model.predict(archs[:0]).shape == model.predict_std(archs[:0]).shape == (0,)


@pytest.mark.parametrize(("space", "kind"), [("enas6", "places"), ("enas12", "places"), ("nb101", "functional")])
def test_features_are_those_of_the_space(space: str, kind: str) -> None:
    assert make("ridge", get_space(space)).kind == kind
    assert make("ridge", get_space(space), features="functional").kind == "functional"


def test_what_stands_where_is_learned() -> None:
    """Labels by the operation of one layer and two skips: what a function looks like hardly tells them apart."""
    space = get_space("enas6")
    archs = space.sample(1200, seeded(0))
    y = archs.ops[:, 2].double() + 3 * archs.adj[:, 0, 3] - 2 * archs.adj[:, 1, 5]
    found = {}
    for features in ("auto", "functional"):
        model = make("gp", space, features=features).fit(archs[:200], y[:200])
        found[features] = kendall_tau(model.predict(archs[200:]), y[200:])
    assert found["auto"] > 0.75 > 0.5 > found["functional"]


@pytest.mark.parametrize("name", NAMES)
def test_the_same_labels_and_seed_give_the_same_predictor(name: str) -> None:
    archs, y = toys(40)
    one, same, other = (make(name).fit(archs, y, seed) for seed in (3, 3, 4))
    torch.rand(5)  # a generator of others does not matter
    queries = toys(100, seed=1)[0]
    assert torch.equal(one.predict(queries), same.predict(queries))
    assert torch.equal(one.predict_std(queries), same.predict_std(queries))
    if name in ("gbdt", "blend"):
        assert not torch.equal(one.predict(queries), other.predict(queries))


@pytest.mark.parametrize("name", ["ridge", "gp"])
def test_uncertainty_grows_away_from_the_data(name: str) -> None:
    archs, y = toys(787)
    small = archs.num_nodes <= 4
    model = make(name).fit(archs[small], y[small])
    variance = [model.score_moments(model.embed(part))[1] for part in (archs[small], archs[~small])]
    assert variance[0] is not None and variance[1] is not None
    assert float(variance[1].mean()) > 1.5 * float(variance[0].mean())


def test_normal_scores_are_ranks_on_a_gaussian_scale() -> None:
    y = torch.tensor([5.0, 1.0, 3.0, 3.0, 10.0])
    labels = NormalScores(y)
    middle = torch.tensor([4.0, 1.0, 2.5, 2.5, 5.0], dtype=torch.float64)
    expected = math.sqrt(2) * torch.erfinv(2 * (middle - 0.5) / 5 - 1)
    assert torch.allclose(labels.scores, expected) and torch.allclose(labels.restore(labels.scores), y.double())
    grid = torch.linspace(-4, 4, 400)
    assert bool((labels.restore(grid).diff() > 0).all())
    beyond = labels.restore(labels.z[-1] + 1) - 10
    assert float(beyond) == pytest.approx(9 / float(labels.z[-1] - labels.z[0]))
    assert bool((labels.restore_std(grid, torch.full((400,), 0.1)) > 0).all())


def test_ridge_is_bayesian_linear_regression() -> None:
    archs, y = toys(60)
    model = make("ridge").fit(archs[:40], y[:40])
    assert isinstance(model, Ridge)
    x, queries = (model.embed(part).double() for part in (archs[:40], archs[40:]))
    prior, noise = model.amplitude / x.shape[1], model.amplitude * model.penalty
    covariance = torch.linalg.inv(x.T @ x / noise + torch.eye(x.shape[1]) / prior)
    weights = covariance @ x.T @ model.labels.scores / noise
    mean, variance = model.score_moments(queries)
    assert variance is not None
    assert torch.allclose(mean, queries @ weights, atol=1e-5)
    assert torch.allclose(variance, ((queries @ covariance) * queries).sum(1) + noise, rtol=1e-3)


def slow_kernel(process: GroupGP, a: Tensor, b: Tensor) -> float:
    """The kernel of two rows."""
    groups, hyper = len(process.widths), process.hyper.exp()
    parts = zip(a.split(process.widths), b.split(process.widths), strict=True)
    distances = [float((p - q).square().mean()) for p, q in parts]
    joint, single = hyper[groups + 1 : 2 * groups + 1], hyper[2 * groups + 1 : -1]
    mixed = sum(d / float(scale) ** 2 for d, scale in zip(distances, joint, strict=True)) / groups
    alone = sum(float(hyper[g + 1]) / (1 + d / float(single[g]) ** 2 / 2) for g, d in enumerate(distances))
    return float(hyper[0]) / (1 + mixed / 2) + alone


def test_gaussian_process_against_the_textbook() -> None:
    x, y = torch.randn(18, 5, generator=seeded(), dtype=torch.float64), torch.randn(18, generator=seeded(1))
    process = GroupGP([2, 3]).fit(x[:12], y[:12].double())
    gram = torch.tensor([[slow_kernel(process, a, b) for b in x] for a in x], dtype=torch.float64)
    noise = float(process.hyper[-1].exp()) + JITTER
    known = gram[:12, :12] + noise * torch.eye(12)
    mean = gram[12:, :12] @ torch.linalg.solve(known, y[:12].double())
    variance = gram.diagonal()[12:] + noise - (gram[12:, :12] @ torch.linalg.inv(known) * gram[12:, :12]).sum(1)
    assert torch.allclose(process.mean(x[12:]), mean) and torch.allclose(process.variance(x[12:]), variance)
    assert torch.allclose(process.mean(x[12:].float()).double(), mean, atol=1e-5)


def test_hyper_parameters_have_the_largest_density_around() -> None:
    x = torch.randn(40, 5, generator=seeded(), dtype=torch.float64)
    y = x[:, 0].sin() + 0.1 * x[:, 3]
    process = GroupGP([2, 3]).fit(x, y)
    groups, hyper = 2, process.hyper
    center, widths = torch.zeros(8, dtype=torch.float64), torch.tensor([1.5] * 3 + [1.0] * 4 + [1.5])
    center[: groups + 1], center[-1] = -math.log(3), math.log(0.05)

    def density(values: Tensor) -> float:
        gram = process._mix(process._distances(x, x), values) + (values[-1].exp() + JITTER) * torch.eye(40)
        gauss = torch.distributions.MultivariateNormal(torch.zeros(40, dtype=torch.float64), gram).log_prob(y)
        return float(gauss - ((values - center) / widths).square().sum() / 2)

    assert all(density(hyper) > density(hyper + step * unit) for step in (-0.3, 0.3) for unit in torch.eye(8))
    few = GroupGP([2, 3], most_points=20).fit(x, y)
    assert not torch.equal(few.hyper, hyper) and torch.equal(few.hyper, GroupGP([2, 3]).fit(x[:20], y[:20]).hyper)


def test_blend_is_a_mixture_of_its_parts() -> None:
    archs, y = toys(60)
    model = make("blend", gp_share=0.25).fit(archs[:40], y[:40], 5)
    alone = [make(name).fit(archs[:40], y[:40], 5) for name in ("gp", "gbdt")]
    moments = [part.score_moments(part.embed(archs[40:])) for part in alone]
    draws = torch.cat([moments[0][0][:, None].double(), moments[1][0][:, None]], 1)
    shares = torch.tensor([0.25, 0.75], dtype=torch.float64)
    mean = draws @ shares
    inner = torch.stack([part[1].double() for part in moments if part[1] is not None], 1)
    expected = (inner + draws.square()) @ shares - mean.square()
    found = model.score_moments(model.embed(archs[40:]))
    assert isinstance(model, Blend) and found[1] is not None
    assert torch.allclose(found[0], mean, atol=1e-5) and torch.allclose(found[1], expected, atol=1e-4)


def test_left_out_rows_of_a_gaussian_process_one_at_a_time() -> None:
    x, y = torch.randn(14, 5, generator=seeded(), dtype=torch.float64), torch.randn(14, generator=seeded(1)).double()
    process = GroupGP([2, 3]).fit(x, y)
    gram = process.kernel(x, x) + process.noise * torch.eye(14)
    mean, variance = process.left_out(y)
    for row in range(14):
        others = torch.arange(14) != row
        solved = torch.linalg.solve(gram[others][:, others], gram[others][:, row])
        assert float(mean[row]) == pytest.approx(float(solved @ y[others]))
        assert float(variance[row]) == pytest.approx(float(gram[row, row] - solved @ gram[others, row]))


def test_left_out_rows_of_the_trees_are_those_of_the_member_that_did_not_see_them() -> None:
    archs, y = toys(30)
    model = make("gbdt").fit(archs, y, 3)
    assert isinstance(model, Boosting)
    order = torch.randperm(30, generator=seeded(3))
    codes, z = model.embed(archs[order]), model.labels.scores[order]
    opinions = torch.stack([torch.from_numpy(member.predict(codes.numpy())) for member in model.members])
    rows = torch.arange(30)
    assert torch.allclose(model.left_out, opinions[rows % 3, rows], atol=1e-6)
    assert model.error == pytest.approx(float((model.left_out - z).square().mean()))


@pytest.mark.parametrize("name", ["gp", "gbdt", "blend"])
def test_uncertainty_is_widened_until_left_out_labels_fit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too narrow a posterior: the mean square of (y - mean) / std over rows that are left out becomes 1 or less."""
    archs, y = toys(60)
    queries = toys(100, seed=1)[0]
    model = make(name).fit(archs, y)
    mean, std = model.predict(queries), model.predict_std(queries)
    cls, left_out = type(model), type(model).left_out_moments

    def narrow(self: FeaturePredictor, codes: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        found = left_out(self, codes, z)
        assert found is not None
        return found[0], found[1] / 1e4

    monkeypatch.setattr(cls, "left_out_moments", narrow)
    monkeypatch.setattr(cls, "degrees", lambda self: 20)
    wide = make(name).fit(archs, y)
    order = torch.randperm(60, generator=seeded(0))
    codes, z = wide.embed(archs[order]), wide.labels.scores[order]
    center, variance = narrow(wide, codes, z)
    errors = (y[order] - wide.labels.restore(center)) / wide.labels.restore_std(center, variance.sqrt())
    assert wide.widening == pytest.approx(1.5 * float(errors.square().mean()), rel=1e-3) and wide.widening > 10
    assert torch.equal(wide.predict(queries), mean)  # points stay where they were
    assert torch.allclose(
        wide.predict_std(queries) / std, torch.tensor((wide.widening / model.widening) ** 0.5).double()
    )
    assert model.widening >= 1


@pytest.mark.parametrize("name", ["gp", "blend"])
@pytest.mark.parametrize(
    ("space", "file", "metric", "label"),
    [
        ("nb101", "nb101_sample.csv.gz", "val_acc_108", 0.5),
        ("nb201", "nb201_accuracies.csv.gz", "cifar10_test_200", 15),
    ],
)
@pytest.mark.slow
def test_uncertainty_is_right_where_training_did_not_fail(
    name: str, space: str, file: str, metric: str, label: float, real_data: Path
) -> None:
    """The mean of z^2 on held-out cells over three draws of labels; 18 of 16,001 NAS-Bench-101 trainings failed."""
    labels = read_labels(Task(space, str(real_data / file), metric, 3000, "rows"))
    for count in (72, 364) if space == "nb101" else (78, 390):
        found = []
        for seed in range(3):
            rows = part_rows(labels, Task(space, test_size=3000, parting="rows"), count, seed)
            test = rows.test[labels.y[rows.test] > label]
            model = make(name, space, trees=300, ensemble=5) if name == "blend" else make(name, space)
            model.fit(labels.archs[rows.train], labels.y[rows.train], seed)
            errors = (labels.y[test] - model.predict(labels.archs[test])) / model.predict_std(labels.archs[test])
            found.append(float(errors.square().mean()))
        assert 0.5 < sum(found) / 3 < 2.0, (count, found)


@pytest.mark.parametrize("name", NAMES)
def test_labels_that_cannot_be_learned(name: str) -> None:
    archs, y = toys(12)
    model, wrong = make(name), y.clone()
    wrong[3] = math.nan
    with pytest.raises(InvalidValues, match="labels must be finite"):
        model.fit(archs, wrong)
    with pytest.raises(InvalidValues, match="labels must differ"):
        model.fit(archs, torch.ones(12))
    with pytest.raises(InvalidValues, match="at least 5 rows \\(got \\[4\\]\\)"):
        model.fit(archs[:4], y[:4])
    with pytest.raises(InvalidValues, match="got \\[11\\]"):
        model.fit(archs, y[:11])
    with pytest.raises(InvalidValues, match="architectures must differ in their functional features"):
        model.fit(archs[[0] * 6], y[:6])
    with pytest.raises(GraphnasError, match="has learned nothing yet"):
        make(name).predict(archs)
    with pytest.raises(InvalidValues, match="has no weights"):
        fit_predictor(name, archs, y, "toy", pretrain_steps=3)


@pytest.mark.parametrize(
    ("name", "options"),
    [("ridge", {"features": "pixels"}), ("gp", {"most_points": 2}), ("gbdt", {"ensemble": 1}), ("gbdt", {"trees": 0}),
     ("gbdt", {"columns": 0.0}), ("blend", {"gp_share": 1.5}), ("blend", {"rows": 2.0}), ("blend", {"features": ""})],
)  # fmt: skip
def test_impossible_options(name: str, options: dict[str, object]) -> None:
    with pytest.raises(GraphnasError, match=next(iter(options))):
        make(name, **options)


def test_five_labels_are_enough() -> None:
    archs, y = toys(5)
    for name in NAMES:
        std = make(name).fit(archs, y).predict_std(archs)
        assert bool((std > 0).all() & std.isfinite().all())
    assert isinstance(make("gp"), GaussianProcess)
