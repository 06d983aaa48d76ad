"""What the training of one network is told: a dataclass from which the command line comes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from graphnas.errors import InvalidValues
from graphnas.networks.recipe import SEEDS, Recipe


@dataclass
class NetworkConfig:
    """A training run of one architecture."""

    space: str = "nb201"
    """Search space of the architecture."""
    arch: str = ""
    """The architecture in the text form of its space."""
    dataset: str = "digits"
    """Images: digits, cifar10, cifar100 or imagenet16."""
    data_root: str | None = None
    """Folder or archive of the images; by default where `graphnas data download` puts them."""
    max_images: int | None = None
    """Use only the first so many images of every part, for a quick look."""
    recipe: Recipe = field(default_factory=Recipe)
    """How the network is built and trained."""
    seed: int = 0
    """Seed of initial weights, order of the images, augmentation and dropped paths."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    mixed_precision: bool = False
    """Compute in bfloat16 where that is safe (a GPU option)."""

    def __post_init__(self) -> None:
        if not 0 <= self.seed < SEEDS:
            raise InvalidValues(f"seed must be at least 0 and below {SEEDS} (got {self.seed})")
        if self.max_images is not None and self.max_images < 1:
            raise InvalidValues(f"max_images must be at least 1 (got {self.max_images})")
        if self.mixed_precision and self.recipe.dtype != "float32":
            raise InvalidValues(f"mixed_precision needs the dtype float32 (got {self.recipe.dtype})")

    @classmethod
    def from_plain(cls, content: dict[str, Any]) -> NetworkConfig:
        """The config that nested mappings describe.

        Raises:
            InvalidValues: a recipe that is no mapping, unknown entries, values out of range.
        """
        try:
            return cls(**{**content, "recipe": Recipe(**content["recipe"])})
        except TypeError as error:
            raise InvalidValues(str(error).removeprefix(f"{__name__}.")) from error
