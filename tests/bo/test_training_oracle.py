"""An oracle that trains: answers are those of training the network by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest

from graphnas.bo import training_oracle
from graphnas.bo.baselines import RandomSearch
from graphnas.bo.search import run_search
from graphnas.bo.training_oracle import TrainingOracle
from graphnas.errors import GraphnasError, InvalidValues, MissingData, UnknownName
from graphnas.networks.config import NetworkConfig
from graphnas.networks.defaults import default_recipe, read_recipe
from graphnas.networks.training import train_network
from graphnas.spaces import get_space
from tests.bo.searches import SPACE


def test_the_answer_is_that_of_the_training() -> None:
    arch = SPACE.optimum()  # type: ignore[attr-defined]
    oracle = TrainingOracle(SPACE, epochs=1)
    answer = oracle(arch)
    recipe = replace(read_recipe(default_recipe("toy", "digits"), "toy", "digits"), epochs=1)
    config = NetworkConfig("toy", SPACE.format(arch)[0], "digits", recipe=recipe, seed=0, device="cpu")
    final = train_network(config, progress=False).final
    assert (answer.value, answer.test, answer.error) == (final.validation_accuracy, final.test_accuracy, "")
    assert answer.seconds > 0 and oracle(arch).value == answer.value


def test_what_cannot_be_trained_is_refused_before_anything_is_paid(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownName, match="unknown image data set 'nothing'"):
        TrainingOracle(SPACE, "nothing")
    with pytest.raises(MissingData, match="cifar10"):
        TrainingOracle(SPACE, "cifar10")
    with pytest.raises(UnknownName, match="bn8"):
        TrainingOracle(get_space("bn8"))
    with pytest.raises(InvalidValues, match="epochs"):
        TrainingOracle(SPACE, epochs=0)
    monkeypatch.setattr(training_oracle, "load_images", lambda name, **options: SimpleNamespace(validation=[]))
    with pytest.raises(InvalidValues, match="digits as the recipe cuts it has no validation images"):
        TrainingOracle(SPACE)


def test_trainings_that_fail_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    failures = iter([GraphnasError("loss not finite"), RuntimeError("out of memory")])

    def fail(config: NetworkConfig, progress: bool) -> None:
        raise next(failures)

    monkeypatch.setattr(training_oracle, "train_network", fail)
    found = run_search(RandomSearch(SPACE, 0), TrainingOracle(SPACE), 2).evaluations
    assert [one.error for one in found] == ["loss not finite", "RuntimeError: out of memory"]
    assert all(math.isnan(one.value) for one in found)
