"""Where a run computes: device, precision and processes, by Lightning Fabric."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import torch

from graphnas.errors import GraphnasError

if TYPE_CHECKING:  # loading it takes longer than all of graphnas, and only trainings need it
    from lightning_fabric import Fabric

DEVICES = ("auto", "cpu", "cuda", "mps")


def num_processes() -> int:
    """Processes torchrun started for this run, 1 without it."""
    return int(os.environ.get("WORLD_SIZE", 1))


def check_device(device: str) -> None:
    """Refuse a device before anything is written.

    Raises:
        GraphnasError: another device than :data:`DEVICES`, or one that is not there.
    """
    if device not in DEVICES:
        raise GraphnasError(f"device must be {', '.join(DEVICES)} (got {device!r})")
    absent = {"cuda": not torch.cuda.is_available(), "mps": not torch.backends.mps.is_available()}
    if absent.get(device, False):
        raise GraphnasError(f"cannot run on device {device!r}: torch finds none here, choose cpu or auto")


def seed_everything(seed: int) -> None:
    """Seed the global generators of Python, NumPy and torch."""
    from lightning_fabric import seed_everything as seed_all

    seed_all(seed, verbose=False)


def make_fabric(device: str = "auto", precision: Any = "32-true") -> Fabric:
    """A launched Fabric; several processes when started by torchrun (gloo on the CPU).

    Args:
        device: auto, cpu, cuda or mps.
        precision: as Fabric names it.

    Raises:
        GraphnasError: another device, or one that is not there.
    """
    from lightning_fabric import Fabric

    check_device(device)
    world, local = num_processes(), int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    strategy: Any = "auto"
    if world > 1:
        from lightning_fabric.strategies import DDPStrategy

        on_cpu = device == "cpu" or not torch.cuda.is_available()
        strategy = DDPStrategy(process_group_backend="gloo" if on_cpu else "nccl")
    try:
        fabric = Fabric(
            accelerator=device, devices=local, num_nodes=world // local, strategy=strategy, precision=precision
        )
    except (RuntimeError, ValueError) as error:
        raise GraphnasError(f"cannot run on device {device!r}: {str(error).splitlines()[0]}") from error
    fabric.launch()
    return fabric
