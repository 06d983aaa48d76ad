"""`graphnas models import`: a released checkpoint becomes one of ours, and everything else is refused in one line."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from graphnas import create_model
from graphnas.checkpoint import read_model_file
from graphnas.cli import main
from graphnas.errors import GraphnasError
from graphnas.models import import_released
from graphnas.models.released import RELEASES
from tests.models.released.files import State, arch2vec_state, dvae_state, generator_state, save

Change = Callable[[State], Any]


def words(source: Path, out: Path, system: str = "svge", space: str = "nb101") -> list[str]:
    return ["models", "import", str(source), "--from", system, "--space", space, str(out)]


def test_imports_and_says_what_came(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = (
        save(generator_state("svge", 5, head=True), tmp_path / "theirs.obj"),
        tmp_path / "new" / "o.safetensors",
    )
    assert main(words(source, out)) == 0
    printed, err = capsys.readouterr()
    assert err == "" and str(out) in printed.split() and "3,117" in printed.split()
    header, _ = read_model_file(out)
    assert header["config"]["faithful"] is True and header["config"]["accuracy_layers"] == 3
    kept = header["extra"]["imported"]
    assert (kept["system"], kept["file"], len(kept["sha256"])) == ("svge", "theirs.obj", 64)
    model = create_model("svge", "nb101", pretrained=out)
    direct = import_released(source, "svge", "nb101").state_dict()
    assert all(torch.equal(tensor, direct[name]) for name, tensor in model.state_dict().items())


def without(*names: str) -> Change:
    return lambda state: [state.pop(name) for name in names] and state


def replaced(name: str, *shape: int, dtype: torch.dtype = torch.float32) -> Change:
    return lambda state: {**state, name: torch.ones(shape, dtype=dtype)}


class Bomb:
    """Runs a command when it is unpickled by a careless reader."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.marker),)


GENERATOR = "Decoder.generator"
REFUSED: dict[str, tuple[Change, str]] = {
    "missing": (
        without(*(f"{GENERATOR}.nodes.f_s_{part}" for part in ("1.weight", "1.bias", "2.weight", "2.bias"))),
        f"4 missing: {GENERATOR}.nodes.f_s_1.bias, {GENERATOR}.nodes.f_s_1.weight, {GENERATOR}.nodes.f_s_2.bias, ...",
    ),
    "left over": (lambda state: {**state, "Decoder.b": torch.ones(1)}, "1 left over: Decoder.b"),
    "both": (
        lambda state: {**without(f"{GENERATOR}.nodes.f_s_2.bias")(state), "extra": torch.ones(1)},
        f"1 missing: {GENERATOR}.nodes.f_s_2.bias; 1 left over: extra",
    ),
    "no size": (without("Encoder.GraphEmb_mean.f_m.weight"), "the key Encoder.GraphEmb_mean.f_m.weight is missing"),
    "no rounds": (
        lambda state: {name: tensor for name, tensor in state.items() if "prop.NodeEmb" not in name},
        "keys under Decoder.generator.prop.NodeEmb.GNNLayers_forward.0 are missing",
    ),
    "no axis": (replaced("Decoder.generator.nodeInit.NodeInits.weight", 5), "more than 1 axes (got [5])"),
    "shape": (replaced(f"{GENERATOR}.nodes.f_s_1.weight", 12, 23), "f_s_1.weight should be [12, 24] (got [12, 23])"),
    "readout": (replaced("Encoder.GraphEmb_var.f_m.weight", 5, 8), "GraphEmb_var.f_m.weight should be [4, 8]"),
    "types": (
        replaced("Encoder.NodeEmb.NodeInit.weight", 7, 4),
        "NodeInit.weight should be [5, 4] (got [7, 4]): 7 vertex types where the space has 5; is it of another space?",
    ),
    "odd": (replaced(f"{GENERATOR}.nodeInit.NodeInits.weight", 5, 7), "node_dim must be even"),
    "integers": (
        replaced(f"{GENERATOR}.nodes.f_s_2.bias", 1, dtype=torch.int64),
        "f_s_2.bias should be torch.float32 (got torch.int64)",
    ),
    "undefined": (
        lambda state: {**state, f"{GENERATOR}.nodes.f_s_2.bias": torch.tensor([torch.nan])},
        "f_s_2.bias holds infinite or undefined numbers",
    ),
    "claims": (
        lambda state: {**state, f"{GENERATOR}.nodes.f_s_1.weight": torch.ones(1).expand(10**9, 10**9)},
        "claims more numbers than the file holds",
    ),
    "huge": (
        replaced(f"{GENERATOR}.nodeInit.NodeInits.weight", 0, 2**40),
        "no svge can have the sizes of its tensors",
    ),
    "no tensor": (lambda state: {**state, "epoch": 3}, "tensors by name (got int under 'epoch')"),
    "no name": (lambda state: {1: torch.ones(1)}, "got Tensor under 1"),
    "sparse": (lambda state: {"a": torch.eye(2).to_sparse()}, "got Tensor under 'a'"),
    "list": (lambda state: [torch.ones(1)], "tensors by name (got list)"),
    "empty": (lambda state: {}, "got an empty dict"),
    "other system": (lambda state: dvae_state(), "it looks like one of dvae"),
    "no system": (lambda state: {"b": torch.ones(1), "a.x": torch.ones(1)}, "its keys begin with a.x"),
}


