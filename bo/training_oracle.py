"""An oracle that trains the network of every architecture for real."""

from __future__ import annotations

import math
from dataclasses import replace

from graphnas.bo.oracles import Answer
from graphnas.errors import GraphnasError, InvalidValues
from graphnas.networks.config import NetworkConfig
from graphnas.networks.defaults import default_recipe, read_recipe
from graphnas.networks.images import load_images
from graphnas.networks.training import train_network
from graphnas.spaces import Architectures, SearchSpace


class TrainingOracle:
    """Accuracy on validation images after a real training; that on test images is reported beside it.

    Args:
        space: of which graphnas builds networks.
        dataset: images.
        epochs: instead of those of the recipe for the images.
        seed: of weights and order, the same for every architecture.
        device: auto, cpu, cuda or mps.

    Raises:
        UnknownName: a space without a network, or no such images.
        MissingData: the images are not there.
        InvalidValues: no validation images to choose by, or fewer than one epoch.
    """

    def __init__(
        self, space: SearchSpace, dataset: str = "digits", epochs: int | None = None, seed: int = 0, device: str = "cpu"
    ) -> None:
        recipe = read_recipe(default_recipe(space.name, dataset), space.name, dataset)
        self.space, self.dataset, self.seed, self.device = space, dataset, seed, device
        self.recipe = recipe if epochs is None else replace(recipe, epochs=epochs)
        if not len(load_images(dataset, **self.recipe.data).validation):  # before anything is trained in vain
            raise InvalidValues(f"{dataset} as the recipe cuts it has no validation images to choose by")

    def __call__(self, arch: Architectures) -> Answer:
        text = self.space.format(arch)[0]
        config = NetworkConfig(
            self.space.name, text, self.dataset, recipe=self.recipe, seed=self.seed, device=self.device
        )
        try:
            final = train_network(config, progress=False).final
        except GraphnasError as failure:
            return Answer(math.nan, math.nan, 0.0, str(failure))
        value, test = (
            math.nan if score is None else score for score in (final.validation_accuracy, final.test_accuracy)
        )
        return Answer(value, test, final.seconds, "")
