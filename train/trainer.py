"""One training run: what a step and a validation do, and the state that a bit-identical continuation needs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import shorten
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import Module
from torch.optim import Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from graphnas.datasets.loader import ArchitectureLoader
from graphnas.device import make_fabric
from graphnas.errors import CheckpointMismatch, GraphnasError
from graphnas.models import save_model
from graphnas.run_folder import RunFolder
from graphnas.spaces import Architectures
from graphnas.train.config import FitConfig
from graphnas.train.objectives import Objective, OnTensors


@dataclass
class Labelled:
    """Architectures with optional targets [B]."""

    archs: Architectures
    y: Tensor | None = None


def make_optimizer(objective: Objective, config: FitConfig) -> Optimizer:
    """Adam, or AdamW with weight decay."""
    parameters = [parameter for parameter in objective.parameters() if parameter.requires_grad]
    betas = (0.9, config.beta2)
    if config.weight_decay > 0:
        return AdamW(parameters, config.learning_rate, betas, weight_decay=config.weight_decay, fused=True)
    return Adam(parameters, config.learning_rate, betas, fused=True)


def rate_factor(step: int, config: FitConfig) -> float:
    """Learning rate of a step as a share of the peak: linear warm-up, then as `schedule` says."""
    warm = min(1.0, (step + 1) / max(1, config.warmup_steps))
    if config.schedule == "inverse_sqrt":
        return min(warm, math.sqrt(max(1, config.warmup_steps) / (step + 1)))
    if config.schedule != "cosine":
        return warm
    return warm * max(config.final_rate, 0.5 * (1 + math.cos(math.pi * min(1.0, step / config.max_steps))))


class Trainer:
    """State of one run; :func:`graphnas.train.loop.fit` is its public face."""

    def __init__(
        self, objective: Objective, train: Labelled, validation: Labelled, config: FitConfig, run: RunFolder | None
    ) -> None:
        self.config, self.run, self.validation = config, run, validation
        self.fabric = make_fabric(config.device, config.precision)
        self.raw, module = objective, OnTensors(objective)
        optimizer = make_optimizer(objective, config)
        self.objective, self.optimizer = self.fabric.setup(
            cast(Module, torch.compile(module)) if config.compile else module, optimizer
        )
        self.warmup = LambdaLR(optimizer, lambda step: rate_factor(step, config))
        self.plateau = ReduceLROnPlateau(optimizer, patience=config.patience) if config.schedule == "plateau" else None
        self.loader = self.make_loader(train)
        self.step, self.best, self.stale = 0, math.inf, 0
        self.seconds, self.cpu_seconds = 0.0, 0.0
        self.records: list[dict[str, Any]] = []
        self.sums: dict[str, Tensor] = {}
        self.count = 0  # steps in `sums`, since the last validation
        self.best_weights: dict[str, Tensor] | None = None

    def make_loader(self, train: Labelled) -> ArchitectureLoader:
        """This process's share of every batch."""
        world = self.fabric.world_size
        if self.config.batch_size % world:
            raise GraphnasError(f"batch_size {self.config.batch_size} cannot be shared evenly by {world} processes")
        if len(train.archs) < self.config.batch_size:
            raise GraphnasError(f"{len(train.archs)} training graphs do not fill one batch of {self.config.batch_size}")
        return ArchitectureLoader(
            train.archs, train.y, batch_size=self.config.batch_size // world, shuffle=True, seed=self.config.seed,
            drop_last=True, rank=self.fabric.global_rank, world_size=world,
        )  # fmt: skip

    def seed_noise(self) -> None:
        """Own noise for every process of several, from the step alone so that a resumed run draws the same."""
        if self.fabric.world_size > 1:
            torch.manual_seed(hash((self.config.seed, self.step, self.fabric.global_rank)) % 2**63)

    # -- state ----------------------------------------------------------------------------------------------------
    def state(self) -> dict[str, Any]:
        """All that a bit-identical continuation needs."""
        return {
            "step": self.step,
            "best": self.best,
            "stale": self.stale,
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "records": self.records,
            "sums": self.sums,
            "count": self.count,
            "objective": self.raw.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "warmup": self.warmup.state_dict(),
            "plateau": self.plateau.state_dict() if self.plateau else None,
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from :meth:`state`.

        Raises:
            CheckpointMismatch: a state of another model or objective, or of another version of graphnas.
        """
        try:
            self.raw.load_state_dict(state["objective"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.warmup.load_state_dict(state["warmup"])
            if self.plateau:
                self.plateau.load_state_dict(state["plateau"])
            for name in ("step", "best", "stale", "seconds", "cpu_seconds", "records", "count"):
                setattr(self, name, state[name])
            self.sums = {name: value.to(self.fabric.device) for name, value in state["sums"].items()}
            torch.set_rng_state(state["rng"])
            if state["cuda_rng"] and torch.cuda.is_available():
                torch.cuda.set_rng_state_all(state["cuda_rng"])
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
            reason = shorten(str(error), 200, placeholder=" ...")
            raise CheckpointMismatch(f"the checkpoint is of another model or version of graphnas: {reason}") from error

    def save(self) -> None:
        """`last` on disk, by the first process only."""
        if self.run and self.fabric.is_global_zero:
            self.run.write_state(self.state())

    # -- work -----------------------------------------------------------------------------------------------------
    def batches(self) -> Iterator[tuple[Architectures, Tensor | None]]:
        """Training batches from the current step on, epoch after epoch."""
        epoch, start = divmod(self.step, len(self.loader))
        while True:
            for batch in self.loader.iterate(epoch, start=start):
                yield batch.archs.to(self.fabric.device), None if batch.y is None else batch.y.to(self.fabric.device)
            epoch, start = epoch + 1, 0

    def train_step(self, archs: Architectures, y: Tensor | None) -> None:
        """One optimiser step; its losses are added to `sums`."""
        self.seed_noise()
        losses = cast(dict[str, Tensor], self.objective(archs.ops, archs.adj, archs.num_nodes, y))
        self.optimizer.zero_grad()
        self.fabric.backward(losses["total"])
        if self.config.clip_norm > 0:
            self.fabric.clip_gradients(
                self.objective, self.optimizer, max_norm=self.config.clip_norm, error_if_nonfinite=False
            )
        self.optimizer.step()
        if self.plateau is None or self.step < self.config.warmup_steps:
            self.warmup.step()
        self.step += 1
        self.count += 1
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, torch.zeros_like(value.detach())) + value.detach()

    def validate(self) -> dict[str, Any]:
        """Validation values, bookkeeping of the best, a record."""
        sums = cast(dict[str, Tensor], self.fabric.all_reduce(self.sums, reduce_op="mean"))
        train_losses = {name: float(value) / self.count for name, value in sums.items()}
        self.sums, self.count = {}, 0
        if not math.isfinite(train_losses["total"]):
            raise GraphnasError(
                f"training loss is {train_losses['total']} by step {self.step}: lower the learning rate"
            )
        values = self.raw.validate(self.validation.archs, self.validation.y)
        value = values[self.raw.monitor]
        if not math.isfinite(value):
            raise GraphnasError(
                f"validation {self.raw.monitor} is {value} after {self.step} steps: lower the learning rate"
            )
        if self.plateau:
            self.plateau.step(value)
        better = value < self.best
        self.best, self.stale = (value, 0) if better else (self.best, self.stale + 1)
        record: dict[str, Any] = {"step": self.step, "rate": self.optimizer.param_groups[0]["lr"]}
        record |= {"seconds": round(self.seconds, 3), "cpu_seconds": round(self.cpu_seconds, 3)}
        record |= {f"train/{name}": value for name, value in train_losses.items()}
        record |= {f"validation/{name}": value for name, value in values.items()}
        self.records.append(record)
        if better and self.run is None:
            self.best_weights = {name: tensor.detach().clone() for name, tensor in self.raw.model.state_dict().items()}
        elif better and self.run and self.fabric.is_global_zero:
            save_model(self.raw.model, self.run.best, {"step": self.step, "validation": values})
        return record

    def finished(self) -> bool:
        """Whether all steps are done, or validation says to stop early."""
        return self.step >= self.config.max_steps or 0 < self.config.stop_after <= self.stale
