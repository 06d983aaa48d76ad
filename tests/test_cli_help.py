"""What the command line says of itself."""

from __future__ import annotations

import re
import subprocess
import sys
from argparse import SUPPRESS
from dataclasses import fields
from importlib import import_module

import pytest

from graphnas import __version__
from graphnas.cli import COMMANDS, main
from graphnas.commands import parsing
from graphnas.train import DataConfig, FitConfig


def test_usage_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["--help"], ["-h"]):
        assert main(words) == 0
        out, err = capsys.readouterr()
        listed = [line[2:24].strip() for line in out.splitlines() if line.startswith("  ")]
        assert listed == list(COMMANDS) and err == ""
    assert main(["--version"]) == 0 and capsys.readouterr().out == f"{__version__}\n"


def test_half_a_command_lists_what_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["data"], ["data", "--help"]):
        assert main(words) == 0
        out = capsys.readouterr().out
        assert "data download" in out and "train vae" not in out and out.startswith("usage: graphnas data COMMAND")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    made: list[parsing.CommandParser] = []
    module = import_module(COMMANDS[name][0])

    def remember(command: str, description: str) -> parsing.CommandParser:
        made.append(parsing.make_parser(command, description))
        return made[-1]

    monkeypatch.setattr(module, "make_parser", remember)
    with pytest.raises(SystemExit) as stop:
        main([*name.split(), "--help"])
    out, err = capsys.readouterr()
    assert stop.value.code == 0 and err == "" and out.startswith(f"usage: graphnas {name}")
    parser = made[-1]
    assert parser.description and parser.description.splitlines()[0] in out
    flat = " ".join(out.split())
    for action in parser._actions:
        if action.help == SUPPRESS:
            continue
        assert action.help, f"{name} {action.dest} has no help"
        for option in action.option_strings:
            assert option in flat, f"{option} is not in the help of {name}"


def test_training_help_explains_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "vae", "--help"])
    flat = " ".join(capsys.readouterr().out.split())
    assert "Optimiser steps in all." in flat and "Share of the graphs kept aside" in flat
    names = [f"fit.{field.name}" for field in fields(FitConfig)] + [
        f"data.{field.name}" for field in fields(DataConfig)
    ]
    for name in ["model", "model_args", *names]:
        assert re.search(rf"--{re.escape(name)} \S.*? [A-Za-z]", flat), name


def test_help_is_light() -> None:
    """No torch, no PyG, no parser library before a command is chosen."""
    probe = (
        "import sys; from graphnas.cli import main; main(['--help']); main(['data']); main(['frobnicate'])\n"
        "print([name for name in ('torch', 'torch_geometric', 'numpy', 'jsonargparse') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-P", "-c", probe], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.splitlines()[-1] == "[]"
