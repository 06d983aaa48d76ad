"""How a predictor is fitted: settings, and the recipes that ship with graphnas."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from inspect import signature
from pathlib import Path
from typing import Any, Literal

import yaml
from torch import Tensor

from graphnas.errors import InvalidValues, UnknownName
from graphnas.models import Predictor, list_models
from graphnas.train.config import FitConfig, check_range
from graphnas.train.losses import LOSSES
from graphnas.train.nar import OBJECTIVES
from graphnas.train.objectives import Objective

RECIPES = Path(__file__).resolve().parent / "recipes" / "predictors"


@dataclass
class PredictorSettings:
    """How the networks of a predictor are made and trained, the same for any number of labels."""

    model_args: dict[str, Any] = field(default_factory=dict)
    """Fields of the model's config that differ from the paper's."""
    loss: str = "hinge"
    """What is minimised, see `graphnas.train.losses`."""
    objective: str = "score"
    """How: `score` is the loss alone, `tiers` that of NAR."""
    objective_args: dict[str, Any] = field(default_factory=dict)
    """Arguments of the objective that differ from its own."""
    epochs: int = 150
    """Passes over the labels."""
    batch_size: int = 16
    """Labels per step; all of them where there are fewer."""
    learning_rate: float = 1e-3
    """Peak learning rate of Adam."""
    weight_decay: float = 0.0
    """Decoupled weight decay."""
    schedule: Literal["cosine", "plateau", "constant", "inverse_sqrt"] = "cosine"
    """Of the learning rate."""
    warmup_steps: int = 20
    """Steps of linear warm-up; a tenth of all steps where that is less."""
    beta2: float = 0.999
    """Decay of Adam's second moment."""
    clip_norm: float = 5.0
    """Largest gradient norm; 0 turns clipping off."""
    members: int = 1
    """Networks whose mean predicts, from different seeds and with different labels kept aside."""
    validation: float = 0.0
    """Share of the labels that each network keeps aside to choose its best weights on; 0 takes the last weights."""
    standardise: bool = True
    """Learn labels less their mean in units of their spread."""
    pretrain_steps: int = 0
    """Steps on hidden operations of unlabelled architectures before the labels, see `graphnas.train.pretrain`."""
    start_from: str | None = None
    """Run folder, model file or shipped weights (by name) that the networks start from: a predictor's, or a VAE's for
    `encoder`."""

    def __post_init__(self) -> None:
        check_range(self, 1, "epochs", "batch_size", "members")
        check_range(self, 0, "validation", below=0.51)
        check_range(self, 0, "pretrain_steps")
        if self.loss not in LOSSES:
            raise UnknownName("loss", self.loss, LOSSES)
        if self.objective not in OBJECTIVES:
            raise UnknownName("objective", self.objective, OBJECTIVES)
        self.fit_config(1, 0, "cpu")  # checks the rest

    def fit_config(self, num_labels: int, seed: int, device: str) -> FitConfig:
        """The loop's settings for a network that learns from so many labels."""
        batch_size = min(self.batch_size, num_labels)
        epoch = num_labels // batch_size
        steps = self.epochs * epoch
        return FitConfig(
            max_steps=steps,
            batch_size=batch_size,
            learning_rate=self.learning_rate,
            schedule=self.schedule,
            warmup_steps=min(self.warmup_steps, steps // 10),
            beta2=self.beta2,
            weight_decay=self.weight_decay,
            clip_norm=self.clip_norm,
            # the plateau schedule looks at the labels of training where none are kept aside, as published, every epoch
            validate_every=epoch if self.schedule == "plateau" else max(1, steps // 30) if self.validation else steps,
            seed=seed,
            device=device,
        )

    def make_objective(self, network: Predictor, y: Tensor) -> Objective:
        """What a network minimises that learns from labels float [B].

        Raises:
            InvalidValues: an objective that does not suit the network, or arguments it does not have.
        """
        try:
            batch_size = min(self.batch_size, len(y))
            return OBJECTIVES[self.objective](network, self.loss, y, batch_size, **self.objective_args)
        except TypeError as error:
            taken = [*signature(OBJECTIVES[self.objective]).parameters][4:]
            raise InvalidValues(
                f"objective {self.objective!r} takes {', '.join(taken) or 'no arguments'} (got {self.objective_args})"
            ) from error


def read_settings(name: str, space: str, variant: str = "", **overrides: Any) -> PredictorSettings:
    """The shipped recipe of a predictor for a space, or its general one, with other values for some fields.

    A `variant` (nar and svge have `published`) is another recipe, `<name>_<space>_<variant>.yaml` or, for any space,
    `<name>_<variant>.yaml`. Fields that are no :class:`PredictorSettings` are taken for fields of the model's config.

    Raises:
        UnknownName: a model, loss, objective or variant that does not exist.
        InvalidValues: a recipe or value that makes no settings.
    """
    encoders = list_models(kind="vae")
    known_models = [*list_models(kind="predictor"), *encoders]
    if name not in known_models:
        raise UnknownName("model", name, known_models)
    content: dict[str, Any] = {}
    end = f"_{variant}" if variant else ""
    paths = [RECIPES / f"{name}_{space}{end}.yaml", RECIPES / f"{name}{end}.yaml"]
    if name in encoders and not variant:
        paths.append(RECIPES / "encoder.yaml")
    found = [path for path in paths if path.exists()]
    if variant and not found:
        raise UnknownName("recipe", paths[0].stem, [path.stem for path in RECIPES.glob("*.yaml")])
    if found:
        content = yaml.safe_load(found[0].read_text())
    known = {entry.name for entry in fields(PredictorSettings)}
    model_args = {**content.pop("model_args", {}), **overrides.pop("model_args", {})}
    model_args |= {key: value for key, value in overrides.items() if key not in known}
    try:
        settings = PredictorSettings(model_args=model_args, **content)
        return replace(settings, **{key: value for key, value in overrides.items() if key in known})
    except TypeError as error:
        raise InvalidValues(f"recipe of {name}: {error}") from error
