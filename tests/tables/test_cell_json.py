"""The published files of NAR, against the values that are known of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from graphnas import get_space
from graphnas.errors import CorruptFile, InvalidValues, SpaceMismatch
from graphnas.spaces import Architectures
from graphnas.tables import Table, cell_json, load_table
from graphnas.tables.cell_json import export_cells, import_cells
from graphnas.tables.cell_records import FORMS
from graphnas.testing import seeded

EXAMPLE = (
    "0100110/0010000/0001001/0000010/0000010/0000001/0000000:"
    "conv3x3-bn-relu,maxpool3x3,conv3x3-bn-relu,conv3x3-bn-relu,conv1x1-bn-relu"
)
INDEX_0 = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"


def table_of(space: str, archs: Architectures, without: int = 0) -> Table:
    form = FORMS[space]
    names = tuple(form.labels.values())[without:]
    values = torch.rand(len(archs), 1, 1, len(names), generator=seeded())
    return Table(get_space(space), archs, values, names, budgets=(form.budget,), units=form.units)


def nb101(count: int = 5) -> Architectures:
    space = get_space("nb101")
    texts = [EXAMPLE, "01/00:", "0111/0001/0001/0000:conv3x3-bn-relu,conv1x1-bn-relu"]
    return Architectures.concat([space.parse(texts), space.sample(count, seeded(1))])


def test_nb101_example(tmp_path: Path) -> None:
    path = export_cells(table_of("nb101", nb101()), tmp_path / "cells.json")
    record = json.loads(path.read_text())[0]
    assert list(record)[:2] == ["module_adjacency", "module_operations"]
    assert record["module_adjacency"][0] == [0, 1, 0, 0, 1, 1, 0] and record["module_operations"][0] == "input"
    assert record["unique_hash"] == "00005c142e6f48ac74fdcf73e3439874"
    assert (record["trainable_parameters"], record["flops"]) == (8_555_530, 2_527_684_618)
    names = [f"stack{stack}/module{module}" for stack in range(3) for module in range(3)]
    assert list(record["vertex_flops"]) == list(record["vertex_params"]) == names
    flops = [0, 92_274_688, 589_824, 75_497_472, 92_274_688, 25_296_896, 0]
    assert all(record["vertex_flops"][name] == flops for name in names[:3])
    assert record["vertex_params"]["stack2/module1"] == [0, 721_920, 0, 590_336, 721_920, 197_632, 0]
    assert record["vertex_params"]["stack1/module0"] == [0, 164_352, 0, 147_712, 164_352, 33_280, 0]


def test_nb201_example(tmp_path: Path) -> None:
    space = get_space("nb201")
    path = export_cells(table_of("nb201", space.parse([INDEX_0])), tmp_path / "cells.json")
    root = json.loads(path.read_text())
    record = root["0"]
    assert list(root) == ["0"] and record["arch_str"] == INDEX_0
    assert record["cell_adjacency"] == [[0, 4, 2, 2], [0, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]]
    totals = {"cifar10-valid": (16_315_008, 129_306), "cifar100": (16_320_768, 135_156)}
    totals["ImageNet16-120"] = (4_086_272, 136_456)
    for name, (flops, params) in totals.items():
        assert (record[f"{name}_total_flops"], record[f"{name}_total_params"]) == (flops, params)
        assert list(record[f"{name}_opt_flops"]) == [f"cells{k}" for k in (*range(5), *range(6, 11), *range(12, 17))]
    assert record["cifar10-valid_opt_flops"]["cells0"] == [0, 294_912, 0, 294_912, 0, 0]
    assert record["ImageNet16-120_opt_flops"]["cells16"] == [0, 67_584, 0, 67_584, 0, 0]


@pytest.mark.parametrize("space", ["nb101", "nb201"])
@pytest.mark.parametrize("chunk", [3, 4096])
def test_round_trip(space: str, chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cell_json, "CHUNK", chunk)
    table = table_of(space, nb101(17) if space == "nb101" else get_space(space).sample(20, seeded(1)))
    path = export_cells(table, tmp_path / "cells.json")
    for again in (import_cells(path), load_table(path)):
        assert again.space.name == space and again.architectures == table.architectures
        assert torch.equal(again.values, table.values) and again.measured == table.measured
        assert again.budgets == table.budgets and again.units == table.units
    assert (again.hashes is not None) == (space == "nb101")


def test_nb201_rows_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    table = table_of("nb201", get_space("nb201").sample(12, seeded(1)))
    path = export_cells(table, tmp_path / "cells.json")
    root = json.loads(path.read_text())
    path.write_text(json.dumps(dict(sorted(root.items()))))  # "10" before "2"
    assert import_cells(path).architectures == table.architectures
    root["13"] = root.pop("3")
    path.write_text(json.dumps(root))
    with pytest.raises(CorruptFile, match="numbers from 0 to 11"):
        import_cells(path)


def test_labels_that_are_missing(tmp_path: Path) -> None:
    table = table_of("nb201", get_space("nb201").sample(3, seeded(1)), without=2)
    with pytest.raises(InvalidValues, match="no cifar10-valid/x-valid/accuracy: partial=True"):
        export_cells(table, tmp_path / "cells.json")
    path = export_cells(table, tmp_path / "cells.json", partial=True)
    with pytest.raises(CorruptFile, match="record 0 .* 'cifar10_val_acc'"):
        import_cells(path)
    again = import_cells(path, partial=True)
    assert bool(again.values[..., :2].isnan().all()) and torch.equal(again.values[..., 2:], table.values)
    table.values[1, 0, 0, 0] = torch.nan
    with pytest.raises(InvalidValues, match="row 1 has no"):
        export_cells(table, tmp_path / "cells.json", partial=True)


def test_other_spaces_have_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(SpaceMismatch, match="nb101 or nb201 \\(got toy\\)"):
        export_cells(load_table("toy"), tmp_path / "cells.json")


def test_output_costs_may_be_left_out_and_widths_may_be_those_of_the_matrix(tmp_path: Path) -> None:
    space = get_space("nb101")
    path = tmp_path / "cells.json"
    archs = space.parse(["01/00:", "0111/0001/0001/0000:conv3x3-bn-relu,conv1x1-bn-relu"])
    for options in ({"output_costs": False}, {"as_it_stands": True}):
        labels = {name: 0.5 for name in FORMS["nb101"].labels}
        path.write_text(json.dumps([record | labels for record in FORMS["nb101"].records(archs, **options)]))  # type: ignore[call-arg]
        assert import_cells(path).architectures == archs


def change(record: dict[str, Any], key: str, value: Any) -> None:
    record[key] = value


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda record: record["vertex_flops"]["stack0/module0"].__setitem__(1, 5), "record 1: vertex_flops should"),
        (lambda record: record["vertex_params"].pop("stack2/module2"), "record 1: vertex_params should"),
        (lambda record: change(record, "trainable_parameters", 7), "record 1: trainable_parameters should be 882570"),
        (lambda record: change(record, "unique_hash", "00" * 16), "record 1: unique_hash should"),
        (lambda record: change(record, "avg_test_accuracy", "0.9"), "record 1 .* is a number"),
        (lambda record: record.pop("avg_test_accuracy"), "record 1 .* 'avg_test_accuracy'"),
        (lambda record: change(record, "module_adjacency", [[0, 1], [1, 0]]), "records from 0"),
        (lambda record: change(record, "module_operations", ["input", "x", "output"]), "records from 0"),
        (lambda record: change(record, "module_operations", ["output", "input"]), "record 1 .* begin with input"),
        (lambda record: change(record, "module_adjacency", 3), "record 1 is not of the form"),
    ],
)
def test_wrong_records_are_named(harm: Any, reason: str, tmp_path: Path) -> None:
    path = export_cells(table_of("nb101", nb101()), tmp_path / "cells.json")
    records = json.loads(path.read_text())
    harm(records[1])
    path.write_text(json.dumps(records))
    with pytest.raises(CorruptFile, match=reason):
        import_cells(path)


def test_costs_are_not_compared_unless_asked_for(tmp_path: Path) -> None:
    path = export_cells(table_of("nb101", nb101()), tmp_path / "cells.json")
    path.write_text(path.read_text().replace("92274688", "1"))
    with pytest.raises(CorruptFile, match="record 0: vertex_flops"):
        import_cells(path)
    assert len(import_cells(path, verify=False)) == 8


@pytest.mark.parametrize("text", ["[]", "{}"])
def test_a_file_of_nothing(text: str, tmp_path: Path) -> None:
    path = tmp_path / "cells.json"
    path.write_text(text)
    with pytest.raises(CorruptFile, match="no architectures"):
        import_cells(path)
