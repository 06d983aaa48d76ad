"""Faults of released predictors, one test each, beside those of the models in tests/models and of the losses, tiers,
recipes and figures in tests/train.

From the engineering notes on eagle (BRP-NAS), aw_nas (GATES), FLAN, NAR, naszilla, NASLib and nasbench301.
"""

from __future__ import annotations

import ast
import logging
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from graphnas import create_model, get_space, list_models
from graphnas.models import FeaturePredictor, Predictor
from graphnas.models.layers.cell_tensors import cell_tensors
from graphnas.models.zoo import MODELS
from graphnas.spaces import Architectures
from graphnas.testing import mixed_batch, seeded, tiny_options
from graphnas.train import predictor, predictor_evaluation
from graphnas.train.objectives import ScoreObjective, score_all
from graphnas.train.predictor import fit_predictor
from graphnas.train.predictor_config import PredictorSettings, read_settings
from graphnas.train.predictor_evaluation import Labels, Task, part_rows, run_task
from graphnas.train.predictor_files import load_predictor, save_predictor

PREDICTORS = list_models(kind="predictor")
NETWORKS = [name for name in PREDICTORS if not issubclass(MODELS[name], FeaturePredictor)]
PLAIN: dict[str, Any] = {"device": "cpu", "loss": "mse", "schedule": "constant", "warmup_steps": 0, "clip_norm": 0.0}


@cache
def toys() -> tuple[Architectures, Tensor]:
    """All 787 toy graphs and their scores, in random order."""
    space = get_space("toy")
    archs = space.enumerate()
    archs = archs[torch.randperm(len(archs), generator=seeded(0))]
    return archs, space.score(archs).double()  # type: ignore[attr-defined]


def small(name: str) -> dict[str, Any]:
    """Options that make a quick fit of any predictor."""
    if name not in NETWORKS:
        return {"trees": 5, "ensemble": 2} if name in ("gbdt", "blend") else {}
    return {"epochs": 1, "batch_size": 8, "device": "cpu", **tiny_options(name)}


# -- which labels are learned from ------------------------------------------------------------------------------------
def test_labels_kept_aside_are_not_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """eagle validates on the training pairs, NASLib's validation fold is the training fold."""
    archs, y = toys()
    parts: list[tuple[Any, Any]] = []

    def spy(objective: Any, train: Any, validation: Any, *rest: Any, **options: Any) -> Any:
        parts.append((train, validation))
        return fit(objective, train, validation, *rest, **options)

    fit = predictor.fit
    monkeypatch.setattr(predictor, "fit", spy)
    fit_predictor("gin", archs[:30], y[:30], "toy", members=2, validation=0.3, epochs=1, device="cpu")
    space, kept = get_space("toy"), []
    for train, judge in parts:
        learned, judged = (set(space.class_ids(part.archs).tolist()) for part in (train, judge))
        assert learned and judged and not learned & judged
        kept.append(judged)
    assert not kept[0] & kept[1]


def test_a_fit_sees_no_label_of_the_test_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """FLAN averages epochs on test labels, naszilla reads validation and test labels of every candidate."""
    archs, y = toys()
    seen: list[Any] = []

    def spy(name: str, archs: Architectures, y: Tensor, *rest: Any, **options: Any) -> Any:
        seen.append((archs, y))
        return fit_predictor(name, archs, y, *rest, **options)

    monkeypatch.setattr(predictor_evaluation, "fit_predictor", spy)
    labels, task = Labels(get_space("toy"), archs[:80], y[:80]), Task("toy", test_size=40)
    run_task("ridge", task, labels, 20, 0)
    rows = part_rows(labels, task, 20, 0)
    assert seen[0][0] == labels.archs[rows.train] and torch.equal(seen[0][1], labels.y[rows.train])
    assert not set(rows.train.tolist()) & set(rows.test.tolist())


def test_the_best_weights_are_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """eagle keeps a reference, so that its best weights go on changing."""
    archs, y = toys()
    found: list[Any] = []

    def spy(objective: Any, train: Any, validation: Any, *rest: Any, **options: Any) -> Any:
        result = fit(objective, train, validation, *rest, **options)
        last = {name: value.clone() for name, value in objective.model.state_dict().items()}
        found.append((objective, validation, result, last))
        return result

    fit = predictor.fit
    monkeypatch.setattr(predictor, "fit", spy)
    options = {**PLAIN, "learning_rate": 0.05, "epochs": 60, "batch_size": 8, "validation": 0.4}
    fitted = fit_predictor("gin", archs[:40], y[:40], "toy", **options)
    ((objective, validation, _, last),) = found
    best = fitted.members[0].network.state_dict()
    assert any(not torch.equal(best[name], last[name]) for name in best)
    chosen = objective.validate(validation.archs, validation.y)["total"]
    objective.model.load_state_dict(last)
    assert chosen < objective.validate(validation.archs, validation.y)["total"]


