"""The code on the page about extending works as it stands."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "extending.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_a_new_space_trains_and_decodes() -> None:
    names: dict[str, object] = {"__name__": "__main__"}
    exec(compile(BLOCKS[0], "extending.md", "exec"), names)
    space = names["space"]
    assert len(space.enumerate()) == space.size  # type: ignore[attr-defined]
