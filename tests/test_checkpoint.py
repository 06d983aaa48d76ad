"""Files are written whole or not at all, and damaged or foreign model files are refused in one line."""

from __future__ import annotations

import errno
import json
import os
import pickle
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from graphnas import checkpoint, create_model, get_space
from graphnas.checkpoint import make_folder, read_model_file, remove_partial, write_atomically, write_bytes, write_text
from graphnas.errors import CheckpointMismatch, CorruptFile, GraphnasError, MissingData
from graphnas.models import GraphModel, load_model, save_model


@pytest.fixture(scope="module")
def model() -> GraphModel:
    torch.manual_seed(0)
    return create_model("svge", "toy", node_dim=8, latent_dim=4).eval()


@pytest.fixture
def saved(model: GraphModel, tmp_path: Path) -> Path:
    return save_model(model, tmp_path / "model.safetensors", {"step": 3})


def in_child(work: Callable[[], None]) -> int:
    """Runs `work` in a forked process; its exit status, negative for a signal, 2 where it raised a GraphnasError."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except GraphnasError:
            status = 2
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# -- writing ----------------------------------------------------------------------------------------------------------
def test_content_and_permissions(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "down" / "file"
    before = os.umask(0o027)
    try:
        assert write_text(path, "größe\n") == path
    finally:
        os.umask(before)
    assert path.read_bytes() == "größe\n".encode() and path.stat().st_mode & 0o777 == 0o640
    write_bytes(path, b"\x00\x01")
    assert path.read_bytes() == b"\x00\x01" and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [RuntimeError("bug"), KeyboardInterrupt(), SystemExit(1), MemoryError()])
def test_a_writer_that_fails_leaves_what_was_there(error: BaseException, tmp_path: Path) -> None:
    path = write_text(tmp_path / "file", "earlier")

    def half(target: Path) -> None:
        target.write_text("hal")
        raise error

    with pytest.raises(type(error)):
        write_atomically(path, half)
    assert path.read_text() == "earlier" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("place", ["_dump", "fsync", "replace", "mkstemp"])
def test_a_full_disk_is_one_line_and_leaves_what_was_there(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_text(tmp_path / "file", "earlier")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    target = {"_dump": checkpoint, "fsync": os, "replace": Path, "mkstemp": checkpoint.tempfile}[place]
    monkeypatch.setattr(target, place, full)
    with pytest.raises(GraphnasError, match=f"could not write {path}: No space left on device; .* unchanged"):
        write_text(path, "later")
    monkeypatch.undo()
    assert path.read_text() == "earlier" and list(tmp_path.iterdir()) == [path]


def test_a_file_size_limit_leaves_what_was_there(model: GraphModel, saved: Path) -> None:
    before = saved.read_bytes()

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
        save_model(model, saved, {"step": 4})

    assert in_child(limited) == 2
    assert saved.read_bytes() == before and list(saved.parent.iterdir()) == [saved]


def test_a_process_killed_while_writing_leaves_what_was_there(model: GraphModel, saved: Path) -> None:
    before = saved.read_bytes()

    def killed() -> None:
        def half(target: Path, content: bytes) -> None:
            target.write_bytes(content[: len(content) // 2])
            os.kill(os.getpid(), signal.SIGKILL)

        checkpoint._dump = half
        save_model(model, saved, {"step": 4})

    assert in_child(killed) == -signal.SIGKILL
    litter = [path for path in saved.parent.iterdir() if path != saved]
    assert saved.read_bytes() == before and len(litter) == 1
    own = saved.parent / ".notes"
    own.write_text("the user's")
    remove_partial(saved.parent)
    assert sorted(saved.parent.iterdir()) == sorted([saved, own])


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    file = write_text(tmp_path / "file", "")
    with pytest.raises(GraphnasError, match=f"could not make the folder {file}/below: Not a directory"):
        write_text(file / "below" / "x", "")
    with pytest.raises(GraphnasError, match="could not make the folder"):
        make_folder(file)
    assert make_folder(tmp_path) == tmp_path


# -- model files ------------------------------------------------------------------------------------------------------
def test_model_round_trip(model: GraphModel, saved: Path) -> None:
    header, tensors = read_model_file(saved)
    assert header["extra"] == {"step": 3} and header["config"] == model.config.to_dict()
    assert tensors.keys() == model.state_dict().keys()
    again, archs = load_model(saved), get_space("toy").enumerate()[:9]
    assert not again.training and torch.equal(again(archs), model(archs))
    (saved.parent / "run").mkdir()
    saved.rename(saved.parent / "run" / "best.safetensors")
    assert torch.equal(load_model(saved.parent / "run")(archs), model(archs))


def test_flipped_bits_in_the_header_are_refused_or_harmless(model: GraphModel, saved: Path) -> None:
    content, places = saved.read_bytes(), Random(0)
    length = 8 + int.from_bytes(content[:8], "little")
    refused = 0
    for _ in range(400):
        damaged = bytearray(content)
        damaged[places.randrange(length)] ^= 1 << places.randrange(8)
        saved.write_bytes(damaged)
        try:
            again = load_model(saved)
        except GraphnasError as error:
            refused += 1
            assert str(error)
        else:
            assert all(torch.equal(value, model.state_dict()[name]) for name, value in again.state_dict().items())
    assert refused > 380


def test_flipped_bits_in_the_weights_are_refused(saved: Path) -> None:
    content, places = saved.read_bytes(), Random(1)
    length = 8 + int.from_bytes(content[:8], "little")
    for _ in range(50):
        damaged = bytearray(content)
        damaged[places.randrange(length, len(content))] ^= 1 << places.randrange(8)
        saved.write_bytes(damaged)
        with pytest.raises(CorruptFile, match="damaged: its weights do not have the checksum of its header"):
            read_model_file(saved)


def test_truncated_files_are_refused(saved: Path) -> None:
    content = saved.read_bytes()
    for size in (0, 7, 8, 100, len(content) // 2, len(content) - 1):
        saved.write_bytes(content[:size])
        with pytest.raises(CorruptFile, match="truncated, damaged or not a .safetensors file"):
            load_model(saved)


@pytest.mark.parametrize("write", [pickle.dump, torch.save], ids=["pickle", "torch"])
def test_a_pickle_under_our_name_is_not_executed(write: Callable[..., None], tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
            return Path.touch, (tmp_path / "executed",)

    path = tmp_path / "best.safetensors"
    with path.open("wb") as stream:
        write(Bomb(), stream)
    with pytest.raises(CorruptFile, match="not a .safetensors file"):
        load_model(path)
    assert not (tmp_path / "executed").exists()


def test_missing_files(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.safetensors"):
        with pytest.raises(MissingData, match="no model file at .*: train one"):
            load_model(path)


def test_tensors_without_our_header(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    headers: list[dict[str, str] | None] = [None, {"graphnas": "[]"}, {"graphnas": '{"format": 1}'}, {"other": "{}"}]
    for header in headers:
        save_file({"w": torch.zeros(2)}, path, metadata=header)
        with pytest.raises(CorruptFile, match="no graphnas header"):
            load_model(path)
    save_file({"w": torch.zeros(2)}, path, metadata={"graphnas": "{broken"})
    with pytest.raises(CorruptFile, match="damaged"):
        load_model(path)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"format": 99}, CheckpointMismatch, "has format 99, this graphnas reads up to 1: update graphnas"),
        ({"format": "1"}, CorruptFile, "no graphnas header"),
        ({"config": [1]}, CorruptFile, "no graphnas header"),
        ({"space": "nowhere"}, CheckpointMismatch, "model.safetensors: unknown search space 'nowhere'"),
        ({"vocabulary": "0" * 16}, CheckpointMismatch, "another vocabulary of 'toy'"),
        ({"model": "svgee"}, CheckpointMismatch, "unknown model 'svgee'"),
        ({"config": {"node_dim": 8, "depth": 3}}, CheckpointMismatch, "depth"),
        ({"config": {"node_dim": 8.0}}, CheckpointMismatch, "model.safetensors: "),
        ({"config": {"node_dim": "8"}}, CheckpointMismatch, "model.safetensors: "),
        ({"config": {"node_dim": 16, "latent_dim": 4}}, CheckpointMismatch, "should be"),
        ({"config": {"node_dim": 8, "latent_dim": 4, "accuracy_head": True}}, CheckpointMismatch, "missing"),
    ],
)
def test_headers_that_do_not_fit(change: dict[str, Any], error: type[Exception], text: str, saved: Path) -> None:
    header, tensors = read_model_file(saved)
    save_file(tensors, saved, metadata={"graphnas": json.dumps({**header, **change})})
    with pytest.raises(error, match=text):
        load_model(saved)


def test_another_model_or_space_than_expected(saved: Path) -> None:
    with pytest.raises(CheckpointMismatch, match="holds 'svge' for 'toy', expected 'svge' for 'nb101'"):
        create_model("svge", "nb101", pretrained=saved)
    with pytest.raises(CheckpointMismatch, match="expected 'dvae' for 'toy'"):
        load_model(saved, expect=("dvae", get_space("toy")))
    assert create_model("svge", "toy", pretrained=str(saved)).space.name == "toy"
