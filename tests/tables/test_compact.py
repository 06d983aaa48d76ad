from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from graphnas.errors import CorruptFile, GraphnasError, SpaceMismatch, UnknownName
from graphnas.spaces import get_space, list_spaces
from graphnas.tables import Table, load_table, save_compact
from graphnas.tables.compact import load_compact
from graphnas.tables.lookup import hash_keys


def full_table(name: str = "toy", rows: int = 40) -> Table:
    """A table with everything a table can have."""
    space = get_space(name)
    generator = torch.Generator().manual_seed(0)
    archs = space.sample(rows, generator)
    counted = (torch.rand(rows, 2, 3, 1, generator=generator) * 5).floor() / 5
    measured = torch.cat([counted, torch.rand(rows, 2, 3, 1, generator=generator)], 3)
    measured[0, 1, 2] = torch.nan
    return Table(
        space,
        archs,
        measured,
        ("accuracy", "seconds"),
        budgets=(12, 200),
        run_ids=(111, 777, 888),
        units={"accuracy": "fraction", "seconds": "seconds"},
        constants={
            "params": torch.arange(rows).double() + 2**24,
            "flop": torch.rand(rows, generator=generator).double(),
        },
        curves={("accuracy", 12): torch.rand(rows, 3, 12, generator=generator)},
        identity="exact",
        hashes=hash_keys([f"{row:030x}00" for row in range(rows)]),
        source="made up",
    )


def assert_same(found: Table, wanted: Table) -> None:
    assert found.architectures == wanted.architectures and found.space.name == wanted.space.name
    assert torch.equal(found.values.nan_to_num(-1), wanted.values.nan_to_num(-1))
    assert list(found.constants) == list(wanted.constants) and list(found.curves) == list(wanted.curves)
    for name in wanted.constants:
        assert torch.equal(found.constants[name], wanted.constants[name])
    for key in wanted.curves:
        assert torch.equal(found.curves[key], wanted.curves[key])
    for field in ("measured", "budgets", "run_ids", "units", "identity", "source"):
        assert getattr(found, field) == getattr(wanted, field), field
    assert (found.hashes is None) == (wanted.hashes is None)
    if wanted.hashes is not None:
        assert found.hashes is not None and (found.hashes == wanted.hashes).all()


@pytest.mark.parametrize("name", list_spaces())
def test_round_trip_is_exact(tmp_path: Path, name: str) -> None:
    table = full_table(name)
    assert_same(load_table(save_compact(table, tmp_path / "a.npz")), table)


def test_bare_table(tmp_path: Path) -> None:
    space = get_space("nb101")
    table = Table(space, space.enumerate()[:3], torch.rand(3, 1, 1, 1), ("a",))
    assert_same(load_table(save_compact(table, tmp_path / "deep" / "a.npz"), space="nb101"), table)


def test_no_pickle_inside(tmp_path: Path) -> None:
    path = save_compact(full_table(), tmp_path / "a.npz")
    with np.load(path, allow_pickle=False) as archive:
        assert not [name for name in archive.files if archive[name].dtype.hasobject]


def test_counted_columns_take_two_bytes(tmp_path: Path) -> None:
    space = get_space("nb101")
    rows = 20_000
    values = torch.randint(0, 9985, (rows, 1, 3, 1), generator=torch.Generator().manual_seed(0)) / 9984
    table = Table(space, space.enumerate()[:rows], values, ("a",), run_ids=(0, 1, 2))
    path = save_compact(table, tmp_path / "a.npz")
    assert path.stat().st_size < rows * (3 * 2 + 6) + 4 * 9985 + 5000
    assert torch.equal(load_table(path).values, values)


def rewrite(path: Path, **changes: Any) -> Path:
    """The file with some arrays replaced; `header` entries are merged."""
    with np.load(path, allow_pickle=False) as archive:
        arrays = dict(archive)
    header = json.loads(str(arrays["header"])) | changes.pop("header", {})
    np.savez(path, **(arrays | {"header": np.array(json.dumps(header))} | changes))
    return path


def test_newer_versions_are_refused(tmp_path: Path) -> None:
    path = rewrite(save_compact(full_table(), tmp_path / "a.npz"), header={"version": 2})
    with pytest.raises(CorruptFile, match=r"a.npz: format version 2 is newer than 1, .* upgrade"):
        load_table(path)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"header": {"format": "other"}}, "expected the format graphnas-table"),
        ({"header": {"version": "1"}}, "version '1'"),
        ({"header": {"space": "nb102"}}, "nb102"),
        ({"header": {"budgets": [12]}}, "shape"),
        ({"header": {"measured": ["accuracy"] * 3}}, "values2"),
        ({"header": {"rows": 39}}, "shape"),
        ({"ops": np.zeros(40, dtype=np.int16)}, "not in toy"),
        ({"edges": np.zeros((40, 1), dtype=np.uint8)}, "edges"),
        ({"num_nodes": np.zeros(40, dtype=np.uint8)}, "vertices"),
        (
            {"values0": np.full((40, 2, 3), 7, dtype=np.uint16), "values0_distinct": np.zeros(3, np.float32)},
            "values0|bounds",
        ),
    ],
)
def test_inconsistent_files(tmp_path: Path, changes: dict[str, Any], text: str) -> None:
    path = rewrite(save_compact(full_table(), tmp_path / "a.npz"), **changes)
    with pytest.raises(GraphnasError, match=text) as caught:
        load_compact(path)
    assert isinstance(caught.value, UnknownName) or "a.npz" in str(caught.value)


def test_object_arrays_are_refused(tmp_path: Path) -> None:
    path = save_compact(full_table(), tmp_path / "a.npz")
    rewrite(path, values0=np.array([{"a": 1}], dtype=object))
    with pytest.raises(CorruptFile, match="allow_pickle"):
        load_compact(path)


def test_damage_anywhere_is_noticed(tmp_path: Path) -> None:
    path = save_compact(full_table(), tmp_path / "a.npz")
    data = path.read_bytes()
    generator = np.random.default_rng(0)
    wanted, harmless = load_compact(path), 0
    for trial in range(150):
        broken = bytearray(data[: generator.integers(len(data))] if trial % 3 == 0 else data)
        if trial % 3:
            broken[generator.integers(len(data))] ^= int(generator.integers(1, 256))
        path.write_bytes(broken)
        try:
            found = load_compact(path)
        except CorruptFile:
            continue
        assert_same(found, wanted)  # the flip hit a field of the archive that nothing depends on
        harmless += 1
    assert harmless < 50


def test_other_space_is_refused(tmp_path: Path) -> None:
    path = save_compact(full_table(), tmp_path / "a.npz")
    with pytest.raises(SpaceMismatch, match="toy.*nb201"):
        load_table(path, space="nb201")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_compact(full_table(), tmp_path / "a.npz")
    before = path.read_bytes()

    def fail(stream: Any, **arrays: Any) -> None:
        stream.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(KeyboardInterrupt):
        save_compact(full_table(rows=5), path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.npz"]
