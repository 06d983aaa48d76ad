"""A function called in a process of its own, which does not outlive a time-out."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import wait
from concurrent.futures.process import BrokenProcessPool
from typing import NamedTuple

from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.backend.reduction import dumps

from graphnas.children import end_with
from graphnas.errors import InvalidValues, reason_of


class Outcome(NamedTuple):
    """What a call gave: a number, NaN with the reason where it raised."""

    value: float
    error: str = ""


def outcome_of(function: Callable[[str], float], text: str) -> Outcome:
    """A call in this process. What the function raises may be of a kind that another process cannot make a copy of, so
    that words have to do."""
    try:
        return Outcome(float(function(text)))
    except (Exception, SystemExit) as failure:
        return Outcome(float("nan"), reason_of(failure))


class TimedCall:
    """Calls a function in another process, which is started when first needed, and anew when it was ended or has died.

    A new process rather than a fork: OpenMP's threads, which torch has started here, would hang in a fork. One of its
    own rather than joblib's, which belongs to whatever else this process does in parallel.

    Args:
        function: of one text; functions of a script or a notebook are carried over by value.

    Raises:
        InvalidValues: a function that cannot be carried over, such as one that holds a lock or an open file.
    """

    def __init__(self, function: Callable[[str], float]) -> None:
        try:
            dumps(function)
        except Exception as error:  # whatever the objects it holds say
            raise InvalidValues(
                f"a time-out calls the function in another process, which this one cannot be sent to "
                f"({reason_of(error)}): leave the time-out away, or make what it holds inside the function"
            ) from error
        self.function = function
        self.executor: ProcessPoolExecutor | None = None

    def start(self) -> bool:
        """Start the process and load the function's modules there; False where it was there already."""
        if self.executor is not None:
            return False
        self.executor = ProcessPoolExecutor(max_workers=1)
        try:
            self.executor.submit(end_with, os.getpid()).result()
            self.executor.submit(callable, self.function).result()
        except BaseException:
            self.end()
            raise
        return True

    def __call__(self, text: str, timeout: float) -> Outcome:
        """The function's result, or why there is none.

        Raises:
            TimeoutError: nothing within so many seconds; the process is ended.
            BrokenProcessPool: the process has died.
        """
        self.start()
        assert self.executor is not None
        answer = self.executor.submit(outcome_of, self.function, text)
        if not wait([answer], timeout).done:
            self.end()
            raise TimeoutError(f"no answer within {timeout:g} s")
        try:
            return answer.result()
        except BrokenProcessPool:
            self.end()
            raise

    def end(self) -> None:
        """End the process, whatever it is doing."""
        if self.executor is not None:
            self.executor.shutdown(kill_workers=True)
            self.executor = None
