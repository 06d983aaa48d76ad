"""Files of a run folder: round trips, damage, and that no pickle of strangers is executed."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from random import Random

import pytest
import torch

import graphnas
from graphnas.errors import CorruptFile, MissingData
from graphnas.train import VAEConfig
from graphnas.train.run_folder import RunFolder, is_main_process


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.mark,)


@pytest.fixture
def copy(finished_run: Path, tmp_path: Path) -> RunFolder:
    shutil.copytree(finished_run, tmp_path / "run")
    return RunFolder(tmp_path / "run")


def test_files_of_a_finished_run(finished_run: Path) -> None:
    names = ["best.safetensors", "config.yaml", "last.ckpt", "last.safetensors", "metrics.jsonl", "tensorboard"]
    assert sorted(path.name for path in finished_run.iterdir()) == [*names, "versions.json"]


def test_config_round_trip(make_config: Callable[..., VAEConfig], tmp_path: Path) -> None:
    config = make_config(learning_rate=1e-5)
    config.model_args |= {"kl_weight": 1e-7, "faithful": True}
    run = RunFolder(tmp_path / "deep" / "run")
    run.write_config(config)
    content = run.read_config()
    assert list(content) == ["model", "model_args", "data", "fit", "start_from"]
    assert content["model_args"] == config.model_args and content["fit"] == vars(config.fit)
    assert content["data"] == vars(config.data)


def test_versions(finished_run: Path) -> None:
    versions = json.loads((finished_run / "versions.json").read_text())
    assert versions["graphnas"] == graphnas.__version__ and versions["torch"] == version("torch")
    assert set(versions) == {"graphnas", "python", "torch", "torch_geometric", "numpy", "lightning-fabric"}


def test_records_round_trip(finished_run: Path, tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert run.read_records() == []
    records = RunFolder(finished_run).read_records()
    run.write_records(records)
    assert run.read_records() == records and [record["step"] for record in records] == [10, 20, 30, 40]
    run.metrics_file.write_text('{"step": 10}\n{"step"')
    with pytest.raises(CorruptFile, match="metrics.jsonl is damaged"):
        run.read_records()


def test_folder_without_config(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match="is not a run folder: it has no config.yaml"):
        RunFolder(tmp_path).read_config()
    assert RunFolder(tmp_path).read_state() is None


@pytest.mark.parametrize(
    "content",
    [b"a: [1, 2", b"\xff\xfe\x00", b"- a\n- b\n", b"", b"a: !!python/object/apply:os.getcwd []\n", b"a: \x00"],
)
def test_damaged_config(content: bytes, copy: RunFolder) -> None:
    copy.config_file.write_bytes(content)
    with pytest.raises(CorruptFile, match="config.yaml is damaged"):
        copy.read_config()


def test_state_round_trip(finished_run: Path, tmp_path: Path) -> None:
    state = RunFolder(finished_run).read_state()
    assert state is not None and state["step"] == 40
    run = RunFolder(tmp_path)
    run.write_state({"step": 3, "weights": torch.arange(3.0)})
    again = run.read_state()
    assert again is not None and again["step"] == 3 and torch.equal(again["weights"], torch.arange(3.0))


def test_truncated_state(copy: RunFolder) -> None:
    content = copy.state_file.read_bytes()
    for size in (0, 1, 100, len(content) // 2, len(content) - 1):
        copy.state_file.write_bytes(content[:size])
        with pytest.raises(CorruptFile, match="last.ckpt is truncated, damaged or not ours"):
            copy.read_state()


def test_flipped_bits_in_the_state_are_seen_or_harmless(finished_run: Path, copy: RunFolder) -> None:
    content, places = copy.state_file.read_bytes(), Random(0)
    expected = torch.load(finished_run / "last.ckpt", weights_only=True)["objective"]
    seen = 0
    for _ in range(60):
        damaged, place = bytearray(content), places.randrange(len(content))
        damaged[place] ^= 1 << places.randrange(8)
        copy.state_file.write_bytes(damaged)
        try:
            state = copy.read_state()
        except CorruptFile:
            seen += 1
            continue
        assert state is not None
        assert all(torch.equal(tensor, expected[name]) for name, tensor in state["objective"].items()), place
    assert seen > 30


@pytest.mark.parametrize("write", [pickle.dump, torch.save], ids=["pickle", "torch"])
def test_a_state_that_would_execute_code_is_refused(
    write: Callable[..., None], copy: RunFolder, tmp_path: Path
) -> None:
    mark = tmp_path / "executed"
    with copy.state_file.open("wb") as stream:
        write({"step": 1, "bomb": Bomb(mark)}, stream)
    with pytest.raises(CorruptFile, match="last.ckpt is truncated, damaged or not ours"):
        copy.read_state()
    assert not mark.exists()
    torch.load(copy.state_file, weights_only=False) if write is torch.save else pickle.loads(
        copy.state_file.read_bytes()
    )
    assert mark.exists(), "the bomb is a dud"


@pytest.mark.parametrize("content", [[1, 2], {"weights": torch.zeros(1)}, torch.zeros(2)])
def test_a_state_that_is_not_ours(content: object, copy: RunFolder) -> None:
    torch.save(content, copy.state_file)
    with pytest.raises(CorruptFile, match="no training state of graphnas"):
        copy.read_state()


def test_only_the_first_process_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    assert is_main_process()
    monkeypatch.setenv("RANK", "1")
    assert not is_main_process()
