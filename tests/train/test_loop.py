"""The training loop: what it optimises, records, chooses and refuses."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn
from torch.optim import Adam, AdamW

from graphnas import get_space
from graphnas.checkpoint import read_model_file
from graphnas.errors import GraphnasError
from graphnas.spaces import Architectures
from graphnas.testing import mixed_batch
from graphnas.train import FitConfig, Objective, VAEConfig, VAEObjective, fit, loop
from graphnas.train.data import prepare
from graphnas.train.trainer import Labelled, Trainer, make_optimizer, rate_factor
from graphnas.train.vae import build, train_vae


class EdgeCount(Objective):
    """Least squares: edges of a graph from its vertices; remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.model: Any = nn.Linear(1, 1)
        self.seen: list[tuple[bool, float]] = []
        self.fixed: list[float] = []

    def forward(self, archs: Architectures, y: Tensor | None = None) -> dict[str, Tensor]:
        predicted = self.model(archs.num_nodes[:, None].float())[:, 0]
        total = (predicted.float() - archs.num_edges).square().mean()
        self.seen.append((self.training, total.item()))
        return {"total": total, "slope": self.model.weight.sum()}

    def validate(self, archs: Architectures, y: Tensor | None = None) -> dict[str, float]:
        values = super().validate(archs, y)
        return {**values, "total": self.fixed.pop(0)} if self.fixed else values


@pytest.fixture(scope="module")
def toys() -> Architectures:
    return mixed_batch(get_space("toy"), 40)


def run(toys: Architectures, fixed: list[float] | None = None, **options: Any) -> tuple[EdgeCount, Any]:
    """An EdgeCount trained on 32 toy graphs and validated on 8."""
    torch.manual_seed(0)
    objective = EdgeCount()
    objective.fixed = list(fixed or [])
    sizes = {"max_steps": 10, "batch_size": 8, "validate_every": 4, "warmup_steps": 0, "learning_rate": 0.1}
    config = FitConfig(**{**sizes, "device": "cpu", **options})
    return objective, fit(objective, Labelled(toys[:32]), Labelled(toys[32:]), config, progress=False)


def test_records_every_interval_and_the_end(toys: Architectures) -> None:
    objective, result = run(toys)
    assert result.steps == 10 and [record["step"] for record in result.records] == [4, 8, 10]
    assert result.best == min(record["validation/total"] for record in result.records)
    steps = [total for training, total in objective.seen if training]
    means = [sum(steps[:4]) / 4, sum(steps[4:8]) / 4, sum(steps[8:]) / 2]
    assert [record["train/total"] for record in result.records] == pytest.approx(means)
    assert result.records[-1]["validation/total"] == pytest.approx(objective.seen[-1][1])
    assert result.records[-1]["validation/total"] < result.records[0]["train/total"] / 2


def test_validation_runs_in_eval_mode_and_training_goes_on(toys: Architectures) -> None:
    objective, _ = run(toys)
    assert [training for training, _ in objective.seen] == [True] * 4 + [False] + [True] * 4 + [False] + [True] * 2 + [
        False
    ]


def test_validation_does_not_depend_on_its_batches() -> None:
    toy = get_space("toy").enumerate()
    objective = EdgeCount()
    assert len(toy) > 512
    assert objective.validate(toy)["total"] == pytest.approx(objective(toy)["total"].item(), rel=1e-5)


def test_every_graph_is_seen_once_an_epoch(toys: Architectures) -> None:
    seen: list[bytes] = []

    class Watching(EdgeCount):
        def forward(self, archs: Architectures, y: Tensor | None = None) -> dict[str, Tensor]:
            if self.training:
                assert y is not None and torch.equal(y, archs.num_edges.float())
                seen.extend(archs.index_keys())
            return super().forward(archs)

    train = Labelled(toys[:32], toys[:32].num_edges.float())
    config = FitConfig(max_steps=8, batch_size=8, validate_every=8, warmup_steps=0, device="cpu")
    fit(Watching(), train, Labelled(toys[32:]), config, progress=False)
    assert sorted(seen[:32]) == sorted(seen[32:]) == sorted(toys[:32].index_keys())
    assert seen[:32] != seen[32:]


