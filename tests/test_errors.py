"""Errors come out of another process as they went in."""

from __future__ import annotations

import pickle

import pytest

from graphnas import errors
from graphnas.errors import GraphnasError, UnknownName

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, GraphnasError)]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not UnknownName])
def test_every_error_can_be_sent(kind: type[GraphnasError]) -> None:
    copy = pickle.loads(pickle.dumps(kind("what was wrong")))
    assert type(copy) is kind and str(copy) == "what was wrong"


def test_unknown_names_can_be_sent() -> None:
    error = UnknownName("metric", "acuracy", {"accuracy": 1, "loss": 2})
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is UnknownName and str(copy) == str(error)
    assert str(error) == "unknown metric 'acuracy': did you mean 'accuracy'? known are accuracy, loss"


def test_of_many_names_only_close_ones_are_told() -> None:
    many = [f"column_{number}" for number in range(20)] + ["svge"]
    assert str(UnknownName("model", "svgee", many)) == (
        "unknown model 'svgee': did you mean 'svge'? `graphnas models list` lists all 21"
    )
    assert str(UnknownName("column of a.csv", "svgee", many)).endswith("did you mean 'svge'? 21 are known")
    assert "known are column_0, column_1, " in str(UnknownName("model", "other", many))


def test_a_hint_comes_last() -> None:
    error = UnknownName("metric", "nix", ["score"], hint="pass another table")
    assert (
        str(error)
        == str(pickle.loads(pickle.dumps(error)))
        == ("unknown metric 'nix': known are score; pass another table")
    )
