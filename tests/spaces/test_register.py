"""Spaces of one's own, by name."""

from __future__ import annotations

import pytest

from graphnas import spaces
from graphnas.errors import InvalidValues, UnknownName
from graphnas.spaces import get_space, list_spaces, register_space
from graphnas.spaces.toy import Toy


def test_a_registered_space_is_found_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spaces, "_SPACES", dict(spaces._SPACES))
    named = type("Named", (Toy,), {"name": "own_space"})
    assert register_space(named) is named and "own_space" in list_spaces()
    assert type(get_space("own_space")) is named and get_space("own_space") is get_space("own_space")
    for taken in ("toy", "own_space", "nb101_6"):
        with pytest.raises(InvalidValues, match=f"search space '{taken}' is there already"):
            register_space(type("Taken", (Toy,), {"name": taken}))


@pytest.mark.parametrize("name", [None, 3, ["nb101"]])
def test_what_is_no_name(name: object) -> None:
    with pytest.raises(UnknownName, match="unknown search space"):
        get_space(name)  # type: ignore[arg-type]
