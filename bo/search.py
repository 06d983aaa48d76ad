"""The loop of every search: ask, evaluate, write down, tell; killed at any point it goes on as if it had not been."""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from graphnas.bo.oracles import Oracle, guarded
from graphnas.bo.searcher import Searcher
from graphnas.checkpoint import make_folder
from graphnas.errors import CorruptFile, GraphnasError, InvalidValues, OutsideSpace, SpaceMismatch
from graphnas.spaces import Architectures

log = logging.getLogger(__name__)


class Evaluation(NamedTuple):
    """An architecture that was paid for."""

    arch: str
    value: float
    test: float
    seconds: float
    error: str
    answered: str = ""
    """The architecture whose values these are, where labels know only some and answered for the nearest of them."""
    batch: int = 0
    """How many architectures the search was asked for at once; 0 in journals that do not say."""

    @property
    def found(self) -> str:
        """The architecture that has these values."""
        return self.answered or self.arch


class History(NamedTuple):
    """Everything a search has paid for, in order, and the highest value that it knew before, NaN where none."""

    evaluations: list[Evaluation]
    best_known: float = math.nan

    @property
    def seconds(self) -> float:
        """Simulated training time of all evaluations."""
        return sum(evaluation.seconds for evaluation in self.evaluations)

    def best(self) -> Evaluation:
        """The one with the highest value.

        Raises:
            InvalidValues: none has succeeded; says why the first has not.
        """
        good = [evaluation for evaluation in self.evaluations if not evaluation.error]
        if not good:
            why = f", the first failed because of: {self.evaluations[0].error}" if self.evaluations else ""
            raise InvalidValues(f"no evaluation has succeeded{why}")
        return max(good, key=lambda evaluation: evaluation.value)

    def best_so_far(self) -> list[float]:
        """Per evaluation the test value of the one with the highest value so far, NaN before the first success.

        Where no test value is known it is the value itself.
        """
        curve, best, shown = [], -math.inf, math.nan
        for evaluation in self.evaluations:
            if evaluation.value > best:
                best = evaluation.value
                shown = evaluation.value if math.isnan(evaluation.test) else evaluation.test
            curve.append(shown)
        return curve


def in_unit(evaluations: Sequence[Evaluation], sign: float) -> list[Evaluation]:
    """The same with all values multiplied: those of a search for low ones as the metric has them."""
    return [one._replace(value=sign * one.value, test=sign * one.test) for one in evaluations]


def run_search(
    searcher: Searcher, oracle: Oracle, queries: int, batch_size: int = 1, journal: Path | str | None = None,
    max_seconds: float = math.inf, stop_on_error: bool = False, report: Callable[[Evaluation], None] | None = None,
) -> History:  # fmt: skip
    """Spend a budget of queries, or of simulated training seconds, whichever ends first.

    An evaluation that raises or gives no finite number has failed: it is counted and written down like any other, and
    the search goes on, unless told to stop; a warning is logged at the first. A search that finds nothing more to
    evaluate ends before its budget.

    Args:
        searcher: not yet told anything.
        oracle: of the same space.
        queries: most evaluations, failed ones included.
        batch_size: architectures asked for at a time.
        journal: file that gets a line after every evaluation. One that is there is gone through first: its answers
            are not paid for again, and the search goes on behind them, under a larger budget too. It is checked that
            this searcher asks for the architectures of the journal in their order, which another space, model or seed
            does not. What answered is not known: another oracle or function needs another journal.
        max_seconds: simulated training time after which nothing more is evaluated.
        stop_on_error: raise at the first new evaluation that fails, which the journal has by then, instead of going
            on.
        report: called after every new evaluation.

    Raises:
        InvalidValues: fewer than one query or architecture at a time, or no oracle.
        SpaceMismatch: an oracle of another space.
        OutsideSpace: there is nothing at all to evaluate.
        CorruptFile: a journal that is none, or of another search.
        GraphnasError: a failed evaluation, with `stop_on_error`.
    """
    check_search(searcher, oracle, queries, batch_size)
    journal = None if journal is None else Path(journal)
    past = read_journal(journal) if journal is not None else []
    history, failed = History([]), False
    while len(history.evaluations) < queries and history.seconds < max_seconds:
        done = len(history.evaluations)
        count = min(batch_size, queries - done)
        if done < len(past):  # an earlier budget may have cut this batch short
            count = min(past[done].batch or count, max(queries, len(past)) - done)
        try:
            archs = searcher.ask(count)
        except OutsideSpace as error:
            if not history.evaluations:
                raise
            log.warning("the search ends after %d of %d evaluations: %s", done, queries, error)
            break
        values = []
        for text, row in zip(searcher.space.format(archs), range(len(archs)), strict=True):
            done = len(history.evaluations)
            if done == queries or history.seconds >= max_seconds:
                break
            if done < len(past):
                evaluation = past[done]
                check_same(evaluation, text, f"{journal}: line {done + 1}")
            else:
                evaluation = evaluate(oracle, text, archs[row : row + 1])._replace(batch=count)
                if journal is not None:
                    append(journal, evaluation)
                if report is not None:
                    report(evaluation)
                if stop_on_error and evaluation.error:
                    raise GraphnasError(f"evaluation {done + 1} of {text} failed: {evaluation.error}")
                if evaluation.error and not failed:
                    failed = True
                    log.warning("evaluation %d of %s failed: %s; the search goes on", done + 1, text, evaluation.error)
            history.evaluations.append(evaluation)
            values.append(evaluation.value)
        searcher.tell(archs[: len(values)], torch.tensor(values, dtype=torch.float64))
    return history


