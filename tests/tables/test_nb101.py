from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from graphnas.errors import CorruptFile
from graphnas.spaces import get_space
from graphnas.tables import load_table
from graphnas.tables.lookup import hash_texts
from graphnas.tables.nb101 import read_nb101
from graphnas.tables.tfrecord import write_records

Record = dict[str, Any]
PayloadOf = Callable[[Record], bytes]
RecordsOf = Callable[[tuple[int, ...]], list[Record]]


@pytest.fixture
def write(tmp_path: Path, payload_of: PayloadOf) -> Callable[[list[Record]], Path]:
    def build(records: list[Record]) -> Path:
        write_records(tmp_path / "a.tfrecord", map(payload_of, records))
        return tmp_path / "a.tfrecord"

    return build


def test_real_record(official_record: Record, write: Callable[[list[Record]], Path]) -> None:
    table = load_table(write([official_record] * 3))
    assert (len(table), table.budgets, table.runs) == (1, (4,), {4: (0, 1, 2)})
    cell = table.space.parse(
        "0100110/0010000/0001001/0000010/0000010/0000001/0000000:"
        "conv3x3-bn-relu,maxpool3x3,conv3x3-bn-relu,conv3x3-bn-relu,conv1x1-bn-relu"
    )
    assert table.architectures == cell
    wanted = {
        "training_seconds": 89.9039993286133,
        "train_accuracy": 0.3498597741127014,
        "validation_accuracy": 0.3489583432674408,
        "test_accuracy": 0.3504607379436493,
        "halfway_training_seconds": 45.152000427246094,
        "halfway_train_accuracy": 0.10166265815496445,
        "halfway_validation_accuracy": 0.10526842623949051,
        "halfway_test_accuracy": 0.10436698794364929,
        "total_seconds": 413.7015450000763,
        "params": 8555530,
    }
    assert set(table.metrics) == set(wanted) == set(table.units)
    for metric, value in wanted.items():
        assert table.query(cell, metric, 4).item() == np.float32(value), metric
    assert table.hashes is not None and hash_texts(table.hashes) == [official_record["name"]]
    assert table.units["validation_accuracy"] == "fraction" and table.units["total_seconds"] == "seconds"


@pytest.mark.parametrize("verify", [True, False])
def test_runs_and_budgets_stay_apart(
    write: Callable[[list[Record]], Path], nb101_records: RecordsOf, verify: bool
) -> None:
    table = read_nb101(write(nb101_records((4, 108))), verify=verify)
    archs = table.architectures
    assert (len(table), table.budgets, table.run_ids) == (3, (4, 108), (0, 1, 2))
    for budget in (4, 108):
        for run in range(3):
            wanted = torch.tensor([cell / 10 + budget / 1000 + run / 64 for cell in range(3)])
            assert torch.allclose(table.query(archs, "validation_accuracy", budget, run), wanted)
        mean = torch.tensor([cell / 10 + budget / 1000 + 1 / 64 for cell in range(3)])
        assert torch.allclose(table.query(archs, "validation_accuracy", budget), mean)
        assert torch.allclose(table.query(archs, "halfway_validation_accuracy", budget), mean / 2)
    assert torch.equal(table.query(archs, "test_accuracy"), table.query(archs, "test_accuracy", 108))
    assert table.constants["params"].tolist() == [1_000_000, 2_000_001, 49_979_275]


def test_relabelled_cells_are_found(write: Callable[[list[Record]], Path], nb101_records: RecordsOf) -> None:
    records = nb101_records((108,))
    diamond = {
        "name": get_space("nb101").canonical_keys(
            get_space("nb101").parse("0110/0001/0001/0000:conv3x3-bn-relu,maxpool3x3")
        )[0],
        "adjacency": "0110000100010000",
        "operations": "input,conv3x3-bn-relu,maxpool3x3,output",
        "parameters": 5,
    }
    table = load_table(write(records + [record | diamond for record in records if len(record["adjacency"]) == 9]))
    mirrored = table.space.parse(["0110/0001/0001/0000:maxpool3x3,conv3x3-bn-relu", "01/00:"])
    assert table.rows(mirrored).tolist() == [3, 0]
    assert table.query(mirrored, "params").tolist() == [5, 1_000_000]
    absent = table.space.parse("0110/0001/0001/0000:maxpool3x3,maxpool3x3")
    assert torch.isnan(table.query(absent, "test_accuracy")).all()


