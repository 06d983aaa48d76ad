"""Predictors fitted on labels: what they learn, that they repeat, what they refuse."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
import torch
import yaml
from torch import Tensor

from graphnas import create_model, get_space, list_models, list_spaces
from graphnas.errors import (
    CheckpointMismatch,
    GraphnasError,
    InvalidArchitecture,
    InvalidValues,
    MissingData,
    UnknownName,
)
from graphnas.metrics import kendall_tau
from graphnas.models import EncoderHead, save_model
from graphnas.spaces import Architectures
from graphnas.testing import tiny_options
from graphnas.train.fitted import Line
from graphnas.train.predictor import fit_predictor, make_folds
from graphnas.train.predictor_config import RECIPES, PredictorSettings, read_settings

PATHS = sorted(RECIPES.glob("*.yaml"))
QUICK: dict[str, dict[str, Any]] = {
    "gin": {"epochs": 30, "learning_rate": 0.01},
    "gcn": {"hidden_dim": 64, "dropout": 0.0, "epochs": 40, "learning_rate": 3e-3, "loss": "hinge"},
    "transformer": {
        "hidden_dim": 32,
        "layers": 2,
        "dropout": 0.0,
        "edge_bias": True,
        "epochs": 30,
        "learning_rate": 5e-3,
    },
    "mlp": {"layers": 3, "width": 40, "epochs": 30},
}


@cache
def toys() -> tuple[Architectures, Tensor]:
    """All 787 toy graphs and their scores, in random order."""
    space = get_space("toy")
    archs = space.enumerate()
    archs = archs[torch.randperm(len(archs), generator=torch.Generator().manual_seed(0))]
    return archs, space.score(archs).double()  # type: ignore[attr-defined]


def few(count: int = 20) -> tuple[Architectures, Tensor]:
    archs, y = toys()
    return archs[:count], y[:count]


@pytest.mark.parametrize("name", QUICK)
def test_learns_the_score_of_the_toy_space(name: str) -> None:
    archs, y = toys()
    fitted = fit_predictor(name, archs[:300], y[:300], "toy", device="cpu", batch_size=32, **QUICK[name])
    predicted = fitted.predict(archs[300:])
    assert kendall_tau(predicted, y[300:]) > 0.8
    assert predicted.dtype == torch.float64 and float((predicted - y[300:]).abs().mean()) < 0.1  # in the labels' unit


@pytest.mark.parametrize("name", ["ridge", "gin"])
def test_architectures_of_another_space_are_refused(name: str) -> None:
    space = get_space("toy")
    archs = space.sample(30)
    fitted = fit_predictor(name, archs, torch.arange(30.0), space, device="cpu", epochs=1)
    for ask in (fitted.predict, fitted.predict_std):
        with pytest.raises(InvalidArchitecture, match="is not in toy"):
            ask(get_space("nb201").sample(2))


def test_same_seed_same_predictions() -> None:
    archs, y = few()
    one, same, other = (fit_predictor("gin", archs, y, "toy", seed=seed, device="cpu", epochs=2) for seed in (0, 0, 1))
    assert torch.equal(one.predict(archs), same.predict(archs))
    assert not torch.equal(one.predict(archs), other.predict(archs))
    assert one.predict(archs[:0]).shape == (0,)


def test_folds_part_classes_of_one_function() -> None:
    space = get_space("nb201")
    archs = space.sample(300, torch.Generator().manual_seed(0))
    archs = Architectures.concat([archs, archs[:100]])
    classes = space.class_ids(archs)
    folds = make_folds(space, archs, PredictorSettings(members=5, validation=0.2), seed=0)
    assert torch.stack(folds).sum(0).tolist() == [1] * len(archs)  # every row is kept aside once
    for kept in folds:
        assert not set(classes[kept].tolist()) & set(classes[~kept].tolist())
        assert 0.1 < float(kept.float().mean()) < 0.3
    again = make_folds(space, archs, PredictorSettings(members=5, validation=0.2), seed=1)
    assert not all(torch.equal(one, other) for one, other in zip(folds, again, strict=True))
    assert not any(kept.any() for kept in make_folds(space, archs, PredictorSettings(members=2), seed=0))


def test_uncertainty_is_positive_or_refused() -> None:
    archs, y = few()
    for options in ({"members": 3}, {"members": 1, "validation": 0.2}, {"members": 2, "validation": 0.2}):
        std = fit_predictor("gin", archs, y, "toy", device="cpu", epochs=2, **options).predict_std(archs)
        assert std.shape == (20,) and bool((std > 0).all())
    with pytest.raises(GraphnasError, match="fit with members=5"):
        fit_predictor("gin", archs, y, "toy", device="cpu", epochs=1).predict_std(archs)


def test_spread_of_an_ensemble_is_its_uncertainty() -> None:
    archs, y = few()
    fitted = fit_predictor("mlp", archs, y, "toy", device="cpu", epochs=2)
    member = fitted.members[0]
    opinions = member.line(member.network.member_scores(archs).detach())
    assert torch.allclose(fitted.predict_std(archs), opinions.std(0), atol=1e-6)
    assert torch.allclose(fitted.predict(archs), opinions.mean(0), atol=1e-6)


def test_ranks_become_labels_by_a_line_that_never_falls() -> None:
    scores, y = torch.tensor([0.0, 1, 2, 3]), torch.tensor([5.0, 7, 9, 11]).double()
    assert Line.through(scores, y) == pytest.approx((2, 5))
    assert Line.through(scores, -y).slope > 0 and Line.through(torch.ones(4), y).slope > 0
    assert torch.allclose(Line.through(scores, y)(scores), y)


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda y: y.index_fill(0, torch.tensor([3]), float("nan")), "labels must be finite (got nan in row 3)"),
        (lambda y: y.index_fill(0, torch.tensor([1]), float("inf")), "labels must be finite (got inf in row 1)"),
        (lambda y: torch.full_like(y, 0.5), "labels must differ (all 20 are 0.5)"),
        (lambda y: y[:-1], "one label per architecture (got [19] for 20)"),
        (lambda y: y[:, None], "one label per architecture (got [20, 1] for 20)"),
    ],
)
def test_labels_that_are_none(spoil: Any, named: str) -> None:
    archs, y = few()
    with pytest.raises(InvalidValues) as error:
        fit_predictor("gin", archs, spoil(y), "toy")
    assert named in str(error.value)


def test_too_few_and_too_much_alike() -> None:
    archs, y = few(4)
    texts = get_space("toy").format(archs)
    with pytest.raises(InvalidArchitecture, match=r"expected Architectures \(got list\): space.parse"):
        fit_predictor("gin", texts, y, "toy")  # type: ignore[arg-type]
    with pytest.raises(InvalidValues, match="at least 5 labelled architectures \\(got 4\\)"):
        fit_predictor("gin", archs, y, "toy")
    same = Architectures.concat([archs[:1]] * 6)
    with pytest.raises(InvalidValues, match="1 different architectures cannot be parted"):
        fit_predictor("gin", same, torch.arange(6.0), "toy", validation=0.2)


@pytest.mark.parametrize(
    ("options", "kind", "named"),
    [
        ({"loss": "hing"}, UnknownName, "unknown loss 'hing'.*'hinge'"),
        ({"hiden_dim": 3}, UnknownName, "hiden_dim.*did you mean 'hidden_dim'"),
        ({"epochs": 0}, InvalidValues, "epochs must be at least 1"),
        ({"learning_rate": -1.0}, InvalidValues, "learning_rate must be positive"),
        ({"validation": 0.9}, InvalidValues, "validation must be at least 0 and below 0.51"),
        ({"start_from": "/nowhere/best.safetensors"}, MissingData, "no model file"),
    ],
)
def test_impossible_options(options: dict[str, Any], kind: type[Exception], named: str) -> None:
    archs, y = few()
    with pytest.raises(kind, match=named):
        fit_predictor("gin", archs, y, "toy", device="cpu", **options)


def test_unknown_predictors() -> None:
    archs, y = few()
    with pytest.raises(UnknownName, match="unknown model 'gim': did you mean 'gin'"):
        fit_predictor("gim", archs, y, "toy")


def test_a_vae_is_a_predictor_by_name(tmp_path: Path) -> None:
    archs, y = few()
    vae = create_model("svge", "toy", **tiny_options("svge"))
    path = str(save_model(vae, tmp_path / "best.safetensors"))
    fitted = fit_predictor("svge", archs, y, "toy", device="cpu", epochs=1, start_from=path, mode="frozen")
    network = cast(EncoderHead, fitted.members[0].network)
    assert fitted.name == "encoder" and network.vae.config == vae.config
    assert torch.equal(network.vae(archs), vae.eval()(archs))
    joint = fit_predictor("dagnn", archs, y, "toy", device="cpu", epochs=1, vae_args=tiny_options("dagnn"))
    assert joint.members[0].network.config.to_dict()["vae"] == "dagnn"
    assert read_settings("dvae", "toy").model_args["vae_args"]["hidden_dim"] == 128
    dvae = create_model("dvae", "toy", hidden_dim=12, latent_dim=4)
    of_dvae = str(save_model(dvae, tmp_path / "dvae.safetensors"))
    started = fit_predictor("dvae", archs, y, "toy", device="cpu", epochs=1, start_from=of_dvae, mode="frozen")
    vae = cast(EncoderHead, started.members[0].network).vae
    assert vae.config == dvae.config and torch.equal(vae(archs), dvae.eval()(archs))
    published = read_settings("svge", "nb201", "published")
    assert (published.epochs, published.learning_rate, published.schedule) == (100, 1e-3, "plateau")
    assert published.model_args == {"mode": "joint", "score_weight": 0.9} and published.loss == "mse"
    assert published.fit_config(100, 0, "cpu").validate_every == 3  # an epoch
    assert read_settings("svae", "toy") == read_settings("encoder", "toy") != PredictorSettings()
    with pytest.raises(UnknownName, match="recipe 'svae_toy_published'"):
        read_settings("svae", "toy", "published")
    for name in ("gin", "dagnn"):
        with pytest.raises(CheckpointMismatch, match=f"holds 'svge', expected '{name}'"):
            fit_predictor(name, archs, y, "toy", device="cpu", start_from=path)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_recipe_is_what_its_file_says(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# "), "a recipe begins with what it is for"
    content = yaml.safe_load(text)
    names = [name for name in list_models() if path.stem == name or path.stem.startswith(f"{name}_")]
    name = max(names, key=len)
    rest = path.stem.removeprefix(name).removeprefix("_")
    space, _, variant = rest.partition("_") if rest.split("_")[0] in list_spaces() else ("", "", rest)
    assert space in ("", *list_spaces())
    options = {"variant": variant} if variant else {}
    settings = read_settings(name, space or "toy", **options)
    assert {key: getattr(settings, key) for key in content} == content