def test_seed_decides(toys: Architectures) -> None:
    weights = [run(toys, seed=seed)[0].model.weight.item() for seed in (0, 0, 1)]
    assert weights[0] == weights[1] != weights[2]


def test_noise_of_a_process_follows_from_its_rank_and_step(toys: Architectures) -> None:
    class Noisy(EdgeCount):
        def forward(self, archs: Architectures, y: Tensor | None = None) -> dict[str, Tensor]:
            drawn.append(float(torch.rand(())))
            return super().forward(archs)

    class OneOfTwo:
        """The fabric of one process that believes to have a companion."""

        world_size = 2

        def __init__(self, fabric: Any, rank: int) -> None:
            self.fabric, self.global_rank = fabric, rank

        def __getattr__(self, name: str) -> Any:
            return getattr(self.fabric, name)

    series = []
    for rank in (0, 1, 1):
        drawn: list[float] = []
        config = FitConfig(batch_size=8, device="cpu")
        trainer = Trainer(Noisy(), Labelled(toys[:32]), Labelled(toys[32:]), config, None)
        trainer.fabric = OneOfTwo(trainer.fabric, rank)  # type: ignore[assignment]
        for _ in range(5):
            trainer.train_step(toys[:8], None)
            torch.rand(rank)
        series.append(drawn)
    assert series[1] == series[2] and len({*series[0], *series[1]}) == 10


