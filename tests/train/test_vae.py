"""Training a VAE from a config, and reading a run folder back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from graphnas import create_model, list_models
from graphnas.errors import CheckpointMismatch, CorruptFile, GraphnasError, MissingData, UnknownName
from graphnas.models import save_model
from graphnas.testing import tiny_options
from graphnas.train import DataConfig, FitConfig, VAEConfig
from graphnas.train.data import prepare
from graphnas.train.vae import VALIDATION_GRAPHS, build, load_vae, part, read_vae_config, train_or_continue, train_vae

MakeConfig = Callable[..., VAEConfig]


@pytest.fixture
def copy(finished_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished_run, tmp_path / "run"))


@pytest.fixture
def edit(copy: Path) -> Callable[..., Path]:
    """Changes entries of the run's config.yaml; None removes one."""

    def change(**entries: Any) -> Path:
        path = copy / "config.yaml"
        content = yaml.safe_load(path.read_text())
        for name, value in entries.items():
            *groups, last = name.split("__")
            place = content
            for group in groups:
                place = place[group]
            place[last] = value
            if value is None:
                del place[last]
        path.write_text(yaml.safe_dump(content))
        return copy

    return change


def test_config_of_a_run_comes_back(make_config: MakeConfig, finished_run: Path) -> None:
    assert read_vae_config(finished_run) == make_config()


def test_entries_of_an_earlier_version_have_their_defaults(make_config: MakeConfig, edit: Callable[..., Path]) -> None:
    assert read_vae_config(edit(fit__compile=None, data__budget=None)) == make_config()
    assert read_vae_config(edit(fit=None)).fit == FitConfig()


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"fit__momentum": 0.9}, "momentum"),
        ({"optimizer": "sgd"}, "optimizer"),
        ({"data__spaces": "toy"}, "spaces"),
        ({"fit__max_steps": "many"}, "max_steps.*many"),
        ({"fit__max_steps": 2.5}, "max_steps"),
        ({"fit__batch_size": -3}, "batch_size must be at least 1"),
        ({"fit__schedule": "linear"}, "schedule"),
        ({"fit": 3}, "FitConfig.*int"),
        ({"data": ["toy"]}, "DataConfig.*list"),
        ({"model_args": "wide"}, "model_args"),
        ({"data__held_out": 7}, "held_out must lie between 0 and 1"),
    ],
)
def test_damaged_or_unknown_entries_are_named(entry: dict[str, Any], text: str, edit: Callable[..., Path]) -> None:
    with pytest.raises(CorruptFile, match=f"config.yaml is damaged or of another version of graphnas: .*{text}"):
        read_vae_config(edit(**entry))


def test_best_weights_are_loaded(finished_run: Path) -> None:
    model = load_vae(finished_run)
    assert not model.training and model.space.name == "toy" and model.latent_dim == 4
    archs = model.space.enumerate()[:20]
    again = load_vae(finished_run / "best.safetensors")
    assert torch.equal(model.encode(archs)[0], again.encode(archs)[0])
    last = load_vae(finished_run / "last.safetensors")
    assert last.config == model.config


def test_run_of_another_space_or_model_is_refused(
    edit: Callable[..., Path], copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CheckpointMismatch, match="holds 'svge' for 'toy', expected 'svge' for 'nb101'"):
        load_vae(edit(data__space="nb101"))
    with pytest.raises(CheckpointMismatch, match="expected 'other' for 'toy'"):
        load_vae(edit(data__space="toy", model="other"))
    edit(model="svge")
    save_model(create_model("svge", "nb101", node_dim=8, latent_dim=4), copy / "best.safetensors")
    with pytest.raises(CheckpointMismatch, match="holds 'svge' for 'nb101', expected 'svge' for 'toy'"):
        load_vae(copy)