# -- training ---------------------------------------------------------------------------------------------------------
def test_a_fit_is_adam_with_gradients_reset() -> None:
    """NASLib's and naszilla's GCN never reset gradients; SemiNAS reads rate and batch size and uses constants."""
    archs, y = toys()[0][:12], toys()[1][:12]
    sizes = {"hidden_dim": 8, "layers": 2, "dropout": 0.0}
    options = {**PLAIN, **sizes, "learning_rate": 0.02, "epochs": 4, "batch_size": 12, "weight_decay": 0.0}
    fitted = fit_predictor("gcn", archs, y, "toy", seed=3, **options)
    torch.manual_seed(3000)
    model = create_model("gcn", "toy", **sizes)
    assert isinstance(model, Predictor)
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    target = ((y - y.mean()) / y.std()).float()
    for _ in range(4):
        optimizer.zero_grad()
        (model(archs) - target).square().mean().backward()
        optimizer.step()
    with torch.no_grad():
        expected = model.eval()(archs).double() * float(y.std()) + float(y.mean())
    assert torch.allclose(fitted.predict(archs), expected, atol=1e-4)


@pytest.mark.parametrize("name", ["gin", "gcn"])
def test_fewer_labels_than_a_batch_are_learned(name: str) -> None:
    """NASLib's GCN drops the last partial batch: five labels in batches of seven train nothing."""
    archs, y = toys()[0][:5], toys()[1][:5]
    options = {**PLAIN, "batch_size": 7, **tiny_options(name)}
    short, long = (fit_predictor(name, archs, y, "toy", epochs=epochs, **options) for epochs in (1, 60))
    errors = [float((fitted.predict(archs) - y).square().mean()) for fitted in (short, long)]
    assert errors[1] < 0.8 * errors[0]


def test_widths_are_read() -> None:
    """NASLib's GCN ignores its hidden size."""
    for name in sorted({*NETWORKS} - {"encoder"}):
        space = "nb101" if name == "nar" else "toy"
        options = tiny_options(name)
        width = next(
            key
            for key in ("hidden_dim", "layer_dim", "width", "head_dim")
            if hasattr(create_model(name, space, **options).config, key)
        )
        sizes = {create_model(name, space, **{**options, width: size}).num_parameters for size in (8, 16)}
        assert len(sizes) == 2, (name, width)


def test_options_of_one_fit_do_not_reach_the_next() -> None:
    """NASLib's evaluator shares a mutable default."""
    before = read_settings("gcn", "nb201").model_args
    own = {"hidden_dim": 8}
    settings = read_settings("gcn", "nb201", model_args=own, epochs=3)
    settings.model_args["layers"] = 9
    assert read_settings("gcn", "nb201").model_args == before and own == {"hidden_dim": 8}
    assert "layers" not in PredictorSettings().model_args


@pytest.mark.parametrize("name", PREDICTORS)
def test_inputs_are_left_as_they_were(name: str) -> None:
    """eagle pads the cached graphs in place."""
    archs, y = toys()[0][:12], toys()[1][:12]
    copies = (archs.ops.clone(), archs.adj.clone(), archs.num_nodes.clone(), y.clone())
    fit_predictor(name, archs, y, "toy", **small(name)).predict(archs)
    assert all(torch.equal(*pair) for pair in zip(copies, (archs.ops, archs.adj, archs.num_nodes, y), strict=True))


# -- prediction -------------------------------------------------------------------------------------------------------
def test_validation_and_scores_do_not_depend_on_batches() -> None:
    """CATE divides the validation loss by the size of the last training batch; eagle compares pair by pair."""
    archs, y = toys()[0][:50], toys()[1][:50].float()
    model = create_model("gin", "toy")
    assert isinstance(model, Predictor)
    objective = ScoreObjective(model, "hinge")
    values = objective.validate(archs, y)
    assert values["total"] == pytest.approx(float(objective.loss(model.eval()(archs), y).detach()), abs=1e-5)
    order = torch.randperm(50, generator=seeded(1))
    assert objective.validate(archs[order], y[order]) == pytest.approx(values, abs=1e-5)
    calls: list[int] = []
    model.register_forward_hook(lambda _, inputs, __: calls.append(len(inputs[0])))
    scores = [score_all(model.eval(), archs, size) for size in (7, 50)]
    assert calls == [7] * 7 + [1, 50] and torch.allclose(scores[0], scores[1], atol=1e-5)


