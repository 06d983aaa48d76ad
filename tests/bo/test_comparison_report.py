"""The tables of a comparison against its histories, NumPy and SciPy."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t, ttest_rel, wilcoxon

from graphnas.bo.comparison import run_one
from graphnas.bo.comparison_report import (
    best_label,
    hypervolume_curves,
    paired_tests,
    rows_of,
    value_curves,
    write_report,
)
from graphnas.bo.config import OracleConfig
from graphnas.bo.search import Evaluation, History
from graphnas.bo.search_folder import read_histories, with_metric
from graphnas.bo.search_report import ranked
from graphnas.bo.setting import Setting
from graphnas.errors import InvalidValues
from tests.bo.searches import SPACE, config, write_labels

SEEDS = range(5)
METHODS = ("local", "random")


@pytest.fixture(scope="module", params=[False, True], ids=["rising", "falling"])
def compared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bool]:
    """A folder with a comparison and its report, and whether lower was better."""
    folder, falling = tmp_path_factory.mktemp("comparison"), bool(request.param)
    oracle = {"labels": str(write_labels(folder / "toy.csv")), "metric": "error" if falling else "score"}
    setting = Setting(config(queries=18, oracle=oracle | {"minimise": falling}))
    for method in METHODS:
        for seed in SEEDS:
            run_one(setting, method, seed, folder)
    paths = write_report(read_histories(folder), setting.config, folder)
    assert [path.name for path in paths] == ["comparison.md", "curves.csv", "curves.png"]
    return folder, falling


def test_curves_are_the_best_so_far_of_the_journals(compared: tuple[Path, bool]) -> None:
    folder, falling = compared
    rows = list(csv.DictReader((folder / "curves.csv").open()))
    assert len(rows) == len(METHODS) * len(SEEDS) * 18
    best = np.minimum if falling else np.maximum
    for method, runs in read_histories(folder).items():
        for seed, history in runs.items():
            name = "error" if falling else "score"
            shown = [float(row[name]) for row in rows if (row["method"], row["seed"]) == (method, str(seed))]
            own = np.array([one.value for one in history.evaluations]) * (-1 if falling else 1)
            assert shown == pytest.approx(best.accumulate(own))
            assert 0 <= min(own) <= max(own) <= 1


def test_the_table_is_what_scipy_says(compared: tuple[Path, bool]) -> None:
    folder, falling = compared
    lines = [line.strip("| ").split(" | ") for line in (folder / "comparison.md").read_text().splitlines()[:4]]
    assert lines[0] == ["method", "seeds", "after 3", "after 6", "after 12", "after 18", "t-test p", "Wilcoxon p"]
    values = {
        method: [max(one.value for one in runs[seed].evaluations) for seed in SEEDS]
        for method, runs in read_histories(folder).items()
    }
    order = sorted(METHODS, key=lambda method: -float(np.mean(values[method])))
    assert [lines[2][0], lines[3][0]] == order and order[0] == "local"
    for line in lines[2:]:
        own = np.array(values[line[0]]) * (-1 if falling else 1)
        half = t.ppf(0.975, len(own) - 1) * own.std(ddof=1) / math.sqrt(len(own))
        digits = len(line[5].partition(" ")[0].partition(".")[2])
        assert line[1] == "5" and line[5] == f"{own.mean():.{digits}f} ± {half:.{digits}f}" and digits >= 3
    first, second = (values[method] for method in order)
    assert lines[2][6:] == ["–", "–"]
    assert lines[3][6:] == [f"{test(first, second).pvalue:.2g}" for test in (ttest_rel, wilcoxon)]


def test_settings_stand_below_without_method_and_seed(compared: tuple[Path, bool]) -> None:
    folder, falling = compared
    text = (folder / "comparison.md").read_text()
    assert '"queries": 18' in text and '"seed"' not in text and '"method"' not in text
    assert f"\n{'error' if falling else 'score'} of the best so far; mean and 95 % interval" in text
    assert (folder / "curves.png").stat().st_size > 5000


def test_tests_need_pairs_that_differ() -> None:
    none = {"t-test p": "–", "Wilcoxon p": "–"}
    a = {0: 1.0, 1: 2.0, 2: 3.5, 3: 4.0}
    assert paired_tests(a, a) == none
    assert paired_tests(a, {0: 1.0, 1: 2.5, 7: 3.0}) == none
    assert paired_tests(a, {0: 1.0, 1: math.nan, 2: 3.0}) == none
    other = {3: 3.0, 2: 3.0, 1: 1.5, 0: 1.5, 9: 100.0}
    pairs = [1.0, 2.0, 3.5, 4.0], [1.5, 1.5, 3.0, 3.0]
    assert paired_tests(a, other)["t-test p"] == f"{ttest_rel(*pairs).pvalue:.2g}"


def history(values: list[float]) -> History:
    texts = SPACE.format(SPACE.enumerate()[: len(values)])
    return History([Evaluation(text, value, math.nan, 0.0, "") for text, value in zip(texts, values, strict=True)])


def test_how_many_ended_above_their_start(tmp_path: Path) -> None:
    """Of three with a best known value of 0.5 one found more; a failed evaluation is not more."""
    ends = {0: [0.25, 0.5], 1: [0.75, 0.1], 2: [math.nan, 0.4]}
    runs = {seed: history(values)._replace(best_known=0.5) for seed, values in ends.items()}
    write_report({"local": runs}, config(queries=2, start=5), tmp_path)
    head, _, line = (tmp_path / "comparison.md").read_text().splitlines()[:3]
    assert head.endswith("| above the start |") and line.endswith("| 1 of 3 |")


def test_what_was_answered_by_another_architecture_is_said(tmp_path: Path) -> None:
    whole, part = history([0.5, 0.25]), history([0.5, 0.25])
    part.evaluations[1] = part.evaluations[1]._replace(answered=part.evaluations[0].arch)
    assert [one.found for one in part.evaluations] == [part.evaluations[0].arch] * 2
    write_report({"local": {0: part, 1: whole}, "random": {0: whole, 1: whole}}, config(queries=2), tmp_path)
    head, _, *lines = (tmp_path / "comparison.md").read_text().splitlines()[:4]
    assert head.endswith("| answered by the nearest |")
    assert sorted(line.split("|")[-2].strip() for line in lines) == ["0 %", "25 %"]
    assert len(ranked(part)) == 1


def test_searches_that_ended_early_or_failed(tmp_path: Path) -> None:
    """A budget in seconds ends searches after different numbers of evaluations, and a bad oracle gives no value."""
    histories = {
        "failed": {seed: history([math.nan] * 3) for seed in range(3)},
        "short": {0: history([0.25, 0.5]), 1: history([0.5]), 2: history([0.125, 0.25, 0.75])},
    }
    write_report(histories, config(queries=6), tmp_path)
    lines = (tmp_path / "comparison.md").read_text().splitlines()
    assert lines[2].startswith("| short | 3 | 0.292 ±") and lines[3].startswith("| failed | 3 | nan")
    assert lines[3].endswith("| – | – |")
    rows = list(csv.DictReader((tmp_path / "curves.csv").open()))
    assert len(rows) == 9 + 6 and [row["value"] for row in rows if row["method"] == "failed"] == [""] * 9
    with pytest.raises(InvalidValues, match="at least one search"):
        write_report({}, config(), tmp_path)


def test_small_differences_stay_visible() -> None:
    """Searches on a smooth oracle differ in the fourth decimal and less."""
    narrow = table({"a": {seed: [0.7485 + 1e-4 * seed] for seed in range(3)}, "b": {0: [0.7], 1: [0.7]}}, queries=1)
    assert narrow[0]["after 1"] == "0.74860 ± 0.00025" and narrow[1]["after 1"] == "0.70000 ± 0.00000"
    wide = table({"a": {seed: [10.0 * seed] for seed in range(3)}}, queries=1)
    assert wide[0]["after 1"].startswith("10.000 ± ")


def test_the_default_metric_has_its_name_in_the_report(tmp_path: Path) -> None:
    given = config(queries=4)
    assert given.oracle.metric is None
    run_one(Setting(given), "random", 0, tmp_path)
    assert with_metric(given, tmp_path).oracle.metric == "score" and with_metric(given, tmp_path / "none") == given
    write_report(read_histories(tmp_path), with_metric(given, tmp_path), tmp_path)
    assert "score of the best so far" in (tmp_path / "comparison.md").read_text()


def test_what_curves_show_is_said_with_what_the_best_was_chosen_by() -> None:
    assert best_label(OracleConfig(metric="a", test_metric="b")) == "b of the best by a so far"
    assert best_label(OracleConfig(metric="a")) == "a of the best so far"


def test_the_last_value_of_a_short_search_counts_to_the_end() -> None:
    rows = table({"a": {0: [1.0, 2.0]}, "b": {0: [1.0, 1.0, 3.0]}}, queries=3)
    assert [row["method"] for row in rows] == ["b", "a"] and rows[1]["after 3"] == "2.000"


def test_a_budget_in_seconds_has_a_table_in_seconds() -> None:
    """Three evaluations of 1, 2 and 4 simulated seconds; what ends behind the budget was still paid for."""
    oracle = {"labels": "toy", "seconds_metric": "score"}
    found = history([0.25, 0.5, 0.75])
    found = History([one._replace(seconds=2.0**place) for place, one in enumerate(found.evaluations)])
    limited = config(queries=50, max_seconds=6.0, oracle=oracle)
    (row,) = rows_of(value_curves({"a": {0: found}}), {"a": {0: found}}, limited)
    titles = ["after 1 s", "after 2 s", "after 4 s", "after 6 s"]
    assert [row[title] for title in titles] == ["0.250", "0.250", "0.500", "0.750"]
    slow = History([found.evaluations[2]])
    (row,) = rows_of(value_curves({"a": {0: slow}}), {"a": {0: slow}}, limited)
    assert [row[title] for title in titles] == ["–", "–", "0.750", "0.750"]


def table(values: dict[str, dict[int, list[float]]], queries: int) -> list[dict[str, str]]:
    histories = {method: {seed: history(own) for seed, own in runs.items()} for method, runs in values.items()}
    return rows_of(value_curves(histories), histories, config(queries=queries))


def test_hypervolumes_are_shares_of_what_anyone_found(tmp_path: Path) -> None:
    costs = SPACE.cost(SPACE.enumerate()[:4])["flops"].tolist()
    worst, best = max(costs), min(costs)
    histories = {"a": {0: history([0.0, 1.0, math.nan, 0.5])}, "failed": {0: history([math.nan] * 4)}}
    curves = hypervolume_curves(histories, config(cost="flops"))
    share = [(worst - cost) / (worst - best) for cost in costs]
    last = 0.5 * max(share[1], share[3]) + 0.5 * share[1]
    assert curves["a"][0] == pytest.approx([0.0, share[1], share[1], last]) and curves["failed"][0] == [0.0] * 4
    write_report(histories, config(cost="flops"), tmp_path)
    assert "and flops: the share, from 0 to 1, of the rectangle" in (tmp_path / "comparison.md").read_text()
    assert hypervolume_curves({"failed": histories["failed"]}, config(cost="flops")) == {"failed": {0: [0.0] * 4}}
