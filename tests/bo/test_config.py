"""Settings that cannot be, or that contradict each other, are refused when they are made."""

from __future__ import annotations

from typing import Any

import pytest

from graphnas.bo.config import OracleConfig, SearchConfig
from graphnas.errors import InvalidValues


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "train", "metric": "accuracy"}, "oracle.metric has no meaning for oracle.kind train"),
        ({"kind": "train", "minimise": True}, "oracle.minimise has no meaning"),
        ({"kind": "predictor", "labels": "x.csv"}, "only for table and boosted"),
        ({"kind": "boosted", "test_metric": "x"}, "oracle.test_metric has no meaning"),
        ({"kind": "boosted", "seconds_metric": "x"}, "oracle.seconds_metric has no meaning"),
        ({"predictor": "runs/gbdt"}, "only for predictor"),
        ({"epochs": 3}, "oracle.epochs has no meaning for oracle.kind table"),
        ({"kind": "train", "epochs": 0}, "epochs must be at least 1"),
    ],
)
def test_oracles_that_would_ignore_a_setting(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidValues, match=message):
        OracleConfig(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"queries": 0}, "queries must be at least 1"),
        ({"start": -1}, "start must be at least 0"),
        ({"pool_size": 1}, "pool_size must be at least 2"),
        ({"max_params": 0.0}, "max_params must be positive"),
        ({"max_seconds": float("nan")}, "max_seconds must be positive"),
        ({"max_seconds": 5.0}, "pass --oracle.seconds_metric"),
        ({"max_seconds": 5.0, "oracle": OracleConfig(kind="boosted")}, "pass --oracle.seconds_metric"),
        ({"start": 5, "oracle": OracleConfig(kind="train")}, "no value is known before it is paid for"),
        ({"cost": "params", "acquisition": "ucb"}, "acquisition has no meaning with cost"),
        ({"cost": "flops", "proposal": "box"}, "proposal has no meaning with cost"),
    ],
)
def test_searches_that_cannot_be(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidValues, match=message):
        SearchConfig(**changes)


def test_what_can_be() -> None:
    SearchConfig(max_seconds=5.0, oracle=OracleConfig(seconds_metric="seconds"))
    SearchConfig(max_seconds=5.0, oracle=OracleConfig(kind="train", epochs=2))
    SearchConfig(cost="params", max_params=10.0)


def test_labels_say_what_is_shown() -> None:
    assert OracleConfig().label == "value"
    named = OracleConfig(metric="validation", test_metric="test")
    assert (named.label, named.value_label) == ("test", "validation")
    assert OracleConfig(kind="boosted", metric="accuracy").label == "boosted accuracy"
    assert OracleConfig(kind="train").label == "test accuracy on digits"
    assert (OracleConfig(minimise=True).sign, OracleConfig().sign) == (-1.0, 1.0)
