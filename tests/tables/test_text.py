from __future__ import annotations

import gzip
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from graphnas.errors import CorruptFile, InvalidArchitecture, SpaceMismatch, UnknownName
from graphnas.tables import convert, load_table

ROWS = [
    "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|none~0|nor_conv_3x3~1|avg_pool_3x3~2|",
]
ENAS = [
    "[[1], [4, 0], [5, 0, 0], [0, 1, 1, 1], [2, 1, 1, 1, 1], [3, 0, 0, 0, 0, 1]], 0.7302",
    "[[5], [3, 1], [2, 1, 1], [3, 1, 1, 0], [5, 0, 0, 0, 1], [2, 0, 1, 1, 1, 0]], 0.7234",
]


def write(path: Path, *lines: str, end: str = "\n") -> Path:
    data = "".join(line + end for line in lines).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


# -- CSV --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "labels"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv(tmp_path: Path, name: str, end: str) -> None:
    path = write(
        tmp_path / name, "index,arch,name,accuracy,loss", f"5,{ROWS[0]},x,90.5,", f"7,{ROWS[1]},y,91,0.25", end=end
    )
    table = load_table(path, space="nb201", units={"accuracy": "percent"})
    assert table.metrics == ("index", "accuracy", "loss") and table.budgets == (0,)
    assert table.units == {"index": "", "accuracy": "percent", "loss": ""}
    archs = table.space.parse(ROWS)
    assert table.query(archs, "accuracy").tolist() == [90.5, 91]
    assert table.query(archs, "index").tolist() == [5, 7]
    loss = table.query(archs, "loss").tolist()
    assert math.isnan(loss[0]) and loss[1] == 0.25


@pytest.mark.parametrize("name", ["architecture", "cell", "arch_str"])
def test_other_names_of_the_column_of_architectures(tmp_path: Path, name: str) -> None:
    table = load_table(write(tmp_path / "a.csv", f"{name},accuracy", f"{ROWS[0]},1", f"{ROWS[1]},2"), space="nb201")
    assert table.metrics == ("accuracy",) and table.architectures.equal(table.space.parse(ROWS)).all()


def test_arch_comes_before_its_other_names(tmp_path: Path) -> None:
    table = load_table(write(tmp_path / "a.csv", "cell,arch,accuracy", f"7,{ROWS[0]},1"), space="nb201")
    assert table.metrics == ("cell", "accuracy")


def test_columns_with_names_budgets_and_constants(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "genotype,acc12,acc200,macs,other", f"{ROWS[0]},60,90,1234567890123,bad")
    table = load_table(
        path,
        space="nb201",
        arch="genotype",
        columns={"acc12": ("accuracy", 12), "acc200": ("accuracy", 200), "macs": "flops"},
    )
    assert (table.metrics, table.budgets) == (("accuracy", "flops"), (12, 200))
    assert table.query(table.architectures, "accuracy", 12).item() == 60
    assert table.query(table.architectures, "accuracy").item() == 90
    assert table.constants["flops"].item() == 1234567890123
    chosen = load_table(path, space="nb201", arch="genotype", columns=["acc200"])
    assert chosen.metrics == ("acc200",)


def test_matrix_and_operations(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv",
        "hash,matrix,ops,accuracy",
        "b49ac8c578b4561d79ac7087988f1c61,010/001/000,conv3x3-bn-relu,0.9",
        "043721b9c7fe8c5fad811d47d83132ec,01/00,,0.1",
        '00000000000000000000000000000012,0110/0001/0001/0000,"conv3x3-bn-relu,maxpool3x3",0.5',
    )
    table = load_table(path, space="nb101")
    assert table.metrics == ("accuracy",)
    cells = table.space.parse(["01/00:", "0110/0001/0001/0000:maxpool3x3,conv3x3-bn-relu"])
    assert torch.allclose(table.query(cells, "accuracy"), torch.tensor([0.1, 0.5]))
    assert table.hashes is not None and bytes(table.hashes[1]).hex() == "043721b9c7fe8c5fad811d47d83132ec"


def test_bad_hash(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "hash,matrix,ops,accuracy", "b49a,010/001/000,conv3x3-bn-relu,0.9")
    with pytest.raises(CorruptFile, match="a.csv: a module hash is 32 hexadecimal digits .got 'b49a'"):
        load_table(path, space="nb101")


