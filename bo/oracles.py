"""Oracles: what an evaluation costs and gives, from tables, predictors, or any function."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from graphnas.bo.labels import digest_of
from graphnas.bo.timed_call import TimedCall
from graphnas.errors import InvalidValues, OutsideSpace, reason_of
from graphnas.spaces import Architectures, SearchSpace, get_space
from graphnas.tables import Table


class Answer(NamedTuple):
    """One evaluation."""

    value: float
    """Higher is better; NaN where the evaluation failed."""
    test: float
    """What is reported and never searched for; NaN where unknown."""
    seconds: float
    """Simulated training time, of a function the time it took; 0 where unknown."""
    error: str
    """Why it failed; empty where it did not."""
    answered: str = ""
    """Text of the architecture whose values these are, where it is not the one that was asked about."""


class Oracle(Protocol):
    """Evaluates architectures one by one."""

    space: SearchSpace

    def __call__(self, arch: Architectures) -> Answer:
        """The answer for a batch of one. What it raises, and values that are no finite number, are failed answers."""


def guarded(evaluate: Callable[[], Answer]) -> Answer:
    """What an evaluation gives; a failed answer for whatever it raises and for a value that is no finite number."""
    try:
        answer = Answer(*evaluate())
        value, test, seconds = (float(number) for number in answer[:3])
        answer = Answer(value, test, seconds, str(answer.error), str(answer.answered))
    except (Exception, SystemExit) as failure:  # whatever an oracle of the user's does is an answer
        return Answer(math.nan, math.nan, 0.0, reason_of(failure))
    if not answer.error and not math.isfinite(answer.value):
        answer = answer._replace(error=f"expected a finite number (got {answer.value})")
    return answer._replace(
        value=math.nan if answer.error else answer.value,
        test=answer.test if math.isfinite(answer.test) else math.nan,
        seconds=answer.seconds if 0 < answer.seconds < math.inf else 0.0,
    )


class TableOracle:
    """Measured values.

    Args:
        table: labels.
        metric: what is searched for; the default of the table if not given.
        test_metric: what is reported.
        seconds_metric: what an evaluation costs; 0 if not given.
        minimise: whether lower values are better, of `metric` and of `test_metric`; both are negated then.

    Raises:
        UnknownName: a metric the table does not have.
    """

    def __init__(
        self, table: Table, metric: str | None = None, test_metric: str | None = None,
        seconds_metric: str | None = None, minimise: bool = False,
    ) -> None:  # fmt: skip
        self.space, self.table = table.space, table
        self.metric, self.sign = metric or table.default_metric, -1.0 if minimise else 1.0
        self.test_metric, self.seconds_metric = test_metric, seconds_metric
        for name in (self.metric, test_metric, seconds_metric):
            if name is not None:
                table.query(table.architectures[:1], name)

    @cached_property
    def digest(self) -> str:
        """Of all labels that may be read: the same wherever the file lies, another when it has changed."""
        return digest_of(self.table, (self.metric, self.test_metric, self.seconds_metric))

    def column(self, metric: str | None, arch: Architectures) -> float:
        """A value of a batch of one, NaN without a metric."""
        return math.nan if metric is None else float(self.table.query(arch, metric)[0])

    def __call__(self, arch: Architectures) -> Answer:
        value, test = (self.sign * self.column(metric, arch) for metric in (self.metric, self.test_metric))
        seconds = self.column(self.seconds_metric, arch)
        error = "not in the table" if math.isnan(value) else ""
        return Answer(value, test, 0.0 if math.isnan(seconds) else seconds, error)


class SnappedOracle:
    """The value of the nearest labelled architecture where the asked one has none; the answer says which that is.

    Args:
        oracle: labels of some architectures.
        labelled: L of those it knows.
        place: architectures [B] -> points float [B, D] in which the nearest is looked for.
    """

    def __init__(self, oracle: TableOracle, labelled: Architectures, place: Callable[[Architectures], Tensor]) -> None:
        self.space, self.oracle, self.labelled, self.place = oracle.space, oracle, labelled, place
        self.digest = oracle.digest
        self.points = place(labelled)

    def __call__(self, arch: Architectures) -> Answer:
        answer = self.oracle(arch)
        if not answer.error:
            return answer
        row = int(torch.cdist(self.place(arch), self.points)[0].argmin())
        nearest = self.labelled[row : row + 1]
        return self.oracle(nearest)._replace(answered=self.space.format(nearest)[0])


class PredictorOracle:
    """Predictions of a fitted predictor, or of any function of architectures [B] -> [B].

    Args:
        space: the space.
        predict: the function.
        minimise: whether lower predictions are better; they are negated then.
        digest: of the labels behind them, if it is to be noticed that these have changed.
        metric: name of the labels behind them, where known.
    """

    def __init__(
        self, space: SearchSpace, predict: Callable[[Architectures], Tensor], minimise: bool = False,
        digest: str | None = None, metric: str | None = None,
    ) -> None:  # fmt: skip
        self.space, self.predict, self.sign, self.digest = space, predict, -1.0 if minimise else 1.0, digest
        self.metric = metric

    def __call__(self, arch: Architectures) -> Answer:
        return guarded(lambda: Answer(self.sign * float(self.predict(arch)[0]), math.nan, 0.0, ""))


class CallableOracle:
    """Any function of an architecture's text form, guarded: what it raises, and NaN, are failed evaluations.

    An answer's seconds are those that the call took, a failed one's too.

    Args:
        space: name or object.
        function: text of one architecture -> a number, higher is better.
        timeout: seconds after which an evaluation has failed. The function then runs in a process of its own, which
            is ended then: what it changes outside of itself is not seen here. None calls it directly.

    Raises:
        InvalidValues: a time-out that is not positive, what cannot be called, or cannot be sent to another process.
    """

    def __init__(
        self, space: SearchSpace | str, function: Callable[[str], float], timeout: float | None = None
    ) -> None:
        if timeout is not None and (not isinstance(timeout, int | float) or not timeout > 0):
            raise InvalidValues(f"timeout must be a positive number of seconds (got {timeout!r})")
        if not callable(function):
            raise InvalidValues(f"expected a function of an architecture's text (got {type(function).__name__})")
        self.space, self.function, self.timeout = get_space(space), function, timeout
        self.in_process = None if timeout is None else TimedCall(function)
        self.begun = 0.0

    def __call__(self, arch: Architectures) -> Answer:
        text, self.begun = self.space.format(arch)[0], time.perf_counter()
        answer = guarded(lambda: self.answer(text))
        return answer._replace(seconds=time.perf_counter() - self.begun)

    def answer(self, text: str) -> Answer:
        """What the function says.

        Raises:
            Exception: whatever it raises; TimeoutError.
        """
        if self.in_process is None or self.timeout is None:
            return Answer(float(self.function(text)), math.nan, 0.0, "")
        if self.in_process.start():  # which is not the function's time
            self.begun = time.perf_counter()
        value, error = self.in_process(text, self.timeout)
        return Answer(value, math.nan, 0.0, error)


def boosted_oracle(table: Table, metric: str | None = None, seed: int = 0, minimise: bool = False) -> PredictorOracle:
    """Gradient boosting on all labels of a table, for spaces of which only a part was measured.

    A stand-in for measurements, and to be called one: its errors are shared by whatever is found with it. Leaves hold
    20 labels as is usual, a twentieth of all where there are fewer than 400: a tree of one leaf tells nothing apart.

    Raises:
        OutsideSpace: fewer than 10 labels.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    from graphnas.models.features import raw_features

    space, archs, metric = table.space, table.architectures, metric or table.default_metric
    y = table.query(archs, metric)
    rows = (~y.isnan()).nonzero().flatten()
    if len(rows) < 10:
        raise OutsideSpace(f"a boosted oracle needs at least 10 labels (got {len(rows)})")
    x = raw_features(space, archs[rows]).numpy()
    leaf = max(1, min(20, len(rows) // 20))
    model = HistGradientBoostingRegressor(max_iter=500, min_samples_leaf=leaf, random_state=seed)
    model.fit(x, y[rows].double().numpy())

    def predict(asked: Architectures) -> Tensor:
        return torch.from_numpy(model.predict(raw_features(space, asked).numpy()))

    return PredictorOracle(space, predict, minimise, digest_of(table, [metric]), metric)
