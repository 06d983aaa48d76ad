"""Functions in a process of their own: results, errors, time-outs, deaths."""

from __future__ import annotations

import math
import os
import threading
import time
from concurrent.futures.process import BrokenProcessPool

import pytest
from joblib import Parallel, delayed

from graphnas import get_space
from graphnas.bo import CallableOracle
from graphnas.bo.timed_call import TimedCall
from graphnas.errors import InvalidValues


def test_results_and_errors_come_back_from_one_process() -> None:
    call = TimedCall(lambda text: float(os.getpid()) if text == "who" else 1 / 0)
    assert call.start() and not call.start()
    first = call("who", 30).value
    assert call("else", 30).error == "ZeroDivisionError: division by zero" and math.isnan(call("else", 30).value)
    assert call("who", 30) == (first, "") and first != os.getpid()
    call.end()
    assert call.start() and call("who", 30).value != first
    call.end()


def test_an_ended_or_dead_process_is_started_anew() -> None:
    class Own(Exception):
        def __init__(self, first: str, second: str) -> None:  # of which no copy can be made from its text
            super().__init__(first)

    def behave(text: str) -> float:
        if text == "hang":
            time.sleep(60)
        if text == "late":
            raise TimeoutError("of the function's own")
        if text == "own":
            raise Own("no memory", "")
        if text == "die":
            os._exit(3)
        return 1.0

    call, begin = TimedCall(behave), time.monotonic()
    with pytest.raises(TimeoutError, match=r"no answer within 0\.2 s"):
        call("hang", 0.2)
    assert time.monotonic() - begin < 30 and call("", 30) == (1.0, "")
    assert call("late", 30).error == "TimeoutError: of the function's own"
    assert call("own", 30).error == "Own: no memory"
    with pytest.raises(BrokenProcessPool, match="terminated"):
        call("die", 30)
    assert call("", 30) == (1.0, "")
    call.end()


def test_what_cannot_be_sent_is_told_before_anything_is_paid_for() -> None:
    lock = threading.Lock()

    def locked(text: str) -> float:
        with lock:
            return 1.0

    with pytest.raises(InvalidValues, match=r"cannot be sent to \(.*lock.*\): leave the time-out away"):
        CallableOracle("toy", locked, timeout=5)
    assert CallableOracle("toy", locked)(get_space("toy").enumerate()[:1]).value == 1.0


def test_other_work_in_parallel_is_not_in_the_way() -> None:
    call = TimedCall(len)
    assert call("four", 30).value == 4
    assert Parallel(n_jobs=2)(delayed(abs)(-number) for number in range(3)) == [0, 1, 2]
    assert call("three", 30).value == 5
    call.end()
