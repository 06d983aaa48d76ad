"""Architectures beyond the labels, trained for real: groups of them on digits, all by one recipe."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from graphnas.metrics import mean_confidence_interval
from graphnas.networks.config import NetworkConfig
from graphnas.networks.defaults import default_recipe, read_recipe
from graphnas.networks.recipe import Recipe
from graphnas.networks.training import train_network
from graphnas.spaces import family_name
from graphnas.train.board_text import interval_text, table_head, table_line
from graphnas.train.result_files import finite, is_finished, read_result, write_result

DATASET = "digits"


@dataclass(frozen=True)
class Cell:
    """An architecture as text of its space."""

    space: str
    arch: str


@dataclass(frozen=True)
class TrainingSizes:
    """The budget that every training has."""

    epochs: int = 12
    channels: int = 16
    seeds: int = 3


def digits_recipe(space: str, sizes: TrainingSizes) -> Recipe:
    """The recipe of digits for a network of a space, with the budget's epochs and width, in single precision."""
    recipe = read_recipe(default_recipe(space, DATASET), space, DATASET)
    network = {**recipe.network, "channels": sizes.channels}
    return replace(recipe, epochs=sizes.epochs, dtype="float32", network=network)


def train_cell(cell: Cell, seed: int, sizes: TrainingSizes, folder: Path) -> dict[str, Any]:
    """Train one architecture from one seed and keep the result; what is there is not done again.

    Returns:
        `validation` and `test` accuracy after the last epoch, `parameters`, CPU-`seconds`.

    Raises:
        GraphnasError: an architecture that has no network of this width, a result made in another way.
    """
    recipe = digits_recipe(cell.space, sizes)
    digest = hashlib.sha256(f"{family_name(cell.space)} {cell.arch}".encode()).hexdigest()[:16]
    path = folder / "results" / f"training_{digest}_{seed}.json"
    made = finite({"arch": cell.arch, "family": family_name(cell.space), "recipe": asdict(recipe)})
    if not is_finished(path, made):
        torch.set_num_threads(1)
        config = NetworkConfig(cell.space, cell.arch, DATASET, recipe=recipe, seed=seed, device="cpu")
        result = train_network(config, progress=False)
        last = result.final
        values = {
            "validation": last.validation_accuracy,
            "test": last.test_accuracy,
            "parameters": result.parameters,
            "seconds": last.cpu_seconds,
        }
        write_result(path, {"seed": seed, "made": made, "values": values})
    values = read_result(path)["values"]
    assert isinstance(values, dict)
    return values


def train_groups(
    groups: Mapping[str, Sequence[Cell]], sizes: TrainingSizes, folder: Path
) -> dict[str, list[list[dict[str, Any]]]]:
    """Every architecture of every group from every seed: by group, architecture, seed."""
    return {
        name: [[train_cell(cell, seed, sizes, folder) for seed in range(sizes.seeds)] for cell in cells]
        for name, cells in groups.items()
    }


def group_table(trained: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]]) -> list[str]:
    """Lines of a Markdown table, one per group.

    The interval of the mean is over architectures, each the mean of its seeds; `best` is the test accuracy of the one
    with the best mean validation accuracy; `seeds` the mean spread over seeds of one architecture.
    """
    lines = table_head(
        [
            "group",
            "architectures",
            "validation %",
            "test %",
            "best by validation: test %",
            "spread over seeds",
            "params",
        ]
    )
    for name, cells in trained.items():
        validation = [100 * mean(runs, "validation") for runs in cells]
        test = [100 * mean(runs, "test") for runs in cells]
        best = max(range(len(cells)), key=lambda row: validation[row])
        spreads = [float(torch.tensor([100 * run["test"] for run in runs]).std()) for runs in cells if len(runs) > 1]
        spread = f"{sum(spreads) / len(spreads):.1f}" if spreads else "–"
        params = mean_confidence_interval([mean(runs, "parameters") for runs in cells]).mean
        cells_text = [str(len(cells)), interval_text(validation, 1), interval_text(test, 1), f"{test[best]:.1f}"]
        lines.append(table_line([name, *cells_text, spread, f"{params:,.0f}"]))
    return lines


def mean(runs: Sequence[Mapping[str, Any]], key: str) -> float:
    """Of an entry over seeds."""
    return sum(float(run[key]) for run in runs) / len(runs)
