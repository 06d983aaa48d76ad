"""Fitted predictors survive the disk, and damage is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from graphnas.errors import CorruptFile, GraphnasError, MissingData
from graphnas.models import list_models
from graphnas.spaces import get_space
from graphnas.train.fitted import FittedPredictor
from graphnas.train.predictor import fit_predictor
from graphnas.train.predictor_files import load_predictor, save_predictor


def fitted(name: str = "gin", **options: object) -> FittedPredictor:
    space = get_space("toy")
    archs = space.enumerate()[:40]
    y = archs.adj.float().sum((1, 2)).double() + archs.num_nodes / 10
    return fit_predictor(name, archs, y, space, seed=1, device="cpu", **options)


@pytest.mark.parametrize("name", list_models(kind="predictor"))
def test_every_predictor_is_the_same_after_loading(name: str, tmp_path: Path) -> None:
    before = fitted(name, epochs=1)
    save_predictor(before, tmp_path / "one", {"metric": "score"})
    after = load_predictor(tmp_path / "one")
    archs = get_space("toy").enumerate()[30:60]
    assert torch.allclose(after.predict(archs), before.predict(archs), rtol=1e-9)
    assert after.settings == before.settings and torch.equal(after.y, before.y)


def test_uncertainty_survives(tmp_path: Path) -> None:
    before = fitted(epochs=2, members=3, validation=0.25)
    save_predictor(before, tmp_path)
    archs = get_space("toy").enumerate()[:9]
    assert torch.allclose(load_predictor(tmp_path).predict_std(archs), before.predict_std(archs))


def test_a_regression_on_features_is_fitted_again(tmp_path: Path) -> None:
    before, archs = fitted("ridge"), get_space("toy").enumerate()[:9]
    save_predictor(before, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.safetensors", "predictor.json"]
    after = load_predictor(tmp_path)
    assert torch.allclose(after.predict_std(archs), before.predict_std(archs), rtol=1e-9)
    content = json.loads((tmp_path / "predictor.json").read_text())
    for changed, message in (({"seed": "1"}, "seed is '1'"), ({"model": "gin"}, "'gin' is no regression")):
        (tmp_path / "predictor.json").write_text(json.dumps(content | changed))
        with pytest.raises(CorruptFile, match=message):
            load_predictor(tmp_path)


def test_a_second_predictor_does_not_replace_the_first(tmp_path: Path) -> None:
    one = fitted(epochs=1)
    save_predictor(one, tmp_path)
    with pytest.raises(GraphnasError, match="holds a predictor already"):
        save_predictor(one, tmp_path)


def test_without_a_table_of_contents_there_is_no_predictor(tmp_path: Path) -> None:
    save_predictor(fitted(epochs=1), tmp_path)
    (tmp_path / "predictor.json").unlink()
    with pytest.raises(MissingData, match="no predictor in"):
        load_predictor(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "{}",
        '{"space": "toy", "settings": {"epoch": 1}, "members": []}',
        '{"space": "toy", "settings": {"epochs": -1}, "members": []}',
    ],
)
def test_a_damaged_table_of_contents_is_named(content: str, tmp_path: Path) -> None:
    save_predictor(fitted(epochs=1), tmp_path)
    (tmp_path / "predictor.json").write_text(content)
    with pytest.raises(CorruptFile, match=r"predictor\.json"):
        load_predictor(tmp_path)


def test_damaged_labels_are_named(tmp_path: Path) -> None:
    save_predictor(fitted(epochs=1), tmp_path)
    path = tmp_path / "labels.safetensors"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CorruptFile, match=r"labels\.safetensors"):
        load_predictor(tmp_path)


def test_the_table_of_contents_is_plain_json(tmp_path: Path) -> None:
    save_predictor(fitted(epochs=1), tmp_path, {"held_out": {"kendall": 0.5}})
    content = json.loads((tmp_path / "predictor.json").read_text())
    assert content["model"] == "gin" and content["held_out"] == {"kendall": 0.5} and len(content["members"]) == 1
