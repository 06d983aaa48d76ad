"""Functions in a process of their own: results, errors, time-outs, deaths."""

from __future__ import annotations

import os
import time

import pytest
from joblib import Parallel, delayed

from graphnas.bo.timed_call import TimedCall


def test_results_and_errors_come_back_from_one_process() -> None:
    call = TimedCall(lambda text: float(os.getpid()) if text == "who" else 1 / 0)
    assert call.start() and not call.start()
    first = call("who", 30)
    with pytest.raises(ZeroDivisionError):
        call("else", 30)
    assert call("who", 30) == first != os.getpid()
    call.end()
    assert call.start() and call("who", 30) != first
    call.end()


def test_an_ended_or_dead_process_is_started_anew() -> None:
    def behave(text: str) -> float:
        if text == "hang":
            time.sleep(60)
        if text == "late":
            raise TimeoutError("of the function's own")
        if text == "die":
            os._exit(3)
        return 1.0

    call, begin = TimedCall(behave), time.monotonic()
    with pytest.raises(TimeoutError, match=r"no answer within 0\.2 s"):
        call("hang", 0.2)
    assert time.monotonic() - begin < 30 and call("", 30) == 1.0
    with pytest.raises(TimeoutError, match="own"):
        call("late", 30)
    with pytest.raises(Exception, match="terminated"):
        call("die", 30)
    assert call("", 30) == 1.0
    call.end()


def test_other_work_in_parallel_is_not_in_the_way() -> None:
    call = TimedCall(len)  # type: ignore[arg-type]
    assert call("four", 30) == 4
    assert Parallel(n_jobs=2)(delayed(abs)(-number) for number in range(3)) == [0, 1, 2]
    assert call("three", 30) == 5
    call.end()