@pytest.fixture
def refuse(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., str]:
    """Imports a file in vain: status 2, one line, which is returned, and the folder of OUT as it was."""

    def run(source: Path, system: str = "svge", space: str = "nb101") -> str:
        folder = tmp_path / "out"
        folder.mkdir(exist_ok=True)
        out = folder / "ours.safetensors"
        out.write_bytes(b"earlier")
        assert main(words(source, out, system, space)) == 2
        printed, err = capsys.readouterr()
        assert printed == "" and len(err.splitlines()) == 1 and err.startswith("graphnas: ") and len(err) < 600
        assert [path.name for path in folder.iterdir()] == [out.name] and out.read_bytes() == b"earlier"
        return err

    return run


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_what_is_no_such_state_dict(case: str, refuse: Callable[..., str], tmp_path: Path) -> None:
    change, text = REFUSED[case]
    message = refuse(save(change(generator_state("svge", 5)), tmp_path / "theirs.obj", old=case != "claims"))
    assert text in message and "theirs.obj" in message


@pytest.mark.parametrize("old", [False, True])
def test_refuses_a_bomb_without_executing_it(old: bool, refuse: Callable[..., str], tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    state = {**generator_state("svge", 5), "payload": Bomb(marker)}
    message = refuse(save(state, tmp_path / "bomb.obj", old))
    assert "asks for posix.mkdir" in message and "nothing of it was executed" in message and not marker.exists()


def test_refuses_a_whole_pickled_model(refuse: Callable[..., str], tmp_path: Path) -> None:
    message = refuse(save(torch.nn.Linear(2, 2), tmp_path / "model.pt"))
    assert "asks for torch.nn.modules.linear.Linear" in message and "save model.state_dict() alone" in message


def test_refuses_what_torch_did_not_write(refuse: Callable[..., str], tmp_path: Path) -> None:
    whole = save(generator_state("svge", 5), tmp_path / "whole.obj").read_bytes()
    source = tmp_path / "theirs.obj"
    for content in (b"", b"text\n", b"\x80\x02", bytes(range(256)), whole[: len(whole) // 2], b"PK\x03\x04" + whole):
        source.write_bytes(content)
        assert "truncated, damaged or not a file of torch.save" in refuse(source)
    assert "no file at" in refuse(tmp_path / "nowhere") and "no file at" in refuse(tmp_path)


def test_refuses_other_systems_and_spaces(refuse: Callable[..., str], tmp_path: Path) -> None:
    source = save(generator_state("svge", 5), tmp_path / "theirs.obj")
    assert "7 where" not in refuse(source, space="nb201") and "5 vertex types where the space has 7" in refuse(
        source, space="nb201"
    )
    assert "released checkpoints of svge are for nb101, nb201, enas6, enas12 (got 'toy')" in refuse(source, space="toy")
    assert "unknown system 'svg': did you mean 'svge'?" in refuse(source, system="svg")
    assert "unknown search space 'nb10'" in refuse(source, space="nb10")
    assert "no released checkpoint of dgmg" in refuse(source, system="dgmg")
    small = save(dvae_state(), tmp_path / "dvae.pth")
    assert "gate_forward.0.weight should be [6, 20] (got [6, 14])" in refuse(small, "dvae", "enas12")
    longer = arch2vec_state(5)
    longer["eps"] = torch.ones(4)
    assert "eps should be [3] (got [4])" in refuse(save(longer, tmp_path / "eps.pt"), "arch2vec", "nb101")


def test_refuses_bad_outs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = save(generator_state("svge", 5), tmp_path / "theirs.safetensors")
    (tmp_path / "folder.safetensors").mkdir()
    for out, text in (
        (tmp_path / "ours.pt", "NAME.safetensors"),
        (tmp_path / "folder.safetensors", "NAME.safetensors"),
        (source, "another file than FILE"),
    ):
        before = source.read_bytes()
        assert main(words(source, out)) == 2 and text in capsys.readouterr().err
        assert source.read_bytes() == before and not (tmp_path / "ours.pt").exists()


@pytest.mark.parametrize("old", [False, True])
def test_a_damaged_file_is_refused_or_gives_a_model(old: bool, tmp_path: Path) -> None:
    content = save(arch2vec_state(5, hidden=3, latent=2, layers=1), tmp_path / "whole.pt", old).read_bytes()
    random, path, refused = Random(0), tmp_path / "damaged.pt", 0
    for _ in range(150):
        damaged = bytearray(content)
        for _ in range(random.randint(1, 3)):
            damaged[random.randrange(len(damaged))] = random.randrange(256)
        path.write_bytes(damaged)
        try:
            import_released(path, "arch2vec", "nb101")
        except GraphnasError as error:
            refused += 1
            assert str(path) in str(error)
    assert refused > 20


def test_help_names_every_system(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["models", "import", "--help"])
    out = capsys.readouterr().out
    assert all(system in out for system in RELEASES)
