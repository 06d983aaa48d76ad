"""What the README tells a newcomer to type works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from graphnas.cli import COMMANDS, find_command, main

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)


def shell_lines() -> list[str]:
    text = "".join(body for language, body in BLOCKS if language == "bash")
    return [line.split("#")[0].strip() for line in text.splitlines() if line.strip()]


def test_quick_commands_and_python_blocks_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commands that finish in seconds and all Python, as they stand, in one folder; Python blocks share their names."""
    monkeypatch.chdir(tmp_path)
    block = next(body for language, body in BLOCKS if language == "bash" and "--quick" in body)
    for line in block.strip().splitlines():
        words = shlex.split(line)
        assert words[0] == "graphnas" and main(words[1:]) == 0, line
    assert (tmp_path / "runs/toy/evaluation-test.json").is_file() and (tmp_path / "cells.png").is_file()
    names: dict[str, object] = {}
    for language, body in BLOCKS:
        if language == "python":
            capsys.readouterr()
            exec(compile(body, "README.md", "exec"), names)
            assert capsys.readouterr().out


def test_every_command_shown_exists() -> None:
    for line in shell_lines():
        words = shlex.split(line)
        if words[0] == "graphnas":
            assert find_command(words[1:]) is not None, line
        elif words[0] == "make":
            assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text(), line


def test_the_table_of_commands_is_complete() -> None:
    for name in COMMANDS:
        group, _, rest = name.partition(" ")
        row = next((line for line in README.splitlines() if line.startswith(f"| `graphnas {group}")), "")
        assert f"`graphnas {name}`" in README or f"`{rest}`" in row, name


def test_pictures_and_links_are_there() -> None:
    for target in re.findall(r"\]\((?!http)([^)]+)\)", README):
        assert (ROOT / target.partition("#")[0]).exists(), target