def test_nothing_is_written_without_a_folder(
    toys: Architectures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run(toys, save_minutes=0)
    assert list(tmp_path.iterdir()) == []


# -- schedule ---------------------------------------------------------------------------------------------------------
def test_rates_of_the_warm_up_and_the_cosine() -> None:
    config = FitConfig(max_steps=100, warmup_steps=10, final_rate=0.01)
    rates = [rate_factor(step, config) for step in range(101)]
    assert rates[0] == pytest.approx(0.1, abs=1e-3) and rates[9] == pytest.approx(0.98, abs=1e-3)
    assert rates[50] == pytest.approx(0.5) and rates[99] == rates[100] == 0.01
    assert all(later <= earlier for earlier, later in pairwise(rates[10:]))


def test_constant_rate_after_the_warm_up() -> None:
    config = FitConfig(schedule="constant", warmup_steps=4)
    assert [rate_factor(step, config) for step in (0, 1, 3, 4, 9999)] == [0.25, 0.5, 1, 1, 1]
    assert rate_factor(0, FitConfig(schedule="constant", warmup_steps=0)) == 1


def test_plateau_takes_a_tenth_after_patience(toys: Architectures) -> None:
    values = [3.0, 2.0, 2.0, 2.0, 2.0, 2.0, 1.0]
    _, result = run(toys, values, schedule="plateau", patience=1, validate_every=1, max_steps=7)
    rates = [record["rate"] for record in result.records]
    assert rates == pytest.approx([0.1, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


def test_plateau_is_held_back_by_no_warm_up_step(toys: Architectures) -> None:
    _, result = run(toys, schedule="plateau", warmup_steps=4, validate_every=1, max_steps=6)
    assert [record["rate"] for record in result.records] == pytest.approx([0.05, 0.075, 0.1, 0.1, 0.1, 0.1])


def test_early_stop_and_choice_of_the_best(toys: Architectures) -> None:
    _, result = run(toys, [5.0, 4.0, 4.0, 4.5, 3.0], stop_after=2, validate_every=2, max_steps=100)
    assert result.steps == 8 and result.best == 4.0
    _, result = run(toys, [5.0, 4.0, 4.0, 4.5, 3.0], stop_after=0, validate_every=2, max_steps=10)
    assert result.steps == 10 and result.best == 3.0


def test_clipping_bounds_the_gradient(toys: Architectures) -> None:
    for limit, largest in ((0.01, 0.01), (0.0, math.inf)):
        config = FitConfig(batch_size=8, clip_norm=limit, device="cpu")
        trainer = Trainer(EdgeCount(), Labelled(toys[:32]), Labelled(toys[32:]), config, None)
        trainer.train_step(toys[:8], None)
        gradients = [p.grad for p in trainer.raw.parameters() if p.grad is not None]
        norm = float(torch.stack([gradient.norm() for gradient in gradients]).norm())
        assert norm <= largest * 1.001
        assert (norm > 0.1) == (limit == 0)


def test_weight_decay_chooses_the_optimizer() -> None:
    assert type(make_optimizer(EdgeCount(), FitConfig())) is Adam
    decayed = make_optimizer(EdgeCount(), FitConfig(weight_decay=0.1))
    assert type(decayed) is AdamW and decayed.param_groups[0]["weight_decay"] == 0.1


def test_mixed_precision(toys: Architectures) -> None:
    objective, result = run(toys, precision="bf16-mixed")
    assert objective.model.weight.dtype == torch.float32
    assert result.records[-1]["validation/total"] < result.records[0]["train/total"]
    exact = run(toys)[1].records[-1]["validation/total"]
    assert result.records[-1]["validation/total"] == pytest.approx(exact, rel=0.1)


# -- refusals ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_validation_that_is_not_finite_ends_the_run(value: float, toys: Architectures) -> None:
    with pytest.raises(GraphnasError, match=f"validation total is {value} after 8 steps: lower the learning rate"):
        run(toys, [1.0, value])


def test_a_loss_that_is_not_finite_ends_the_run(make_config: Callable[..., VAEConfig], tmp_path: Path) -> None:
    config = make_config(max_steps=20, learning_rate=1e30, clip_norm=0)
    with pytest.raises(GraphnasError, match="training loss is nan by step 10: lower the learning rate"):
        train_vae(config, tmp_path, progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "tensorboard", "versions.json"]


def test_a_batch_larger_than_the_data_is_refused(toys: Architectures) -> None:
    with pytest.raises(GraphnasError, match="32 training graphs do not fill one batch of 33"):
        run(toys, batch_size=33)


@pytest.mark.parametrize("device", ["bogus", "tpu", "cuda:99", ""])
def test_an_unknown_device_is_refused(device: str, toys: Architectures) -> None:
    with pytest.raises(GraphnasError, match=f"device must be auto, cpu, cuda, mps .got '{device}'"):
        run(toys, device=device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_refused(toys: Architectures) -> None:
    with pytest.raises(GraphnasError, match="cannot run on device 'cuda': "):
        run(toys, device="cuda")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"max_steps": 0}, "max_steps must be at least 1 .got 0"),
        ({"batch_size": -3}, "batch_size must be at least 1 .got -3"),
        ({"validate_every": 0}, "validate_every"),
        ({"warmup_steps": -1}, "warmup_steps must be at least 0"),
        ({"clip_norm": math.nan}, "clip_norm must be at least 0 .got nan"),
        ({"save_minutes": -0.1}, "save_minutes"),
        ({"seed": -1}, "seed must be at least 0 and below 4294967296"),
        ({"seed": 2**32}, "seed"),
        ({"beta2": 1.0}, "beta2 must be at least 0 and below 1 .got 1.0"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
        ({"learning_rate": math.inf}, "learning_rate must be positive"),
    ],
)
def test_impossible_settings_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(GraphnasError, match=text):
        FitConfig(**options)


# -- files ------------------------------------------------------------------------------------------------------------
def test_metrics_file(finished_run: Path) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    lines = (finished_run / "metrics.jsonl").read_text().splitlines()
    records = [json.loads(line, parse_constant=refuse) for line in lines]
    assert [record["step"] for record in records] == [10, 20, 30, 40]
    names = ["step", "rate", "seconds", "cpu_seconds"]
    names += [f"train/{name}" for name in ("total", "reconstruction", "kl")]
    names += [f"validation/{name}" for name in ("total", "reconstruction", "kl", "exact")]
    assert all(list(record) == names and all(map(math.isfinite, record.values())) for record in records)
    assert 0 < records[0]["seconds"] < records[-1]["seconds"] and records[0]["cpu_seconds"] > 0
    assert records[-1]["train/total"] < records[0]["train/total"]


def test_tensorboard_holds_the_same_scalars(finished_run: Path) -> None:
    events = EventAccumulator(str(finished_run / "tensorboard"))
    events.Reload()
    records = [json.loads(line) for line in (finished_run / "metrics.jsonl").read_text().splitlines()]
    assert sorted(events.Tags()["scalars"]) == sorted(set(records[0]) - {"step"})
    for name in events.Tags()["scalars"]:
        scalars = events.Scalars(name)
        assert [scalar.step for scalar in scalars] == [record["step"] for record in records]
        assert [scalar.value for scalar in scalars] == pytest.approx([record[name] for record in records])


def test_tensorboard_after_an_interruption_shows_every_step_once(
    make_config: Callable[..., VAEConfig], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    save = Trainer.save

    def cut(self: Trainer) -> None:
        if self.step == 20:
            raise RuntimeError("cut off between the events and the checkpoint of step 20")
        save(self)

    monkeypatch.setattr(Trainer, "save", cut)
    config = make_config(max_steps=30)
    with pytest.raises(RuntimeError):
        train_vae(config, tmp_path, progress=False)
    monkeypatch.setattr(Trainer, "save", save)
    train_vae(config, tmp_path, resume=True, progress=False)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [scalar.step for scalar in events.Scalars("validation/total")] == [10, 20, 30]


def test_best_is_chosen_on_validation_and_last_is_the_end(finished_run: Path) -> None:
    records = [json.loads(line) for line in (finished_run / "metrics.jsonl").read_text().splitlines()]
    best = min(records, key=lambda record: record["validation/total"])
    header, _ = read_model_file(finished_run / "best.safetensors")
    assert header["extra"]["step"] == best["step"]
    assert header["extra"]["validation"]["total"] == best["validation/total"]
    header, tensors = read_model_file(finished_run / "last.safetensors")
    state = torch.load(finished_run / "last.ckpt", weights_only=True)
    assert header["extra"] == {"step": 40} and state["step"] == 40
    assert all(torch.equal(tensor, state["objective"][f"model.{name}"]) for name, tensor in tensors.items())


def test_best_weights_give_the_best_value(make_config: Callable[..., VAEConfig], finished_run: Path) -> None:
    data = prepare(make_config().data)
    objective = VAEObjective(build(make_config(), data))
    header, tensors = read_model_file(finished_run / "best.safetensors")
    objective.model.load_state_dict(tensors)
    value = objective.validate(data.archs[data.split.validation])["total"]
    assert value == pytest.approx(header["extra"]["validation"]["total"], rel=1e-6)


def test_progress_is_logged_where_there_is_no_terminal(
    make_config: Callable[..., VAEConfig], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="graphnas"):
        train_vae(make_config(max_steps=4, validate_every=2), tmp_path)
    steps = [message for message in caplog.messages if message.startswith("step ")]
    assert len(steps) == 2 and steps[0].startswith("step 2: total ") and "exact 0" in steps[1]


@pytest.mark.parametrize("progress", [False, True])
def test_without_a_folder_steps_are_counted_where_there_is_no_terminal(
    progress: bool, toys: Architectures, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loop, "SHOW_SECONDS", 0.0)
    config = FitConfig(max_steps=3, batch_size=8, validate_every=3, warmup_steps=0, device="cpu")
    with caplog.at_level(logging.INFO, logger="graphnas"):
        fit(EdgeCount(), Labelled(toys[:32]), Labelled(toys[32:]), config, progress=progress)
    assert caplog.messages == [f"step {step} of 3" for step in (1, 2, 3)] * progress
