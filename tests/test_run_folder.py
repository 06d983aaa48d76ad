"""Files of a run folder: round trips, damage, and that no pickle of strangers is executed."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

import graphnas
from graphnas.errors import CheckpointMismatch, CorruptFile, GraphnasError, InvalidValues, MissingData
from graphnas.run_folder import RunFolder, flat, is_main_process, plain


@dataclass
class Sizes:
    """Of what."""

    width: int = 3
    """Width."""

    def __post_init__(self) -> None:
        if self.width < 0:
            raise InvalidValues(f"width must be at least 0 (got {self.width})")


@dataclass
class Config:
    """A run."""

    name: str = "run"
    """Name."""
    rate: float = 1e-3
    """Rate."""
    sizes: Sizes = field(default_factory=Sizes)
    """Sizes."""
    options: dict[str, Any] = field(default_factory=dict)
    """Options."""

    @classmethod
    def from_plain(cls, content: dict[str, Any]) -> Config:
        try:
            return cls(**{**content, "sizes": Sizes(**content["sizes"])})
        except TypeError as error:
            raise InvalidValues(str(error)) from error


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.mark,)


def weights() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(20, 30, generator=generator) for name in ("first", "second", "third")}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path / "deep" / "run")
    run.write_config(Config(rate=1e-5, options={"kl_weight": 1e-7, "faithful": True}))
    run.write_records([{"step": step, "loss": 1 / step} for step in (10, 20)])
    run.write_state({"step": 20, "weights": weights()})
    return run


def test_files(run: RunFolder) -> None:
    names = ["config.yaml", "last.ckpt", "metrics.jsonl", "versions.json"]
    assert sorted(path.name for path in run.path.iterdir()) == names


def test_config_round_trip(run: RunFolder) -> None:
    content = run.read_config()
    assert list(content) == ["name", "rate", "sizes", "options"]
    assert content["options"] == {"kl_weight": 1e-7, "faithful": True} and content["rate"] == 1e-5
    assert run.read_config_as(Config) == Config(rate=1e-5, options=content["options"])
    run.config_file.write_text("name: other\n")
    assert run.read_config_as(Config) == Config("other")


@pytest.mark.parametrize("text", ["bogus: 1", "rate: fast", "sizes: {height: 1}", "sizes: 3", "sizes: {width: -1}"])
def test_config_of_something_else(text: str, run: RunFolder) -> None:
    run.config_file.write_text(text)
    with pytest.raises(CorruptFile, match="config.yaml is damaged or of another version of graphnas: "):
        run.read_config_as(Config)


def test_a_run_is_not_overwritten(run: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(GraphnasError, match="already holds a run: pass --resume"):
        run.check_new()
    run.state_file.rename(run.last)
    with pytest.raises(GraphnasError, match="already holds a run: pass --resume"):
        run.check_new()
    run.last.unlink()
    run.check_new()


def test_a_resume_has_the_same_config(run: RunFolder) -> None:
    config = run.read_config_as(Config)
    run.check_same(config)
    config.options["faithful"] = False
    with pytest.raises(CheckpointMismatch, match="options.faithful was True and is now False"):
        run.check_same(config)


def test_flat() -> None:
    assert flat({"a": {"b": 1, "c": {"d": 2}}, "e": [3]}) == {"a.b": 1, "a.c.d": 2, "e": [3]}
    assert flat({"a": {}}) == {}
    assert flat(plain(Config())) == {"name": "run", "rate": 1e-3, "sizes.width": 3}


def test_versions(run: RunFolder) -> None:
    versions = json.loads((run.path / "versions.json").read_text())
    assert versions["graphnas"] == graphnas.__version__ and versions["torch"] == version("torch")
    assert set(versions) == {"graphnas", "python", "torch", "torch_geometric", "numpy", "lightning-fabric"}


def test_records_round_trip(run: RunFolder, tmp_path: Path) -> None:
    assert RunFolder(tmp_path).read_records() == []
    assert run.read_records() == [{"step": 10, "loss": 0.1}, {"step": 20, "loss": 0.05}]
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
def test_damaged_config(content: bytes, run: RunFolder) -> None:
    run.config_file.write_bytes(content)
    with pytest.raises(CorruptFile, match="config.yaml is damaged"):
        run.read_config()


def test_state_round_trip(run: RunFolder) -> None:
    run.write_state({"step": 3, "weights": torch.arange(3.0)})
    again = run.read_state()
    assert again is not None and again["step"] == 3 and torch.equal(again["weights"], torch.arange(3.0))


def test_truncated_state(run: RunFolder) -> None:
    content = run.state_file.read_bytes()
    for size in (0, 1, 100, len(content) // 2, len(content) - 1):
        run.state_file.write_bytes(content[:size])
        with pytest.raises(CorruptFile, match="last.ckpt is truncated, damaged or not ours"):
            run.read_state()


def test_flipped_bits_in_the_state_are_seen_or_harmless(run: RunFolder) -> None:
    content, places = run.state_file.read_bytes(), Random(0)
    expected = weights()
    seen = 0
    for _ in range(60):
        damaged, place = bytearray(content), places.randrange(len(content))
        damaged[place] ^= 1 << places.randrange(8)
        run.state_file.write_bytes(damaged)
        try:
            state = run.read_state()
        except CorruptFile:
            seen += 1
            continue
        assert state is not None
        assert all(torch.equal(tensor, expected[name]) for name, tensor in state["weights"].items()), place
    assert seen > 30


@pytest.mark.parametrize("write", [pickle.dump, torch.save], ids=["pickle", "torch"])
def test_a_state_that_would_execute_code_is_refused(write: Callable[..., None], run: RunFolder, tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    with run.state_file.open("wb") as stream:
        write({"step": 1, "bomb": Bomb(mark)}, stream)
    with pytest.raises(CorruptFile, match="last.ckpt is truncated, damaged or not ours"):
        run.read_state()
    assert not mark.exists()
    torch.load(run.state_file, weights_only=False) if write is torch.save else pickle.loads(run.state_file.read_bytes())
    assert mark.exists(), "the bomb is a dud"


@pytest.mark.parametrize("content", [[1, 2], {"weights": torch.zeros(1)}, torch.zeros(2)])
def test_a_state_that_is_not_ours(content: object, run: RunFolder) -> None:
    torch.save(content, run.state_file)
    with pytest.raises(CorruptFile, match="no training state of graphnas"):
        run.read_state()


def test_only_the_first_process_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    assert is_main_process()
    monkeypatch.setenv("RANK", "1")
    assert not is_main_process()