def test_another_vocabulary_is_refused(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space = type(load_vae(copy).space)
    monkeypatch.setattr(space, "vocabulary", ("input", "output", "pool", "conv"))
    with pytest.raises(CheckpointMismatch, match="another vocabulary of 'toy'"):
        load_vae(copy)


def test_run_without_weights(copy: Path) -> None:
    (copy / "best.safetensors").unlink()
    with pytest.raises(MissingData, match="no model file at .*best.safetensors"):
        load_vae(copy)


@pytest.mark.parametrize(
    ("model", "arguments", "error", "text"),
    [
        ("svgee", {}, UnknownName, "did you mean 'svge'"),
        ("svge", {"nodedim": 8}, UnknownName, "did you mean 'node_dim'"),
        ("svge", {"node_dim": 7}, GraphnasError, "node_dim must be even"),
        ("svge", {"node_dim": "wide"}, GraphnasError, "node_dim must be int .got 'wide'"),
        ("svge", {"node_dim": 8.0}, GraphnasError, "cannot be made with {'node_dim': 8.0}"),
        ("svge", {"node_dim": True}, GraphnasError, "node_dim must be int .got True"),
        ("svge", {"encoder_rounds": "two"}, GraphnasError, "encoder_rounds must be int or None .got 'two'"),
        ("svge", {"edge_loss": 3}, GraphnasError, "edge_loss must be mean or sum .got 3"),
        ("svge", {"kl_weight": "nan"}, GraphnasError, "kl_weight must be float .got 'nan'"),
        ("svge", {"noise_scale": -1}, GraphnasError, "noise_scale must be at least 0 and finite .got -1"),
        ("svge", {"accuracy_weight": 2}, GraphnasError, "accuracy_weight must lie between 0 and 1"),
        ("dvae", {"noise_scale": float("inf")}, GraphnasError, "noise_scale must be at least 0 and finite"),
        ("arch2vec", {"kl_weight": -1}, GraphnasError, "kl_weight must be at least 0 and finite"),
        ("svae", {"bidirectional": "maybe"}, GraphnasError, "bidirectional must be bool .got 'maybe'"),
        ("graphrnn", {"faithful": 3}, GraphnasError, "faithful must be bool .got 3"),
        ("svge", {"latent_dim": 10**15}, GraphnasError, "cannot be made"),
        ("svge", {"accuracy_head": True}, GraphnasError, "pass --data.labels"),
    ],
)
def test_models_that_cannot_be_made(model: str, arguments: dict[str, Any], error: type[Exception], text: str) -> None:
    config = VAEConfig(model, arguments, DataConfig("toy"))
    with pytest.raises(error, match=text):
        build(config, prepare(config.data))


def test_accuracy_head_learns_from_labels(make_config: MakeConfig, tmp_path: Path) -> None:
    config = make_config(max_steps=60, validate_every=20, learning_rate=0.01)
    config.model_args |= {"accuracy_head": True, "accuracy_layers": 2}
    config.data = DataConfig("toy", num_graphs=200, labels="toy")
    result = train_vae(config, tmp_path, progress=False)
    errors = [record["train/accuracy"] for record in result.records]
    assert errors[-1] < errors[0] / 2
    archs = prepare(config.data).archs[:5]
    assert load_vae(tmp_path).predict(archs).shape == (5,)  # type: ignore[operator]


def test_a_device_that_is_not_there_leaves_nothing_behind(make_config: MakeConfig, tmp_path: Path) -> None:
    with pytest.raises(GraphnasError, match="device must be auto"):
        train_vae(make_config(device="gpu0"), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_validation_part_is_a_fixed_draw(make_config: MakeConfig) -> None:
    data = prepare(DataConfig("toy", labels="toy"))
    assert data.y is not None
    for name in ("train", "validation", "test"):
        labelled, rows = part(data, name), getattr(data.split, name)
        assert sorted(labelled.archs.index_keys()) == sorted(data.archs[rows].index_keys())
        assert labelled.y is not None
        assert torch.allclose(labelled.y, data.space.score(labelled.archs))  # type: ignore[attr-defined]
    assert part(data, "validation").archs == part(data, "validation").archs and VALIDATION_GRAPHS == 2000


def test_python_and_command_leave_the_same_config(make_config: MakeConfig, finished_run: Path) -> None:
    content = yaml.safe_load((finished_run / "config.yaml").read_text())
    assert content == asdict(make_config()) == json.loads(json.dumps(content))


@pytest.mark.parametrize("name", list_models(kind="vae"))
def test_every_vae_trains_and_decodes_in_mixed_precision(name: str, make_config: MakeConfig, tmp_path: Path) -> None:
    config = make_config(max_steps=1, precision="bf16-mixed")
    config.model, config.model_args = name, tiny_options(name)
    (record,) = train_vae(config, tmp_path, progress=False).records
    assert 0 <= record["validation/exact"] <= 1
    model = load_vae(tmp_path)
    with torch.autocast("cpu", torch.bfloat16):
        assert bool(model.space.is_valid(model.decode(torch.randn(9, model.latent_dim))).all())


def test_files_of_a_finished_run(finished_run: Path) -> None:
    names = ["best.safetensors", "config.yaml", "last.ckpt", "last.safetensors", "metrics.jsonl", "tensorboard"]
    assert sorted(path.name for path in finished_run.iterdir()) == [*names, "versions.json"]


def test_a_run_can_start_from_the_weights_of_another(
    make_config: MakeConfig, finished_run: Path, tmp_path: Path
) -> None:
    config = make_config()
    config.start_from = str(finished_run)
    model, origin = build(config, prepare(config.data)), load_vae(finished_run)
    assert all(torch.equal(value, origin.state_dict()[name]) for name, value in model.state_dict().items())
    train_vae(config, tmp_path / "second", progress=False)
    assert read_vae_config(tmp_path / "second").start_from == str(finished_run)
    config.model_args = {**config.model_args, "node_dim": config.model_args["node_dim"] * 2}
    with pytest.raises(CheckpointMismatch, match="should be"):
        build(config, prepare(config.data))
    config.start_from = str(tmp_path / "nowhere")
    with pytest.raises(MissingData, match="nowhere"):
        build(config, prepare(config.data))


def test_accuracy_head_takes_the_built_in_labels(make_config: MakeConfig, tmp_path: Path) -> None:
    config = make_config(max_steps=2, validate_every=2)
    config.model_args |= {"accuracy_head": True, "accuracy_layers": 2}
    config.data = DataConfig("nb201", num_graphs=300)
    train_vae(config, tmp_path, progress=False)
    assert read_vae_config(tmp_path).data.labels == "digits201"
    config.data = DataConfig("enas6", num_graphs=200)
    with pytest.raises(GraphnasError, match=r"pass --data\.labels"):
        train_vae(config, tmp_path / "unlabelled", progress=False)


def test_what_was_finished_elsewhere_is_not_trained_again(make_config: MakeConfig, copy: Path) -> None:
    (copy / "last.ckpt").unlink()
    (copy / "last.safetensors").unlink()
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    records = train_or_continue(make_config(), copy)
    assert [json.loads(line) for line in (copy / "metrics.jsonl").read_text().splitlines()] == records
    assert before == {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    config = make_config()
    config.fit.seed += 1
    with pytest.raises(CheckpointMismatch, match="fit.seed"):
        train_or_continue(config, copy)


def test_training_begins_and_goes_on(make_config: MakeConfig, tmp_path: Path) -> None:
    config = make_config()
    first = train_or_continue(config, tmp_path / "run")
    assert first[-1]["step"] == config.fit.max_steps and train_or_continue(config, tmp_path / "run") == first
