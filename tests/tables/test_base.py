from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from graphnas.errors import CorruptFile, InvalidValues, UnknownName
from graphnas.spaces import get_space
from graphnas.tables import Table

NAN = math.nan


def table(values: Any, measured: tuple[str, ...] = ("accuracy",), **options: Any) -> Table:
    """Table of the first toy architectures; values [R, budgets, runs, measured]."""
    space = get_space("toy")
    tensor = torch.tensor(values)
    return Table(space, space.enumerate()[: len(tensor)], tensor, measured, **options)


@pytest.fixture
def runs() -> Table:
    """Three rows, budgets 12 and 200, seeds 111, 777, 888."""
    values = [
        [[[10.0], [20.0], [NAN]], [[NAN], [1.0], [3.0]]],
        [[[30.0], [NAN], [NAN]], [[NAN], [5.0], [NAN]]],
        [[[50.0], [70.0], [NAN]], [[NAN], [NAN], [NAN]]],
    ]
    return table(
        values, budgets=(12, 200), run_ids=(111, 777, 888), units={"accuracy": "percent"}, source="made up",
        constants={"params": torch.tensor([1.0, 2**24 + 1, NAN], dtype=torch.float64)},
    )  # fmt: skip


def same(found: Tensor, wanted: list[float]) -> bool:
    return torch.allclose(found, torch.tensor(wanted, dtype=torch.float32), equal_nan=True)


def test_query_by_budget_and_run(runs: Table) -> None:
    archs = runs.architectures
    assert same(runs.query(archs, "accuracy", 12, 111), [10, 30, 50])
    assert same(runs.query(archs, "accuracy", 12, 777), [20, NAN, 70])
    assert same(runs.query(archs, "accuracy", 200, 888), [3, NAN, NAN])
    assert same(runs.query(archs, "accuracy", 200, 111), [NAN, NAN, NAN])


def test_without_a_run_the_mean_over_those_there_are(runs: Table) -> None:
    assert same(runs.query(runs.architectures, "accuracy", 12), [15, 30, 60])
    assert same(runs.column("accuracy", 200), [2, 5, NAN])


def test_without_a_budget_the_largest(runs: Table) -> None:
    assert same(runs.query(runs.architectures, "accuracy"), [2, 5, NAN])


def test_order_repetition_and_padding_of_the_query(runs: Table) -> None:
    archs = runs.architectures[[2, 0, 0, 1]]
    assert same(runs.query(archs, "accuracy", 12), [60, 15, 15, 30])
    assert same(runs.query(archs.widen(int(archs.num_nodes.max())), "accuracy", 12), [60, 15, 15, 30])
    assert len(runs.query(archs[:0], "accuracy")) == 0


def test_absent_and_invalid_architectures_are_nan(runs: Table) -> None:
    space = runs.space
    archs = space.enumerate()[[0, 500]]
    archs.adj[1] = False  # two loose ends: not a member of the space
    found = runs.query(type(archs).concat([archs, space.enumerate()[[700, 1]]]), "accuracy", 12)
    assert same(found, [15, NAN, NAN, 30])


def test_constants_have_no_budget_and_no_run(runs: Table) -> None:
    assert runs.metrics == ("accuracy", "params")
    assert same(runs.query(runs.architectures, "params", 12), [1, 2**24, NAN])
    assert runs.constants["params"][1] == 2**24 + 1
    assert runs.coverage("params") == {12: 2, 200: 2}
    with pytest.raises(UnknownName, match="metric with runs 'params'"):
        runs.noise("params")


def test_runs_and_coverage(runs: Table) -> None:
    assert runs.runs == {12: (111, 777), 200: (777, 888)}
    assert runs.coverage("accuracy") == {12: 3, 200: 2}


def test_noise(runs: Table) -> None:
    noise = runs.noise("accuracy", 12)
    assert same(noise.per_architecture, [math.sqrt(50), NAN, math.sqrt(200)])
    assert noise.repeated == 2
    assert noise.pooled == pytest.approx(math.sqrt((50 + 200) / 2))
    uneven = table([[[[0.0], [2.0], [4.0]]], [[[1.0], [2.0], [NAN]]]], run_ids=(0, 1, 2)).noise("accuracy")
    assert same(uneven.per_architecture, [2, math.sqrt(0.5)])
    assert uneven.pooled == pytest.approx(math.sqrt((8 + 0.5) / 3))


def test_noise_without_repeats() -> None:
    noise = table([[[[1.0]]], [[[2.0]]]]).noise("accuracy")
    assert math.isnan(noise.pooled) and noise.repeated == 0 and torch.isnan(noise.per_architecture).all()


