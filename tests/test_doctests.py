"""The examples in docstrings give what they say."""

from __future__ import annotations

import doctest
from importlib import import_module
from pkgutil import walk_packages

import pytest

import graphnas

MODULES = sorted(
    module.name for module in walk_packages(graphnas.__path__, "graphnas.") if module.name != "graphnas.__main__"
)


def test_examples() -> None:
    """All in one test: most modules have none, and importing them is what takes the time."""
    tried = 0
    for name in MODULES:
        result = doctest.testmod(import_module(name), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
        assert result.failed == 0, name
        tried += result.attempted
    assert tried > 20


def test_a_wrong_example_is_found() -> None:
    example = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, None)
    with pytest.raises(doctest.DocTestFailure):
        doctest.DebugRunner().run(example, out=lambda text: None)
