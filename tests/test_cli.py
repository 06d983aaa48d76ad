"""The command line: help a newcomer understands, and one clear line with exit status 2 for everything else."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch

from graphnas import create_model, list_models
from graphnas.cli import COMMANDS, GOES_ON, main
from graphnas.models import save_model
from graphnas.train.evaluate import EvaluationConfig
from graphnas.train.trainer import Trainer

TINY = ["--space=toy", "--data.num_graphs=200", "--model_args.node_dim=8", "--model_args.latent_dim=4", "--device=cpu"]
STEPS = ["--fit.max_steps=2", "--fit.batch_size=32", "--fit.validate_every=2", "--fit.warmup_steps=0"]
CHAIN = "01001/00100/00010/00001/00000:conv,conv,conv"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "run"
    assert main(["train", "vae", *TINY, *STEPS, f"--out={folder}", "--quiet"]) == 0
    return folder


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture
def refuse(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs words that must end with status 2, nothing on stdout and one line on stderr; returns that line."""

    def run(*words: object) -> str:
        assert main([str(word) for word in words]) == 2
        out, err = capsys.readouterr()
        lines = err.splitlines()
        assert out == "" and len(lines) == 1 and lines[0].startswith("graphnas: "), (out, err)
        return lines[0]

    return run