def test_optimum(runs: Table) -> None:
    arch, value = runs.optimum("accuracy", 12)
    assert (arch, value) == (runs.architectures[2], 60.0)
    arch, value = runs.optimum("accuracy", 12, maximize=False)
    assert (arch, value) == (runs.architectures[0], 15.0)
    assert runs.optimum("accuracy")[1] == 5.0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("accuarcy",), "unknown metric 'accuarcy': did you mean 'accuracy'"),
        (("accuracy", 108), "unknown budget 108: .*12, 200"),
        (("accuracy", 12, 2), "unknown run 2: .*111, 777, 888"),
    ],
)
def test_unknown_names(runs: Table, arguments: tuple[Any, ...], text: str) -> None:
    with pytest.raises(UnknownName, match=text):
        runs.query(runs.architectures, *arguments)


def test_a_budget_that_was_never_measured_is_not_replaced_by_another() -> None:
    """A 12-epoch accuracy must not come back as a final one."""
    early = table([[[[1.0, 9.0]], [[NAN, 8.0]]]], ("early", "late"), budgets=(12, 200))
    with pytest.raises(UnknownName, match="unknown budget 200 of 'early': known are 12"):
        early.query(early.architectures, "early")
    assert early.query(early.architectures, "late").item() == 8
    never = table([[[[NAN, 8.0]]]], ("early", "late"))
    with pytest.raises(InvalidValues, match="has no value of 'early'"):
        never.query(never.architectures, "early")


def test_isomorphic_graphs_share_a_row_unless_told_otherwise() -> None:
    space = get_space("toy")
    first, mirrored = space.parse(["0110/0001/0001/0000:conv,pool", "0110/0001/0001/0000:pool,conv"])
    value = torch.ones(1, 1, 1, 1)
    assert Table(space, first, value, ("a",)).rows(mirrored).tolist() == [0]
    assert Table(space, first, value, ("a",), identity="exact").rows(mirrored).tolist() == [-1]
    with pytest.raises(UnknownName, match="identity"):
        Table(space, first, value, ("a",), identity="nearly").rows(mirrored)  # type: ignore[arg-type]


def test_empty_table() -> None:
    space = get_space("toy")
    empty = Table(space, space.enumerate()[:0], torch.zeros(0, 1, 1, 1), ("a",))
    assert torch.isnan(empty.query(space.enumerate()[:5], "a")).all()
    with pytest.raises(UnknownName):
        empty.optimum("a")


@pytest.mark.parametrize(
    "options",
    [
        {"values": [[[[1.0, 2.0]]]]},
        {"values": [[[[1.0], [2.0]]]]},
        {"budgets": (12, 200)},
        {"budgets": (200, 12), "values": [[[[1.0]], [[1.0]]]]},
        {"constants": {"params": torch.zeros(2)}},
        {"constants": {"accuracy": torch.zeros(1)}},
        {"measured": (), "values": [[[[]]]]},
    ],
)
def test_parts_that_do_not_fit(options: dict[str, Any]) -> None:
    with pytest.raises(CorruptFile):
        table(**({"values": [[[[1.0]]]]} | options))


def test_whole_nb101_is_looked_up_at_once() -> None:
    space = get_space("nb101")
    archs = space.enumerate()
    numbers = torch.arange(len(archs), dtype=torch.float32)
    everything = Table(space, archs, numbers[:, None, None, None], ("number",))
    order = torch.randperm(len(archs), generator=torch.Generator().manual_seed(0))[:50000]
    assert torch.equal(everything.query(archs[order], "number"), numbers[order])
    edited = space.mutate(archs[order[:1000]], torch.Generator().manual_seed(1))
    assert torch.equal(everything.query(edited, "number"), space.index(edited).float())


@pytest.mark.parametrize(
    ("measured", "meant"),
    [
        (("index",), "index"),
        (("train_accuracy", "valid_accuracy", "valid_accuracy_12"), "valid_accuracy"),
        (("loss", "test_accuracy"), "test_accuracy"),
    ],
)
def test_the_metric_meant_where_nobody_names_one(measured: tuple[str, ...], meant: str) -> None:
    assert table([[[[0.5] * len(measured)]]], measured).default_metric == meant


@pytest.mark.parametrize("measured", [("index", "score"), ("train_accuracy", "test_accuracy", "loss")])
def test_several_metrics_have_to_be_told_apart(measured: tuple[str, ...]) -> None:
    """A column of row numbers was searched and learned without a word."""
    with pytest.raises(InvalidValues, match=f"my.csv has several metrics, say which .*--metric: {measured[0]}, "):
        _ = table([[[[0.5] * len(measured)]]], measured, source="my.csv").default_metric