def damaged(record: Record, payload: bytes, **changes: Any) -> bytes:
    """The payload with other elements in its JSON list."""
    names = ("name", "epochs", "adjacency", "operations", "metrics")
    return json.dumps(
        [changes.get(name, value) for name, value in zip(names, json.loads(payload), strict=True)]
    ).encode()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"metrics": "!!!!"}, "not a NAS-Bench-101 record: .*base64"),
        ({"metrics": "abc"}, "not a NAS-Bench-101 record: .*padding"),
        ({"metrics": "CQAA"}, "metrics: "),
        ({"metrics": 7}, "not a NAS-Bench-101 record"),
        ({"adjacency": 7}, "not a NAS-Bench-101 record"),
        ({"adjacency": "0" * 49}, "not a NAS-Bench-101 record: 0000.* stands for"),
        ({"epochs": "4"}, "not a NAS-Bench-101 record"),
        ({"epochs": 12}, "evaluations of 12 epochs"),
    ],
)
def test_damaged_payloads_name_record_and_offset(
    tmp_path: Path, official_record: Record, payload_of: PayloadOf, changes: dict[str, Any], reason: str
) -> None:
    good = payload_of(official_record)
    write_records(tmp_path / "a", [good, damaged(official_record, good, **changes)])
    with pytest.raises(CorruptFile, match=rf"record 1 at byte {len(good) + 16}: {reason}"):
        read_nb101(tmp_path / "a")


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"{}", b"[1, 2, 3, 4, 5]", b"\xff\xfe", b'["a", 4, "0100", "input,output"]']
)
def test_foreign_payloads(tmp_path: Path, payload: bytes) -> None:
    write_records(tmp_path / "a", [payload])
    with pytest.raises(CorruptFile, match="record 0 at byte 0: not a NAS-Bench-101 record"):
        read_nb101(tmp_path / "a")


def test_wrong_number_of_runs(write: Callable[[list[Record]], Path], nb101_records: RecordsOf) -> None:
    records = nb101_records((4, 108))
    with pytest.raises(CorruptFile, match="1 architectures have not 3 runs of 108 epochs.*with 2"):
        read_nb101(write(records[:-1]))
    with pytest.raises(CorruptFile, match="record 18 at byte .*fourth run of 108"):
        read_nb101(write(records + records[-1:]))


def test_changed_number_of_parameters(write: Callable[[list[Record]], Path], nb101_records: RecordsOf) -> None:
    records = nb101_records((108,))
    records[4] = records[4] | {"parameters": 8}
    with pytest.raises(CorruptFile, match="record 4 .*2000001 parameters in an earlier record .got 8"):
        read_nb101(write(records))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"name": "0" * 32}, "stored under the hash 00000000000000000000000000000000, its own is"),
        ({"name": "xyz"}, "hexadecimal"),
        (
            {"operations": "input,conv9x9,conv3x3-bn-relu,conv3x3-bn-relu,conv3x3-bn-relu,conv1x1-bn-relu,output"},
            "conv9x9",
        ),
        ({"operations": "input,output"}, "matrix of as many rows"),
        ({"adjacency": "0" * 49}, "on a path|on one"),
    ],
)
def test_cells_that_are_not_of_the_space(
    official_record: Record, write: Callable[[list[Record]], Path], changes: Record, reason: str
) -> None:
    with pytest.raises(CorruptFile, match=reason):
        read_nb101(write([official_record | changes] * 3))


def test_growth_beyond_the_first_arrays(tmp_path: Path, official_record: Record, payload_of: PayloadOf) -> None:
    space = get_space("nb101")
    archs = space.enumerate()[:1500]
    records = []
    for text, name in zip(space.format(archs), space.canonical_keys(archs), strict=True):
        matrix, _, ops = text.partition(":")
        cell = {
            "name": name,
            "adjacency": matrix.replace("/", ""),
            "operations": ",".join(["input", *filter(None, ops.split(",")), "output"]),
        }
        records += [official_record | cell] * 3
    write_records(tmp_path / "a", map(payload_of, records))
    table = read_nb101(tmp_path / "a")
    assert table.architectures == archs
    assert not torch.isnan(table.values).any()
