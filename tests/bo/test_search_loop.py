"""The loop: killed and resumed it goes on as if it had not been; oracles fail without taking it along."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from graphnas import load_table
from graphnas.bo.baselines import RandomSearch
from graphnas.bo.oracles import Answer, CallableOracle, SnappedOracle, TableOracle, boosted_oracle
from graphnas.bo.search import Evaluation, History, read_journal, run_search
from graphnas.errors import CorruptFile, GraphnasError, InvalidValues, OutsideSpace, SpaceMismatch, UnknownName
from graphnas.spaces import Architectures
from graphnas.tables import Table
from tests.bo.searches import SEARCHES, SPACE, Make, score


class Counting:
    """An oracle that counts, and is killed at one of its evaluations."""

    space = SPACE

    def __init__(self, dies_at: int | None = None, seconds: float = 2.0) -> None:
        self.count, self.dies_at, self.seconds = 0, dies_at, seconds

    def __call__(self, arch: Architectures) -> Answer:
        if self.count == self.dies_at:
            raise KeyboardInterrupt
        self.count += 1
        return Answer(float(score(arch)[0]), math.nan, self.seconds, "")


@pytest.mark.parametrize("make", SEARCHES.values(), ids=list(SEARCHES))
@pytest.mark.parametrize("dies_at", [6])
def test_killed_and_resumed_is_the_same(make: Make, dies_at: int, tmp_path: Path) -> None:
    whole = run_search(make(1), Counting(), 11, 4)
    journal = tmp_path / "journal.jsonl"
    with pytest.raises(KeyboardInterrupt):
        run_search(make(1), Counting(dies_at), 11, 4, journal)
    with journal.open("a") as stream:
        stream.write('{"arch": "cut of')
    rest = Counting()
    resumed = run_search(make(1), rest, 11, 4, journal)
    assert [one.arch for one in resumed.evaluations] == [one.arch for one in whole.evaluations]
    assert rest.count == 11 - dies_at
    assert [one.arch for one in read_journal(journal)] == [one.arch for one in whole.evaluations]


@pytest.mark.parametrize("make", SEARCHES.values(), ids=list(SEARCHES))
def test_a_larger_budget_goes_on_behind_a_batch_that_the_smaller_one_cut_short(make: Make, tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    first = run_search(make(1), Counting(), 6, 4, str(journal)).evaluations
    assert [one.batch for one in first] == [4] * 4 + [2] * 2
    with pytest.raises(KeyboardInterrupt):
        run_search(make(1), Counting(2), 13, 4, journal)
    rest = Counting()
    found = run_search(make(1), rest, 13, 4, journal).evaluations
    assert rest.count == 5 and len({one.arch for one in found}) == 13
    assert repr(found) == repr(read_journal(journal)) and repr(found[:6]) == repr(first)
    assert [one.batch for one in found[6:]] == [4] * 4 + [3] * 3
    less = run_search(make(1), Counting(0), 5, 4, journal).evaluations
    assert repr(less) == repr(found[:5])


def test_more_training_seconds_go_on_in_the_middle_of_a_batch(tmp_path: Path) -> None:
    journal, make = tmp_path / "journal.jsonl", SEARCHES["codes"]
    run_search(make(1), Counting(), 11, 4, journal, max_seconds=11.0)  # six of two seconds
    rest = Counting()
    found = run_search(make(1), rest, 11, 4, journal, max_seconds=17.0).evaluations
    whole = run_search(make(1), Counting(), 11, 4, max_seconds=17.0).evaluations
    assert rest.count == 3 and repr(found) == repr(whole)


def test_journals_that_do_not_say_how_many_were_asked_for(tmp_path: Path) -> None:
    journal, make = tmp_path / "journal.jsonl", SEARCHES["codes"]
    whole = run_search(make(1), Counting(), 10, 4, journal)
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    for line in lines:
        del line["batch"]
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    again = run_search(make(1), Counting(0), 10, 4, journal)
    assert [one.arch for one in again.evaluations] == [one.arch for one in whole.evaluations]


def test_a_journal_is_never_rewritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cut line is taken off in place: a kill while it is must not cost the lines before it."""
    journal = tmp_path / "journal.jsonl"
    run_search(RandomSearch(SPACE, 0), Counting(), 3, journal=journal)
    whole, inode = journal.read_bytes(), journal.stat().st_ino
    for cut in (b'{"arch": "cut of', b"{", b'{"arch": "\xc3'):
        with journal.open("ab") as stream:
            stream.write(cut)
        for name in ("write_text", "write_bytes"):
            monkeypatch.setattr(Path, name, lambda *arguments: pytest.fail("a journal was written anew"))
        assert len(read_journal(journal)) == 3
        assert journal.read_bytes() == whole and journal.stat().st_ino == inode
        monkeypatch.undo()


