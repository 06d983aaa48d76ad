"""What a training run is told: dataclasses from which the command line and the recipes come."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from graphnas.errors import InvalidValues

SEEDS = 2**32
"""Seeds lie below this."""


def check_range(config: object, low: float, *names: str, below: float = math.inf) -> None:
    """Refuse fields outside low <= value < below.

    Raises:
        InvalidValues: naming the first of them.
    """
    for name in names:
        value = getattr(config, name)
        if not low <= value < below:
            limit = "" if below == math.inf else f" and below {below}"
            raise InvalidValues(f"{name} must be at least {low}{limit} (got {value})")


@dataclass
class FitConfig:
    """How the loop runs, counted in optimiser steps."""

    max_steps: int = 3000
    """Optimiser steps in all."""
    batch_size: int = 128
    """Graphs per step, over all processes together."""
    learning_rate: float = 1e-3
    """Peak learning rate of Adam."""
    schedule: Literal["cosine", "plateau", "constant", "inverse_sqrt"] = "cosine"
    """After the warm-up: cosine to `final_rate`, a tenth after `patience` validations without gain, constant, or
    falling with the square root of the step."""
    warmup_steps: int = 200
    """Steps of linear warm-up."""
    final_rate: float = 1e-3
    """End of the cosine as a share of `learning_rate`."""
    beta2: float = 0.999
    """Decay of Adam's second moment; less forgets sooner and bears a higher rate."""
    weight_decay: float = 0.0
    """Decoupled weight decay (AdamW) when positive."""
    clip_norm: float = 1.0
    """Largest gradient norm; 0 turns clipping off."""
    patience: int = 10
    """Validations without gain before the plateau schedule lowers the rate."""
    stop_after: int = 0
    """Validations without gain after which training stops early; 0 never."""
    validate_every: int = 500
    """Steps between validations, log lines and checkpoints."""
    save_minutes: float = 5.0
    """A checkpoint is also written when this long has passed since the last one."""
    seed: int = 0
    """Seed of initial weights, order of the data and noise."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    """Arithmetic, as Lightning Fabric names it."""
    compile: bool = False
    """Compile the objective with torch.compile (a GPU option)."""

    def __post_init__(self) -> None:
        check_range(self, 1, "max_steps", "batch_size", "validate_every")
        check_range(self, 0, "warmup_steps", "final_rate", "weight_decay", "clip_norm", "patience", "stop_after")
        check_range(self, 0, "save_minutes")
        check_range(self, 0, "seed", below=SEEDS)
        check_range(self, 0, "beta2", below=1)
        if not 0 < self.learning_rate < math.inf:
            raise InvalidValues(f"learning_rate must be positive (got {self.learning_rate})")


@dataclass
class DataConfig:
    """Which architectures, labels and split."""

    space: str = "nb101"
    """Search space."""
    num_graphs: int | None = None
    """Use a random subset of this many architectures; required (or 100,000) where a space cannot be enumerated."""
    held_out: float = 0.1
    """Share of the graphs kept aside, half for validation and half for test."""
    split_seed: int = 0
    """Seed of subset and split, apart from the training seed so that models share them."""
    labels: str | None = None
    """Table (registered name or file) whose values train an accuracy head, which takes the built-in one of the space
    where none is given."""
    metric: str | None = None
    """Metric of the table; a validation accuracy if not given."""
    budget: int | None = None
    """Budget (epochs) of the table; its largest if not given."""
    whole_space: bool | None = None
    """With labels, every architecture of the space with the label of its class, not the rows of the table alone: where
    many architectures compute the same, a table may have one of them, and a model that saw no other misjudges them."""

    def __post_init__(self) -> None:
        if not isinstance(self.space, str):
            raise InvalidValues(
                f"a run knows its space by name (got {self.space!r}): enter one of your own with "
                "@graphnas.spaces.register_space"
            )
        if not 0 < self.held_out < 1:
            raise InvalidValues(f"held_out must lie between 0 and 1 (got {self.held_out})")
        if self.num_graphs is not None:
            check_range(self, 1, "num_graphs")
        check_range(self, 0, "split_seed", below=SEEDS)


@dataclass
class VAEConfig:
    """A VAE training run."""

    model: str = "svge"
    """Name in the zoo, see `graphnas models list`."""
    model_args: dict[str, Any] = field(default_factory=dict)
    """Fields of the model's config that differ from the paper's."""
    data: DataConfig = field(default_factory=DataConfig)
    """Data."""
    fit: FitConfig = field(default_factory=FitConfig)
    """Loop."""
    start_from: str | None = None
    """Run folder, model file or shipped weights (by name) that the run starts from instead of random ones."""

    @classmethod
    def from_plain(cls, content: dict[str, Any]) -> VAEConfig:
        """The config that nested mappings describe; other entries of `content` are left alone.

        Raises:
            InvalidValues: groups that are no mappings or have unknown entries, values out of range.
        """
        try:
            data, loop = DataConfig(**content["data"]), FitConfig(**content["fit"])
        except TypeError as error:
            raise InvalidValues(str(error).removeprefix(f"{__name__}.")) from error
        return cls(content["model"], content["model_args"], data, loop, content.get("start_from"))
