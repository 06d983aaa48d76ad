"""Speed of the digits benchmark on one thread: cells trained together and one by one, and a query of all strings.

    OMP_NUM_THREADS=1 python benchmarks/digits_speed.py

FLOPs are those of the network (2 per multiply-accumulate; three times as many for a training image), without the
zeros that row matrices multiply; the limit is the rate of a float64 matrix product of the same thread in the same run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import torch

from graphnas import load_table
from graphnas.commands.digits import plan_digits
from graphnas.networks.config import NetworkConfig
from graphnas.networks.images import load_images
from graphnas.networks.stacked import train_stacked
from graphnas.networks.training import train_network
from graphnas.spaces.nb201 import NB201
from graphnas.tables.digits import NAME

GROUP, GROUPS, SINGLES = 8, 4, 4


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU-seconds of one call."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def gemm_rate() -> float:
    """GFLOP/s of a 512 x 512 float64 product."""
    a = torch.randn(512, 512, dtype=torch.float64)
    a @ a
    return 20 * 2 * 512**3 / cpu_seconds(lambda: [a @ a for _ in range(20)]) / 1e9


def main() -> None:
    torch.set_num_threads(1)
    space, table, recipe = NB201(), load_table(NAME), plan_digits().recipe
    data = load_images("digits", **recipe.data)
    rows = torch.randperm(len(table), generator=torch.Generator().manual_seed(3))[: GROUP * GROUPS]
    archs = table.architectures[rows]
    train_stacked(space, archs[:2], data, recipe, 0, every_epoch=False)  # warm up
    gemm = gemm_rate()
    groups = [archs[start : start + GROUP] for start in range(0, len(archs), GROUP)]
    together = cpu_seconds(lambda: [train_stacked(space, group, data, recipe, 0) for group in groups]) / len(archs)
    texts = space.format(archs)[:SINGLES]
    alone = cpu_seconds(
        lambda: [train_network(NetworkConfig(arch=text, recipe=recipe), None, progress=False) for text in texts]
    )
    stacked_same = cpu_seconds(lambda: train_stacked(space, archs[:SINGLES], data, recipe, 0))
    images = recipe.epochs * (3 * len(data.train) + len(data.validation) + len(data.test))
    flops = float(table.query(archs, "flops").mean()) * images
    everything = space.enumerate()
    table.query(everything, "validation_accuracy")
    query = min(cpu_seconds(lambda: table.query(everything, "validation_accuracy")) for _ in range(10))
    result = {
        "gemm_gflops": round(gemm, 1),
        "cpu_seconds_per_training": round(together, 3),
        "trainings_per_cpu_second": round(1 / together, 2),
        "gflop_per_training": round(flops / 1e9, 2),
        "share_of_gemm": round(flops / together / gemm / 1e9, 3),
        "cpu_seconds_alone": round(alone / SINGLES, 3),
        "times_faster_together": round(alone / stacked_same, 2),
        "query_milliseconds": round(1000 * query, 2),
    }
    Path("docs/digits201_speed.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
