"""Tiers, the objective of NAR, its schedule, and fits through the one loop."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

from graphnas import create_model, get_space
from graphnas.errors import InvalidValues, UnknownName
from graphnas.metrics import kendall_tau
from graphnas.models import NAR
from graphnas.spaces import Architectures
from graphnas.testing import mixed_batch, seeded
from graphnas.train.config import FitConfig
from graphnas.train.nar import TierObjective, tier_borders, tiers_of
from graphnas.train.predictor import fit_predictor
from graphnas.train.predictor_config import RECIPES, PredictorSettings, read_settings
from graphnas.train.trainer import rate_factor

SMALL: dict[str, Any] = {
    "hidden_dim": 16, "inner_dim": 24, "layers": 1, "heads": 2, "score_dim": 12, "tier_dim": 10, "dropout": 0.0,
}  # fmt: skip


def small(**options: Any) -> NAR:
    torch.manual_seed(0)
    model = create_model("nar", "toy", **{**SMALL, **options})
    assert isinstance(model, NAR)
    return model


@pytest.fixture
def batch() -> tuple[Architectures, Tensor]:
    archs = get_space("toy").enumerate()[torch.randperm(787, generator=seeded())[:60]]
    return archs, torch.randn(60, generator=seeded(1))


# -- tiers ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", [5, 6, 9, 390, 423])
def test_tiers_are_of_equal_size_by_rank(size: int) -> None:
    y = torch.randn(size, generator=seeded())
    tier = tiers_of(y, tier_borders(y, 5))
    assert torch.bincount(tier).tolist() == [size // 5] * 4 + [size - 4 * (size // 5)]
    assert bool((tier[y.argsort(descending=True)].diff() >= 0).all()) and int(tier[y.argmax()]) == 0


def test_tiers_of_other_labels_go_by_the_training_borders() -> None:
    borders = tier_borders(torch.arange(10.0), 5)
    assert tiers_of(torch.tensor([99.0, 8.0, 7.9, 0.0, -99.0]), borders).tolist() == [0, 0, 1, 4, 4]


def test_equal_labels_share_a_tier() -> None:
    y = torch.tensor([3.0, 3, 3, 2, 1, 0])
    assert tiers_of(y, tier_borders(y, 3)).tolist() == [0, 0, 0, 1, 2, 2]
    with pytest.raises(InvalidValues, match="one label per tier, 5 \\(got 3\\)"):
        tier_borders(y[:3], 5)


# -- the objective ----------------------------------------------------------------------------------------------------
def test_losses_are_the_formulas(batch: tuple[Architectures, Tensor]) -> None:
    archs, y = batch
    model = small()
    objective = TierObjective(model, y, balance=9.0).eval()
    with torch.no_grad():
        losses, logits, scores = objective(archs, y), model.tiers(archs), model(archs)
    tier = tiers_of(y, tier_borders(y, 5))
    expected = -logits.log_softmax(1)[torch.arange(60), tier].mean()
    pairs = [
        math.log1p(math.exp(-float((scores[i] - scores[j]) * (y[i] - y[j]).sign())))
        for i in range(60) for j in range(60) if i != j
    ]  # fmt: skip
    assert torch.allclose(losses["tier"], expected, atol=1e-5)
    assert float(losses["rank"]) == pytest.approx(sum(pairs) / (60 * 59), abs=1e-5)
    assert torch.allclose(losses["total"], losses["tier"] + 9 * losses["rank"])
    assert float(losses["accuracy"]) == pytest.approx(float((logits.argmax(1) == tier).float().mean()))


def test_far_apart_scores_do_not_overflow(batch: tuple[Architectures, Tensor]) -> None:
    """The published log(1 + exp(x)) is infinite for x above 88."""
    archs, y = batch
    model = small()
    with torch.no_grad():
        model.score_head[2].weight.mul_(1e4)
    losses = TierObjective(model, y)(archs, y)
    losses["total"].backward()
    assert losses["rank"].item() > 88 and bool(torch.isfinite(losses["total"]))
    assert all(bool(torch.isfinite(p.grad).all()) for p in model.parameters() if p.grad is not None)


def test_every_parameter_learns(batch: tuple[Architectures, Tensor]) -> None:
    archs, y = batch
    objective = TierObjective(small(), y)
    objective(archs, y)["total"].backward()
    idle = [name for name, p in objective.named_parameters() if p.grad is None or not bool((p.grad != 0).any())]
    assert idle == []


def test_the_first_batch_is_compared_with_tiers_that_differ(batch: tuple[Architectures, Tensor]) -> None:
    archs, y = batch
    for faithful in (False, True):
        model = small(faithful=faithful)
        seen: list[Tensor] = []
        model.tier_patch.register_forward_pre_hook(lambda _, inputs, seen=seen: seen.append(inputs[0].clone()))
        objective = TierObjective(model, y, epoch=2)
        for _ in range(3):
            objective(archs, y)
        first, second, third = (float(means.std(0).sum()) for means in seen)
        assert (first == 0) == faithful  # published: five equal zeros
        assert second > 0 and (third == 0) == faithful  # published: again in every epoch
        counts = model.tier_counts
        assert float(counts.sum()) == pytest.approx(60 if faithful else 60 * (1 + 0.9 + 0.81))


def test_training_enters_true_tiers_once(batch: tuple[Architectures, Tensor]) -> None:
    archs, y = batch
    model = small()
    objective = TierObjective(model, y)
    objective(archs, y)
    assert model.tier_counts.tolist() == [12.0] * 5
    with torch.no_grad():
        memory = model.read(archs)
    best = memory[tiers_of(y, objective.borders) == 0].mean(0)
    assert torch.allclose(model.tier_sums[0] / model.tier_counts[0], best, atol=1e-5)


def test_no_label_leaks_into_validation(batch: tuple[Architectures, Tensor]) -> None:
    """Published validation enters true tiers of earlier batches; other labels must not change what is predicted."""
    archs, y = (part[:60] for part in batch)
    many = Architectures.concat([archs] * 10)  # more than one batch
    labels = torch.randn(len(many), generator=seeded(3))
    logits: dict[bool, list[Tensor]] = {False: [], True: []}
    for faithful in (False, True):
        model = small(faithful=faithful)
        objective = TierObjective(model, y)
        objective(archs, y)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        model.tier_head.register_forward_hook(lambda _, __, out, key=faithful: logits[key].append(out.clone()))
        for sign in (1, -1):
            objective.validate(many, sign * labels)
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
        first, second = (torch.cat(part) for part in (logits[faithful][:3], logits[faithful][3:]))
        assert torch.equal(first, second) != faithful
        assert model.training


def test_validation_looks_at_all_graphs_at_once(batch: tuple[Architectures, Tensor]) -> None:
    archs, y = batch
    model = small()
    objective = TierObjective(model, y)
    objective(archs, y)
    values = objective.validate(archs, y)
    with torch.no_grad():
        losses = objective.eval()(archs, y)
        assert values["kendall"] == pytest.approx(kendall_tau(model(archs), y))
    assert values["total"] == pytest.approx(float(losses["total"]), abs=1e-5)
    order = torch.randperm(60, generator=seeded(4))
    assert objective.validate(archs[order], y[order]) == pytest.approx(values, abs=1e-5)


def test_tied_scores_have_no_tau(batch: tuple[Architectures, Tensor]) -> None:
    """The published tau counts ties as agreement."""
    archs, y = batch
    model = small()
    with torch.no_grad():
        model.score_head[2].weight.zero_()
    assert math.isnan(TierObjective(model, y).validate(archs, y)["kendall"])


def test_labels_are_needed(batch: tuple[Architectures, Tensor]) -> None:
    objective = TierObjective(small(), batch[1])
    for call in (objective, objective.validate):
        with pytest.raises(InvalidValues, match="none were given"):
            call(batch[0])


# -- schedule ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("space", "width", "factor", "warmup", "end", "last"),
    [("nb101", 256, 0.1, 50, 560, 2.64e-4), ("nb201", 128, 0.07, 30, 385, 3.15e-4)],
)
def test_published_schedule(space: str, width: int, factor: float, warmup: int, end: int, last: float) -> None:
    settings = read_settings("nar", space, "published")
    labels = {"nb101": 4236, "nb201": 1000}[space]
    config = settings.fit_config(labels, 0, "cpu")
    assert config.max_steps == end and config.warmup_steps == warmup and config.schedule == "inverse_sqrt"
    for step in (1, warmup // 2, warmup, warmup + 1, end):
        expected = factor * width**-0.5 * min(step**-0.5, step * warmup**-1.5)
        assert config.learning_rate * rate_factor(step - 1, config) == pytest.approx(expected, rel=1e-3)
    assert config.learning_rate * rate_factor(end - 1, config) == pytest.approx(last, rel=5e-3)
    model_args = {"hidden_dim": 256, **settings.model_args}
    assert model_args["hidden_dim"] == width
    assert settings.objective_args == {"balance": {"nb101": 9.0, "nb201": 1.0}[space]}


def test_schedule_without_warmup_falls_from_the_first_step() -> None:
    config = FitConfig(schedule="inverse_sqrt", warmup_steps=0)
    assert [rate_factor(step, config) for step in (0, 3, 99)] == pytest.approx([1, 0.5, 0.1])


# -- fitting ----------------------------------------------------------------------------------------------------------
def test_recipes() -> None:
    for path in RECIPES.glob("nar*.yaml"):
        assert path.read_text().startswith("# ")
        settings = PredictorSettings(**yaml.safe_load(path.read_text()))
        assert settings.objective == "tiers" and settings.loss in ("logistic", "hinge")
    assert {path.stem for path in RECIPES.glob("nar*.yaml")} >= {"nar", "nar_nb101", "nar_nb201"}


def test_fits_toy_and_ranks_what_it_has_not_seen() -> None:
    space = get_space("toy")
    archs = space.enumerate()[torch.randperm(787, generator=seeded())]
    y = space.score(archs).double()
    options = {**SMALL, "epochs": 50, "batch_size": 40, "learning_rate": 3e-3}
    fitted = fit_predictor("nar", archs[:200], y[:200], space, device="cpu", **options)
    assert kendall_tau(fitted.predict(archs[200:]), y[200:]) > 0.75
    network = fitted.members[0].network
    assert isinstance(network, NAR) and float(network.tier_counts.sum()) > 0
    with torch.no_grad():
        tier = tiers_of(y[200:], tier_borders(y[:200], 5))
        right = (network.tiers(archs[200:]).argmax(1) == tier).float().mean()
    assert float(right) > 0.6  # a fifth by chance


def test_fits_repeat_and_choose_by_validation() -> None:
    archs = mixed_batch(get_space("toy"), 30)
    y = torch.linspace(0, 1, 30)
    options = {**SMALL, "epochs": 3, "batch_size": 8, "validation": 0.5, "members": 2}
    first, second = (fit_predictor("nar", archs, y, "toy", device="cpu", **options) for _ in range(2))
    assert torch.equal(first.predict(archs), second.predict(archs))


def test_wrong_settings_are_named() -> None:
    archs = mixed_batch(get_space("toy"), 10)
    y = torch.linspace(0, 1, 10)
    with pytest.raises(UnknownName, match="objective 'tires'"):
        read_settings("nar", "toy", objective="tires")
    with pytest.raises(UnknownName, match="recipe 'nar_toy_published'"):
        read_settings("nar", "toy", "published")
    with pytest.raises(InvalidValues, match="needs a model with tiers"):
        fit_predictor("gin", archs, y, "toy", device="cpu", epochs=1, objective="tiers")
    with pytest.raises(InvalidValues, match="balanse"):
        fit_predictor("nar", archs, y, "toy", device="cpu", epochs=1, objective_args={"balanse": 1}, **SMALL)
    with pytest.raises(InvalidValues, match="balance >= 0"):
        TierObjective(small(), y, balance=-1.0)
