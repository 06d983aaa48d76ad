"""Docstrings of models as plain text: every option is explained, no markup is left."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from graphnas.cli import main
from graphnas.commands.config_text import field_rows, plain
from graphnas.models import list_models
from graphnas.models.zoo import MODELS


@dataclass
class Base:
    """Some."""

    width: int = 3
    """Of :attr:`layers`,
    in numbers."""
    rate: float = 0.25


@dataclass
class Derived(Base):
    """More."""

    kind: str = "x"
    """Which of them."""


def test_options_of_bases_come_along() -> None:
    assert [tuple(row.values()) for row in field_rows(Derived, vars(Derived(rate=1e-5)))] == [
        ("width", "int", 3, "Of layers, in numbers."),
        ("rate", "float", "1e-05", ""),
        ("kind", "str", "x", "Which of them."),
    ]


def test_roles_become_names() -> None:
    assert plain("see :class:`graphnas.models.layers.group_gp.GroupGP`,\n :func:`~fit` and `w`") == (
        "see GroupGP, fit and `w`"
    )


@pytest.mark.parametrize("name", list_models())
def test_every_option_of_the_zoo_is_explained(name: str) -> None:
    config = MODELS[name].config_class
    for row in field_rows(config, config().to_dict()):
        assert row["type"] and row["meaning"] and ":`" not in row["meaning"], row


def test_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "info", "svge", "--space=toy"]) == 0 == main(["models", "list"])
    out = capsys.readouterr().out
    assert "latent_dim       int                     56       Z, width of the code" in out
    assert "see GroupGP." in out and ":class:" not in out
