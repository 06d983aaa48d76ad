from __future__ import annotations

import bz2
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from graphnas.errors import CorruptFile, MissingData, SpaceMismatch, UnknownName
from graphnas.paths import data_dir
from graphnas.tables import SOURCES, convert, detect, list_tables, load_table
from graphnas.tables.tfrecord import write_records

Records = Callable[[tuple[int, ...]], list[dict[str, Any]]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRAPHNAS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def nb101_file(tmp_path: Path, nb101_records: Records, payload_of: Callable[[Any], bytes]) -> Path:
    write_records(tmp_path / "renamed.bin", map(payload_of, nb101_records((108,))))
    return tmp_path / "renamed.bin"


def test_content_tells_the_form_not_the_name(nb101_file: Path, nats_folder: Path, tmp_path: Path) -> None:
    assert detect(nb101_file) == "nb101"
    assert detect(nats_folder) == "nb201_members"
    assert detect(nats_folder / "000011.pickle.pbz2") == "nb201"
    assert detect(convert("toy", tmp_path / "a.npz")) == "compact"
    (tmp_path / "a.npz").rename(tmp_path / "labels.pth")
    assert detect(tmp_path / "labels.pth") == "compact"
    torch.save({}, tmp_path / "b.npy")
    assert detect(tmp_path / "b.npy") == "nb201"
    torch.save({}, tmp_path / "c", _use_new_zipfile_serialization=False)
    assert detect(tmp_path / "c") == "nb201"
    (tmp_path / "d.txt").write_text("arch,accuracy\n")
    assert detect(tmp_path / "d.txt") == "csv"
    (tmp_path / "d.txt").write_text("arch\n0|1\n")
    assert detect(tmp_path / "d.txt") == "csv"
    (tmp_path / "e.csv").write_text("[[1], [4, 0]], 0.5\n")
    assert detect(tmp_path / "e.csv") == "enas"


@pytest.mark.parametrize(
    "data", [b"", b"hello world\n", b"\x89PNG\r\n\x1a\n", b"\xff\xfe\x00\x01" * 10, b"\x1f\x8b\x08broken"]
)
def test_unknown_forms(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.dat").write_bytes(data)
    with pytest.raises(CorruptFile, match=r"expected a NAS-Bench-101 .tfrecord"):
        load_table(tmp_path / "a.dat")


def test_damaged_first_record_is_still_called_a_tfrecord(tmp_path: Path) -> None:
    (tmp_path / "a.tfrecord").write_bytes(b"\x01" + bytes(40))
    with pytest.raises(CorruptFile, match="record 0 at byte 0"):
        load_table(tmp_path / "a.tfrecord")


def test_other_folders(tmp_path: Path) -> None:
    with pytest.raises(CorruptFile, match="without NATS-Bench files"):
        load_table(tmp_path)


def test_names(home: Path) -> None:
    assert set(SOURCES) < set(list_tables()) and "toy" in list_tables()
    with pytest.raises(UnknownName, match="unknown table 'nb102': did you mean 'nb101'"):
        load_table("nb102")
    with pytest.raises(MissingData, match=r"no file .*labels\.csv"):
        load_table("labels.csv")
    assert not home.exists()


@pytest.mark.parametrize("name", list(SOURCES))
def test_missing_data_says_how_to_get_it(home: Path, name: str) -> None:
    source = SOURCES[name]
    with pytest.raises(MissingData) as caught:
        load_table(name)
    text = str(caught.value)
    assert source.file in text and source.page in text and str(data_dir(name)) in text
    assert (f"graphnas data download {name}" in text) == (source.url is not None)


def test_official_file_under_its_name_then_its_compact_form(home: Path, nb101_file: Path) -> None:
    place = data_dir("nb101") / "nasbench_only108.tfrecord"
    place.parent.mkdir(parents=True)
    nb101_file.rename(place)
    seen: list[int] = []
    first = load_table("nb101", progress=lambda done, total: seen.append(done))
    assert seen == [place.stat().st_size] and first.source == place.name
    path = convert("nb101")
    assert path == data_dir("nb101") / "nb101.npz"
    path.write_bytes(b"damaged")
    assert convert("nb101") == path  # from the official file again
    place.write_bytes(b"damaged")
    again = load_table("nb101")
    assert torch.equal(again.values, first.values)
    with pytest.raises(CorruptFile):
        load_table("nb101", verify=False)  # options are for the official file


def test_other_official_forms_are_found(home: Path, nats_folder: Path) -> None:
    data_dir("nats_tss").mkdir(parents=True)
    nats_folder.rename(data_dir("nats_tss") / nats_folder.name)
    assert len(load_table("nats_tss", partial=True)) == 3


def test_space_is_checked(nb101_file: Path) -> None:
    assert len(load_table(nb101_file, space="nb101")) == 3
    with pytest.raises(SpaceMismatch, match="nb101.*nb201"):
        load_table(nb101_file, space="nb201")
    with pytest.raises(SpaceMismatch):
        load_table("toy", space="nb201")
    with pytest.raises(SpaceMismatch):
        load_table(load_table("toy"), space="nb201")


def test_toy() -> None:
    table = load_table("toy")
    best, value = table.optimum("score")
    assert (len(table), value) == (787, 1.0)
    assert best == table.space.optimum()  # type: ignore[attr-defined]


def test_table_passes_through() -> None:
    table = load_table("toy")
    assert load_table(table, space="toy") is table


def test_convert_wants_a_target(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match="say where"):
        convert("toy")
    with pytest.raises(UnknownName, match=r"\.npz"):
        convert("toy", tmp_path / "a.csv")
    assert load_table(convert(load_table("toy"), tmp_path / "a.npz")).metrics == ("score",)


def test_wrong_options_are_an_error(nb101_file: Path) -> None:
    with pytest.raises(TypeError, match="curves"):
        load_table(nb101_file, curves=["*"])


def test_size_search_space_is_not_taken_for_the_topology_one(tmp_path: Path) -> None:
    entry = {"arch_index": 0, "arch_str": "8:8:8:8:8", "all_results": {}}
    root = {"meta_archs": ["8:8:8:8:8"], "arch2infos": {0: {"12": entry}}, "evaluated_indexes": []}
    (tmp_path / "a.pbz2").write_bytes(bz2.compress(pickle.dumps(root)))
    with pytest.raises(ValueError, match="8:8:8:8:8"):
        load_table(tmp_path / "a.pbz2", partial=True)
