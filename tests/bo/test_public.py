"""What `graphnas.bo` offers by itself."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

import graphnas.bo
from graphnas.bo import CallableOracle, Evaluation, History, LatentBO, RandomSearch, run_search
from graphnas.errors import InvalidValues
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


def test_the_best_is_the_highest_success() -> None:
    failed = Evaluation("a", float("nan"), 0.0, 0.0, "no")
    low, high = Evaluation("b", -2.0, 0.0, 0.0, ""), Evaluation("c", -1.0, 0.0, 0.0, "")
    assert History([failed, low, high, low]).best() is high
    with pytest.raises(InvalidValues, match="no evaluation has succeeded"):
        History([failed]).best()
    with pytest.raises(InvalidValues, match="no evaluation has succeeded"):
        run_search(RandomSearch("toy"), CallableOracle("toy", lambda text: torch.nan), queries=2).best()
