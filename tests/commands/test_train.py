"""`graphnas train vae`: what it says before it trains."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from graphnas.cli import main
from graphnas.commands import train_cli
from graphnas.train.loop import FitResult


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--model=svge", "--space=nb201"], True),
        (["--model=svge", "--space=nb201", "--fit.max_steps=3"], True),
        (["--model=svge", "--space=toy"], False),
        (["--model=svge", "--space=nb201", "--quick"], False),
        (["--recipe=svge_nb201"], False),
        (["--recipe", "svge_nb201", "--fit.max_steps=3"], False),
    ],
)
def test_a_recipe_that_nobody_named_is_told(
    words: list[str], told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(train_cli, "train_vae", lambda *given, **options: FitResult(0, 0.0, []))
    with caplog.at_level(logging.INFO, "graphnas"):
        assert main(["train", "vae", *words, f"--out={tmp_path}"]) == 0
    line = "there is a recipe svge_nb201 for this model and space: --recipe svge_nb201 trains by it instead"
    assert caplog.messages == [line] * told
