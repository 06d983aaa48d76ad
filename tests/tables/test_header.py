from __future__ import annotations

import pytest

from graphnas.spaces import get_space, list_spaces
from graphnas.tables.header import arch_column, looks_like_header, other_separator
from graphnas.testing import seeded


def test_the_first_name_that_is_there() -> None:
    assert arch_column(["cell", "x", "arch"]) == "arch" and arch_column(["x", "cell"]) == "cell"
    assert arch_column(["x"]) is None
    assert arch_column([" Architecture", "Score"]) == " Architecture" and arch_column(["Arch", "arch"]) == "Arch"


@pytest.mark.parametrize("line", ["net,score", '"my net",top-1 (%)', "net;score", "net\tscore"])
def test_headers(line: str) -> None:
    assert looks_like_header(line)


@pytest.mark.parametrize("name", list_spaces())
def test_no_architecture_is_a_header(name: str) -> None:
    space = get_space(name)
    assert not any(map(looks_like_header, space.format(space.sample(20, seeded(0)))))


def test_separators_in_words() -> None:
    assert other_separator("a;b") == "semicolons" and other_separator("a\tb") == "tabs"
    assert other_separator("a,b;c") is None and other_separator("a") is None
