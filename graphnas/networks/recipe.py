"""How a network is trained: one dataclass, from which the command line and the YAML recipes come."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from graphnas.errors import InvalidValues

SEEDS = 2**32
"""Seeds lie below this."""


@dataclass
class Recipe:
    """Everything that decides the accuracy of an architecture, apart from the seed."""

    epochs: int = 200
    """Passes over the training images."""
    batch_size: int = 256
    """Images per step."""
    drop_last: bool = False
    """Leave out the last step of an epoch where it would see fewer images."""
    optimizer: Literal["sgd", "rmsprop"] = "sgd"
    """SGD with momentum, or RMSprop."""
    learning_rate: float = 0.1
    """Peak learning rate."""
    final_rate: float = 0.0
    """Learning rate at the end of the cosine."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """After the warm-up: half a cosine from peak to `final_rate`, or constant."""
    schedule_by: Literal["step", "epoch"] = "step"
    """Whether the rate changes with every step or with every epoch."""
    warmup_epochs: float = 0.0
    """Epochs in which the rate rises linearly to the peak."""
    momentum: float = 0.9
    """Momentum of either optimiser."""
    nesterov: bool = False
    """Nesterov's form of momentum (SGD)."""
    rmsprop_decay: float = 0.9
    """Decay of the mean square (RMSprop)."""
    rmsprop_eps: float = 1.0
    """Added to the root mean square (RMSprop)."""
    weight_decay: float = 5e-4
    """L2 penalty, added to the gradient of every parameter."""
    clip_norm: float = 0.0
    """Largest gradient norm; 0 turns clipping off."""
    label_smoothing: float = 0.0
    """Share of the target spread over all classes."""
    crop_padding: int = 4
    """Pixels of padding before a random crop; 0 for no crop."""
    flip: bool = True
    """Mirror half of the training images."""
    cutout: int = 0
    """Side of the square that is cut out of every training image; 0 for none."""
    mixup: float = 0.0
    """Alpha of mixup; 0 for none."""
    auxiliary_weight: float = 0.4
    """Weight of the auxiliary head's loss, where the network has one."""
    drop_path: float = 0.0
    """Probability of dropping a path at the end; it rises linearly from 0 over the epochs."""
    dtype: Literal["float32", "float64"] = "float32"
    """Arithmetic. With float64 a result is the same on every processor, whatever else is trained with it."""
    data: dict[str, Any] = field(default_factory=dict)
    """Options of the image data set, such as `train_size` or `train_fraction`."""
    network: dict[str, Any] = field(default_factory=dict)
    """Options of the network, such as `channels` and `cells`."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            _check(self, name, lambda value: value >= 1, "at least 1")
        for name in ("final_rate", "warmup_epochs", "weight_decay", "clip_norm", "crop_padding", "cutout", "mixup"):
            _check(self, name, lambda value: 0 <= value < math.inf, "at least 0")
        for name in ("momentum", "rmsprop_decay", "label_smoothing", "drop_path"):
            _check(self, name, lambda value: 0 <= value < 1, "at least 0 and below 1")
        for name in ("learning_rate", "rmsprop_eps"):
            _check(self, name, lambda value: 0 < value < math.inf, "positive")
        _check(self, "auxiliary_weight", lambda value: 0 <= value < math.inf, "at least 0")
        if self.nesterov and not self.momentum:
            raise InvalidValues("nesterov needs a momentum above 0")

    def rate(self, epoch: int, step: int, steps: int) -> float:
        """Learning rate of step `step` of `steps` in epoch `epoch`, all counted from 0."""
        done = epoch + (step / steps if self.schedule_by == "step" else 0)
        if done < self.warmup_epochs:
            return self.learning_rate * (done + (1 / steps if self.schedule_by == "step" else 1)) / self.warmup_epochs
        if self.schedule == "constant":
            return self.learning_rate
        share = (done - self.warmup_epochs) / max(self.epochs - self.warmup_epochs, 1e-9)
        return self.final_rate + (self.learning_rate - self.final_rate) * 0.5 * (1 + math.cos(math.pi * share))


def _check(recipe: Recipe, name: str, holds: Any, text: str) -> None:
    value = getattr(recipe, name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not holds(value):
        raise InvalidValues(f"{name} must be {text} (got {value!r})")