def in_process(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """The command as a user runs it."""
    command = [sys.executable, "-P", "-m", "graphnas", *map(str, words)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, **options)


# -- refusals in this process -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("frobnicate", "unknown command 'frobnicate': known are bo, data build-digits"),
        ("trian vae", "unknown command 'trian': "),
        ("train vea", "unknown command 'train vea': known are train vae"),
        ("--verbose", "unknown command '--verbose'"),
        ("train vae --bogus=3", "unrecognized arguments: --bogus"),
        ("train vae stray", "unrecognized arguments: stray"),
        (
            "train vae --model=svgee",
            "unknown model 'svgee': did you mean 'svge' or 'svae'? `graphnas models list`",
        ),
        ("train vae --space=toyy", "unknown search space 'toyy': did you mean 'toy'"),
        ("train vae --recipe=nothing", "unknown recipe 'nothing'"),
        ("train vae --recipe=./nothing.yaml", "no recipe file ./nothing.yaml"),
        ("train vae --config=nothing.yaml", "File does not exist: "),
        ("train vae --fit.batch_size=-3", "batch_size must be at least 1 (got -3)"),
        ("train vae --fit.batch_size=many", "--fit.batch_size: expected a whole number (got many)"),
        ("train vae --fit.schedule=linear", "--fit.schedule: expected "),
        ("train vae --fit.learning_rate=0", "learning_rate must be positive"),
        ("train vae --space=toy --fit.batch_size=709", "708 training graphs do not fill one batch of 709"),
        ("train vae --space=toy --data.num_graphs=0", "num_graphs must be at least 1"),
        ("train vae --space=toy --data.num_graphs=5", "5 graphs are too few to hold out"),
        ("train vae --space=toy --data.labels=nothing.csv", "there is no file nothing.csv"),
        ("train vae --space=toy --data.labels=toy --data.metric=speed", "speed"),
        (
            "train vae --space=toy --model_args.nodedim=3",
            "unknown option 'nodedim' of model 'svge': did you mean 'node_dim'",
        ),
        ("train vae --space=toy --model_args.node_dim=8.0", "cannot be made with {'node_dim': 8.0}"),
        ("train vae --space=toy --model_args=3", 'key "model_args": Expected'),
        ("train vae --space=toy --device=gpu0", "device must be auto, cpu, cuda, mps (got 'gpu0')"),
        ("train vae --space=toy --threads=0", "--threads must be at least 1"),
        ("train vae --space=toy --seed=-1", "seed must be at least 0"),
        ("train vae --space=toy --seed=1.5", "--seed: expected a whole number (got 1.5)"),
        ("train vae --resume=nowhere", "nowhere is not a run folder: it has no config.yaml"),
        ("train vae --resume=", "is not a run folder"),
        ("train vae --resume", "expected one argument"),
        ("evaluate vae", "required: folder"),
        ("evaluate vae nowhere", "nowhere is not a run folder"),
        ("evaluate vae svge_nb20", "nor the name of shipped weights: did you mean 'svge_nb201'"),
        ("plot latent nowhere", "nowhere is not a run folder"),
        ("plot reconstructions nowhere", "nowhere is not a run folder"),
        ("plot architectures abc --space=toy", "expected 2 to 5 matrix rows (got 1 in 'abc')"),
        (f"plot architectures {CHAIN.replace('00100', '10100')} --space=toy", "acyclic"),
        (
            f"plot architectures {CHAIN.replace('conv,conv,conv', 'conv,conv,lstm')} --space=toy",
            "unknown operation 'lstm'",
        ),
        ("plot architectures --count=0", "--count must be at least 1"),
        ("plot architectures --space=toy --seed=-1", "seed must be at least 0"),
        ("plot architectures --space=toy --count=2 --out=picture.xyz", "got 'picture.xyz'"),
        ("plot interpolate nowhere", "nowhere is not a run folder"),
        ("plot interpolate nowhere --steps=1", "--steps must be at least 2 and at most 625 (got 1)"),
        ("plot interpolate nowhere --kind=square", "invalid choice: 'square'"),
        ("plot interpolate nowhere --kind=circle --end=x", "--end is for --kind linear"),
        ("plot interpolate nowhere --draws=-1", "--draws must be at least 0"),
        ("plot neighbourhood nowhere", "nowhere is not a run folder"),
        ("plot neighbourhood nowhere --size=4", "--size must be odd, at least 3 and at most 25 (got 4)"),
        ("plot neighbourhood nowhere --step=0", "--step must be positive"),
        ("plot projector nowhere", "nowhere is not a run folder"),
        ("plot projector nowhere --num_graphs=1001", "--num_graphs must be 1 to 1000, more with --plain (got 1001)"),
        ("plot projector nowhere --num_graphs=0 --plain", "--num_graphs must be"),
        ("models info", "required: name"),
        ("models info svgee", "did you mean 'svge'"),
        ("models info svge --space=mars", "unknown search space 'mars'"),
        ("models list no*", "no model of the zoo matches 'no*'"),
        ("models list --kind=vea", "no model of the zoo matches '*', kind vea"),
        ("data info nothing", "unknown table 'nothing'"),
        ("data info nothing.csv", "there is no file nothing.csv"),
        ("data download nothing", "unknown data set 'nothing'"),
        ("data download nb201", "needs a browser"),
        ("data convert nb101", "nb101 is not in"),
        ("data convert toy", "say where to write"),
        ("data convert toy --out=x.csv", "known are .npz"),
        ("data convert toy --out=x.npz --partial", "toy is of a form without --partial"),
        ("demo --steps=3", "unrecognized arguments: --steps"),
        ("demo --quick --seed=-1", "seed must be at least 0"),
    ],
)
def test_bad_input_is_one_line(
    words: str, text: str, refuse: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert text in refuse(*words.split())
    assert not list(tmp_path.rglob("*.ckpt")) and not list(tmp_path.rglob("*.npz"))


@pytest.mark.parametrize(
    "content",
    [b"fit: {max_steps: [1", b"- a\n- b\n", b"", b"\xff\xfe\x00", b"fit: {momentum: 3}", b"fit: 3", b"bogus: 3"]
    + [b"model_args: !!python/object/apply:os.mkdir [executed]", b"space: {class_path: antigravity.Up}"],
)
def test_bad_config_files(
    content: bytes, refuse: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    for option in ("--config", "--recipe"):
        assert refuse("train", "vae", f"{option}={path}", "--out=run")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("words", ["train vae", "evaluate vae RUN", "plot architectures", "plot latent RUN"])
def test_output_that_cannot_be_written(words: str, trained: Path, tmp_path: Path, refuse: Callable[..., str]) -> None:
    file = tmp_path / "file"
    file.touch()
    extra = [*TINY, *STEPS, "--quiet"] if words == "train vae" else []
    if words == "plot architectures":
        extra = ["--space=toy", "--count=2"]
    target = file / ("picture.png" if words.startswith("plot") else "folder")
    line = refuse(*words.replace("RUN", str(trained)).split(), *extra, f"--out={target}")
    assert str(file) in line


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there(trained: Path, tmp_path: Path, refuse: Callable[..., str]) -> None:
    assert "cannot run on device 'cuda'" in refuse(
        "train", "vae", *TINY[:-1], "--device=cuda", f"--out={tmp_path / 'r'}"
    )
    assert "cannot use device 'cuda'" in refuse("evaluate", "vae", trained, "--device=cuda")
    assert "cannot use device 'tartan'" in refuse("evaluate", "vae", trained, "--device=tartan")


def test_sizes_of_an_evaluation(trained: Path, refuse: Callable[..., str]) -> None:
    for field in fields(EvaluationConfig):
        assert f"{field.name} must be at least" in refuse("evaluate", "vae", trained, f"--{field.name}=-1")
    assert "invalid choice: 'train'" in refuse("evaluate", "vae", trained, "--part=train")
    for words in (["plot", "latent", trained, "--num_graphs=-4"], ["plot", "reconstructions", trained, "--count=-1"]):
        assert "at least 0" in refuse(*words)
    for words in (["plot", "latent", trained, "--num_graphs=1"], ["plot", "reconstructions", trained, "--count=0"]):
        assert "expected" in refuse(*words)
    assert "not by flops" in refuse("plot", "latent", trained, "--colour=flops", "--labels=toy")


def test_an_existing_run_is_not_overwritten(trained: Path, refuse: Callable[..., str]) -> None:
    assert f"already holds a run: pass --resume {trained} to go on" in refuse(
        "train", "vae", *TINY, *STEPS, f"--out={trained}"
    )


@pytest.mark.parametrize("option", ["--fit.max_steps=80", "--seed=3", "--model=svge", "--recipe=svge_nb101", "--quick"])
def test_resume_takes_no_other_option(option: str, trained: Path, refuse: Callable[..., str]) -> None:
    line = refuse("train", "vae", f"--resume={trained}", option)
    assert f"takes the options of the run it goes on with, not {option}: to train on" in line
    assert f"pass --start_from {trained} --out FOLDER" in line


# -- damaged run folders ----------------------------------------------------------------------------------------------
class Bomb:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.mark,)


def test_damaged_checkpoint(copy: Path, refuse: Callable[..., str]) -> None:
    state = copy / "last.ckpt"
    content = state.read_bytes()
    for damaged in (b"", content[:-100], content[:1000] + b"x" + content[1001:], pickle.dumps(Bomb(copy / "executed"))):
        state.write_bytes(damaged)
        assert f"{state} is truncated, damaged or not ours" in refuse("train", "vae", f"--resume={copy}")
    assert not (copy / "executed").exists()


def test_damaged_weights(copy: Path, refuse: Callable[..., str]) -> None:
    weights = copy / "best.safetensors"
    content = weights.read_bytes()
    flipped = bytearray(content)
    flipped[20] ^= 4
    for damaged in (b"", content[:-1], bytes(flipped), pickle.dumps(Bomb(copy / "executed"))):
        weights.write_bytes(damaged)
        for words in (["evaluate", "vae", copy], ["plot", "latent", copy], ["plot", "reconstructions", copy]):
            assert f"{weights} is truncated, damaged or not a .safetensors file" in refuse(*words)
    assert not (copy / "executed").exists()


def test_damaged_config(copy: Path, refuse: Callable[..., str]) -> None:
    config = copy / "config.yaml"
    text = config.read_text()
    for damaged, reason in (
        (text + "optimizer: sgd\n", "optimizer"),
        (text.replace("fit:", "fit:\n  momentum: 0.9"), "momentum"),
        (text.replace("max_steps: 2", "max_steps: two"), "max_steps"),
        (text.replace("batch_size: 32", "batch_size: -32"), "batch_size must be at least 1"),
        (text.replace("model: svge", "model: [svge"), "is damaged"),
        ("", "expected a mapping"),
    ):
        assert damaged != text
        config.write_text(damaged)
        for words in (["evaluate", "vae", copy], ["train", "vae", f"--resume={copy}"], ["plot", "latent", copy]):
            line = refuse(*words)
            assert str(config) in line and reason in line
    config.unlink()
    assert "it has no config.yaml" in refuse("evaluate", "vae", copy)


def test_run_folder_of_another_space(copy: Path, refuse: Callable[..., str]) -> None:
    save_model(create_model("svge", "enas6", node_dim=8, latent_dim=4), copy / "best.safetensors")
    for words in (["evaluate", "vae", copy], ["plot", "latent", copy], ["plot", "reconstructions", copy]):
        assert "holds 'svge' for 'enas6', expected 'svge' for 'toy'" in refuse(*words)


def test_missing_weights(copy: Path, refuse: Callable[..., str]) -> None:
    (copy / "best.safetensors").unlink()
    assert "no model file at" in refuse("evaluate", "vae", copy)


# -- what works -------------------------------------------------------------------------------------------------------
def test_train_then_evaluate_then_draw(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = ["--num_graphs=5", "--encodings=1", "--decodings=1", "--prior_points=9", "--prior_codes=9"]
    assert main(["evaluate", "vae", str(trained), f"--out={tmp_path}", *few]) == 0
    values = dict(line.split() for line in capsys.readouterr().out.splitlines())
    assert values["validity_masked"] == "1.0000"
    for words in (["latent", str(trained), "--num_graphs=50"], ["reconstructions", str(trained), "--count=2"]):
        picture = tmp_path / f"{words[0]}.png"
        assert main(["plot", *words, f"--out={picture}"]) == 0
        assert capsys.readouterr().out.strip() == str(picture) and picture.read_bytes()[1:4] == b"PNG"
    assert main(["plot", "architectures", CHAIN, "--space=toy", f"--out={tmp_path / 'a.svg'}"]) == 0
    assert "<svg" in (tmp_path / "a.svg").read_text()


def test_train_prints_its_validations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steps = [word.replace("=2", "=4") if "max_steps" in word else word for word in STEPS]
    assert main(["train", "vae", *TINY, *steps, f"--out={tmp_path / 'run'}"]) == 0
    out, err = capsys.readouterr()
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["step", "total", "reconstruction", "kl", "exact"] and [line[0] for line in lines[1:]] == [
        "2",
        "4",
    ]
    assert f"run folder: {tmp_path / 'run'}" in err


def test_quick_trains_in_a_default_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", "vae", "--space=toy", "--quick", "--fit.max_steps=2", "--seed=7", "--device=cpu"]) == 0
    assert (tmp_path / "runs" / "vae-svge-toy-7" / "best.safetensors").is_file()


def test_models_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["name", *list_models()]
    assert main(["models", "info", "svge"]) == 0
    out = capsys.readouterr().out
    assert "2,245,121" in out and "node_dim" in out and "250" in out


def test_data_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "list"]) == 0
    rows = [line.split()[:3] for line in capsys.readouterr().out.splitlines()]
    assert (
        rows[0] == ["name", "space", "state"]
        and ["nb101", "nb101", "absent"] in rows
        and rows[-1] == ["toy", "toy", "built"]
    )
    assert main(["data", "list", "--json"]) == 0
    listed = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert listed["nb201"]["download"] == "by hand" and listed["toy"]["state"] == "built in"
    assert main(["data", "info", "darts"]) == 0
    assert "1.08e+18" in capsys.readouterr().out
    assert main(["data", "info", "toy"]) == 0
    out = capsys.readouterr().out
    assert "787" in out and re.search(r"score +fraction +787 +0\.1417 +1\.0000", out)
    assert main(["data", "convert", "toy", f"--out={tmp_path / 'toy.npz'}"]) == 0
    assert f"path    {tmp_path / 'toy.npz'}" in capsys.readouterr().out
    assert main(["data", "info", str(tmp_path / "toy.npz")]) == 0
    assert capsys.readouterr().out == out.partition("\n\n")[2]


