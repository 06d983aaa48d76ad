"""Architectures without labels: text and CSV give the same, and complaints name the line."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from graphnas import get_space
from graphnas.errors import GraphnasError
from graphnas.tables.architectures import read_architectures
from graphnas.train.data import seeded

SPACE = get_space("nb101")
ARCHS = SPACE.sample(6, seeded(0))
TEXTS = SPACE.format(ARCHS)


def write(path: Path, rows: list[list[str]]) -> Path:
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    return path


def test_all_forms_give_the_same(tmp_path: Path) -> None:
    lines = tmp_path / "a.txt"
    lines.write_text("\n".join(TEXTS) + "\n\n")
    pairs = [text.split(":") for text in TEXTS]
    for source in (
        lines,
        write(tmp_path / "b.csv", [["arch"], *([text] for text in TEXTS)]),
        write(tmp_path / "c.csv", [["name", "Cell"], *(["x", text] for text in TEXTS)]),
        write(tmp_path / "d.csv", [["ops", "score", "matrix"], *([ops, "1", matrix] for matrix, ops in pairs)]),
    ):
        assert SPACE.format(read_architectures(SPACE, source)) == TEXTS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no architecture"),
        ("arch,score\n", "holds no architecture"),
        (f'score,arch\n1,"{TEXTS[0]}"\n1\n', "line 3 has no column arch"),
        ("matrix,ops\n011/001/000,conv3x3\n011\n", "line 3 has no column ops"),
        ("net,score\nx,1\n", "name it arch (or architecture, cell, arch_str), or pass matrix and ops"),
        ("net;score\nx;1\n", "with semicolons between the cells"),
        (f"{TEXTS[0]}\n\nnix\n", "line 3"),
    ],
)
def test_what_cannot_be_read_is_named(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content)
    with pytest.raises(GraphnasError) as caught:
        read_architectures(SPACE, path)
    assert message in str(caught.value) and "a.csv" in str(caught.value)


def test_labels_of_an_enas_list_are_left_out(tmp_path: Path) -> None:
    space = get_space("enas6")
    archs = space.sample(3, seeded(0))
    path = tmp_path / "enas.txt"
    path.write_text("".join(f"{text}, 0.{number}\n" for number, text in enumerate(space.format(archs), 7)))
    assert read_architectures(space, path) == archs
    path.write_text("\n".join(space.format(archs)))
    assert read_architectures(space, path) == archs
