"""The training loop: one for every model and objective, on Lightning Fabric."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm.auto import tqdm

from graphnas.device import seed_everything
from graphnas.errors import MissingData
from graphnas.models import save_model
from graphnas.run_folder import RunFolder
from graphnas.train.config import FitConfig
from graphnas.train.objectives import Objective
from graphnas.train.trainer import Labelled, Trainer

log = logging.getLogger(__name__)

SHOW_SECONDS = 10.0
"""Between lines of progress where there is no bar."""


@dataclass
class FitResult:
    """Outcome of a run: steps taken, best validation value, one record per validation, and the best weights where no
    run folder holds them."""

    steps: int
    best: float
    records: list[dict[str, Any]] = field(default_factory=list)
    weights: dict[str, Tensor] | None = None


def fit(
    objective: Objective,
    train: Labelled,
    validation: Labelled,
    config: FitConfig,
    run: RunFolder | None = None,
    resume: bool = False,
    progress: bool = True,
) -> FitResult:
    """Train `objective` and keep the best weights by its monitor on `validation`.

    Args:
        objective: owns the model; trained in place.
        train: graphs to learn from.
        validation: graphs that choose.
        config: how.
        run: folder for checkpoints, metrics and TensorBoard; nothing is written without one.
        resume: continue from the folder's last checkpoint, bit for bit on the CPU; a finished run is left alone.
        progress: show a bar on a terminal; elsewhere log a line every ten seconds.

    Raises:
        GraphnasError: loss not finite, batch larger than the data, disk full.
        CheckpointMismatch: resuming with another model.
    """
    seed_everything(config.seed)
    trainer = Trainer(objective, train, validation, config, run)
    state = run.read_state() if run and resume else None
    main = trainer.fabric.is_global_zero
    if run and state is not None:
        trainer.restore(state)
        over = trainer.finished() and run.last.exists()
        if main:
            log.info(
                "%s %s step %d", run.path, "is finished, nothing to do after" if over else "goes on from", trainer.step
            )
        if over and not run.best.exists():
            raise MissingData(f"{run.best} is missing though the run is finished: delete the folder to train it again")
        if over:
            return FitResult(trainer.step, trainer.best, trainer.records)
    writer = (
        SummaryWriter(str(run.path / "tensorboard"), purge_step=trainer.step + 1, flush_secs=10)
        if run and main
        else None
    )
    bar = tqdm(total=config.max_steps, initial=trainer.step, disable=None if progress and main else True, unit="step")
    try:
        _run(trainer, writer, bar, progress and main)
    finally:
        bar.close()
        if writer:
            writer.close()
    if run and main:
        save_model(objective.model, run.last, {"step": trainer.step})
    return FitResult(trainer.step, trainer.best, trainer.records, trainer.best_weights)


def _run(trainer: Trainer, writer: SummaryWriter | None, bar: Any, progress: bool) -> None:
    """Steps until the end, with validation, logging and checkpoints in between."""
    config, batches = trainer.config, trainer.batches()
    begin = saved = shown = time.monotonic()
    wall, cpu = trainer.seconds - begin, trainer.cpu_seconds - time.process_time()
    trainer.objective.train()
    while not trainer.finished():
        trainer.train_step(*next(batches))
        bar.update()
        trainer.seconds, trainer.cpu_seconds = wall + time.monotonic(), cpu + time.process_time()
        due = trainer.step % config.validate_every == 0 or trainer.step == config.max_steps
        if due:
            report(trainer, trainer.validate(), writer, bar)
        if progress and bar.disable and time.monotonic() - shown >= SHOW_SECONDS:
            shown = time.monotonic()
            log.info("step %d of %d", trainer.step, config.max_steps)
        if due or time.monotonic() - saved >= 60 * config.save_minutes:
            saved = time.monotonic()
            trainer.save()


def report(trainer: Trainer, record: dict[str, Any], writer: SummaryWriter | None, bar: Any) -> None:
    """A record to metrics.jsonl, TensorBoard, the bar and the log."""
    if not trainer.fabric.is_global_zero:
        return
    if trainer.run:
        trainer.run.write_records(trainer.records)
    shown = {name.split("/")[1]: value for name, value in record.items() if name.startswith("validation/")}
    bar.set_postfix({name: f"{value:.4g}" for name, value in shown.items()})
    if bar.disable and trainer.run:
        log.info("step %d: %s", trainer.step, ", ".join(f"{name} {value:.4g}" for name, value in shown.items()))
    if writer:
        for name, value in record.items():
            if name != "step":
                writer.add_scalar(name, value, trainer.step)
