"""Training of one network: what a step does, what is reported, and that a run depends on its config alone."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch.nn.functional import cross_entropy, one_hot
from torch.nn.utils import clip_grad_norm_
from torch.optim import SGD, RMSprop

from graphnas.errors import CheckpointMismatch, GraphnasError, InvalidArchitecture, InvalidValues, UnknownName
from graphnas.networks import Images, Network, build_network
from graphnas.networks.batches import epoch_batches, epoch_generator, steps_per_epoch
from graphnas.networks.config import NetworkConfig
from graphnas.networks.evaluation import evaluate
from graphnas.networks.images import load_images, mixup
from graphnas.networks.recipe import Recipe
from graphnas.networks.trainer import make_optimizer, noise_seed
from graphnas.networks.training import train_network
from graphnas.networks.weights import load_network
from graphnas.run_folder import RunFolder

CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|none~1|nor_conv_3x3~2|"
DARTS = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], "
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])"
)
SMALL = {"channels": 4, "cells": 1}
Weights = dict[str, torch.Tensor]


def digits(**options: Any) -> NetworkConfig:
    """A run of a second on the digits."""
    recipe = {"epochs": 2, "batch_size": 50, "crop_padding": 1, "flip": False, "network": dict(SMALL)}
    return NetworkConfig("nb201", CELL, recipe=Recipe(**{**recipe, **options}), device="cpu")


def darts(noise: str, **options: Any) -> NetworkConfig:
    """A run with everything that noise can come from."""
    recipe: dict[str, Any] = {"epochs": 3, "batch_size": 5, "drop_path": 0.4, "mixup": 0.5, "clip_norm": 1.0}
    recipe |= {"cutout": 8, "label_smoothing": 0.1, "network": {"channels": 2, "cells": 3, "auxiliary": True}}
    return NetworkConfig("darts", DARTS, noise, recipe=Recipe(**{**recipe, **options}), device="cpu", seed=3)


def weights(folder: Path) -> Weights:
    return load_network(folder).state_dict()


def same(one: Weights, other: Weights) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


# -- what a step does -------------------------------------------------------------------------------------------------
def by_hand(config: NetworkConfig) -> Network:
    """The run as a plain loop."""
    recipe, data = config.recipe, load_images(config.dataset, **config.recipe.data)
    channels, size, _ = data.shape
    torch.manual_seed(config.seed)
    network = build_network(config.space, config.arch, Images(channels, size, data.num_classes), **recipe.network)
    network.to(getattr(torch, recipe.dtype))
    if recipe.optimizer == "sgd":
        optimizer: Any = SGD(
            network.parameters(), lr=1.0, momentum=0.9, nesterov=recipe.nesterov, weight_decay=recipe.weight_decay
        )
    else:
        optimizer = RMSprop(
            network.parameters(), lr=1.0, alpha=0.9, eps=1.0, momentum=0.9, weight_decay=recipe.weight_decay
        )
    for epoch in range(recipe.epochs):
        torch.manual_seed(noise_seed(config.seed, epoch))
        draws = epoch_generator(config.seed, epoch)
        network.train()
        network.drop_path = recipe.drop_path * epoch / recipe.epochs
        for step, (images, labels) in enumerate(epoch_batches(data, recipe, config.seed, epoch, draws)):
            targets = one_hot(labels, data.num_classes).to(images.dtype)
            if recipe.mixup:
                images, targets = mixup(images, targets, recipe.mixup, draws)
            logits, extra = network.forward_auxiliary(images)
            loss = cross_entropy(logits, targets, label_smoothing=recipe.label_smoothing)
            if extra is not None:
                loss = loss + 0.4 * cross_entropy(extra, targets, label_smoothing=recipe.label_smoothing)
            optimizer.param_groups[0]["lr"] = recipe.rate(epoch, step, steps_per_epoch(len(data.train), recipe))
            optimizer.zero_grad()
            loss.backward()
            if recipe.clip_norm:
                clip_grad_norm_(network.parameters(), recipe.clip_norm)
            optimizer.step()
    return network


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"nesterov": True, "label_smoothing": 0.1, "warmup_epochs": 1, "dtype": "float64"},
        {"optimizer": "rmsprop", "clip_norm": 0.3, "drop_last": True, "batch_size": 70, "schedule": "constant"},
    ],
    ids=["sgd", "nesterov", "rmsprop"],
)
def test_agrees_with_a_plain_loop(options: dict[str, Any], tmp_path: Path) -> None:
    config = digits(**options)
    train_network(config, tmp_path / "run", progress=False)
    expected, found = by_hand(config).state_dict(), weights(tmp_path / "run")
    for name, value in expected.items():
        assert torch.allclose(found[name], value, rtol=1e-4, atol=1e-5), name


def test_agrees_with_a_plain_loop_on_darts(noise_images: str, tmp_path: Path) -> None:
    """Auxiliary head, dropped paths, mixup, clipping and cutout; several epochs, in double precision."""
    config = darts(noise_images, dtype="float64")
    train_network(config, tmp_path / "run", progress=False)
    expected, found = by_hand(config).state_dict(), weights(tmp_path / "run")
    assert any(name.startswith("auxiliary_head") for name in found)
    for name, value in expected.items():
        assert torch.allclose(found[name], value, rtol=1e-9, atol=1e-12), name


def test_optimisers_have_the_values_of_the_recipe() -> None:
    network = build_network("nb201", CELL, **SMALL)
    sgd = make_optimizer(network, Recipe(momentum=0.8, nesterov=True, weight_decay=0.01))
    group = sgd.param_groups[0]
    assert isinstance(sgd, SGD)
    assert (group["momentum"], group["nesterov"], group["weight_decay"]) == (0.8, True, 0.01)
    rms = make_optimizer(network, Recipe(optimizer="rmsprop", rmsprop_decay=0.7, rmsprop_eps=0.5, momentum=0.6))
    group = rms.param_groups[0]
    assert isinstance(rms, RMSprop)
    assert (group["alpha"], group["eps"], group["momentum"], group["weight_decay"]) == (0.7, 0.5, 0.6, 5e-4)
    assert len(group["params"]) == len(list(network.parameters()))


# -- that it works ----------------------------------------------------------------------------------------------------
def test_learns_the_digits() -> None:
    recipe = {"batch_size": 20, "nesterov": True, "network": {"channels": 8, "cells": 1}}
    result = train_network(digits(epochs=5, **recipe), progress=False)
    accuracies = [record.test_accuracy for record in result.records]
    assert (
        result.final.test_accuracy is not None and result.final.test_accuracy > 0.6 and accuracies[0] != accuracies[-1]
    )
    assert result.final.train_loss < result.records[0].train_loss


def test_result_and_run_folder(tmp_path: Path) -> None:
    config = digits(epochs=3)
    result = train_network(config, tmp_path / "run", progress=False)
    names = ["config.yaml", "last.ckpt", "last.safetensors", "metrics.jsonl", "result.json", "tensorboard"]
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [*names, "versions.json"]
    assert (result.space, result.arch, result.dataset, result.seed) == ("nb201", CELL, "digits", 0)
    assert (result.epochs, result.steps, result.image_shape, result.num_classes) == (3, 18, [1, 8, 8], 10)
    assert (result.num_train, result.num_validation, result.num_test) == (300, 997, 500)
    network = load_network(tmp_path / "run")
    assert result.parameters == network.num_parameters
    content = json.loads((tmp_path / "run" / "result.json").read_text())
    assert content == {name: value for name, value in asdict(result).items() if name != "records"}
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [asdict(record) for record in result.records]
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text()) == asdict(config)
    data = load_images("digits")
    score = evaluate(network, data.test, data)
    assert score == (result.final.test_accuracy, result.final.test_loss)
    assert result.final == result.records[-1] and [record.epoch for record in result.records] == [1, 2, 3]
    seconds = [record.seconds for record in result.records]
    assert seconds == sorted(seconds) and seconds[0] > 0


def test_training_scores_are_those_before_each_step() -> None:
    """One step with everything: accuracy and loss of the initial network on the whole augmented training part."""
    config = digits(epochs=1, batch_size=300, label_smoothing=0.2)
    result = train_network(config, progress=False)
    data = load_images("digits")
    torch.manual_seed(0)
    network = build_network("nb201", CELL, Images(1, 8), **SMALL).train()
    (images, labels), *rest = epoch_batches(data, config.recipe, 0, 0)
    logits = network(images)
    assert not rest
    assert result.final.train_accuracy == pytest.approx((logits.argmax(1) == labels).float().mean().item())
    assert result.final.train_loss == pytest.approx(cross_entropy(logits, labels, label_smoothing=0.2).item(), rel=1e-5)


def test_the_best_epoch_is_chosen_on_validation() -> None:
    result = train_network(digits(epochs=4, batch_size=20, learning_rate=0.3), progress=False)
    accuracies = [record.validation_accuracy for record in result.records]
    assert result.best_validation is not None
    assert result.best_validation.epoch == 1 + accuracies.index(max(accuracies))  # type: ignore[type-var]


def test_without_validation_images(noise_images: str, tmp_path: Path) -> None:
    config = replace(darts(noise_images, data={"validation": 0}, epochs=1), mixed_precision=True)
    result = train_network(config, tmp_path / "run", progress=False)
    assert result.num_validation == 0 and result.best_validation is None
    assert result.final.validation_accuracy is None and result.final.test_accuracy is not None
    assert train_network(config, tmp_path / "run", resume=True) == result


def test_only_the_first_images(noise_images: str) -> None:
    config = darts(noise_images, epochs=1)
    result = train_network(replace(config, max_images=5), progress=False)
    assert (result.num_train, result.num_validation, result.num_test) == (5, 5, 5) and result.steps == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_type_of_the_arithmetic(dtype: torch.dtype, tmp_path: Path) -> None:
    train_network(digits(epochs=1, dtype=str(dtype).removeprefix("torch.")), tmp_path / "run", progress=False)
    tensors = weights(tmp_path / "run").values()
    assert {tensor.dtype for tensor in tensors if tensor.is_floating_point()} == {dtype}
    state = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    buffers = [entry["momentum_buffer"] for entry in state["optimizer"]["state"].values()]
    assert buffers and {buffer.dtype for buffer in buffers if buffer is not None} == {dtype}


# -- a run depends on its config alone --------------------------------------------------------------------------------
def test_two_runs_are_the_same_and_another_seed_is_not(noise_images: str, tmp_path: Path) -> None:
    config = darts(noise_images)
    train_network(config, tmp_path / "first", progress=False)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    train_network(config, tmp_path / "second", progress=False)
    assert torch.equal(torch.get_rng_state(), before), "the caller's generator was disturbed"
    assert same(weights(tmp_path / "first"), weights(tmp_path / "second"))
    first, second = (RunFolder(tmp_path / name).read_records() for name in ("first", "second"))
    for record in first + second:
        del record["seconds"], record["cpu_seconds"]
    assert first == second
    train_network(replace(config, seed=4), tmp_path / "third", progress=False)
    assert not same(weights(tmp_path / "first"), weights(tmp_path / "third"))


def test_noise_inside_the_network_differs_by_epoch() -> None:
    seeds = {noise_seed(seed, epoch) for seed in (0, 1, 4096, 2**32 - 1) for epoch in range(50)}
    assert len(seeds) == 200 and all(0 <= seed < 2**32 for seed in seeds)


# -- refusals ---------------------------------------------------------------------------------------------------------
def test_a_loss_that_is_not_finite(tmp_path: Path) -> None:
    with pytest.raises(GraphnasError, match="training loss is nan in epoch 1: lower the learning rate"):
        train_network(digits(learning_rate=1e30), tmp_path / "run", progress=False)
    assert not (tmp_path / "run" / "last.ckpt").exists()


@pytest.mark.parametrize(
    ("changes", "error", "reason"),
    [
        ({"space": "mars"}, UnknownName, "unknown search space 'mars'"),
        ({"dataset": "mnist"}, UnknownName, "unknown image data set 'mnist'"),
        ({"arch": "conv"}, InvalidArchitecture, "not in nb201"),
        ({"arch": ""}, InvalidArchitecture, "not in nb201"),
        ({"device": "gpu0"}, GraphnasError, "device must be auto, cpu, cuda, mps"),
        (
            {"recipe": Recipe(batch_size=301, drop_last=True)},
            InvalidValues,
            "300 training images do not fill one batch",
        ),
        ({"recipe": Recipe(network={"layers": 3})}, InvalidValues, "unknown options of a network: layers"),
        ({"recipe": Recipe(data={"train_fraction": 0.5})}, InvalidValues, "the loader of digits has no such option"),
        ({"recipe": Recipe(data={"train_size": 3})}, InvalidValues, "expected train_size to be from 10"),
    ],
)
def test_what_cannot_be_trained(changes: dict[str, Any], error: type[Exception], reason: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=reason):
        train_network(replace(digits(), **changes), tmp_path / "run", progress=False)
    assert not list(tmp_path.rglob("*.ckpt"))


def test_images_that_do_not_fit(noise_images: str) -> None:
    with pytest.raises(InvalidValues, match="divisible by 4 \\(got 30\\)"):
        train_network(replace(digits(data={"size": 30}), dataset=noise_images), progress=False)


def test_a_step_with_too_few_images(noise_images: str) -> None:
    with pytest.raises(InvalidValues, match="a step of 1 images cannot be trained: .* drop_last"):
        train_network(darts(noise_images, batch_size=11), progress=False)


def test_several_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(GraphnasError, match="trained by one process: start it without torchrun"):
        train_network(digits(), progress=False)


def test_a_folder_is_needed_to_resume() -> None:
    with pytest.raises(InvalidValues, match="resumed in its folder only"):
        train_network(digits(), resume=True)


def test_a_run_is_not_overwritten_and_another_config_not_resumed(tmp_path: Path) -> None:
    config = digits(epochs=1)
    train_network(config, tmp_path, progress=False)
    with pytest.raises(GraphnasError, match="already holds a run: pass --resume"):
        train_network(config, tmp_path, progress=False)
    with pytest.raises(CheckpointMismatch, match="recipe.epochs was 1 and is now 2"):
        train_network(digits(epochs=2), tmp_path, resume=True, progress=False)
    with pytest.raises(CheckpointMismatch, match="seed was 0 and is now 1"):
        train_network(replace(config, seed=1), tmp_path, resume=True, progress=False)


def test_progress_is_a_line_an_epoch_where_there_is_no_terminal(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level("INFO"):
        train_network(digits())
    lines = [record.message for record in caplog.records]
    assert [line.split(":")[0] for line in lines] == ["epoch 1 of 2", "epoch 2 of 2"]
    assert "validation/accuracy" in lines[0] and capsys.readouterr().out == ""
