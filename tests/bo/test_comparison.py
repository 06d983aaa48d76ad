"""Searches under one budget: killed and resumed they are the same, each pays only for itself, and failures are told."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from graphnas.bo import comparison
from graphnas.bo.comparison import run_all, run_one
from graphnas.bo.config import SearchConfig
from graphnas.bo.methods import METHODS as REGISTERED
from graphnas.bo.oracles import Answer
from graphnas.bo.search import read_journal
from graphnas.bo.search_folder import SETTINGS, read_histories
from graphnas.bo.setting import Setting
from graphnas.errors import CorruptFile, GraphnasError
from graphnas.spaces import Architectures
from tests.bo.searches import MODEL, SPACE, config, score, write_labels

METHODS = ("latent", "raw_gp", "evolution", "random")
ALL_METHODS = tuple(REGISTERED)


class Paid:
    """An oracle that remembers what it was paid for, fails at times, and is killed at one of its evaluations."""

    space = SPACE

    def __init__(self, dies_at: int | None = None, fails: tuple[int, ...] = ()) -> None:
        self.paid: list[str] = []
        self.dies_at, self.fails = dies_at, fails

    def __call__(self, arch: Architectures) -> Answer:
        if len(self.paid) == self.dies_at:
            raise KeyboardInterrupt
        self.paid += SPACE.format(arch)
        if len(self.paid) in self.fails:
            raise RuntimeError("no memory")
        return Answer(float(score(arch)[0]), math.nan, 3.0, "")


def prepared(settings: SearchConfig, oracle: Paid | None = None) -> Setting:
    setting = Setting(settings, MODEL)
    if oracle is not None:
        setting.oracle = oracle
    return setting


def results(folder: Path) -> dict[str, Any]:
    return {path.name: json.loads(path.read_text()) for path in sorted((folder / "results").glob("*.json"))}


def dying(settings: SearchConfig, folder: Path, every: int) -> Iterator[list[str]]:
    """Runs of all methods, each killed after `every` evaluations, until one comes to its end: what each paid for."""
    while True:
        oracle = Paid(every)
        try:
            for method in METHODS:
                run_one(prepared(settings, oracle), method, 1, folder)
            return
        except KeyboardInterrupt:
            yield oracle.paid
        finally:
            last.append(oracle.paid)


last: list[list[str]] = []


def test_killed_again_and_again_a_comparison_is_the_same(tmp_path: Path) -> None:
    settings, whole = config(queries=9), Paid()
    for method in METHODS:
        run_one(prepared(settings, whole), method, 1, tmp_path / "whole")
    last.clear()
    kills = list(dying(settings, tmp_path / "cut", 5))
    assert len(kills) >= 6
    assert [text for paid in last for text in paid] == whole.paid  # nothing twice, nothing else, in the same order
    assert results(tmp_path / "cut") == results(tmp_path / "whole")


def test_results_are_what_the_journals_say(tmp_path: Path) -> None:
    oracle = Paid(fails=(2, 5))
    path = run_one(prepared(config(), oracle), "random", 2, tmp_path)
    content = json.loads(path.read_text())
    assert path == tmp_path / "results" / "random-2.json" and content["values"]["failed"] == 2
    journal = read_journal(tmp_path / "journals" / "random-2.jsonl")
    assert repr(journal) == repr(read_histories(tmp_path)["random"][2].evaluations)
    assert [one.arch for one in journal] == oracle.paid
    assert [one.error for one in journal if one.error] == ["RuntimeError: no memory"] * 2
    assert content["values"]["simulated_seconds"] == 3.0 * 6  # what failed cost nothing that is known
    shared = json.loads((tmp_path / SETTINGS).read_text())
    assert shared["queries"] == 8 and shared["oracle.kind"] == "table" and not {"seed", "method"} & shared.keys()


def test_a_finished_search_is_left_alone(tmp_path: Path) -> None:
    path = run_one(prepared(config()), "random", 0, tmp_path)
    begin, oracle = path.stat().st_mtime_ns, Paid()
    assert run_one(prepared(config(), oracle), "random", 0, tmp_path) == path
    assert path.stat().st_mtime_ns == begin and not oracle.paid


@pytest.mark.parametrize("cost", [None, "params"])
@pytest.mark.parametrize("method", ALL_METHODS)
def test_a_finished_search_goes_on_under_a_larger_budget(method: str, cost: Any, tmp_path: Path) -> None:
    first, second, third = Paid(), Paid(2), Paid()
    small, large = (config(queries=count, batch_size=3, cost=cost) for count in (7, 12))
    run_one(prepared(small, first), method, 1, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run_one(prepared(large, second), method, 1, tmp_path)
    assert read_histories(tmp_path, large) == {} != read_histories(tmp_path, small)
    run_one(prepared(large, third), method, 1, tmp_path)
    paid = first.paid + second.paid + third.paid
    assert [one.arch for one in read_histories(tmp_path, large)[method][1].evaluations] == paid
    assert len(set(paid)) == 12 == len(paid)
    with pytest.raises(GraphnasError, match=r"larger budget \(queries 12, now 7\)"):
        run_one(prepared(small), method, 1, tmp_path)


def test_interrupted_and_gone_on_with_other_settings_is_refused(tmp_path: Path) -> None:
    """Random searches choose the same whatever is asked: their journals would have given another metric's values."""
    labels = str(write_labels(tmp_path / "toy.csv"))
    first = config(oracle={"labels": labels, "metric": "score"})
    with pytest.raises(KeyboardInterrupt):
        run_one(prepared(first, Paid(3)), "random", 0, tmp_path / "out")
    other = Setting(config(oracle={"labels": labels, "metric": "error"}))
    with pytest.raises(GraphnasError, match="oracle.metric score, now error"):
        run_one(other, "random", 0, tmp_path / "out")
    assert len(read_journal(tmp_path / "out" / "journals" / "random-0.jsonl")) == 3


