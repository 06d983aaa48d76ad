"""A measurement in shards: it may be stopped, killed and damaged, and the table is the same bytes."""

from __future__ import annotations

import logging
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from graphnas.commands.digits import build_digits, make_table, plan_digits, write_table
from graphnas.errors import CorruptFile, InvalidValues
from graphnas.networks.images import load_images
from graphnas.networks.recipe import Recipe
from graphnas.networks.shards import Plan, Shard, collect, measure_all
from graphnas.networks.stacked import Counts, train_stacked
from graphnas.spaces import get_space

RECIPE = Recipe(
    epochs=1,
    batch_size=40,
    learning_rate=0.05,
    crop_padding=0,
    flip=False,
    dtype="float64",
    data={"train_size": 80},
    network={"channels": 2, "cells": 1, "reduction": "pool"},
)
CHILD = """
import os, signal
from graphnas.networks import shards
from graphnas.networks.recipe import Recipe
from graphnas.networks.shards import Path, Plan, measure_all

def die(*unused, **options):
    os.kill(os.getpid(), signal.SIGKILL)

{moment}
plan = {plan!r}
for done in measure_all(plan.shards(Path({folder!r})), 1):
    pass
"""
MOMENTS = {
    "in training": """
import graphnas.networks.stacked.training as training
step, calls = training.train_step, []
training.train_step = lambda *inputs: die() if len(calls) == 3 else (calls.append(0), step(*inputs))[1]
""",
    "half a file": """
savez = shards.np.savez
def half(stream, **arrays):
    savez(stream, **arrays)
    stream.flush()
    stream.truncate(stream.tell() // 2)
    die()
shards.np.savez = half
""",
    "before the file has its name": "Path.replace = die",
    "right after": """
replace = Path.replace
Path.replace = lambda *paths: die(replace(*paths))
""",
    "in opening": "shards.Shard.measured = die",
}


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Six cells, two seeds, two cells a shard: six shards."""
    return replace(plan_digits((0, 7), 6, RECIPE), group=2)


@pytest.fixture(scope="module")
def straight(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted build; tests that change it work on a copy."""
    folder = tmp_path_factory.mktemp("shards") / "straight"
    assert list(build_digits(plan, folder, 1)) == [(done, 6) for done in range(7)]
    return folder


@pytest.fixture(scope="module")
def expected(plan: Plan, straight: Path) -> bytes:
    return write_table(plan, straight, straight.parent / "table.npz").read_bytes()