def test_image_data(tmp_path: Path, capsys: pytest.CaptureFixture[str], refuse: Callable[..., str]) -> None:
    assert main(["data", "info", "digits"]) == 0
    values = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert values["shape"] == "[1, 8, 8]" and values["classes"] == "10"
    assert (values["train"], values["validation"], values["test"]) == ("300", "997", "500")
    assert main(["data", "info", "digits", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["classes"] == 10
    assert "run `graphnas data download cifar10`, or get cifar-10-binary.tar.gz" in refuse("data", "info", "cifar10")
    assert "needs a browser" in refuse("data", "download", "imagenet16", f"--out={tmp_path}")


def test_converting_a_csv(tmp_path: Path, capsys: pytest.CaptureFixture[str], real_data: Path) -> None:
    csv = str(real_data / "nb101_sample.csv.gz")
    assert main(["data", "convert", csv, "--space=nb101", f"--out={tmp_path / 'x.npz'}", "--quiet"]) == 0
    assert f"path    {tmp_path / 'x.npz'}" in capsys.readouterr().out
    assert main(["data", "info", str(tmp_path / "x.npz"), "--json"]) == 0
    info = json.loads(capsys.readouterr().out)
    assert info["space"] == "nb101" and info["rows"] == 16001


# -- endings ----------------------------------------------------------------------------------------------------------
def test_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "train_step", interrupt)
    assert main(["train", "vae", *TINY, *STEPS, f"--out={tmp_path / 'run'}"]) == 130
    assert capsys.readouterr().err == (
        "graphnas: interrupted: --resume FOLDER goes on from the last checkpoint there\n"
    )


def test_commands_that_go_on_are_commands() -> None:
    assert GOES_ON.keys() <= COMMANDS.keys()


def test_an_error_of_the_system_is_one_line(
    trained: Path, monkeypatch: pytest.MonkeyPatch, refuse: Callable[..., str]
) -> None:
    def fail(*_: Any) -> None:
        raise PermissionError(13, "Permission denied", "/some/file")

    monkeypatch.setattr("graphnas.commands.runs.read_vae_config", fail)
    assert "Permission denied: '/some/file'" in refuse("evaluate", "vae", trained)


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = [sys.executable, "-P", "-m", "graphnas", "--help"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b"" and process.wait(60) == 0
    process.stderr.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_behind_stdout() -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-P", "-m", "graphnas", "--help"]
        run = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert run.returncode == 2 and run.stderr.startswith("graphnas: ") and "Traceback" not in run.stderr


def test_real_processes(copy: Path) -> None:
    """As users meet it: exit status, one line, no traceback, and nothing of a pickle is executed."""
    (copy / "best.safetensors").write_bytes(pickle.dumps(Bomb(copy / "executed")))
    run = in_process("evaluate", "vae", copy)
    assert (run.returncode, run.stdout) == (2, "") and len(run.stderr.splitlines()) == 1
    assert run.stderr.startswith(f"graphnas: {copy}/best.safetensors is truncated, damaged")
    assert not (copy / "executed").exists()
    run = in_process("frobnicate")
    assert (run.returncode, run.stdout) == (2, "") and run.stderr.startswith("graphnas: unknown command 'frobnicate'")


@pytest.mark.slow
def test_more_real_processes(copy: Path, tmp_path: Path) -> None:
    (copy / "last.ckpt").write_bytes((copy / "last.ckpt").read_bytes()[:-500])
    for words in (
        ["train", "vae", "--fit.batch_size=-3"],
        ["train", "vae", f"--resume={copy}"],
        ["train", "vae", *TINY, "--fit.batch_size=10000", f"--out={tmp_path / 'new'}"],
        ["plot", "architectures", CHAIN.replace("00100", "10100"), "--space=toy"],
        ["data", "download", "nb201"],
        ["models", "info", "nothing"],
    ):
        run = in_process(*words, cwd=tmp_path)
        assert (run.returncode, run.stdout) == (2, ""), run.stderr
        assert len(run.stderr.splitlines()) == 1 and run.stderr.startswith("graphnas: "), run.stderr


@pytest.mark.slow
def test_interrupt_signal(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "graphnas", "train", "vae", *TINY, "--fit.max_steps=100000"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    options = [f"--out={tmp_path / 'run'}", "--fit.batch_size=32", "--fit.validate_every=20"]
    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a shell's background jobs inherit that it is ignored
    with subprocess.Popen([*command, *options], env=environment, stderr=subprocess.PIPE, text=True) as process:
        signal.signal(signal.SIGINT, before)
        assert process.stderr is not None
        while not process.stderr.readline().startswith("step 40"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.stderr.read().splitlines()[-1].startswith("graphnas: interrupted: --resume FOLDER")
        assert process.wait(60) == 130
    assert main(["models", "list"]) == 0 and (tmp_path / "run" / "last.ckpt").is_file()
