"""How long the training of one cell takes, as a model of what it consists of.

A benchmark table must not change from one build to the next, and seconds measured on a machine that does other work as
well do. So the table holds the seconds of a model, a base and a price for every operation that is computed, which is
fitted once to the measured times of a whole build.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from graphnas.checkpoint import write_text
from graphnas.networks.shards import Plan, Shard
from graphnas.spaces import Architectures, get_space
from graphnas.spaces.nb201 import NB201
from graphnas.tables.digits import FOLDER, NAME

MODEL = FOLDER / f"{NAME}_seconds.json"
OPERATIONS = ("skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


def live_operations(archs: Architectures) -> Tensor:
    """How often every one of `OPERATIONS` stands on a path from input to output: float64 [B, 4]."""
    space = NB201()
    choices, live = space.choices(archs), space.live_edges(archs)
    kinds = torch.arange(1, 1 + len(OPERATIONS))
    return ((choices[:, :, None] == kinds) & live[:, :, None]).sum(1).double()


def modelled_seconds(archs: Architectures, epochs: int, path: Path = MODEL) -> Tensor:
    """CPU-seconds of the first 1, 2, ... `epochs` epochs: float32 [B, epochs]."""
    model = json.loads(path.read_text())
    prices = torch.tensor([model[op] for op in OPERATIONS], dtype=torch.float64)
    per_epoch = (model["base"] + live_operations(archs) @ prices) / model["epochs"]
    return (per_epoch[:, None] * torch.arange(1, epochs + 1)).round(decimals=4).float()


def fit_seconds(plan: Plan, shards: Sequence[Shard]) -> dict[str, Any]:
    """The model of a finished build by least squares over its shards, with the share of variance it explains, `r2`."""
    counts = live_operations(get_space(plan.space).parse(plan.texts))
    counts = torch.cat([torch.ones(len(counts), 1, dtype=torch.float64), counts], 1)
    design = torch.stack([counts[shard.start : shard.start + len(shard.texts)].sum(0) for shard in shards])
    taken = torch.tensor([shard.cpu_seconds() for shard in shards], dtype=torch.float64)
    solution = torch.linalg.lstsq(design, taken[:, None]).solution[:, 0]
    left, spread = (taken - design @ solution).square().sum(), (taken - taken.mean()).square().sum()
    fitted = {name: round(float(value), 5) for name, value in zip(("base", *OPERATIONS), solution, strict=True)}
    told = {"epochs": plan.recipe.epochs, "r2": round(float(1 - left / spread), 4), "shards": len(shards)}
    return fitted | told | {"cpu_seconds": round(float(taken.sum()))}


def write_seconds(plan: Plan, folder: Path, path: Path = MODEL) -> Path:
    """Fits the model to a finished build and writes it."""
    return write_text(path, json.dumps(fit_seconds(plan, plan.shards(folder)), indent=1) + "\n")
