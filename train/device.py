"""Where a run computes: device, precision and processes, by Lightning Fabric."""

from __future__ import annotations

import os
from typing import Any

import torch
from lightning_fabric import Fabric

from graphnas.errors import GraphnasError
from graphnas.train.config import FitConfig

DEVICES = ("auto", "cpu", "cuda", "mps")


def make_fabric(config: FitConfig) -> Fabric:
    """Device and precision; several processes when started by torchrun (gloo on the CPU)."""
    world, local = (int(os.environ.get(name, 1)) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    strategy: Any = "auto"
    if world > 1:
        from lightning_fabric.strategies import DDPStrategy

        on_cpu = config.device == "cpu" or not torch.cuda.is_available()
        strategy = DDPStrategy(process_group_backend="gloo" if on_cpu else "nccl")
    if config.device not in DEVICES:
        raise GraphnasError(f"device must be {', '.join(DEVICES)} (got {config.device!r})")
    try:
        fabric = Fabric(
            accelerator=config.device,
            devices=local,
            num_nodes=world // local,
            strategy=strategy,
            precision=config.precision,
        )
    except (RuntimeError, ValueError) as error:
        raise GraphnasError(f"cannot run on device {config.device!r}: {str(error).splitlines()[0]}") from error
    fabric.launch()
    return fabric
