"""How a predictor is fitted: settings, and the recipes that ship with graphnas."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from graphnas.errors import InvalidValues, UnknownName
from graphnas.train.config import FitConfig, check_range
from graphnas.train.losses import LOSSES

RECIPES = Path(__file__).resolve().parent / "recipes" / "predictors"


@dataclass
class PredictorSettings:
    """How the networks of a predictor are made and trained, the same for any number of labels."""

    model_args: dict[str, Any] = field(default_factory=dict)
    """Fields of the model's config that differ from the paper's."""
    loss: str = "hinge"
    """What is minimised, see `graphnas.train.losses`."""
    epochs: int = 150
    """Passes over the labels."""
    batch_size: int = 16
    """Labels per step; all of them where there are fewer."""
    learning_rate: float = 1e-3
    """Peak learning rate of Adam."""
    weight_decay: float = 0.0
    """Decoupled weight decay."""
    schedule: Literal["cosine", "plateau", "constant"] = "cosine"
    """Of the learning rate."""
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

    def __post_init__(self) -> None:
        check_range(self, 1, "epochs", "batch_size", "members")
        check_range(self, 0, "validation", below=0.51)
        if self.loss not in LOSSES:
            raise UnknownName("loss", self.loss, LOSSES)
        self.fit_config(1, 0, "cpu")  # checks the rest

    def fit_config(self, num_labels: int, seed: int, device: str) -> FitConfig:
        """The loop's settings for a network that learns from so many labels."""
        batch_size = min(self.batch_size, num_labels)
        steps = self.epochs * (num_labels // batch_size)
        return FitConfig(
            max_steps=steps,
            batch_size=batch_size,
            learning_rate=self.learning_rate,
            schedule=self.schedule,
            warmup_steps=min(20, steps // 10),
            beta2=self.beta2,
            weight_decay=self.weight_decay,
            clip_norm=self.clip_norm,
            validate_every=max(1, steps // 30) if self.validation else steps,
            seed=seed,
            device=device,
        )


def read_settings(name: str, space: str, **overrides: Any) -> PredictorSettings:
    """The shipped recipe of a predictor for a space, or its general one, with other values for some fields.

    Fields that are no :class:`PredictorSettings` are taken for fields of the model's config.

    Raises:
        UnknownName: a loss that does not exist.
        InvalidValues: a recipe or value that makes no settings.
    """
    content: dict[str, Any] = {}
    for path in (RECIPES / f"{name}_{space}.yaml", RECIPES / f"{name}.yaml"):
        if path.exists():
            content = yaml.safe_load(path.read_text())
            break
    known = {entry.name for entry in fields(PredictorSettings)}
    model_args = {**content.pop("model_args", {}), **overrides.pop("model_args", {})}
    model_args |= {key: value for key, value in overrides.items() if key not in known}
    try:
        settings = PredictorSettings(model_args=model_args, **content)
        return replace(settings, **{key: value for key, value in overrides.items() if key in known})
    except TypeError as error:
        raise InvalidValues(f"recipe of {name}: {error}") from error
