"""Making shipped weights of predictors: their code learns properties of architectures, no label is read."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from graphnas import __version__
from graphnas.bo.zoo_build import Entry, Made, data_hash, halve, split_hash, write_release
from graphnas.bo.zoo_intervals import correlation_interval
from graphnas.bo.zoo_metrics import Metric, metric
from graphnas.device import seed_everything
from graphnas.errors import GraphnasError
from graphnas.models import Predictor, create_model
from graphnas.run_folder import VERSIONED
from graphnas.train.config import DataConfig
from graphnas.train.data import prepare, random_rows
from graphnas.train.pretrain_properties import Properties, learn_properties

MOST = 20_000


@dataclass
class PretrainConfig:
    """A predictor's training on properties."""

    model: str
    """Name in the zoo."""
    model_args: dict[str, Any] = field(default_factory=dict)
    """Fields of its config that differ from the paper's: those of its recipe, so that fine-tuning can start from it."""
    data: DataConfig = field(default_factory=DataConfig)
    """Which architectures."""
    steps: int = 2000
    """Optimiser steps."""
    seed: int = 0
    """Of weights and order."""


def release_predictor(entry: Entry, config: PretrainConfig, run: Path, out: Path) -> dict[str, Any]:
    """Train a predictor's code on properties, measure it on the test part, write weights and card; the card.

    Raises:
        GraphnasError: no predictor, or a mean correlation below the bar.
    """
    torch.set_num_threads(1)
    data = prepare(config.data)
    seed_everything(config.seed)
    model = create_model(config.model, data.space, **config.model_args)
    if not isinstance(model, Predictor):
        raise GraphnasError(f"{config.model!r} is no predictor: see `graphnas models list --kind predictor`")
    test = data.archs[random_rows(data.split.test, MOST, config.seed)]
    objective, seconds = learn_properties(
        model, data.archs[data.split.train], data.archs[data.split.validation], config.steps, config.seed
    )

    def measure(other: Any) -> dict[str, float]:
        return with_model(objective, other).correlations(test)

    draft = run / "half.safetensors"
    values, precision = halve(model, measure(model), draft, measure)
    if values["r_mean"] < entry.bar:
        raise GraphnasError(f"{entry.name} foretells properties with r = {values['r_mean']:.4f}, below {entry.bar}")
    versions = {"graphnas": __version__, "python": platform.python_version(), **{it: version(it) for it in VERSIONED}}
    made = Made(model, data_hash(data), split_hash(data), versions, seconds / 60)
    return write_release(entry, made, draft, precision, property_metrics(values, len(test)), out)


def with_model(objective: Properties, model: Predictor) -> Properties:
    """The objective about another model of the same kind."""
    objective.model = model
    return objective


def property_metrics(values: dict[str, float], count: int) -> dict[str, Metric]:
    """Correlations for the card."""
    where = f"linear map of the code, {count:,} architectures of the test part, none of which was trained on"
    ends = {name: correlation_interval(r, count) for name, r in values.items() if name != "r_mean"}
    low, high = (sum(side) / len(ends) for side in zip(*ends.values(), strict=True))
    return {name: metric(r, where, ends.get(name, (low, high))) for name, r in values.items()}