def check_search(searcher: Searcher, oracle: Oracle, queries: int, batch_size: int) -> None:
    """Refuse what :func:`run_search` cannot do, before anything is paid for."""
    if queries < 1 or batch_size < 1 or queries != int(queries) or batch_size != int(batch_size):
        raise InvalidValues(
            f"expected at least 1 query and 1 at a time, in whole numbers (got {queries}, {batch_size})"
        )
    if not hasattr(oracle, "space"):
        raise InvalidValues(
            f"expected an oracle (got {type(oracle).__name__}): CallableOracle(space, function) makes one of a function"
        )
    if oracle.space.name != searcher.space.name:
        raise SpaceMismatch(f"the oracle is about {oracle.space.name}, the search about {searcher.space.name}")


def check_same(evaluation: Evaluation, text: str, line: str) -> None:
    """Refuse a line of a journal that is not about what the search asks for there."""
    if evaluation.arch != text:
        raise CorruptFile(
            f"{line} is {evaluation.arch}, this search would ask for {text}: "
            "it belongs to another search, model or seed"
        )


def evaluate(oracle: Oracle, text: str, arch: Architectures) -> Evaluation:
    """One answer, as it is written down."""
    return Evaluation(text, *guarded(lambda: oracle(arch)))


def append(path: Path, evaluation: Evaluation) -> None:
    """A line of JSON, on the disk when this returns."""
    make_folder(path.parent)
    line = json.dumps({name: None if value != value else value for name, value in evaluation._asdict().items()})
    try:
        with path.open("a") as stream:
            stream.write(line + "\n")
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise GraphnasError(f"could not write {path}: {error.strerror or error}") from error


def read_journal(path: Path) -> list[Evaluation]:
    """The evaluations of a journal; a last line that was cut by a kill is taken off the file.

    Raises:
        CorruptFile: any other line that is no evaluation.
    """
    if not path.exists():
        return []
    try:
        content = path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(path, whole)  # in place: a kill at this moment costs nothing either
        lines = content[:whole].decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CorruptFile(f"cannot read {path}: {error}") from error
    found = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(as_evaluation(json.loads(line)))
        except (ValueError, TypeError, KeyError) as error:
            raise CorruptFile(
                f"{path}: line {number} is no evaluation ({error}): take it and the rest out, or choose another --out"
            ) from error
    return found


def as_evaluation(content: dict[str, Any]) -> Evaluation:
    """What :func:`append` wrote."""
    number = {
        name: math.nan if content[name] is None else float(content[name]) for name in ("value", "test", "seconds")
    }
    batch = int(content.get("batch", 0))
    if batch < 0 or (math.isnan(number["value"]) and not content["error"]):
        raise ValueError("expected a value or an error, and a batch of at least 0")
    error, answered = str(content["error"]), str(content.get("answered", ""))
    return Evaluation(str(content["arch"]), error=error, answered=answered, batch=batch, **number)
