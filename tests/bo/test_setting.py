"""What searches share: pool, oracle, codes and limits, made from a config or refused."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from graphnas import get_space
from graphnas.bo.codes import LatentCodes, RawCodes
from graphnas.bo.config import OracleConfig, SearchConfig
from graphnas.bo.oracles import PredictorOracle, SnappedOracle, TableOracle
from graphnas.bo.setting import Setting
from graphnas.errors import (
    GraphnasError,
    InvalidArchitecture,
    InvalidValues,
    MissingData,
    OutsideSpace,
    SpaceMismatch,
    UnknownName,
)
from graphnas.tables import load_members
from graphnas.train.evaluate import head_values
from graphnas.train.predictor_evaluation import Task, read_labels
from graphnas.train.rankers import load_head
from tests.bo.searches import MODEL, SPACE, config, score, write_labels


def test_a_complete_table_answers_itself() -> None:
    setting = Setting(config(pool_size=50))
    assert isinstance(setting.oracle, TableOracle) and len(setting.pool) == 50
    assert setting.oracle(setting.pool[7:8]).value == float(score(setting.pool[7:8])[0])
    assert Setting(config(pool_size=50, seed=3)).pool == setting.pool
    assert isinstance(setting.codes, RawCodes)
    with pytest.raises(InvalidValues, match="pass --model RUN"):
        _ = setting.latent


@pytest.mark.parametrize("model", [None, MODEL])
def test_a_part_of_a_space_snaps_to_the_nearest(model: object, tmp_path: Path) -> None:
    labelled = SPACE.enumerate()[::10]
    oracle = {"labels": str(write_labels(tmp_path / "some.csv", labelled)), "metric": "score"}
    setting = Setting(config(oracle=oracle), MODEL if model else None)
    assert isinstance(setting.oracle, SnappedOracle) and len(setting.pool) == len(labelled)
    assert isinstance(setting.codes, LatentCodes if model else RawCodes)
    other = SPACE.enumerate()[5:6]
    nearest = int(torch.cdist(setting.codes.place(other), setting.codes.points)[0].argmin())
    found = setting.oracle(other)
    assert found.value == pytest.approx(float(score(setting.pool[nearest : nearest + 1])[0])) and not found.error
    assert found.answered == SPACE.format(setting.pool[nearest : nearest + 1])[0]


def test_a_part_of_a_space_snaps_to_what_keeps_to_the_limits(tmp_path: Path) -> None:
    labelled = SPACE.enumerate()[::10]
    params = SPACE.cost(labelled)["params"]
    limit = float(params.float().quantile(0.3))
    oracle = {"labels": str(write_labels(tmp_path / "some.csv", labelled)), "metric": "score"}
    setting = Setting(config(oracle=oracle, max_params=limit, queries=5))
    answers = [setting.oracle(SPACE.enumerate()[row : row + 1]).answered for row in range(1, 200, 7)]
    nearest = SPACE.parse([text for text in answers if text])
    assert len(nearest) > 10 and int(SPACE.cost(nearest)["params"].max()) <= limit


def test_lower_is_better_of_value_and_test(tmp_path: Path) -> None:
    oracle = {"labels": str(write_labels(tmp_path / "all.csv")), "metric": "error", "test_metric": "test"}
    oracle |= {"seconds_metric": "seconds"}
    arch = SPACE.optimum()  # type: ignore[attr-defined]
    plain, falling = (Setting(config(oracle=oracle | {"minimise": low})).oracle(arch) for low in (False, True))
    assert (falling.value, falling.test) == (-plain.value, -plain.test) == (0.0, -0.5)
    assert plain.seconds == falling.seconds == 1 + SPACE.format(SPACE.enumerate()).index(SPACE.format(arch)[0])


def test_limits() -> None:
    setting = Setting(config(max_params=20, max_flops=5000))
    costs = SPACE.cost(setting.pool)
    expected = (costs["params"] <= 20) & (costs["flops"] <= 5000)
    assert torch.equal(setting.allowed(setting.pool), expected) and 0 < int(expected.sum()) < len(expected)
    assert bool(Setting(config()).allowed(SPACE.enumerate()).all())


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"queries": 788}, InvalidValues, "788 queries are more than the 787 architectures of toy"),
        ({"queries": 51, "pool_size": 50}, InvalidValues, "at most pool_size 50"),
        ({"queries": 700, "start": 100}, InvalidValues, "700 queries beside the start of 100"),
        ({"max_params": 9, "queries": 300}, InvalidValues, "more than the 297 architectures of toy .* params <= 9"),
        ({"oracle": {"metric": "accuracy"}}, UnknownName, "unknown metric 'accuracy': known are score"),
        ({"oracle": {"test_metric": "accuracy"}}, UnknownName, "unknown metric 'accuracy'"),
        ({"oracle": {"labels": "digits201"}}, SpaceMismatch, "nb201.* toy"),
        ({"oracle": {"labels": "nowhere.csv"}}, GraphnasError, "nowhere.csv"),
        ({"oracle": {"kind": "predictor"}}, InvalidValues, "--oracle.predictor RUN"),
        ({"oracle": {"kind": "predictor", "predictor": "nowhere"}}, GraphnasError, "nowhere"),
    ],
)
def test_what_cannot_be_searched(changes: dict[str, object], error: type[GraphnasError], message: str) -> None:
    with pytest.raises(error, match=message):
        Setting(config(**changes))


def test_other_spaces_and_missing_labels(tmp_path: Path) -> None:
    other = config()
    other.space = "enas6"
    with pytest.raises(SpaceMismatch, match="about toy, the search about enas6"):
        Setting(other, MODEL)
    with pytest.raises(MissingData, match="no built-in labels: pass --oracle.labels FILE"):
        Setting(other)
    large = SPACE.enumerate()[SPACE.cost(SPACE.enumerate())["params"] > 20]
    path = write_labels(tmp_path / "large.csv", large)
    with pytest.raises(OutsideSpace, match=f"none of {len(large)} .* has params <= 20, flops <= 9000"):
        Setting(config(oracle={"labels": str(path), "metric": "score"}, max_params=20, max_flops=9000))
    path = write_labels(tmp_path / "one.csv", SPACE.enumerate()[:1])
    with pytest.raises(InvalidValues, match="has 1 labels, expected at least 2"):
        Setting(config(oracle={"labels": str(path), "metric": "score"}))


class Fitted:
    """A predictor of the score, or of nothing finite."""

    space = SPACE

    def predict(self, archs: object) -> torch.Tensor:
        return score(archs) / 2  # type: ignore[arg-type]


@pytest.mark.parametrize("minimise", [False, True])
def test_predictors_in_either_direction(minimise: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphnas.bo.setting.load_ranker", lambda name: Fitted())
    oracle = Setting(config(oracle={"kind": "predictor", "predictor": "run", "minimise": minimise})).oracle
    assert oracle(SPACE.enumerate()[9:10]).value == (-0.5 if minimise else 0.5) * float(score(SPACE.enumerate()[9:10]))


def test_boosted_labels_in_either_direction(tmp_path: Path) -> None:
    labels = write_labels(tmp_path / "some.csv", SPACE.enumerate()[::5])
    oracle = {"kind": "boosted", "labels": str(labels), "metric": "error"}
    rising, falling = (Setting(config(oracle=oracle | {"minimise": low})).oracle for low in (False, True))
    arch = SPACE.enumerate()[100:101]
    assert rising(arch).value == -falling(arch).value == pytest.approx(1 - float(score(arch)), abs=0.1)


def test_predictors_that_fail_say_so() -> None:
    arch = SPACE.enumerate()[:1]
    for predict, error in (
        (lambda archs: torch.tensor([math.nan]), "finite"),
        (lambda archs: torch.zeros(0), "IndexError"),
        (lambda archs: torch.zeros(1, 2), "element"),
    ):
        answer = PredictorOracle(SPACE, predict)(arch)
        assert math.isnan(answer.value) and error in answer.error


def test_labels_of_the_whole_family_are_those_of_its_smaller_members(tmp_path: Path) -> None:
    small, labels = get_space("toy_4"), write_labels(tmp_path / "all.csv")
    table, whole = load_members(str(labels), small)
    assert not whole and len(table) == len(small.enumerate())
    assert torch.allclose(table.query(small.enumerate(), "score").double(), score(small.enumerate().widen(5)))
    setting = Setting(SearchConfig("toy_4", queries=10, oracle=OracleConfig(labels=str(labels), metric="score")))
    assert setting.goal == "the highest score of all.csv"
    boosted = OracleConfig("boosted", str(labels), "score")
    boosted_setting = Setting(SearchConfig("toy_4", queries=10, oracle=boosted, cost="params"))
    assert boosted_setting.goal == f"the highest boosted score of {labels} at the fewest params"
    assert setting.pool.max_nodes == 4 and isinstance(setting.oracle, TableOracle)
    assert len(read_labels(Task("toy_4", str(labels), "score")).y) == len(table)
    with pytest.raises(InvalidArchitecture, match="line 3: unknown operation"):
        load_members(str(labels), get_space("nb101_4"))
    texts = SPACE.format(SPACE.enumerate()[-3:])
    (tmp_path / "large.csv").write_text("arch,score\n" + "".join(f'"{text}",1\n' for text in texts))
    with pytest.raises(SpaceMismatch, match="has no member of toy_4"):
        load_members(tmp_path / "large.csv", small)


def test_shipped_weights_with_a_head_are_an_oracle() -> None:
    oracle = OracleConfig(kind="predictor", predictor="svge_nb201-digits")
    setting = Setting(SearchConfig("nb201", queries=5, pool_size=50, oracle=oracle))
    head, archs = load_head("svge_nb201-digits"), setting.pool[:3]
    expected = head_values(head, archs)
    assert [setting.oracle(archs[row : row + 1]).value for row in range(3)] == pytest.approx(expected.tolist())
    with pytest.raises(InvalidValues, match="svge_nb201 learned no label"):
        Setting(replace(setting.config, oracle=replace(oracle, predictor="svge_nb201")))


def test_labels_are_known_by_what_they_say(tmp_path: Path) -> None:
    """Whatever may be read counts, the time of an evaluation too; the place of the file does not."""
    (tmp_path / "other").mkdir()
    paths = [write_labels(tmp_path / "all.csv"), write_labels(tmp_path / "other" / "all.csv")]
    read: dict[str, object] = {"metric": "score", "seconds_metric": "seconds"}
    first, second = (Setting(config(oracle={"labels": str(path), **read})).digest for path in paths)
    assert first == second is not None
    lines = paths[1].read_text().splitlines(keepends=True)
    paths[1].write_text("".join([lines[0], lines[1].rpartition(",")[0] + ",77\n", *lines[2:]]))
    assert Setting(config(oracle={"labels": str(paths[1]), **read})).digest != first
    boosted = [Setting(config(oracle={"kind": "boosted", "labels": str(path), "metric": "score"})) for path in paths]
    assert boosted[0].digest == boosted[1].digest is not None
    assert Setting(config(oracle={"kind": "boosted", "labels": str(paths[1]), "metric": "seconds"})).digest != first