@pytest.mark.parametrize("name", ["gp", "gbdt", "blend", "ridge", "gin"])
def test_uncertainty_is_a_standard_deviation_in_the_unit_of_the_labels(name: str) -> None:
    """FLAN's std columns hold variances; naszilla scales variances of DNGO by 30 instead of 900."""
    archs, y = toys()
    options = {"members": 2, "validation": 0.3, "epochs": 2, "device": "cpu"} if name == "gin" else small(name)
    one, other = (fit_predictor(name, archs[:40], unit * y[:40] + 3, "toy", **options) for unit in (1.0, 30.0))
    assert torch.allclose(30 * one.predict_std(archs[40:90]), other.predict_std(archs[40:90]), rtol=1e-2)
    assert torch.allclose(30 * (one.predict(archs[40:90]) - 3), other.predict(archs[40:90]) - 3, rtol=1e-2, atol=0.05)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_forward_stays_on_its_device(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """FLAN goes through NumPy in every forward, aw_nas takes lists of arrays."""
    model = create_model(name, "toy", **tiny_options(name)).eval()
    archs = mixed_batch(get_space("toy"))
    for method in ("numpy", "cpu", "__array__"):
        monkeypatch.setattr(torch.Tensor, method, lambda *args, **options: pytest.fail("left the device"))
    with torch.no_grad():
        model(archs)


def test_the_sign_of_a_hidden_operation_is_no_operation() -> None:
    """CATE's mask token is the index of conv1x1, its padding that of the input."""
    space = get_space("nb101")
    model = cast(Predictor, create_model("transformer", space, **tiny_options("transformer")))
    archs = mixed_batch(space)
    hidden = archs.node_mask & (torch.arange(archs.max_nodes) == 1) & (archs.num_nodes[:, None] > 2)
    shown, covered = model.vertex_inputs(archs), model.vertex_inputs(archs, hidden)
    kinds = shown[archs.node_mask].unique(dim=0)
    assert bool((kinds[:, space.num_ops] == 0).all()) and bool((covered[hidden][:, : space.num_ops] == 0).all())
    assert bool((covered[hidden][:, space.num_ops] == 1).all())
    assert not bool(shown[~archs.node_mask].any()) and not bool(covered[~archs.node_mask].any())


def test_costs_of_nb201_do_not_drown_the_types() -> None:
    """NAR shows raw FLOPs and parameters beside types below 5."""
    space = get_space("nb201")
    archs = space.sample(50, seeded(0))
    scaled, raw = cell_tensors(space, archs), cell_tensors(space, archs, raw=True)
    assert 0.1 < float(scaled.abs().max()) < 100 and float(raw.max()) > 1e5


# -- side effects -----------------------------------------------------------------------------------------------------
def test_two_rankers_share_no_tiers() -> None:
    """NAR counts tiers in a class attribute: a lingering reference trips an assertion."""
    archs, y = toys()[0][:40], toys()[1][:40]
    options = small("nar")
    first = fit_predictor("nar", archs, y, "toy", **options)
    state = {name: value.clone() for name, value in first.members[0].network.state_dict().items()}
    fit_predictor("nar", archs, -y, "toy", **options)
    assert all(torch.equal(value, state[name]) for name, value in first.members[0].network.state_dict().items())
    again = fit_predictor("nar", archs, y, "toy", **options)
    assert torch.equal(again.predict(archs), first.predict(archs))


def test_fits_leave_log_handlers_and_the_folder_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NAR adds handlers to the root logger and removes an existing log file; naszilla shares ./temp pickles."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log.txt").write_text("mine")
    handlers = list(logging.getLogger().handlers)
    archs, y = toys()
    fit_predictor("gin", archs[:10], y[:10], "toy", epochs=1, device="cpu")
    assert logging.getLogger().handlers == handlers and list(tmp_path.iterdir()) == [tmp_path / "log.txt"]
    assert (tmp_path / "log.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["gin", "blend"])
def test_loading_and_predicting_leave_random_numbers_alone(name: str, tmp_path: Path) -> None:
    """nasbench301 seeds everything when a model is loaded."""
    archs, y = toys()[0][:20], toys()[1][:20]
    save_predictor(fit_predictor(name, archs, y, "toy", **small(name)), tmp_path)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    load_predictor(tmp_path).predict(archs)
    assert torch.equal(torch.get_rng_state(), state)


def test_no_yaml_builds_objects() -> None:
    """aw_nas and NAR load YAML without a safe loader."""
    package = Path(predictor.__file__).resolve().parent.parent
    folders = [package / name for name in ("train", "models", "bo", "graphnas")]
    for path in (file for folder in folders for file in folder.rglob("*.py")):
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)]
        names = {f"{node.value.id}.{node.attr}" for node in calls if isinstance(node.value, ast.Name)}
        assert not names & {"yaml.load", "yaml.full_load", "yaml.unsafe_load"}, path


def test_steps_of_ta_gates_per_space() -> None:
    """The released configuration says three steps on NAS-Bench-101, its README four."""
    assert [create_model("ta_gates", space, **read_settings("ta_gates", space).model_args).config.steps
            for space in ("nb101", "nb201")] == [3, 4]  # type: ignore[attr-defined]  # fmt: skip
