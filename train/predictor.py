"""Performance predictors: fitted on labelled architectures, asked about others."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor

from graphnas.device import check_device, seed_everything
from graphnas.errors import InvalidValues
from graphnas.models import FeaturePredictor, Predictor, create_model, list_models
from graphnas.models.zoo import MODELS
from graphnas.spaces import Architectures, SearchSpace, get_space
from graphnas.spaces.architectures import expect_architectures
from graphnas.train.config import SEEDS
from graphnas.train.data import random_rows
from graphnas.train.fitted import FittedFeatures, FittedPredictor, Line, Member
from graphnas.train.loop import fit
from graphnas.train.objectives import score_all
from graphnas.train.predictor_config import PredictorSettings, read_settings
from graphnas.train.pretrain import pretrain, shaped_like, start_from
from graphnas.train.trainer import Labelled

log = logging.getLogger(__name__)

MIN_LABELS = 5


def fit_predictor(
    name: str, archs: Architectures, y: Tensor, space: SearchSpace | str, seed: int = 0, device: str = "auto",
    progress: bool = False, **overrides: Any,
) -> FittedPredictor:  # fmt: skip
    """Fit a predictor of the zoo on labelled architectures.

    Regressions on fixed features (`ridge`, `gbdt`, `gp`, `blend`) do not train: fields about training are not read.

    Args:
        name: as listed by `list_models(kind="predictor")`, or the name of a VAE, which means `encoder` with that one.
        archs: B architectures of the space.
        y: float [B], higher is better, in any unit.
        space: name or object.
        seed: of weights, order and the labels kept aside.
        device: where networks are trained.
        progress: show how far each network is, see :func:`graphnas.train.loop.fit`.
        overrides: fields of :class:`PredictorSettings` or of the model's config that differ from the recipe.

    Returns:
        An object with `predict(archs)` and `predict_std(archs)`.

    Raises:
        UnknownName: no such model, loss or option.
        InvalidArchitecture: no :class:`Architectures`.
        InvalidValues: another number of them, fewer than 5 labels, labels that are not finite or all the same.
    """
    space = get_space(space)
    y = check_labels(archs, y)
    check_seed(seed)
    settings = read_settings(name, space.family, **overrides)
    asked = name
    if name in list_models(kind="vae"):
        name, settings.model_args = "encoder", {"vae": name, **settings.model_args}
    if settings.start_from and name == "encoder":
        recipe = read_settings(asked, space.family).model_args
        settings.model_args = shaped_like(settings.start_from, settings.model_args, recipe)
    if learns_at_once(name):
        check_device(device)
        return fit_features(name, space, settings, archs, y, seed)
    folds = make_folds(space, archs, settings, seed)
    members = []
    for number, kept in enumerate(folds):
        if progress:
            log.info("training network %d of %d", number + 1, len(folds))
        members.append(fit_member(name, space, archs, y, kept, settings, seed * 1000 + number, device, progress))
    return FittedPredictor(name, space, settings, members, archs, y)


def learns_at_once(name: str) -> bool:
    """Whether a predictor is a regression on fixed features, which has no weights to train."""
    return name in MODELS and issubclass(MODELS[name], FeaturePredictor)


def check_seed(seed: int) -> None:
    """Refuse a seed that no generator takes.

    Raises:
        InvalidValues: below 0 or too large.
    """
    if not 0 <= seed < SEEDS // 1000:  # every member has one of its own
        raise InvalidValues(f"seed must be at least 0 and below {SEEDS // 1000} (got {seed})")


def fit_features(
    name: str, space: SearchSpace, settings: PredictorSettings, archs: Architectures, y: Tensor, seed: int
) -> FittedFeatures:
    """Fit a regression on fixed features; the same arguments give the same one.

    Raises:
        UnknownName: no such model or option.
        InvalidValues: another kind of model, settings about weights, or architectures that do not differ.
    """
    model = create_model(name, space, **settings.model_args)
    if not isinstance(model, FeaturePredictor):
        raise InvalidValues(f"{name!r} is no regression on fixed features")
    if settings.start_from or settings.pretrain_steps:
        raise InvalidValues(f"{name!r} has no weights: start_from and pretrain_steps are for networks")
    return FittedFeatures(name, space, settings, model.fit(archs, y, seed), archs, y, seed)


def check_labels(archs: Architectures, y: Tensor) -> Tensor:
    """Labels as float64 [B] on the CPU.

    Raises:
        InvalidArchitecture, InvalidValues: see :func:`fit_predictor`.
    """
    expect_architectures(archs)
    try:
        y = torch.as_tensor(y).detach().cpu().double()
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidValues(f"labels must be numbers, float [B] (got {type(y).__name__}: {error})") from error
    if y.ndim != 1 or len(y) != len(archs):
        raise InvalidValues(f"expected one label per architecture (got {list(y.shape)} for {len(archs)})")
    if len(y) < MIN_LABELS:
        raise InvalidValues(f"expected at least {MIN_LABELS} labelled architectures (got {len(y)})")
    bad = (~y.isfinite()).nonzero().flatten()
    if len(bad):
        raise InvalidValues(f"labels must be finite (got {float(y[bad[0]])} in row {int(bad[0])})")
    if bool((y == y[0]).all()):
        raise InvalidValues(f"labels must differ (all {len(y)} are {float(y[0])})")
    return y


def make_folds(space: SearchSpace, archs: Architectures, settings: PredictorSettings, seed: int) -> list[Tensor]:
    """The rows that every member keeps aside, bool [B] each: different classes of architectures for each in turn."""
    if settings.validation == 0:
        return [torch.zeros(len(archs), dtype=torch.bool)] * settings.members
    groups, inverse = space.class_ids(archs.to("cpu")).unique(return_inverse=True)
    count = max(2, round(1 / settings.validation))
    if len(groups) < count:
        raise InvalidValues(f"{len(groups)} different architectures cannot be parted in {count} to keep one aside")
    rank = random_rows(torch.arange(len(groups)), len(groups), seed).argsort()
    return [rank[inverse] % count == number % count for number in range(settings.members)]


def fit_member(
    name: str, space: SearchSpace, archs: Architectures, y: Tensor, kept: Tensor, settings: PredictorSettings,
    seed: int, device: str, progress: bool = False,
) -> Member:  # fmt: skip
    """Train one network on the rows that are not `kept` bool [B] aside, and choose its weights on those that are."""
    seed_everything(seed)
    network = create_model(name, space, **settings.model_args)
    if not isinstance(network, Predictor):
        raise InvalidValues(f"{name!r} is no predictor: see `graphnas models list --kind predictor`")
    if settings.start_from:
        start_from(network, settings.start_from)
    if settings.pretrain_steps:
        pretrain(network, space, settings.pretrain_steps, seed, device, progress=progress)
    mean, spread = (float(y.mean()), float(y.std())) if settings.standardise else (0.0, 1.0)
    target = ((y - mean) / spread).float()
    learn, judge = (~kept).nonzero().flatten(), kept.nonzero().flatten()
    chosen = judge if len(judge) else learn
    config = settings.fit_config(len(learn), seed, device)
    result = fit(
        settings.make_objective(network, target[learn]),
        Labelled(archs[learn], target[learn]),
        Labelled(archs[chosen], target[chosen]),
        config,
        progress=progress,
    )
    if len(judge) and result.weights is not None:
        network.load_state_dict(result.weights)
    network.eval()
    scores = score_all(network, archs).double()
    line = Line(spread, mean) if settings.loss in ("mse", "mae") else Line.through(scores[chosen], y[chosen])
    error = float((line(scores[judge]) - y[judge]).square().mean().sqrt()) if len(judge) else float("nan")
    return Member(network, line, error)
