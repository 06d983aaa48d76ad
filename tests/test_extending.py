"""The code on the page about extending works as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from graphnas.models import GraphVAE, model_info
from graphnas.models.zoo import MODELS

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "extending.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_a_new_space_trains_and_decodes() -> None:
    names: dict[str, object] = {"__name__": "__main__"}
    exec(compile(BLOCKS[0], "extending.md", "exec"), names)
    space = names["space"]
    assert len(space.enumerate()) == space.size  # type: ignore[attr-defined]


def test_a_new_model_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODELS, "_entries", dict(MODELS._entries))
    names: dict[str, object] = {"__name__": "__main__"}
    exec(compile(BLOCKS[1], "extending.md", "exec"), names)
    assert issubclass(names["Mine"], GraphVAE)  # type: ignore[arg-type]
    assert model_info("mine")["config"] == {"hidden_dim": 128}