@pytest.fixture
def copy(straight: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(straight, tmp_path / "copy"))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the shards that are trained, as they are."""
    names: list[str] = []
    measure = Shard.measure

    def watched(shard: Shard) -> None:
        names.append(name(shard.path))
        measure(shard)

    monkeypatch.setattr(Shard, "measure", watched)
    return names


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def marks(folder: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of every file."""
    return {name(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.glob("*/*.npz")}


def table(plan: Plan, folder: Path) -> bytes:
    return write_table(plan, folder, folder.parent / "again.npz").read_bytes()


def finish(plan: Plan, folder: Path) -> list[int]:
    return list(measure_all(plan.shards(folder), 1))


# -- an undisturbed build ---------------------------------------------------------------------------------------------
def test_shards_cover_every_cell_and_seed_once(plan: Plan, straight: Path) -> None:
    shards = plan.shards(straight)
    assert sorted((shard.seed, text) for shard in shards for text in shard.texts) == sorted(
        (seed, text) for seed in plan.seeds for text in plan.texts
    )
    assert len({shard.path for shard in shards}) == len({shard.digest for shard in shards}) == 6
    assert sorted(marks(straight)) == sorted(name(shard.path) for shard in shards)
    assert sorted(path for path in straight.rglob("*") if path.is_file()) == sorted(shard.path for shard in shards)
    assert all(shard.cpu_seconds() > 0 for shard in shards)


def test_a_last_shard_may_be_smaller(plan: Plan, tmp_path: Path) -> None:
    shards = replace(plan, group=4).shards(tmp_path)
    assert [(shard.seed, len(shard.texts)) for shard in shards] == [(0, 4), (0, 2), (7, 4), (7, 2)]
    assert np.isnan(shards[0].cpu_seconds()) and shards[0].read() is None


def test_collected_counts_are_those_of_one_training(plan: Plan, straight: Path) -> None:
    space, data = get_space(plan.space), load_images(plan.dataset, **RECIPE.data)
    counts = collect(plan.shards(straight))
    assert counts.shape == (3, 6, 2, 1) and counts.dtype == np.uint16
    for place, seed in enumerate(plan.seeds):
        wanted = train_stacked(space, space.parse(plan.texts), data, RECIPE, seed)
        assert np.array_equal(counts[:, :, place], np.stack([part.numpy() for part in wanted]))
    values = make_table(plan, counts).values
    test = torch.from_numpy(counts[2, :, :, 0].astype(np.float64) / 500).float()
    assert torch.equal(values[:, 0, :, 2], test)


def test_grouping_changes_nothing(plan: Plan, expected: bytes, tmp_path: Path) -> None:
    other = replace(plan, group=5)
    finish(other, tmp_path / "shards")
    assert table(other, tmp_path / "shards") == expected


def test_a_finished_build_is_left_alone(plan: Plan, copy: Path, expected: bytes, measured: list[str]) -> None:
    before = marks(copy)
    assert finish(plan, copy) == [6]
    assert not measured and marks(copy) == before
    assert table(plan, copy) == expected


def test_two_processes(plan: Plan, expected: bytes, copy: Path) -> None:
    kept = [shard.path for shard in plan.shards(copy)][:2]
    before = marks(copy)
    for shard in plan.shards(copy)[2:]:
        shard.path.unlink()
    try:
        assert list(measure_all(plan.shards(copy), 2)) == [2, 3, 4, 5, 6]
    finally:
        from joblib.externals.loky import get_reusable_executor

        get_reusable_executor().shutdown(wait=True)
    assert all(marks(copy)[name(path)] == before[name(path)] for path in kept)
    assert table(plan, copy) == expected


# -- interrupted ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("after", [0, 1, 3, 5])
def test_interrupted_and_resumed(
    after: int, plan: Plan, expected: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []

    def stopped(*inputs: Any) -> Counts:
        if len(trained) == after:
            raise KeyboardInterrupt
        trained.append("")
        return train_stacked(*inputs)

    folder = tmp_path / "shards"
    with monkeypatch.context() as patch:
        patch.setattr("graphnas.networks.shards.train_stacked", stopped)
        with pytest.raises(KeyboardInterrupt):
            finish(plan, folder)
    before = marks(folder)
    assert len(before) == after
    assert finish(plan, folder) == list(range(after, 7))
    assert before.items() <= marks(folder).items()
    assert table(plan, folder) == expected


def test_stopped_while_a_file_is_written(
    plan: Plan, tmp_path: Path, expected: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*unused: Any, **arrays: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("graphnas.networks.shards.np.savez", broken)
        with pytest.raises(KeyboardInterrupt):
            finish(plan, tmp_path / "shards")
    assert not [path for path in (tmp_path / "shards").rglob("*") if path.is_file()]
    finish(plan, tmp_path / "shards")
    assert table(plan, tmp_path / "shards") == expected


def test_a_consumer_may_stop_listening(plan: Plan, expected: bytes, tmp_path: Path, measured: list[str]) -> None:
    folder = tmp_path / "shards"
    for done in build_digits(plan, folder, 1):
        if done == (2, 6):
            break
    assert len(marks(folder)) == 2
    finish(plan, folder)
    assert len(measured) == len(set(measured)) == 6
    assert table(plan, folder) == expected


def test_killed_at_many_moments(plan: Plan, expected: bytes, tmp_path: Path, start: Callable[..., Any]) -> None:
    """kill -9 again and again in one folder; what was whole stays as it was, and the rest is made."""
    folder = tmp_path / "shards"
    before: dict[str, tuple[int, int]] = {}
    left = 0
    for moment, source in MOMENTS.items():
        child = start(CHILD.format(moment=source, plan=plan, folder=str(folder)))
        assert child.wait() == -signal.SIGKILL, (moment, child.err.read_text())
        assert before.items() <= marks(folder).items(), moment
        before = marks(folder)
        left = max(left, len(list(folder.rglob(".*.partial"))))
    assert left and 1 <= len(before) < 6
    assert finish(plan, folder)[-1] == 6
    assert before.items() <= marks(folder).items()
    assert not list(folder.rglob(".*"))
    assert table(plan, folder) == expected


@pytest.mark.parametrize("count", [1, 4])
def test_killed_from_outside(
    count: int, plan: Plan, expected: bytes, tmp_path: Path, start: Callable[..., Any]
) -> None:
    """Whenever the signal comes: here as soon as some shards are seen."""
    folder = tmp_path / "shards"
    child = start(CHILD.format(moment="", plan=plan, folder=str(folder)))
    while len(marks(folder)) < count and child.wait(0.005) is None:
        pass
    child.process.kill()
    child.wait()
    before = marks(folder)
    assert len(before) >= count
    finish(plan, folder)
    assert before.items() <= marks(folder).items()
    assert table(plan, folder) == expected


def test_leftovers_vanish(plan: Plan, copy: Path) -> None:
    (copy / "seed0" / ".00000.npz.abc.partial").write_bytes(b"PK")
    (copy / "seed7" / ".00002.npz.x.partial").touch()
    (copy / "seed7" / "notes.txt").write_text("mine")
    assert finish(plan, copy) == [6]
    assert sorted(path.name for path in copy.rglob("*") if path.is_file() and path.suffix != ".npz") == ["notes.txt"]


# -- damaged ----------------------------------------------------------------------------------------------------------
def truncated(shard: Shard) -> None:
    shard.path.write_bytes(shard.path.read_bytes()[:-60])


def emptied(shard: Shard) -> None:
    shard.path.write_bytes(b"")


def flipped(shard: Shard) -> None:
    content = bytearray(shard.path.read_bytes())
    content[content.index(b"train.npy") + 9 + 128 + 20] ^= 1
    shard.path.write_bytes(content)


def foreign_recipe(shard: Shard) -> None:
    other = replace(shard.plan, recipe=replace(RECIPE, learning_rate=0.06))
    found = next(part for part in other.shards(shard.path.parents[1]) if part.path == shard.path)
    assert found.digest != shard.digest
    found.write(fake_counts(), 1.0)


def foreign_cells(shard: Shard) -> None:
    other = replace(shard, plan=replace(shard.plan, texts=shard.plan.texts[::-1]))
    other.write(fake_counts(), 1.0)


def foreign_seed(shard: Shard) -> None:
    replace(shard, seed=shard.seed + 1).write(fake_counts(), 1.0)


def too_short(shard: Shard) -> None:
    shard.write(fake_counts(1), 1.0)


def a_text(shard: Shard) -> None:
    shard.path.write_text("not a shard")


def fake_counts(rows: int = 2) -> Counts:
    return Counts(*(torch.zeros(rows, 1, dtype=torch.int64) for _ in range(3)))


DAMAGES = [truncated, emptied, flipped, foreign_recipe, foreign_cells, foreign_seed, too_short, a_text]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_bad_shard_is_named_and_made_again(
    damage: Callable[[Shard], None],
    plan: Plan,
    copy: Path,
    expected: bytes,
    measured: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    bad = plan.shards(copy)[4]
    before = marks(copy)
    damage(bad)
    with pytest.raises(CorruptFile, match="seed7/00001.npz is"):
        collect(plan.shards(copy))
    with caplog.at_level(logging.WARNING, "graphnas.networks.shards"):
        assert finish(plan, copy) == [5, 6]
    (message,) = [record.getMessage() for record in caplog.records]
    assert str(bad.path) in message and "measured again" in message
    assert measured == ["seed7/00001.npz"]
    after = marks(copy)
    assert {file for file in after if after[file] != before[file]} == {"seed7/00001.npz"}
    assert table(plan, copy) == expected


def test_any_flipped_bit_is_noticed_or_harmless(plan: Plan, copy: Path) -> None:
    """The zip directory byte by byte, the rest in samples: a shard has its old numbers or is CorruptFile."""
    shard = plan.shards(copy)[0]
    content, wanted = shard.path.read_bytes(), shard.read()
    assert wanted is not None
    directory = content.index(b"PK\1\2")
    for place in [*range(0, directory, 6), *range(directory, len(content))]:
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        shard.path.write_bytes(changed)
        try:
            found = shard.read()
        except CorruptFile:
            continue
        assert found is not None and np.array_equal(found, wanted), place


def test_a_missing_shard_is_named(plan: Plan, copy: Path) -> None:
    plan.shards(copy)[1].path.unlink()
    with pytest.raises(CorruptFile, match="seed0/00001.npz is not there"):
        collect(plan.shards(copy))
    with pytest.raises(CorruptFile, match="seed0/00001.npz"):
        write_table(plan, copy, copy.parent / "never.npz")
    assert not (copy.parent / "never.npz").exists()


# -- plans ------------------------------------------------------------------------------------------------------------
def test_a_digest_is_of_everything_the_numbers_follow_from(plan: Plan, tmp_path: Path) -> None:
    others = [
        plan,
        replace(plan, seeds=(1,)),
        replace(plan, texts=plan.texts[1:]),
        replace(plan, recipe=replace(RECIPE, epochs=2)),
        replace(plan, recipe=replace(RECIPE, data={"train_size": 90})),
        replace(plan, recipe=replace(RECIPE, network={"channels": 3, "cells": 1, "reduction": "pool"})),
        replace(plan, group=3),
    ]
    digests = [other.shards(tmp_path)[0].digest for other in others]
    assert len(set(digests)) == len(others)
    assert plan.shards(tmp_path / "elsewhere")[0].digest == digests[0]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"texts": ()}, "at least one architecture"),
        ({"group": 0}, "at least one a shard"),
        ({"seeds": ()}, "at least one seed"),
        ({"seeds": (1, 1)}, "different seeds"),
        ({"seeds": (-1,)}, "seeds from 0"),
    ],
    ids=str,
)
def test_impossible_plans(change: dict[str, Any], text: str, plan: Plan) -> None:
    with pytest.raises(InvalidValues, match=text):
        replace(plan, **change)


@pytest.mark.parametrize("cells", [0, 4931])
def test_impossible_numbers(cells: int, plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(InvalidValues, match="1 to 4930 cells"):
        plan_digits((0,), cells, RECIPE)
    with pytest.raises(InvalidValues, match="one job"):
        list(build_digits(plan, tmp_path, -1))
    assert not list(tmp_path.iterdir())
