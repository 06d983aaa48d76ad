"""What the training of a network leaves behind: a record of every epoch and a result."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from graphnas.checkpoint import write_text
from graphnas.errors import CorruptFile
from graphnas.networks.evaluation import FLOPS_CONVENTION
from graphnas.run_folder import RunFolder

SCORES = tuple(f"{part}_{score}" for part in ("train", "validation", "test") for score in ("accuracy", "loss"))


@dataclass(frozen=True)
class EpochRecord:
    """One epoch. Accuracies lie in [0, 1]; those of an empty part are None.

    Attributes:
        epoch: from 1.
        rate: learning rate of its last step.
        train_accuracy: counted while the images were learned from, with their augmentation.
        train_loss: mean loss of the classifier in that pass, with smoothing and mixup and without auxiliary head.
        validation_accuracy: after the epoch.
        validation_loss: mean cross entropy after the epoch.
        test_accuracy: likewise on the test images.
        test_loss: likewise.
        seconds: since the start of the run, interruptions left out.
        cpu_seconds: of this process, likewise.
    """

    epoch: int
    rate: float
    train_accuracy: float
    train_loss: float
    validation_accuracy: float | None
    validation_loss: float | None
    test_accuracy: float | None
    test_loss: float | None
    seconds: float
    cpu_seconds: float

    def scores(self) -> dict[str, float]:
        """Accuracies and losses that are defined, named part/score."""
        values = {name.replace("_", "/"): getattr(self, name) for name in SCORES}
        return {name: value for name, value in values.items() if value is not None}


@dataclass
class NetworkResult:
    """Outcome of a run: the network after its last epoch. Nothing is chosen on the test images.

    Attributes:
        space: search space.
        arch: text of the architecture.
        dataset: images.
        seed: of the run.
        epochs: passes over the training images.
        steps: optimiser steps in all.
        image_shape: C, H, W.
        num_classes: K.
        num_train: training images.
        num_validation: validation images.
        num_test: test images.
        parameters: trainable numbers, without auxiliary head.
        flops: per image.
        final: the last epoch.
        best_validation: the first epoch with the best validation accuracy, None without validation images.
        flops_convention: what is counted as a FLOP.
        records: every epoch.
    """

    space: str
    arch: str
    dataset: str
    seed: int
    epochs: int
    steps: int
    image_shape: list[int]
    num_classes: int
    num_train: int
    num_validation: int
    num_test: int
    parameters: int
    flops: int
    final: EpochRecord
    best_validation: EpochRecord | None
    flops_convention: str = FLOPS_CONVENTION
    records: list[EpochRecord] = field(default_factory=list)


def best_by_validation(records: list[EpochRecord]) -> EpochRecord | None:
    """The first of the records with the best validation accuracy."""
    known = [record for record in records if record.validation_accuracy is not None]
    return max(known, key=lambda record: record.validation_accuracy or 0.0, default=None)


def write_result(run: RunFolder, result: NetworkResult) -> None:
    """The result as result.json; the records are in metrics.jsonl."""
    content = asdict(result)
    del content["records"]
    write_text(run.result_file, json.dumps(content, indent=1) + "\n")


def read_result(run: RunFolder) -> NetworkResult:
    """The result of a finished run.

    Raises:
        CorruptFile: damaged, or of another version of graphnas.
    """
    try:
        content: dict[str, Any] = json.loads(run.result_file.read_text())
        records = [EpochRecord(**record) for record in run.read_records()]
        best = content["best_validation"]
        content["final"] = EpochRecord(**content["final"])
        content["best_validation"] = best and EpochRecord(**best)
        return NetworkResult(**content, records=records)
    except (ValueError, TypeError, KeyError) as error:
        raise CorruptFile(f"{run.result_file} is damaged or of another version of graphnas: {error}") from error
