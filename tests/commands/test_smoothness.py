"""Paths, neighbourhoods, label colours and the projector of a tiny trained run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from graphnas import get_space
from graphnas.cli import main
from graphnas.commands.smoothness_cli import STEPS
from graphnas.errors import InvalidValues
from graphnas.plot import thumbnails, write_projector

SIZE = ["--model_args.node_dim=8", "--model_args.latent_dim=4", "--device=cpu", "--fit.max_steps=2"]
LOOP = ["--fit.batch_size=16", "--fit.validate_every=2", "--fit.warmup_steps=0", "--quiet"]
CHAIN = "01000/00100/00010/00001/00000:conv,conv,conv"
NB201 = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"


def train(folder: Path, space: str, *more: str) -> Path:
    words = ["train", "vae", "--model=svge", f"--space={space}", f"--out={folder}", *SIZE, *LOOP, *more]
    assert main(words) == 0
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("smooth") / "run", "toy", "--data.num_graphs=100")


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


Plot = Callable[..., list[str]]


@pytest.fixture
def draw(capsys: pytest.CaptureFixture[str]) -> Plot:
    """Runs `graphnas plot` and returns what it printed."""

    def run(*words: object) -> list[str]:
        capsys.readouterr()
        assert main(["plot", *map(str, words)]) == 0
        return capsys.readouterr().out.splitlines()

    return run


@pytest.fixture
def refuse(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def run(*words: object) -> str:
        capsys.readouterr()
        assert main(["plot", *map(str, words)]) == 2
        out, err = capsys.readouterr()
        assert out == "" and len(err.splitlines()) == 1 and err.startswith("graphnas: "), (out, err)
        return err

    return run


# -- paths and grids --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("kind", "count", "steps"), [("linear", 10, 9), ("circle", 8, 8)])
def test_interpolate(kind: str, count: int, steps: int, copy: Path, draw: Plot) -> None:
    assert STEPS == {"linear": 10, "circle": 36}  # the published ones
    fewer = [f"--steps={count}"] if kind == "circle" else []
    lines = draw("interpolate", copy, f"--kind={kind}", "--draws=3", *fewer)
    picture = copy / f"interpolate-{kind}.png"
    assert lines[0] == str(picture) and picture.read_bytes()[1:4] == b"PNG"
    content = json.loads(picture.with_suffix(".json").read_text())
    printed = dict(line.split() for line in lines[1:])
    figures = content["smoothness"]
    assert figures["steps"] == steps == int(printed["steps"]) and len(content["points"]) == count
    numbers = [point["number"] for point in content["points"]]
    assert numbers[0] == 1 and max(numbers) == figures["distinct"] and content["draws"] == 3
    following = [*numbers[1:], *(numbers[:1] if kind == "circle" else [])]
    changed = sum(a != b for a, b in zip(numbers, following, strict=False)) / steps
    assert figures["changed"] == pytest.approx(changed) and 1 / 3 - 1e-6 <= figures["agreement"] <= 1
    assert bool(get_space("toy").is_valid(get_space("toy").parse([p["arch"] for p in content["points"]])).all())
    assert ("angle_degrees" in content) == (kind == "linear")


def test_interpolate_between_named_ones(copy: Path, draw: Plot) -> None:
    out = copy / "deep" / "line.svg"
    ends = [f"--start={CHAIN}", f"--end={CHAIN}"]
    lines = draw("interpolate", copy, *ends, "--steps=3", "--draws=0", f"--out={out}")
    content = json.loads(out.with_suffix(".json").read_text())
    assert lines[0] == str(out) and content["ends"] == [CHAIN, CHAIN]
    assert content["angle_degrees"] == 0.0 and content["smoothness"]["changed"] == 0.0
    assert "#1" in out.read_text(encoding="utf-8") and "1 architectures" in out.read_text(encoding="utf-8")


def test_neighbourhood(copy: Path, draw: Plot) -> None:
    lines = draw("neighbourhood", copy, f"--arch={CHAIN}", "--size=3", "--step=0.5", "--quick")
    content = json.loads((copy / "neighbourhood.json").read_text())
    assert lines[0] == str(copy / "neighbourhood.png") and len(content["points"]) == 9
    assert (content["arch"], content["step"], content["draws"]) == (CHAIN, 0.5, 50)
    assert content["smoothness"]["steps"] == 12
    again = draw("neighbourhood", copy, f"--arch={CHAIN}", "--size=3", "--step=0.5", "--quick")
    assert again == lines


def test_refusals(trained: Path, tmp_path: Path, refuse: Callable[..., str]) -> None:
    assert "matrix rows" in refuse("interpolate", trained, f"--start={NB201}")
    assert "matrix rows" in refuse("neighbourhood", trained, f"--arch={NB201}")
    assert "matrix rows" in refuse("neighbourhood", trained, "--arch=")
    assert "seed must be at least 0" in refuse("interpolate", trained, "--seed=-1")
    for command in ("interpolate", "neighbourhood"):
        few = ["--steps=2"] if command == "interpolate" else ["--size=3"]
        assert "got 'x.xyz'" in refuse(command, trained, *few, "--draws=1", f"--out={tmp_path / 'x.xyz'}")
    assert not list(tmp_path.iterdir())


# -- labels -----------------------------------------------------------------------------------------------------------
def test_latent_by_labels_of_a_run_without_them(trained: Path, tmp_path: Path, draw: Plot) -> None:
    for number, words in enumerate((["--colour=labels"], ["--labels=toy"], ["--metric=score"])):
        out = tmp_path / f"{number}.svg"
        assert draw("latent", trained, *words, "--num_graphs=40", f"--out={out}") == [str(out)]
        text = out.read_text(encoding="utf-8")
        assert "score" in text and "% of variance" in text


def test_latent_by_a_file_of_labels(trained: Path, tmp_path: Path, draw: Plot, refuse: Callable[..., str]) -> None:
    table = tmp_path / "toy.npz"
    assert main(["data", "convert", "toy", f"--out={table}"]) == 0
    out = tmp_path / "map.svg"
    draw("latent", trained, f"--labels={table}", "--num_graphs=40", f"--out={out}")
    assert "score" in out.read_text(encoding="utf-8")
    assert "unknown metric 'speed'" in refuse("latent", trained, "--metric=speed")
    assert "there is no file" in refuse("latent", trained, f"--labels={tmp_path / 'no.csv'}")
    assert refuse("latent", trained, "--labels=digits201")


def test_a_space_without_built_in_labels(tmp_path: Path, draw: Plot, refuse: Callable[..., str]) -> None:
    run = train(tmp_path / "run", "enas6", "--data.num_graphs=60")
    assert "enas6 has no built-in ones: pass --labels" in refuse("latent", run, "--colour=labels")
    draw("projector", run, "--num_graphs=4", "--plain")
    header = (run / "tensorboard/projector/00000/default/metadata.tsv").read_text().splitlines()[0]
    assert header.split("\t") == ["architecture", "params", "flops"]


# -- projector --------------------------------------------------------------------------------------------------------
def test_projector(copy: Path, draw: Plot) -> None:
    folder = copy / "tensorboard" / "projector"
    for count in (12, 7):  # the second export replaces the first
        assert draw("projector", copy, f"--num_graphs={count}") == [str(folder)]
        config = (folder / "projector_config.pbtxt").read_text()
        assert config.count("embeddings {") == 1 and "sprite.png" in config
        data = folder / "00000" / "default"
        tensors = [line.split("\t") for line in (data / "tensors.tsv").read_text().splitlines()]
        assert np.array(tensors, dtype=float).shape == (count, 4)
        rows = [line.split("\t") for line in (data / "metadata.tsv").read_text().splitlines()]
        assert rows[0] == ["architecture", "score (fraction)", "params", "flops"] and len(rows) == count + 1
        archs = get_space("toy").parse([row[0] for row in rows[1:]])
        assert get_space("toy").cost(archs)["params"].tolist() == [int(row[2]) for row in rows[1:]]
        side = 96 * int(np.ceil(count**0.5))
        with Image.open(data / "sprite.png") as sprite:
            assert sprite.size == (side, side)
    assert [path.name for path in (copy / "tensorboard").iterdir() if path.name.startswith(".")] == []
    assert len(list((copy / "tensorboard").glob("events.*"))) == 1  # those of the training stay


def test_thumbnails_show_their_architecture() -> None:
    space = get_space("toy")
    archs = space.parse([CHAIN, "01/00:", CHAIN])
    pictures = thumbnails(archs, space.vocabulary, 48)
    assert pictures.shape == (3, 3, 48, 48) and 0 <= float(pictures.min()) < 0.5 and float(pictures.max()) == 1
    assert torch.equal(pictures[0], pictures[2]) and not torch.equal(pictures[0], pictures[1])
    with pytest.raises(InvalidValues, match="16 pixels"):
        thumbnails(archs, space.vocabulary, 8)


def test_projector_keeps_rows_whole_and_files_of_others(tmp_path: Path) -> None:
    codes = torch.zeros(2, 3)
    columns = {"a\tname": ["one\ttwo", "three\nfour"], "b": [1, 2]}
    folder = write_projector(tmp_path / "log", codes, columns)
    metadata = folder / "00000/default/metadata.tsv"
    assert metadata.read_text().splitlines() == ["a name\tb", "one two\t1", "three four\t2"]
    write_projector(folder, codes, {"a": [1, 2]})
    assert metadata.read_text().splitlines() == ["1", "2"]  # a single column has no header in TensorBoard
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(InvalidValues, match=r"holds other files \(thesis.txt\)"):
        write_projector(tmp_path / "mine", codes, {"a": [1, 2]})
    for bad in ({}, {"a": [1]}):
        with pytest.raises(InvalidValues, match="B metadata"):
            write_projector(tmp_path / "log", codes, bad)
    with pytest.raises(InvalidValues, match="expected pictures"):
        write_projector(tmp_path / "log", codes, {"a": [1, 2]}, torch.zeros(2, 3, 8, 9))
    assert (folder / "projector_config.pbtxt").is_file()
