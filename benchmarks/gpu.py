"""Training on a GPU beside one CPU thread of the same machine, for the models and sizes that ask for one.

    python benchmarks/gpu.py --out docs/speed_gpu.json

VAEs have their published sizes and batches of 128 or 1,024 NAS-Bench-101 cells; a row is graphs per second of the wall
clock. NAR has its published size and is fitted to 1,000 labels of NAS-Bench-201 cells by the recipe `published`; the
labels are parameter counts, since how long a fit takes hangs on their number alone.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch

from graphnas import create_model, get_space
from graphnas.models import GraphVAE
from graphnas.train.predictor import fit_predictor

MODELS = ("svge", "dvae", "dgmg", "dagnn", "arch2vec", "graphrnn")


def rate(work: Callable[[], object], device: str, count: int, seconds: float) -> float:
    """How many of the `count` things that a call of `work` does are done per second."""

    def wait() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    work()
    wait()
    calls, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        work()
        wait()
        calls += 1
    return calls * count / (time.perf_counter() - begin)


def train_rate(name: str, device: str, batch_size: int, seconds: float) -> float:
    """Graphs per second of a training step: loss, gradients, Adam."""
    torch.manual_seed(0)
    model = create_model(name, "nb101").to(device).train()
    assert isinstance(model, GraphVAE)
    archs = model.space.sample(batch_size, torch.Generator().manual_seed(0)).to(device)
    optimizer = torch.optim.Adam(model.parameters(), 1e-4)

    def step() -> None:
        optimizer.zero_grad()
        model.loss(archs)["total"].backward()
        optimizer.step()

    return rate(step, device, batch_size, seconds)


def fit_seconds(device: str, labels: int = 1000) -> float:
    """Wall-clock seconds of fitting NAR as published."""
    space = get_space("nb201")
    archs = space.enumerate()[torch.randperm(15625, generator=torch.Generator().manual_seed(0))[:labels]]
    y = space.cost(archs)["params"].double().log1p()
    begin = time.perf_counter()
    fit_predictor("nar", archs, y, space, device=device, variant="published")
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=3.0, help="per rate")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: dict[str, dict[str, float]] = {}
    for name in MODELS:
        cells = [("cuda", 128), ("cuda", 1024), ("cpu", 128)]
        rows[name] = {f"{device} {size}": train_rate(name, device, size, options.seconds) for device, size in cells}
    device = torch.cuda.get_device_name()
    found = {"device": device, "torch": torch.__version__, "train": rows, "nar_fit_seconds": fit_seconds("cuda")}
    options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
