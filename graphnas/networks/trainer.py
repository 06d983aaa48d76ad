"""The state of a network in training, and one epoch of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy, one_hot
from torch.optim import SGD, Optimizer, RMSprop

from graphnas.errors import CheckpointMismatch, GraphnasError, InvalidValues
from graphnas.networks.base import Network
from graphnas.networks.batches import epoch_batches, epoch_generator, steps_per_epoch
from graphnas.networks.config import NetworkConfig
from graphnas.networks.evaluation import Score, evaluate
from graphnas.networks.images import ImageData, mixup
from graphnas.networks.recipe import Recipe
from graphnas.networks.result import EpochRecord

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@contextmanager
def fork_generators(device: torch.device) -> Iterator[None]:
    """Gives torch's global generators back as they were; of GPUs only that of `device`."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield


def seed_generators(seed: int, device: torch.device) -> None:
    """Seed torch's global generator of the CPU, and that of `device` where it is a GPU."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


def noise_seed(seed: int, epoch: int) -> int:
    """Seed of the noise inside a network in one epoch, apart from the seed of the epoch's data."""
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0])


def make_optimizer(network: Network, recipe: Recipe) -> Optimizer:
    """The recipe's optimiser of all parameters."""
    parameters, rate = network.parameters(), recipe.learning_rate
    if recipe.optimizer == "sgd":
        return SGD(parameters, rate, recipe.momentum, weight_decay=recipe.weight_decay, nesterov=recipe.nesterov)
    return RMSprop(
        parameters, rate, recipe.rmsprop_decay, recipe.rmsprop_eps, recipe.weight_decay, momentum=recipe.momentum
    )


class NetworkTrainer:
    """State of one run.

    Args:
        network: freshly initialised, of the recipe's dtype; trained in place.
        data: images; the validation and test parts may be empty.
        config: how.
        fabric: device and precision.

    Raises:
        InvalidValues: no step in an epoch.
    """

    def __init__(self, network: Network, data: ImageData, config: NetworkConfig, fabric: Fabric) -> None:
        self.config, self.recipe, self.data, self.fabric = config, config.recipe, data, fabric
        self.dtype = getattr(torch, self.recipe.dtype)
        self.steps = steps_per_epoch(len(data.train), self.recipe)
        if not self.steps:
            raise InvalidValues(
                f"{len(data.train)} training images do not fill one batch of {self.recipe.batch_size}: choose a "
                "smaller batch_size or drop_last false"
            )
        self.raw = network
        self.network, self.optimizer = fabric.setup(network, make_optimizer(network, self.recipe))
        self.network.mark_forward_method("forward_auxiliary")
        self.epoch = 0
        self.records: list[EpochRecord] = []

    # -- state ----------------------------------------------------------------------------------------------------
    def state(self) -> dict[str, Any]:
        """All that a bit-identical continuation needs."""
        return {
            "step": self.epoch * self.steps,
            "epoch": self.epoch,
            "records": [asdict(record) for record in self.records],
            "network": self.raw.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from :meth:`state`.

        Raises:
            CheckpointMismatch: a state of another network, or of another version of graphnas.
        """
        try:
            self.raw.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.epoch = state["epoch"]
            self.records = [EpochRecord(**record) for record in state["records"]]
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
            reason = " ".join(str(error).split())
            raise CheckpointMismatch(
                f"the checkpoint is of another network or version of graphnas: {reason}"
            ) from error

    # -- work -----------------------------------------------------------------------------------------------------
    def train_epoch(self, advance: Callable[[], object]) -> EpochRecord:
        """One pass over the training images, then an evaluation; `advance` is called after every step.

        Raises:
            GraphnasError: a loss is not finite.
        """
        begin, cpu_begin = time.monotonic(), time.process_time()
        learned = self._learn(advance)
        parts = {"training": learned, "validation": self._evaluate("validation"), "test": self._evaluate("test")}
        for name, score in parts.items():
            if score is not None and not math.isfinite(score.loss):
                raise GraphnasError(
                    f"{name} loss is {score.loss} in epoch {self.epoch + 1}: lower the learning rate of the recipe"
                )
        validation, test = parts["validation"], parts["test"]
        before = self.records[-1] if self.records else None
        record = EpochRecord(
            epoch=self.epoch + 1,
            rate=self.optimizer.param_groups[0]["lr"],
            train_accuracy=learned.accuracy,
            train_loss=learned.loss,
            validation_accuracy=validation and validation.accuracy,
            validation_loss=validation and validation.loss,
            test_accuracy=test and test.accuracy,
            test_loss=test and test.loss,
            seconds=round((before.seconds if before else 0.0) + time.monotonic() - begin, 3),
            cpu_seconds=round((before.cpu_seconds if before else 0.0) + time.process_time() - cpu_begin, 3),
        )
        self.epoch += 1
        self.records.append(record)
        return record

    def _evaluate(self, part: str) -> Score | None:
        return evaluate(self.network, getattr(self.data, part), self.data, self.dtype)

    def _learn(self, advance: Callable[[], object]) -> Score:
        """All steps of the epoch; accuracy and loss are those right before each step."""
        seed_generators(noise_seed(self.config.seed, self.epoch), self.fabric.device)
        draws = epoch_generator(self.config.seed, self.epoch)
        self.raw.drop_path = self.recipe.drop_path * self.epoch / self.recipe.epochs
        self.network.train()
        correct = torch.zeros((), dtype=torch.int64, device=self.fabric.device)
        loss, count = torch.zeros((), device=self.fabric.device), 0
        batches = epoch_batches(self.data, self.recipe, self.config.seed, self.epoch, draws)
        for step, (images, labels) in enumerate(batches):
            for group in self.optimizer.param_groups:
                group["lr"] = self.recipe.rate(self.epoch, step, self.steps)
            right, mean_loss = self._step(images, labels, draws)
            correct, loss, count = correct + right, loss + mean_loss * len(labels), count + len(labels)
            advance()
        return Score(int(correct) / count, float(loss) / count)

    def _step(self, images: Tensor, labels: Tensor, draws: Generator) -> tuple[Tensor, Tensor]:
        """One optimiser step; number of images it had right, and their mean loss without that of an auxiliary head."""
        targets = labels
        if self.recipe.mixup:
            hot = one_hot(labels, self.data.num_classes).to(images.dtype)
            images, targets = mixup(images, hot, self.recipe.mixup, draws)
            labels = targets.argmax(1)  # the label of the greater share
        images, targets, labels = (part.to(self.fabric.device) for part in (images, targets, labels))
        logits, extra = self._classify(images)
        loss = cross_entropy(logits, targets, label_smoothing=self.recipe.label_smoothing)
        total = loss
        if extra is not None:
            auxiliary = cross_entropy(extra, targets, label_smoothing=self.recipe.label_smoothing)
            total = loss + self.recipe.auxiliary_weight * auxiliary
        self.optimizer.zero_grad()
        self.fabric.backward(total)
        if self.recipe.clip_norm:
            self.fabric.clip_gradients(
                self.network, self.optimizer, max_norm=self.recipe.clip_norm, error_if_nonfinite=False
            )
        self.optimizer.step()
        return (logits.detach().argmax(1) == labels).sum(), loss.detach()

    def _classify(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        try:
            logits, extra = self.network.forward_auxiliary(images)
        except ValueError as error:  # a normalisation that sees a single value
            raise InvalidValues(
                f"a step of {len(images)} images cannot be trained: {error}; choose another batch_size or drop_last"
            ) from error
        return logits, extra
