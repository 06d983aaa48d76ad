"""What `graphnas.bo` offers by itself."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest
import torch

import graphnas.bo
from graphnas import get_space
from graphnas.bo import (
    CallableOracle,
    Evaluation,
    History,
    LatentBO,
    ParetoBO,
    RandomSearch,
    RawCodes,
    run_search,
)
from graphnas.errors import InvalidArchitecture, InvalidValues, UnknownName
from graphnas.testing import seeded
from tests.bo.searches import MODEL


def test_every_public_name_is_there_and_loaded_late() -> None:
    assert set(graphnas.bo.__all__) == set(graphnas.bo._LAZY) <= set(dir(graphnas.bo))
    for name in graphnas.bo.__all__:
        assert getattr(graphnas.bo, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = graphnas.bo.Nothing
    probe = "import sys, graphnas.bo; assert not {'torch', 'botorch'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-P", "-c", probe], timeout=60).returncode == 0


def test_a_search_of_a_function_in_three_names() -> None:
    def longest(text: str) -> float:
        return float(len(text))

    search = LatentBO(MODEL, seed=0, initial=4)
    history = run_search(search, CallableOracle("toy", longest), queries=8)
    assert search.space is MODEL.space and len(history.evaluations) == 8
    assert history.best().value == max(len(one.arch) for one in history.evaluations)


def test_slips_are_told_in_one_line() -> None:
    toy, other = get_space("toy"), get_space("nb201").sample(30, seeded())
    with pytest.raises(InvalidValues, match=r"expected an oracle \(got builtin_function_or_method\): CallableOracle"):
        run_search(RandomSearch("toy"), len, 3)  # type: ignore[arg-type]
    with pytest.raises(InvalidArchitecture):
        LatentBO(MODEL, pool=other)
    with pytest.raises(UnknownName, match="unknown cost 'latency'.*flops"):
        ParetoBO(RawCodes(toy, toy.enumerate()), cost="latency")
    with pytest.raises(InvalidValues, match=r"whole number as the seed \(got 1.5\)"):
        RandomSearch("toy", seed=1.5)  # type: ignore[arg-type]
    with pytest.raises(InvalidValues, match=r"positive number of seconds \(got 'a'\)"):
        CallableOracle("toy", len, timeout="a")  # type: ignore[arg-type]


def test_a_search_that_ends_early_says_so(caplog: pytest.LogCaptureFixture) -> None:
    few = get_space("toy").enumerate()[:5]
    with caplog.at_level(logging.WARNING):
        history = run_search(RandomSearch("toy", pool=few), CallableOracle("toy", len), queries=9)
    assert len(history.evaluations) == 5
    assert "the search ends after 5 of 9 evaluations: nothing new to evaluate in the pool of 5" in caplog.text


def test_the_best_is_the_highest_success() -> None:
    failed = Evaluation("a", float("nan"), 0.0, 0.0, "no")
    low, high = Evaluation("b", -2.0, 0.0, 0.0, ""), Evaluation("c", -1.0, 0.0, 0.0, "")
    assert History([failed, low, high, low]).best() is high
    with pytest.raises(InvalidValues, match="no evaluation has succeeded"):
        History([failed]).best()
    with pytest.raises(InvalidValues, match="no evaluation has succeeded"):
        run_search(RandomSearch("toy"), CallableOracle("toy", lambda text: torch.nan), queries=2).best()