def test_seconds_are_counted_and_kept_to(tmp_path: Path) -> None:
    labels = write_labels(tmp_path / "toy.csv")
    oracle = {"labels": str(labels), "metric": "score", "test_metric": "test", "seconds_metric": "seconds"}
    setting = Setting(config(queries=100, oracle=oracle, max_seconds=2000.0), MODEL)
    for method in METHODS:
        content = json.loads(run_one(setting, method, 0, tmp_path / "out").read_text())["values"]
        spent = [one["seconds"] for one in content["evaluations"]]
        texts = SPACE.format(SPACE.enumerate())
        assert spent == [1.0 + texts.index(one["arch"]) for one in content["evaluations"]]
        assert content["simulated_seconds"] == sum(spent) >= 2000 > sum(spent[:-1])
        assert [one["test"] for one in content["evaluations"]] == [one["value"] / 2 for one in content["evaluations"]]


def test_methods_that_choose_one_by_one_are_asked_so(tmp_path: Path) -> None:
    """Batches would cost them the news of the first evaluations."""
    setting = prepared(config(batch_size=4))
    single = prepared(config(batch_size=1))
    for method, same in (("evolution", True), ("raw_gp", False)):
        runs = [run_one(one, method, 0, tmp_path / str(number)) for number, one in enumerate((setting, single))]
        archs = [[one["arch"] for one in json.loads(path.read_text())["values"]["evaluations"]] for path in runs]
        assert (archs[0] == archs[1]) == same


def test_a_start_is_known_and_not_paid_for(tmp_path: Path) -> None:
    oracle = Paid()
    setting = prepared(config(start=20, queries=5), oracle)
    content = json.loads(run_one(setting, "raw_gp", 0, tmp_path).read_text())["values"]
    known, paid = oracle.paid[:20], oracle.paid[20:]
    assert len(set(oracle.paid)) == 25 and [one["arch"] for one in content["evaluations"]] == paid
    assert content["best_known"] == float(score(SPACE.parse(known)).max())
    assert float(score(SPACE.parse(paid)).mean()) > float(score(SPACE.enumerate()).mean())


