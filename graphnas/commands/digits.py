"""`graphnas data build-digits`: measures the digits benchmark and writes it as a table."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graphnas.commands.digits_seconds import modelled_seconds
from graphnas.errors import InvalidValues
from graphnas.networks import Images, build_network
from graphnas.networks.defaults import read_recipe
from graphnas.networks.evaluation import count_flops
from graphnas.networks.images import ImageData, load_images
from graphnas.networks.recipe import Recipe
from graphnas.networks.shards import PARTS, Plan, collect, measure_all
from graphnas.spaces import Architectures, get_space
from graphnas.spaces.nb201 import NB201
from graphnas.tables import Table, save_compact
from graphnas.tables.digits import NAME

SPACE = NB201.name
DATASET = "digits"
SEEDS = (0, 1, 2)
QUICK_CELLS = 16
SOURCE = "NAS-Bench-201 cells trained on scikit-learn's digits by graphnas"


def plan_digits(seeds: Sequence[int] = SEEDS, num_cells: int | None = None, recipe: Recipe | None = None) -> Plan:
    """All classes of NAS-Bench-201 cells, or evenly chosen ones, with the benchmark's recipe.

    Raises:
        InvalidValues: fewer than one cell.
    """
    space = NB201()
    ranks = space.representatives()
    if num_cells is not None:
        if not 1 <= num_cells <= len(ranks):
            raise InvalidValues(f"expected 1 to {len(ranks)} cells (got {num_cells})")
        ranks = ranks[torch.linspace(0, len(ranks) - 1, num_cells).round().long()]
    texts = space.format(space.enumerate()[ranks])
    return Plan(SPACE, tuple(texts), DATASET, recipe or read_recipe(NAME, SPACE, DATASET), tuple(seeds))


def build_digits(plan: Plan, folder: Path, jobs: int | None = None) -> Iterator[tuple[int, int]]:
    """Measures what `folder` does not hold yet; yields (shards done, shards in all).

    Args:
        plan: what is measured.
        folder: of the shards; an interrupted build goes on from what is there.
        jobs: processes, all cores by default.

    Raises:
        InvalidValues: fewer than one process.
    """
    jobs = (os.cpu_count() or 1) if jobs is None else jobs
    if jobs < 1:
        raise InvalidValues(f"expected at least one job (got {jobs})")
    shards = plan.shards(folder)
    for done in measure_all(shards, jobs):
        yield done, len(shards)


def write_table(plan: Plan, folder: Path, path: Path) -> Path:
    """The table of a finished build, the same bytes whenever and however often it was interrupted.

    Raises:
        CorruptFile: a shard is missing or damaged.
    """
    return save_compact(make_table(plan, collect(plan.shards(folder))), path)


def make_table(plan: Plan, correct: NDArray[np.uint16]) -> Table:
    """The table of correct images [3 parts, architectures, seeds, epochs]."""
    space, data = get_space(plan.space), load_images(plan.dataset, **plan.recipe.data)
    archs = space.parse(plan.texts)
    shown = len(data.train) - (len(data.train) % plan.recipe.batch_size if plan.recipe.drop_last else 0)
    totals = np.array([shown, len(data.validation), len(data.test)])
    accuracy = (correct / totals[:, None, None, None]).astype(np.float32).transpose(1, 3, 2, 0)
    seconds = modelled_seconds(archs, plan.recipe.epochs)[:, :, None, None]
    values = torch.cat(
        [torch.from_numpy(np.ascontiguousarray(accuracy)), seconds.expand(-1, -1, len(plan.seeds), 1)], 3
    )
    names = (*(f"{part}_accuracy" for part in PARTS), "training_seconds")
    return Table(
        space,
        archs,
        values,
        names,
        budgets=tuple(range(1, plan.recipe.epochs + 1)),
        run_ids=plan.seeds,
        units=dict.fromkeys(names, "fraction") | {"training_seconds": "seconds", "params": "count", "flops": "count"},
        constants=network_sizes(archs, data, plan.recipe),
        identity="functional",
        source=SOURCE,
    )


def network_sizes(archs: Architectures, data: ImageData, recipe: Recipe) -> dict[str, Tensor]:
    """Parameters and FLOPs per image of the network of every architecture: float64 [R] each."""
    space, (channels, size, _) = NB201(), data.shape
    images, example = Images(channels, size, data.num_classes), torch.zeros(1, channels, size, size)
    known: dict[tuple[object, ...], tuple[int, int]] = {}  # by what the costs of a network follow from
    sizes = []
    for row, (choices, live) in enumerate(
        zip(space.choices(archs).tolist(), space.live_edges(archs).tolist(), strict=True)
    ):
        key = (*sorted(choices), *sorted(choice for choice, alive in zip(choices, live, strict=True) if alive))
        if key not in known:
            network = build_network(space, archs[row : row + 1], images, **recipe.network).eval()
            known[key] = network.num_parameters, count_flops(network, example)
        sizes.append(known[key])
    params, flops = torch.tensor(sizes, dtype=torch.float64).unbind(1)
    return {"params": params, "flops": flops}


def quick_plan(seeds: Sequence[int] = SEEDS) -> Plan:
    """A few cells for two epochs: a build of seconds."""
    plan = plan_digits(seeds, QUICK_CELLS)
    return replace(plan, recipe=replace(plan.recipe, epochs=2))