def test_journals_of_something_else(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    run_search(RandomSearch(SPACE, 0), Counting(), 3, journal=journal)
    with pytest.raises(CorruptFile, match="belongs to another search"):
        run_search(RandomSearch(SPACE, 1), Counting(), 3, journal=journal)
    for text in ("rubbish\n", '{"arch": "x"}\n', "[1]\n"):
        journal.write_text(text)
        with pytest.raises(CorruptFile, match="line 1 is no evaluation"):
            read_journal(journal)
    journal.write_bytes(b"\xff\xfe\n")
    with pytest.raises(CorruptFile, match="cannot read"):
        read_journal(journal)


def test_budgets() -> None:
    assert len(run_search(RandomSearch(SPACE, 0), Counting(), 7, 3).evaluations) == 7
    spent = run_search(RandomSearch(SPACE, 0), Counting(), 100, 4, max_seconds=9.0)
    assert len(spent.evaluations) == 5 and spent.seconds == 10.0
    for queries, batch in ((0, 1), (1, 0)):
        with pytest.raises(InvalidValues):
            run_search(RandomSearch(SPACE, 0), Counting(), queries, batch)


def test_a_search_ends_with_its_space() -> None:
    total = len(set(SPACE.canonical_keys(SPACE.enumerate())))
    assert len(run_search(RandomSearch(SPACE, 0), Counting(), 10 * total, 20).evaluations) <= total
    pool = SPACE.enumerate()
    assert len(run_search(RandomSearch(SPACE, 0, pool), Counting(), 10 * total, 20).evaluations) == total
    nothing = RandomSearch(SPACE, 0, pool).within(lambda archs: torch.zeros(len(archs), dtype=torch.bool))
    with pytest.raises(OutsideSpace, match="nothing new to evaluate in the pool of 787 in toy after 0"):
        run_search(nothing, Counting(), 5)


def test_what_is_reported_is_the_test_value_of_the_best() -> None:
    rows = [(1.0, 5.0), (math.nan, 9.0), (0.5, 7.0), (2.0, 4.0), (3.0, math.nan)]
    history = History([Evaluation("x", value, test, 0.0, "") for value, test in rows])
    assert history.best_so_far() == [5.0, 5.0, 5.0, 4.0, 3.0]
    assert math.isnan(History([Evaluation("x", math.nan, 1.0, 0.0, "e")]).best_so_far()[0])


def fails(text: str) -> float:
    raise RuntimeError("no memory")


@pytest.mark.parametrize(
    ("function", "error"),
    [
        (fails, "RuntimeError: no memory"),
        (lambda text: math.nan, "finite"),
        (lambda text: math.inf, "finite"),
        (lambda text: [1.0, 2.0], "TypeError"),
        (lambda text: None, "TypeError"),
    ],
)
def test_bad_oracles_are_recorded_and_the_run_goes_on(
    function: object, error: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    oracle = CallableOracle(SPACE, function)  # type: ignore[arg-type]
    history = run_search(RandomSearch(SPACE, 0), oracle, 4, journal=tmp_path / "journal.jsonl")
    assert [record.levelname for record in caplog.records] == ["WARNING"] and error in caplog.text
    with pytest.raises(InvalidValues, match=f"no evaluation has succeeded, the first failed because of: .*{error}"):
        history.best()
    assert len(history.evaluations) == 4 and all(error in one.error for one in history.evaluations)
    lines = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    assert all(line["value"] is None and error in line["error"] for line in lines)
    with pytest.raises(GraphnasError, match="evaluation 1 of"):
        run_search(RandomSearch(SPACE, 0), oracle, 4, stop_on_error=True)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (lambda arch: fails(""), "RuntimeError: no memory"),
        (lambda arch: Answer(math.nan, 0.5, 1.0, ""), "finite"),
        (lambda arch: Answer(-math.inf, 0.5, 1.0, ""), "finite"),
        (lambda arch: torch.ones(2), "TypeError"),
        (lambda arch: None, "TypeError"),
        (lambda arch: Answer("high", 0.0, 1.0, ""), "ValueError"),  # type: ignore[arg-type]
    ],
)
def test_oracles_of_any_kind_may_fail(answer: Callable[[Architectures], Answer], error: str) -> None:
    class Bad:
        space = SPACE

        def __call__(self, arch: Architectures) -> Answer:
            return answer(arch)

    found = run_search(RandomSearch(SPACE, 0), Bad(), 3).evaluations
    assert len(found) == 3 and all(error in one.error and math.isnan(one.value) for one in found)


def test_seconds_that_are_none_cost_nothing() -> None:
    for seconds in (math.nan, -5.0, math.inf):
        history = run_search(RandomSearch(SPACE, 0), Counting(seconds=seconds), 3, max_seconds=1.0)
        assert len(history.evaluations) == 3 and history.seconds == 0.0


def test_a_search_goes_on_behind_an_evaluation_that_hangs(tmp_path: Path) -> None:
    bad = SPACE.format(RandomSearch(SPACE, 0).ask(4))[2]

    def measure(text: str) -> float:
        if text == bad:
            time.sleep(60)
        return float(len(text))

    oracle, journal = CallableOracle(SPACE, measure, timeout=1), tmp_path / "journal.jsonl"
    found = run_search(RandomSearch(SPACE, 0), oracle, 4, 4, journal).evaluations
    assert ["no answer within 1 s" in one.error for one in found] == [False, False, True, False]
    assert 1 <= found[2].seconds < 30 and all(0 < one.seconds < 1 for one in (*found[:2], found[3]))
    assert [one.error for one in read_journal(journal)] == [one.error for one in found]


