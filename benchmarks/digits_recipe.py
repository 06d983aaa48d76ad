"""The search for the recipe of the digits benchmark: how repeatable the ranking of cells is under each variation.

    python benchmarks/digits_recipe.py --out docs/digits_recipe.jsonl --shard 0/2

Every variation trains the same random connected cells with several seeds and reports the Spearman correlation of final
accuracies between single runs, the spread over cells and over seeds, and the CPU-seconds a training took. Lines that
are in the file already are not measured again.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, replace
from itertools import combinations
from pathlib import Path

import torch
from scipy.stats import spearmanr
from torch import Tensor

from graphnas import get_space
from graphnas.networks.images import load_images
from graphnas.networks.recipe import Recipe
from graphnas.networks.stacked import train_stacked

BASE = Recipe(
    epochs=12, batch_size=60, nesterov=True, learning_rate=0.05, crop_padding=0, flip=False,
    data={"train_size": 300}, network={"channels": 8, "cells": 1, "reduction": "pool"},
)  # fmt: skip
CHOSEN = {"train_size": 420, "epochs": 6}
VARIATIONS: list[dict[str, object]] = [
    {},
    {"channels": 12, "epochs": 8, "learning_rate": 0.1},
    {"channels": 12, **CHOSEN},
    {"channels": 12, **CHOSEN, "learning_rate": 0.1},
    {"channels": 10, **CHOSEN, "learning_rate": 0.07},
    {"channels": 8, **CHOSEN, "learning_rate": 0.07},
    {"channels": 6, **CHOSEN, "learning_rate": 0.07},
    {"channels": 8, **CHOSEN, "learning_rate": 0.05},
    {"channels": 8, **CHOSEN, "reduction": "residual"},
    {"channels": 8, **CHOSEN, "learning_rate": 0.1},
    {"channels": 8, **CHOSEN, "learning_rate": 0.025},
    {"channels": 8, **CHOSEN, "crop_padding": 1},
    {"channels": 8, "train_size": 420, "epochs": 12},
    {"channels": 8, **CHOSEN, "cells": 2},
    {"channels": 8, "train_size": 600, "epochs": 4},
    {"channels": 4, **CHOSEN, "learning_rate": 0.07},
]
GROUP = 8


def vary(changes: dict[str, object]) -> Recipe:
    """The base recipe with fields of its own, of the data or of the network changed."""
    own = {name: value for name, value in changes.items() if name in asdict(BASE)}
    data = {name: value for name, value in changes.items() if name == "train_size"}
    network = {name: value for name, value in changes.items() if name not in own and name not in data}
    return replace(BASE, **own, data=BASE.data | data, network=BASE.network | network)  # type: ignore[arg-type]


def measure(recipe: Recipe, num_cells: int, num_seeds: int) -> dict[str, float]:
    """Repeatability and spread of the final accuracies under one recipe."""
    space = get_space("nb201")
    every = space.enumerate()[space.representatives()]
    cells = every[space.connected(every)]
    cells = cells[torch.randperm(len(cells), generator=torch.Generator().manual_seed(1))[:num_cells]]
    data = load_images("digits", **recipe.data)
    begin, runs = time.process_time(), []
    for seed in range(num_seeds):
        parts = [
            train_stacked(space, cells[start : start + GROUP], data, recipe, seed, every_epoch=False)
            for start in range(0, num_cells, GROUP)
        ]
        validation = torch.cat([part.validation[:, -1] for part in parts]) / len(data.validation)
        runs.append(torch.stack([validation, torch.cat([part.test[:, -1] for part in parts]) / len(data.test)]))
    seconds = (time.process_time() - begin) / num_cells / num_seeds
    accuracy = torch.stack(runs).double()  # [seeds, 2, cells]
    mean = accuracy[:, 0].mean(0)
    quantiles = {f"q{share}": float(mean.quantile(share / 100)) for share in (0, 10, 50, 90, 100)}
    return {
        "spearman_validation": between_seeds(accuracy[:, 0]),
        "spearman_test": between_seeds(accuracy[:, 1]),
        "seed_sd": float(accuracy[:, 0].var(0).mean().sqrt()),
        "cell_sd": float(mean.std()),
        **quantiles,
        "cpu_seconds": seconds,
    }


def between_seeds(accuracy: Tensor) -> float:
    """Mean Spearman correlation of the rows of [seeds, cells]."""
    pairs = [float(spearmanr(*pair).statistic) for pair in combinations(accuracy.tolist(), 2)]
    return sum(pairs) / len(pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/digits_recipe.jsonl"))
    parser.add_argument("--cells", type=int, default=120)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--shard", default="0/1", help="which of how many shares of the variations")
    options = parser.parse_args()
    torch.set_num_threads(1)
    share, shares = map(int, options.shard.split("/"))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for changes in VARIATIONS[share::shares]:
        lines = options.out.read_text().splitlines() if options.out.exists() else []
        if any(json.loads(line)["changes"] == changes for line in lines):
            continue
        result = {name: round(value, 4) for name, value in measure(vary(changes), options.cells, options.seeds).items()}
        with options.out.open("a") as stream:
            stream.write(json.dumps({"changes": changes, **result}) + "\n")
        print(changes, result, flush=True)


if __name__ == "__main__":
    main()