def test_space_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(SpaceMismatch, match='space="nb201"'):
        load_table(write(tmp_path / "a.csv", "arch,accuracy", f"{ROWS[0]},1"))


@pytest.mark.parametrize(
    ("lines", "options", "error", "text"),
    [
        (["arch,accuracy", f"{ROWS[0]},1", f"{ROWS[1]},high"], {}, CorruptFile, "line 3: accuracy is a number.*'high'"),
        (["arch,accuracy", f"{ROWS[0]},1", f"{ROWS[1]}"], {}, CorruptFile, "line 3 has 1 cells"),
        (["net,accuracy", f"{ROWS[0]},1"], {}, CorruptFile, "expected a column 'arch' .or architecture.*net, accuracy"),
        (["arch,accuracy"], {}, CorruptFile, "expected rows below the header"),
        (["arch;accuracy", f"{ROWS[0]};1"], {}, CorruptFile, "commas between the cells .got semicolons"),
        (["arch,name", f"{ROWS[0]},x"], {}, CorruptFile, "no column of numbers"),
        (["arch,accuracy", f"{ROWS[0]},1"], {"columns": ["acc"]}, UnknownName, "column 'acc' of a.csv.*accuracy"),
        (["arch,accuracy", f"{ROWS[0]},1", "|none~0|,1"], {}, InvalidArchitecture, "a.csv: line 3"),
        (
            ["arch,accuracy", f"{ROWS[0]},1", f"{ROWS[1]},2", f"{ROWS[0]},3"],
            {},
            CorruptFile,
            "lines 2 and 4 give other",
        ),
        (
            ["arch,accuracy", *(f"{row},{value}" for value in (1, 2) for row in (ROWS[1], ROWS[0]))],
            {},
            CorruptFile,
            "lines 2 and 4 give other values.*--repeats runs",
        ),
    ],
)
def test_bad_csv(tmp_path: Path, lines: list[str], options: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        load_table(write(tmp_path / "a.csv", *lines), space="nb201", **options)


def test_repeated_rows_that_agree_stay(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "arch,accuracy", *[f"{ROWS[0]},1"] * 2, f"{ROWS[1]},")
    table = load_table(path, space="nb201")
    assert len(table) == 3 and table.rows(table.architectures).tolist() == [0, 0, 2]


def test_repeated_rows_as_runs(tmp_path: Path) -> None:
    cells = ["0110/0001/0001/0000:conv,pool", "01/00:", "0110/0001/0001/0000:pool,conv", "01/00:", "01/00:"]
    lines = [f'"{cell}",{number}' for number, cell in enumerate(cells, 1)]
    path = write(tmp_path / "a.csv", "arch,accuracy", *lines)
    with pytest.raises(CorruptFile, match='repeats="runs"'):
        load_table(path, space="toy")
    table = load_table(path, space="toy", repeats="runs")
    assert (len(table), table.runs) == (2, {0: (0, 1, 2)})
    archs = table.space.parse(cells[:2])
    assert table.architectures == archs
    assert table.query(archs, "accuracy").tolist() == [2, pytest.approx(11 / 3)]
    assert [table.query(archs[1], "accuracy", run=run).item() for run in range(3)] == [2, 4, 5]
    assert table.noise("accuracy").repeated == 2


# -- ENAS -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["final_structures6.txt", "a.txt.gz"])
def test_enas(tmp_path: Path, name: str) -> None:
    table = load_table(write(tmp_path / name, *ENAS, ENAS[0]))
    assert (table.space.name, table.metrics, table.units) == ("enas6", ("accuracy",), {"accuracy": "fraction"})
    assert len(table) == 3
    archs = table.space.parse([line.rpartition(",")[0] for line in ENAS])
    assert torch.allclose(table.query(archs, "accuracy"), torch.tensor([0.7302, 0.7234]))


def test_enas_of_twelve_layers(tmp_path: Path) -> None:
    layers = [[1] + [0] * bits for bits in range(12)]
    assert load_table(write(tmp_path / "a.txt", f"{layers}, 0.5")).space.name == "enas12"


@pytest.mark.parametrize(
    ("lines", "error", "text"),
    [
        ([ENAS[0], ENAS[1].replace("0.7234", "high")], CorruptFile, "line 2: accuracy is a number"),
        ([ENAS[0], ENAS[1].replace("[5]", "[6]")], InvalidArchitecture, "line 2"),
        ([ENAS[0], ENAS[1], ENAS[0].replace("0.7302", "0.7")], CorruptFile, "lines 1 and 3 give other values"),
        ([ENAS[0], "__import__('os')"], CorruptFile, "line 2: accuracy is a number"),
        (["[[__import__('os')], [0, 1]], 0.5"], InvalidArchitecture, "line 1"),
    ],
)
def test_bad_enas(tmp_path: Path, lines: list[str], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        load_table(write(tmp_path / "a.txt", *lines))


@pytest.mark.parametrize("lines", [["arch,accuracy", *[f"{row},1" for row in ROWS]], ENAS])
def test_cut_gzip(tmp_path: Path, lines: list[str]) -> None:
    path = write(tmp_path / "a.gz", *lines * 500)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CorruptFile):
        load_table(path, space="nb201" if "arch" in lines[0] else None)


# -- real labels ------------------------------------------------------------------------------------------------------
def test_real_nb201(real_data: Path) -> None:
    table = load_table(real_data / "nb201_accuracies.csv.gz", space="nb201")
    assert len(table) == 15625
    best, value = table.optimum("cifar10_test_200")
    assert value == pytest.approx(94.3733) and table.query(best, "index").item() == 6111
    assert table.query(table.space.parse(ROWS), "cifar10_test_200").tolist() == pytest.approx([85.8633, 91.5833])
    assert table.query(table.space.parse(ROWS), "cifar10_valid_12").tolist() == pytest.approx([63.364, 63.278])
    assert table.rows(table.space.enumerate()).min() == 0  # every string of the space has a row


def test_real_enas(real_data: Path) -> None:
    table = load_table(real_data / "enas_macro6.txt.gz")
    accuracy = table.column("accuracy")
    assert (len(table), table.space.name) == (18018, "enas6")
    assert accuracy.min() >= 0.702 and accuracy.max() <= 0.7502
    assert accuracy.double().mean().item() == pytest.approx(0.73627, abs=1e-4)
    assert torch.equal(table.query(table.architectures, "accuracy"), accuracy)


def test_real_nb101(real_data: Path, tmp_path: Path) -> None:
    columns: dict[str, Any] = {f"val_acc_{epochs}": ("validation_accuracy", epochs) for epochs in (4, 12, 36, 108)}
    columns |= {"train_seconds_108": ("training_seconds", 108), "params": "params"}
    path = convert(real_data / "nb101_sample.csv.gz", tmp_path / "a.npz", space="nb101", columns=columns)
    table = load_table(path)
    assert (len(table), table.budgets) == (16001, (4, 12, 36, 108))
    cell = table.space.parse(
        "0100110/0010000/0001001/0000010/0000010/0000001/0000000:"
        "conv3x3-bn-relu,maxpool3x3,conv3x3-bn-relu,conv3x3-bn-relu,conv1x1-bn-relu"
    )
    assert table.query(cell, "validation_accuracy").item() == pytest.approx(0.9304887652397156)
    assert table.query(cell, "validation_accuracy", 4).item() == pytest.approx(0.3604767620563507)
    assert table.constants["params"][table.rows(cell)].item() == 8555530
    assert table.hashes is not None
    keys = [bytes.fromhex(key) for key in table.space.canonical_keys(table.architectures[:500])]
    assert [key.ljust(16, b"\0") for key in table.hashes[:500].tolist()] == keys


def test_empty_lines_at_the_end_and_blanks_around_names_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"arch , accuracy\n{ROWS[0]},1\n{ROWS[1]},2\n\n\n")
    table = load_table(path, space="nb201")
    assert table.metrics == ("accuracy",) and len(table) == 2
    path.write_text(f"arch,accuracy\n{ROWS[0]},1\n\n{ROWS[1]},2\n")
    with pytest.raises(CorruptFile, match="line 3 is empty, with more lines behind it"):
        load_table(path, space="nb201")
