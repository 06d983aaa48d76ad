"""The embedded benchmark: complete, small, quick, and what training the cells again gives."""

from __future__ import annotations

import json
import time
from itertools import combinations
from pathlib import Path

import pytest
import torch

from graphnas import load_table
from graphnas.commands.digits import network_sizes, plan_digits, quick_plan, write_table
from graphnas.commands.digits_seconds import fit_seconds, live_operations, modelled_seconds
from graphnas.errors import CorruptFile, InvalidValues
from graphnas.metrics import spearman
from graphnas.networks import Images, build_network
from graphnas.networks.evaluation import count_flops
from graphnas.networks.images import load_images
from graphnas.networks.shards import PARTS
from graphnas.networks.stacked import train_stacked
from graphnas.spaces.nb201 import NB201
from graphnas.tables import Table, default_table, load_compact
from graphnas.tables.digits import FOLDER, NAME

SPACE = NB201()


@pytest.fixture(scope="module")
def table() -> Table:
    return load_table(NAME)


def test_training_again_gives_the_stored_numbers(table: Table) -> None:
    """Four random cells under a random stored seed, in float64: equal to the last image in all three parts."""
    draw = torch.Generator().manual_seed(20)
    rows = torch.randperm(len(table), generator=draw)[:4]
    seed = table.run_ids[int(torch.randint(len(table.run_ids), (), generator=draw))]
    recipe = plan_digits().recipe
    data = load_images("digits", **recipe.data)
    archs = table.architectures[rows]
    counts = train_stacked(SPACE, archs, data, recipe, seed)
    for part, total in zip(PARTS, (len(data.train), len(data.validation), len(data.test)), strict=True):
        for epoch in table.budgets:
            stored = table.query(archs, f"{part}_accuracy", epoch, seed)
            assert (stored * total).round().tolist() == getattr(counts, part)[:, epoch - 1].tolist(), (part, epoch)


def test_covers_every_string_through_its_class(table: Table) -> None:
    archs = SPACE.enumerate()
    assert len(table) == len(set(SPACE.functional_keys(archs))) == 4930
    for metric in table.metrics:
        assert not table.query(archs, metric).isnan().any()
    values, ids = table.query(archs, "validation_accuracy"), SPACE.class_ids(archs)
    first = {}
    assert all(first.setdefault(key, value) == value for key, value in zip(ids.tolist(), values.tolist(), strict=True))
    disconnected = values[~SPACE.connected(archs)]
    assert len(disconnected) == 341
    assert disconnected.unique().numel() == 1
    assert disconnected[0] < 0.2


def test_budgets_runs_and_ranges(table: Table) -> None:
    assert table.budgets == tuple(range(1, plan_digits().recipe.epochs + 1))
    assert table.run_ids[:3] == (0, 1, 2)
    assert table.default_metric == "validation_accuracy"
    accuracies = table.values[..., :3]
    assert 0 <= float(accuracies.min()) <= float(accuracies.max()) <= 1
    seconds = table.values[..., 3]
    assert bool((seconds[:, 1:] > seconds[:, :-1]).all())


def test_ranking_repeats_between_single_runs(table: Table) -> None:
    """The bar of the benchmark: Spearman >= 0.80 over connected cells, for every pair of seeds."""
    runs = table.repeats("validation_accuracy")[SPACE.connected(table.architectures)]
    for a, b in combinations(range(runs.shape[1]), 2):
        assert spearman(runs[:, a], runs[:, b]) >= 0.80


def test_small_and_quick(table: Table) -> None:
    assert (FOLDER / f"{NAME}.npz").stat().st_size < 3_000_000
    archs = SPACE.enumerate()
    table.query(archs, "validation_accuracy")
    durations = []
    for _ in range(5):
        begin = time.perf_counter()
        table.query(archs, "validation_accuracy")
        durations.append(time.perf_counter() - begin)
    assert min(durations) < 0.05  # the bar is 10 ms on a free core: benchmarks/digits_speed.py


def test_sizes_are_those_of_the_networks(table: Table) -> None:
    recipe = plan_digits().recipe
    data = load_images("digits", **recipe.data)
    archs = table.architectures[torch.tensor([0, 17, 2500, 4929])]
    sizes = network_sizes(archs, data, recipe)
    for row in range(4):
        network = build_network(SPACE, archs[row : row + 1], Images(1, 8, 10), **recipe.network)
        assert table.query(archs[row : row + 1], "params").item() == network.num_parameters == sizes["params"][row]
        flops = count_flops(network, torch.zeros(1, 1, 8, 8))
        assert table.query(archs[row : row + 1], "flops").item() == flops == sizes["flops"][row]


def test_default_labels() -> None:
    assert default_table("nb201") == NAME
    assert default_table("toy") == "toy"
    assert default_table("bn8") == "bn8"
    assert default_table("darts") is None


def test_seconds_come_from_live_operations() -> None:
    archs = SPACE.parse(
        [
            "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
            "|nor_conv_3x3~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|nor_conv_3x3~2|",
        ]
    )
    assert live_operations(archs).tolist() == [[0, 0, 0, 0], [0, 1, 0, 0]]
    model = json.loads((FOLDER / f"{NAME}_seconds.json").read_text())
    wanted = [model["base"], model["base"] + model["nor_conv_1x1"]]
    assert modelled_seconds(archs, model["epochs"])[:, -1].tolist() == pytest.approx(wanted, abs=1e-4)


def test_seconds_are_fitted_to_the_shards() -> None:
    """Made-up times that follow the model exactly are found again."""

    class Timed:
        def __init__(self, start: int, texts: tuple[str, ...]) -> None:
            self.start, self.texts = start, texts

        def cpu_seconds(self) -> float:
            counts = live_operations(SPACE.parse(self.texts)).sum(0)
            return float(0.2 * len(self.texts) + counts @ torch.tensor([0.01, 0.02, 0.05, 0.03], dtype=torch.float64))

    plan = plan_digits(num_cells=120)
    shards = [Timed(start, plan.texts[start : start + 8]) for start in range(0, 120, 8)]
    fitted = fit_seconds(plan, shards)  # type: ignore[arg-type]
    assert [fitted[name] for name in ("base", "skip_connect", "nor_conv_3x3", "r2")] == [0.2, 0.01, 0.05, 1.0]


def test_quick_plan_and_unfinished_builds(tmp_path: Path) -> None:
    plan = quick_plan((0,))
    assert len(plan.texts) == 16
    with pytest.raises(CorruptFile, match="measure it first"):
        write_table(plan, tmp_path / "shards", tmp_path / "table.npz")
    with pytest.raises(InvalidValues, match="1 to 4930 cells"):
        plan_digits(num_cells=0)


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    content = bytearray((FOLDER / f"{NAME}.npz").read_bytes())
    content[len(content) // 2] ^= 1
    path = tmp_path / "table.npz"
    path.write_bytes(content)
    with pytest.raises(CorruptFile):
        load_compact(path)
