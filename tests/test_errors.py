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