def test_snapped_answers_are_counted(tmp_path: Path) -> None:
    labels = write_labels(tmp_path / "some.csv", SPACE.enumerate()[::20])
    setting = Setting(config(oracle={"labels": str(labels), "metric": "score"}))
    content = json.loads(run_one(setting, "evolution", 0, tmp_path / "out").read_text())["values"]
    known = set(SPACE.canonical_keys(SPACE.enumerate()[::20]))
    asked = SPACE.canonical_keys(SPACE.parse([one["arch"] for one in content["evaluations"]]))
    answered = [one["answered"] for one in content["evaluations"]]
    assert [bool(text) for text in answered] == [key not in known for key in asked]
    assert content["snapped"] == sum(map(bool, answered)) > 0
    assert set(SPACE.canonical_keys(SPACE.parse([text for text in answered if text]))) <= known


def test_one_failed_search_does_not_take_the_others_along(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    failures = run_all(config(), None, ["latent", "random"], [0, 1], tmp_path)
    torch.set_num_threads(threads)
    assert [failure.split(":")[0] for failure in failures] == ["latent, seed 0", "latent, seed 1"]
    assert list(read_histories(tmp_path)) == ["random"] and list(read_histories(tmp_path)["random"]) == [0, 1]


def test_processes_end_with_the_command_that_started_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads, watched = torch.get_num_threads(), []
    monkeypatch.setattr(comparison, "end_with", watched.append)
    with pytest.raises(SystemExit, match="was killed"):
        run_all(config(), None, ["random"], [0], tmp_path, parent=os.getpid())  # this process is not its own parent
    torch.set_num_threads(threads)
    assert len(read_journal(tmp_path / "journals" / "random-0.jsonl")) == 1
    run_all(config(), None, ["random"], [0], tmp_path, parent=os.getppid())
    assert len(read_journal(tmp_path / "journals" / "random-0.jsonl")) == 8
    assert watched == [os.getpid(), os.getppid()]


def test_stopping_at_a_failure_loses_nothing(tmp_path: Path) -> None:
    first = Paid(fails=(3,))
    with pytest.raises(GraphnasError, match="evaluation 3 of .* failed: RuntimeError: no memory"):
        run_one(prepared(config(), first), "random", 0, tmp_path, stop_on_error=True)
    assert len(read_journal(tmp_path / "journals" / "random-0.jsonl")) == 3 and not (tmp_path / "results").exists()
    second = Paid()
    run_one(prepared(config(), second), "random", 0, tmp_path, stop_on_error=True)
    assert len(first.paid) == 3 and len(set(first.paid + second.paid)) == 8


def test_journals_of_another_model_or_seed_are_refused(tmp_path: Path) -> None:
    run_one(prepared(config()), "random", 0, tmp_path)
    for folder in ("journals", "results"):
        (tmp_path / folder / f"random-0.json{'l' * (folder == 'journals')}").rename(
            tmp_path / folder / f"random-1.json{'l' * (folder == 'journals')}"
        )
    (tmp_path / "results" / "random-1.json").unlink()
    with pytest.raises(CorruptFile, match="belongs to another search, model or seed"):
        run_one(Setting(replace(config(), seed=1)), "random", 1, tmp_path)


def test_labels_that_have_changed_since_are_refused(tmp_path: Path) -> None:
    labels, out = write_labels(tmp_path / "all.csv"), tmp_path / "out"
    searched = config(oracle={"labels": str(labels), "metric": "seconds"})
    run_one(Setting(searched), "random", 0, out)
    more = replace(searched, queries=searched.queries + 2)
    lines = labels.read_text().splitlines(keepends=True)
    labels.write_text("".join([lines[0], lines[1].rpartition(",")[0] + ",-77\n", *lines[2:]]))
    with pytest.raises(GraphnasError, match="by other labels, or another predictor"):
        run_one(Setting(more), "random", 0, out)
    labels.write_text("".join(lines))
    run_one(Setting(more), "random", 0, out)


def test_a_file_spelled_otherwise_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_labels(tmp_path / "all.csv")
    searched = config(oracle={"labels": str(tmp_path / "all.csv"), "metric": "score"})
    first = run_one(Setting(searched), "random", 0, tmp_path / "out").read_bytes()
    monkeypatch.chdir(tmp_path)
    here = replace(searched, oracle=replace(searched.oracle, labels="all.csv"))
    assert run_one(Setting(here), "random", 0, tmp_path / "out").read_bytes() == first
