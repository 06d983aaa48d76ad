"""Performance predictors: fitted on labelled architectures, asked about others."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from graphnas.device import check_device, seed_everything
from graphnas.errors import GraphnasError, InvalidValues
from graphnas.models import FeaturePredictor, Predictor, create_model, list_models
from graphnas.models.zoo import MODELS
from graphnas.spaces import Architectures, SearchSpace, get_space
from graphnas.spaces.architectures import expect_architectures
from graphnas.train.config import SEEDS
from graphnas.train.data import random_rows
from graphnas.train.loop import fit
from graphnas.train.objectives import member_scores_all, score_all
from graphnas.train.predictor_config import PredictorSettings, read_settings
from graphnas.train.pretrain import pretrain, shaped_like, start_from
from graphnas.train.trainer import Labelled

log = logging.getLogger(__name__)

MIN_LABELS = 5


class Line(NamedTuple):
    """From scores to the labels' unit: slope * score + offset."""

    slope: float
    offset: float

    @staticmethod
    def through(scores: Tensor, y: Tensor) -> Line:
        """Least squares, never falling: a score that misleads on these labels still ranks others."""
        center = scores - scores.mean()
        spread = float(center.square().sum())
        slope = max(0.0, float((center * (y - y.mean())).sum()) / spread) if spread > 0 else 0.0
        slope = slope or float(y.std()) / max(float(scores.std()), 1e-12)
        return Line(slope, float(y.mean() - slope * scores.mean()))

    def __call__(self, scores: Tensor) -> Tensor:
        return self.slope * scores.double() + self.offset


@dataclass
class Member:
    """One trained network and how its scores become labels."""

    network: Predictor
    line: Line
    error: float
    """Root mean squared error on the labels kept aside, in their unit; NaN where none were."""


class FittedPredictor:
    """The mean of trained networks; knows architectures of one space.

    Args:
        name: of the model.
        space: the space.
        settings: how it was fitted.
        members: the networks.
        archs: B architectures it learned from.
        y: their labels, float64 [B].
    """

    def __init__(
        self, name: str, space: SearchSpace, settings: PredictorSettings, members: list[Member],
        archs: Architectures, y: Tensor,
    ) -> None:  # fmt: skip
        self.name, self.space, self.settings, self.members = name, space, settings, members
        self.archs, self.y = archs, y

    def predict(self, archs: Architectures) -> Tensor:
        """Labels of architectures, float64 [B] in the unit of the labels it was fitted on.

        Raises:
            InvalidArchitecture: what is no architecture of the space.
        """
        return self._all(archs).mean(0)

    def predict_std(self, archs: Architectures) -> Tensor:
        """Standard deviations float64 [B]: the members' disagreement and their mean error on labels kept aside.

        Raises:
            GraphnasError: a single member without labels kept aside, which knows nothing about its errors.
            InvalidArchitecture: what is no architecture of the space.
        """
        errors = torch.tensor([member.error for member in self.members], dtype=torch.float64)
        known, opinions = errors[~errors.isnan()], self._all(archs)
        if len(opinions) == 1 and not len(known):
            raise GraphnasError(
                "one network without labels kept aside has no uncertainty: fit with members=5 and validation=0.2"
            )
        spread = opinions.var(0, correction=1) if len(opinions) > 1 else torch.zeros(len(archs)).double()
        return (spread + (known.square().mean() if len(known) else 0.0)).sqrt()

    def _all(self, archs: Architectures) -> Tensor:
        """Every opinion, float64 [K, B]: one per member, or those of all its networks where it is an ensemble."""
        self.space.check(archs)
        return torch.cat([member.line(member_scores_all(member.network, archs)) for member in self.members])


class FittedFeatures(FittedPredictor):
    """A regression on fixed features. It has no members: its labels and its seed are all that makes it again.

    Args:
        name: of the model.
        space: the space.
        settings: how it was fitted; only `model_args` count.
        model: the regression.
        archs: B architectures it learned from.
        y: their labels, float64 [B].
        seed: it was fitted with.
    """

    def __init__(
        self, name: str, space: SearchSpace, settings: PredictorSettings, model: FeaturePredictor,
        archs: Architectures, y: Tensor, seed: int,
    ) -> None:  # fmt: skip
        super().__init__(name, space, settings, [], archs, y)
        self.model, self.seed = model, seed

    def predict(self, archs: Architectures) -> Tensor:
        self.space.check(archs)
        return self.model.predict(archs)

    def predict_std(self, archs: Architectures) -> Tensor:
        """Standard deviations of the labels of new observations, float64 [B]."""
        self.space.check(archs)
        return self.model.predict_std(archs)


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
