"""Learn from the labels of small architectures, rank larger ones: every encoder of the zoo beside raw features."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from graphnas.bo.code_features import Head, code_predictor
from graphnas.errors import InvalidValues
from graphnas.metrics import NAN
from graphnas.models import FeaturePredictor, GraphVAE, Predictor, create_model, list_models
from graphnas.models.enlarge import enlarge, size_bound
from graphnas.models.zoo import MODELS
from graphnas.spaces import Architectures, SearchSpace
from graphnas.train.data import random_rows
from graphnas.train.predictor import fit_predictor
from graphnas.train.predictor_config import read_settings
from graphnas.train.predictor_evaluation import Labels, digest_of, measure

RAW = ("ridge", "gbdt", "gp", "blend")
"""Regressions on raw features, by their names in the zoo."""


class SizeParts(NamedTuple):
    """Labels of small architectures to fit and choose with, and of larger ones to judge on.

    Shapes: small [S], larger [L]; y float64, values of `metric`.
    """

    space: SearchSpace
    small: Architectures
    small_y: Tensor
    larger: Architectures
    larger_y: Tensor
    metric: str = ""

    @property
    def digest(self) -> str:
        """Of architectures and labels of both sides."""
        return digest_of((self.small, self.small_y), (self.larger, self.larger_y))

    def drawn(self, count: int, seed: int) -> SizeParts:
        """At most `count` of the small ones, drawn from a seed."""
        rows = random_rows(torch.arange(len(self.small_y)), count, seed)
        return self._replace(small=self.small[rows], small_y=self.small_y[rows])

    def inside(self, count: int, seed: int) -> SizeParts:
        """The same without extrapolation: as many labels of larger ones to fit, the others to judge on."""
        rows = random_rows(torch.arange(len(self.larger_y)), len(self.larger_y), seed)
        fit, judge = rows[:count], rows[count:]
        archs, y = self.larger, self.larger_y
        return SizeParts(self.space, archs[fit], y[fit], archs[judge], y[judge], self.metric)


def part_by_size(labels: Labels, most_nodes: int) -> SizeParts:
    """Labelled architectures of up to `most_nodes` vertices, and those of more.

    Raises:
        InvalidValues: fewer than ten on either side.
    """
    small = labels.archs.num_nodes <= most_nodes
    if min(int(small.sum()), int((~small).sum())) < 10:
        raise InvalidValues(
            f"expected 10 labels at least of up to {most_nodes} vertices and of more (got {int(small.sum())} and "
            f"{int((~small).sum())})"
        )
    archs, y = labels.archs, labels.y
    return SizeParts(labels.space, archs[small], y[small], archs[~small], y[~small], labels.metric)


@dataclass(frozen=True)
class RankingSizes:
    """How much is fitted."""

    labels: int = 2000
    """Labels of small architectures that every row of a seed shares."""
    steps: int = 3000
    """Most optimiser steps of a learned predictor; its recipe's where those are fewer."""


Values = dict[str, float]


def judged(parts: SizeParts, predict: Callable[[Architectures], Tensor], fit_seconds: float) -> Values:
    """Everything a ranking of the larger ones is judged by, and the CPU-seconds of the fit."""
    with torch.no_grad():
        values = measure(predict(parts.larger).double(), parts.larger_y)
    return {"train": len(parts.small_y), "test": len(parts.larger_y), "fit_seconds": fit_seconds, **values}


def rank_by_cost(parts: SizeParts, name: str) -> Values:
    """The row of a number that needs no label: `mean` (no ranking at all), or a cost of the space, the more the
    better."""
    if name == "mean":
        return judged(parts, lambda archs: torch.full((len(archs),), float(parts.small_y.mean())), 0.0)
    values = judged(parts, lambda archs: parts.space.cost(archs)[name], 0.0)
    return values | {"rmse": NAN}  # a number of another unit


def rank_by_codes(parts: SizeParts, vae: GraphVAE, head: Head, seed: int) -> Values:
    """A regression on codes of a VAE trained on small architectures.

    Encoders with weights for every place use those of the last one beyond it; :func:`encoder_note` says which.

    Raises:
        SpaceMismatch: an encoder that cannot read larger architectures.
    """
    begin = time.process_time()
    model = code_predictor(enlarge(vae, parts.space, "repeat"), head)
    model.fit(parts.small, parts.small_y, seed)
    return judged(parts, model.predict, time.process_time() - begin)


def rank_by_predictor(parts: SizeParts, name: str, seed: int, sizes: RankingSizes) -> Values:
    """A predictor of the zoo by its recipe, made for the larger space and fitted on the small ones."""
    begin = time.process_time()
    overrides = shortened(name, parts, sizes)
    fitted = fit_predictor(name, parts.small, parts.small_y, parts.space, seed, device="cpu", **overrides)
    return judged(parts, fitted.predict, time.process_time() - begin)


def shortened(name: str, parts: SizeParts, sizes: RankingSizes) -> dict[str, Any]:
    """Fewer epochs than the recipe's where its steps would be too many."""
    if issubclass(MODELS[name], FeaturePredictor):
        return {}
    settings = read_settings(name, parts.space.family)
    epoch = max(1, len(parts.small_y) // min(settings.batch_size, len(parts.small_y)))
    return {"epochs": max(1, min(settings.epochs, sizes.steps // epoch))}


def encoder_note(model: GraphVAE | Predictor, space: SearchSpace) -> str:
    """Why a model cannot read larger architectures as it reads those it was trained on; empty where it can."""
    bound = size_bound(model, space)
    names = bound.encoder if isinstance(model, GraphVAE) else [*bound.encoder, *bound.rest]
    return f"weights per place: {bound._replace(encoder=names, rest=[])}" if names else ""


def predictor_note(name: str, small: SearchSpace, larger: SearchSpace) -> str:
    """:func:`encoder_note` of a predictor by name; its weights for further places are never trained."""
    if issubclass(MODELS[name], FeaturePredictor):
        return ""
    settings = read_settings(name, larger.family)
    model = create_model(name, small, **replace(settings).model_args)
    assert isinstance(model, Predictor)
    return encoder_note(model, larger)


def learned_predictors() -> list[str]:
    """Predictors of the zoo that train weights, VAEs with a head left out."""
    return [
        name
        for name in list_models(kind="predictor")
        if name != "encoder" and not issubclass(MODELS[name], FeaturePredictor)
    ]
