"""`graphnas models list --pretrained | card | embed | build`, and the texts made from cards."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from graphnas import create_model, get_space
from graphnas.bo.vae_board import independent
from graphnas.bo.zoo_metrics import among
from graphnas.cli import main
from graphnas.commands.zoo_text import FIELDS, card_text, readme_text
from graphnas.models import save_model
from graphnas.spaces import Architectures
from graphnas.state_dicts import CARD_FIELDS, list_pretrained, read_card
from graphnas.train.result_files import settled

ROOT = Path(__file__).resolve().parents[2]
RECIPE = """
model: svge
model_args: {node_dim: 32, latent_dim: 8, edge_loss: sum}
data: {space: toy}
fit: {max_steps: 60, batch_size: 32, learning_rate: 0.002, validate_every: 30, warmup_steps: 5}
"""


def test_table_of_shipped_weights(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list", "--pretrained"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("  ")[0] == "name"
    for word in ("model", "space", "size", "reconstruction", "latent r", "minutes"):
        assert word in lines[0]
    assert [line.split()[0] for line in lines[1:]] == [card["name"] for card in list_pretrained()]
    assert main(["models", "list", "svge", "--pretrained", "--space", "nb201", "--kind", "vae"]) == 0
    assert all(line.split()[2] == "nb201" for line in capsys.readouterr().out.splitlines()[1:])
    assert main(["models", "list", "none*", "--pretrained"]) == 2
    assert main(["models", "list", "--space", "nb201"]) == 2


def test_card_and_info(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "card", "svge_nb201"]) == 0
    text = capsys.readouterr().out
    card = read_card("svge_nb201")
    assert card["sha256"] in text and 'create_model("svge", "nb201", pretrained=True)' in text
    assert main(["models", "info", "svge"]) == 0
    assert "svge_nb201" in capsys.readouterr().out
    assert main(["models", "card", "svge_nb20"]) == 2
    assert "did you mean 'svge_nb201'" in capsys.readouterr().err


def test_generated_files_are_those_of_the_cards() -> None:
    assert list(FIELDS) == list(CARD_FIELDS)
    cards = list_pretrained()
    assert (ROOT / "state_dicts" / "README.md").read_text() == readme_text(cards)
    for card in cards:
        assert (ROOT / "state_dicts" / f"{card['name']}.md").read_text() == card_text(card)


def test_embed_a_space_and_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    model, space = create_model("svge", "toy", node_dim=8, latent_dim=4).eval(), get_space("toy")
    weights, archs = save_model(model, tmp_path / "model.safetensors"), space.enumerate()
    out = tmp_path / "codes.npz"
    assert main(["models", "embed", str(weights), "all", "-o", str(out), "--batch_size", "100"]) == 0
    with np.load(out) as found:
        read = Architectures(**{name: torch.from_numpy(found[name]) for name in ("ops", "adj", "num_nodes")})
        assert bool(read.equal(archs).all()) and found["space"] == "toy"
        expected = model(archs).detach().numpy()
        np.testing.assert_allclose(found["codes"], expected, atol=1e-6)
    (tmp_path / "some.txt").write_text("\n".join(space.format(archs[5:8])) + "\n")
    assert main(["models", "embed", str(weights), str(tmp_path / "some.txt"), "-o", str(out)]) == 0
    with np.load(out) as found:
        np.testing.assert_allclose(found["codes"], expected[5:8], atol=1e-6)
    (tmp_path / "some.csv").write_text("arch_str\n" + "".join(f'"{text}"\n' for text in space.format(archs[5:8])))
    assert main(["models", "embed", str(weights), str(tmp_path / "some.csv"), "-o", str(out)]) == 0
    with np.load(out) as found:
        np.testing.assert_allclose(found["codes"], expected[5:8], atol=1e-6)
    for words, text in (
        (["none", "all"], "none"),
        ([str(weights), "none.txt"], "none.txt"),
        ([str(weights), "all", "--batch_size", "0"], "expected --batch_size of at least 1 (got 0)"),
        ([str(weights), "all", "-o", "codes.csv"], "expected --out to end in .npz (got codes.csv)"),
    ):
        capsys.readouterr()
        assert main(["models", "embed", *words]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and text in error


def test_shipped_weights_rank_and_are_judged_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cells.txt").write_text("\n".join(get_space("nb201").format(get_space("nb201").sample(5))))
    assert main(["predict", "svge_nb201-digits", "cells.txt", "--out", "ranking.csv"]) == 0
    lines = (tmp_path / "ranking.csv").read_text().splitlines()
    assert len(lines) == 6 and lines[0] == "rank,arch,prediction,std" and lines[1].endswith(",")
    assert main(["predict", "gin_nb201", "cells.txt"]) == 2
    assert (
        "learned no label and ranks nothing: shipped weights that do are svge_nb201-digits" in capsys.readouterr().err
    )
    sizes = ["--num_graphs=20", "--encodings=1", "--decodings=2", "--prior_points=20", "--prior_codes=100"]
    assert main(["evaluate", "vae", "arch2vec_nb201", *sizes]) == 0
    exact = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("exact "))
    assert exact.split()[1] == "1.0000"
    assert main(["plot", "interpolate", "arch2vec_nb201", "--steps=3", "--draws=0"]) == 0
    made = {path.relative_to(tmp_path).as_posix() for path in (tmp_path / "runs").rglob("*") if path.is_file()}
    assert "runs/arch2vec_nb201/evaluation-test.json" in made and len(made) >= 2
    assert main(["evaluate", "vae", "gin_nb201"]) == 2 and "is a gin predictor" in capsys.readouterr().err


@pytest.fixture
def listed(tmp_path: Path) -> list[str]:
    """The command line that makes one small model."""
    (tmp_path / "small.yaml").write_text(RECIPE)
    line = {"model": "svge", "space": "toy", "recipe": str(tmp_path / "small.yaml"), "tag": "small"}
    content = {"bars": {"toy": 0.0}, "weights": [{**line, "options": ["--fit.max_steps=50"]}]}
    (tmp_path / "zoo.yaml").write_text(yaml.safe_dump(content))
    out = [f"--{name}={tmp_path / name}" for name in ("runs", "out")]
    return ["models", "build", f"--list={tmp_path / 'zoo.yaml'}", *out]


@pytest.mark.usefixtures("brief_gp")
def test_build_makes_what_is_missing(listed: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(listed) == 0
    assert "svge_toy-small" in capsys.readouterr().out
    out = tmp_path / "out"
    card = json.loads((out / "svge_toy-small.json").read_text())
    assert card["run"]["fit"]["max_steps"] == 50 and card["tag"] == "small" and card["precision"] == "float16"
    assert "--fit.max_steps=50" in card["command"] and card["cpu_minutes"] > 0
    assert card["metrics"]["validity_masked"]["value"] == 1
    low, high = card["metrics"]["exact"]["ci95"]
    assert low <= card["metrics"]["exact"]["value"] <= high
    assert {path.name for path in out.iterdir()} == {"README.md", "plots", *(f"svge_toy-small.{x}" for x in ("json", "md", "safetensors"))}  # noqa: E501  # fmt: skip
    weights = out / "svge_toy-small.safetensors"
    made, content = weights.stat().st_mtime_ns, weights.read_bytes()
    assert main(listed) == 0 and weights.stat().st_mtime_ns == made  # nothing to do
    weights.unlink()
    assert main(listed) == 0 and weights.read_bytes() == content  # from the finished run, the same bytes
    assert main([*listed, "other*"]) == 2


@pytest.mark.usefixtures("brief_gp")
def test_build_refuses_what_is_below_the_bar(
    listed: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "zoo.yaml"
    path.write_text(path.read_text().replace("toy: 0.0", "toy: 1.1"))
    assert main(listed) == 2
    assert "below 1.1" in capsys.readouterr().err and not list((tmp_path / "out").glob("*.safetensors"))
    path.write_text("bars: {toy: 1}\nweights: [{model: svge, space: toy, colour: red}]\n")
    assert main(listed) == 2 and "colour" in capsys.readouterr().err


def test_build_finds_its_list_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["models", "build", "none"]) == 2
    assert "zoo.yaml are called none" in capsys.readouterr().err
    assert main(["models", "build", "--list", "none.yaml"]) == 2
    assert "no list of weights at none.yaml: --list names" in capsys.readouterr().err


def test_labels_shared_by_architectures_count_once() -> None:
    space = get_space("nb201")
    archs = space.enumerate()
    assert independent(space, archs) == 4930 and among(space, archs) == ", 4,930 different functions"
    assert among(space, archs[:1]) == ""


def test_build_teaches_predictors_properties(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = {"bars": {"toy": 0.5}, "weights": [{"model": "gin", "space": "toy", "properties": 150}]}
    (tmp_path / "zoo.yaml").write_text(yaml.safe_dump(content))
    paths = [f"--{name}={tmp_path / name}" for name in ("runs", "out")]
    assert main(["models", "build", f"--list={tmp_path / 'zoo.yaml'}", *paths]) == 0
    card = json.loads((tmp_path / "out" / "gin_toy.json").read_text())
    assert card["kind"] == "predictor" and card["run"]["steps"] == 150 and card["metrics"]["r_mean"]["value"] > 0.5
    assert (tmp_path / "out" / "plots" / "gin_toy.png").is_file()


@pytest.mark.slow
def test_a_shipped_checkpoint_made_again_measures_the_same(tmp_path: Path) -> None:
    """arch2vec on NAS-Bench-201 from its line of the list; processors round differently, hence the margins."""
    paths = [f"--runs={tmp_path / 'runs'}", f"--out={tmp_path / 'out'}"]
    assert main(["models", "build", "arch2vec_nb201", f"--list={ROOT / 'state_dicts' / 'zoo.yaml'}", *paths]) == 0
    again, shipped = json.loads((tmp_path / "out" / "arch2vec_nb201.json").read_text()), read_card("arch2vec_nb201")
    for name in ("config", "data_hash", "split_hash", "run", "parameters"):
        assert settled(again[name]) == settled(shipped[name]), name
    for name, margin in (("exact", 0.002), ("reconstruction", 0.002), ("validity_masked", 0.0), ("latent_r", 0.08)):
        assert again["metrics"][name]["value"] == pytest.approx(shipped["metrics"][name]["value"], abs=margin), name