def test_hanging_and_dying_evaluations_end() -> None:
    torch.randn(300, 300) @ torch.randn(300, 300)  # starts OpenMP's threads, in whose forks nothing would run
    arch = SPACE.enumerate()[:1]

    def multiplies(text: str) -> float:
        import torch

        ones = torch.ones(300, 300)
        return float((ones @ ones).mean()) + len(text)

    good = CallableOracle(SPACE, multiplies, timeout=20)(arch)
    assert good.error == "" and good.value == 300 + len(SPACE.format(arch)[0])
    begin = time.monotonic()
    hung = CallableOracle(SPACE, lambda text: time.sleep(60) or 0.0, timeout=1)(arch)
    assert math.isnan(hung.value) and "no answer within 1 s" in hung.error and time.monotonic() - begin < 30
    dead = CallableOracle(SPACE, lambda text: os._exit(3), timeout=20)(arch)  # type: ignore[arg-type]
    assert math.isnan(dead.value) and dead.error
    with pytest.raises(InvalidValues, match="timeout"):
        CallableOracle(SPACE, fails, timeout=0)


def test_tables_answer_with_what_is_searched_and_what_is_reported() -> None:
    table = load_table("digits201")
    oracle = TableOracle(table, "validation_accuracy", "test_accuracy")
    arch = table.architectures[5:6]
    answer = oracle(arch)
    assert answer.value == float(table.query(arch, "validation_accuracy")[0])
    assert answer.test == float(table.query(arch, "test_accuracy")[0])
    assert TableOracle(table, "validation_accuracy", minimise=True)(arch).value == -answer.value
    with pytest.raises(UnknownName):
        TableOracle(table, "accuracy_of_nothing")


def test_an_oracle_of_another_space_is_refused() -> None:
    asked: list[str] = []
    with pytest.raises(SpaceMismatch, match="the oracle is about toy, the search about nb201"):
        run_search(RandomSearch("nb201", 0), CallableOracle("toy", lambda text: float(asked.append(text) or 1)), 3)
    assert asked == []


def test_leaving_the_program_is_a_failed_evaluation() -> None:
    for timeout in (None, 30.0):
        oracle = CallableOracle(SPACE, sys.exit, timeout)  # type: ignore[arg-type]
        history = run_search(RandomSearch(SPACE, 0), oracle, 2)
        assert [one.error for one in history.evaluations] == [f"SystemExit: {one.arch}" for one in history.evaluations]


def test_a_journal_with_an_absurd_batch_costs_no_memory(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    run_search(RandomSearch(SPACE, 0), Counting(), 6, 2, journal)
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text(lines[0].replace('"batch": 2', '"batch": 1000000000') + "".join(lines[1:]))
    with pytest.raises(CorruptFile, match="it belongs to another search"):
        run_search(RandomSearch(SPACE, 0), Counting(), 6, 2, journal)
    journal.write_text(lines[0].replace('"value": ', '"value": null, "was": '))
    with pytest.raises(CorruptFile, match="line 1 is no evaluation .*a value or an error"):
        run_search(RandomSearch(SPACE, 0), Counting(), 6, 2, journal)


def test_unlabelled_architectures_snap_to_the_nearest_which_is_told() -> None:
    table = load_table("digits201")
    known = TableOracle(table, "validation_accuracy")

    class Partial(TableOracle):
        def __call__(self, arch: Architectures) -> Answer:
            found = table.architectures.index_keys().index(arch.index_keys()[0])
            return known(arch) if found < 10 else Answer(math.nan, math.nan, 0.0, "not in the table")

    partial = Partial(table, "validation_accuracy")
    place = lambda archs: archs.ops.float()  # noqa: E731
    oracle = SnappedOracle(partial, table.architectures[:10], place)
    far = table.architectures[500:501]
    nearest = int(torch.cdist(place(far), place(table.architectures[:10])).argmin())
    one = table.architectures[nearest : nearest + 1]
    assert oracle(far).value == known(one).value and oracle(far).answered == table.space.format(one)[0]
    own = oracle(table.architectures[3:4])
    assert own.value == known(table.architectures[3:4]).value and own.answered == ""


def test_a_boosted_oracle_of_few_labels_tells_architectures_apart() -> None:
    archs = SPACE.enumerate()[::50]
    assert 10 <= len(archs) < 40
    few = Table(SPACE, archs, score(archs).float()[:, None, None, None], ("score",), units={"score": ""})
    assert len({boosted_oracle(few)(archs[row : row + 1]).value for row in range(len(archs))}) > 3


def test_a_boosted_oracle_follows_its_table() -> None:
    table = load_table("digits201")
    oracle = boosted_oracle(table, "validation_accuracy")
    rows = torch.arange(0, len(table), 160)
    found = torch.tensor([oracle(table.architectures[row : row + 1]).value for row in rows.tolist()])
    actual = table.query(table.architectures[rows], "validation_accuracy").double()
    assert float(torch.corrcoef(torch.stack([found, actual]))[0, 1]) > 0.8
