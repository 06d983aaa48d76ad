"""Parsers made from typed functions and dataclasses, with one-line errors and recipes."""

from __future__ import annotations

import json
import os
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, DefaultHelpFormatter, Namespace, set_parsing_settings

from graphnas.checkpoint import write_text
from graphnas.commands.wording import reword
from graphnas.errors import GraphnasError, UnknownName

RECIPES = Path(__file__).resolve().parents[1]

set_parsing_settings(docstring_parse_attribute_docstrings=True)  # the help of a field is the text below it


class UsageError(GraphnasError):
    """Bad options on the command line."""


class HelpFormatter(RawDescriptionHelpFormatter, DefaultHelpFormatter):
    """Help with the line breaks of the description as written."""


class CommandParser(ArgumentParser):
    """A parser that raises one clear line instead of printing its usage."""

    def error(self, message: str, ex: Exception | None = None) -> Any:
        lines = [line.strip() for line in message.splitlines() if line.strip()]
        text = reword("; ".join(lines).replace(":; ", ": "))
        raise UsageError(f"{text} (see `graphnas {self.prog.removeprefix('graphnas ')} --help`)") from ex


def make_parser(command: str, description: str) -> CommandParser:
    """The parser of one command."""
    return CommandParser(prog=f"graphnas {command}", description=description, formatter_class=HelpFormatter)


def parse(parser: ArgumentParser, arguments: Sequence[str]) -> Namespace:
    """Parsed options.

    Raises:
        UsageError: bad options.
    """
    try:
        namespace: Namespace = parser.parse_args(list(arguments))
    except UnicodeDecodeError as error:
        raise UsageError(f"expected text in every file given as an option: {error}") from error
    return namespace


def recipe_path(name: str, folder: str) -> Path:
    """A recipe shipped with graphnas, by name, or a YAML file of the user's.

    Raises:
        UnknownName: with the list of recipes.
    """
    if os.sep in name or name.endswith((".yaml", ".yml")):
        path = Path(name)
        if not path.is_file():
            raise UsageError(f"no recipe file {name}")
        return path
    shipped = shipped_recipes(folder)
    if name not in shipped:
        raise UnknownName("recipe", name, shipped)
    return shipped[name]


def shipped_recipes(folder: str) -> dict[str, Path]:
    """Recipes shipped with graphnas: name -> file."""
    return {path.stem: path for path in (RECIPES / folder / "recipes").glob("*.yaml")}


def print_table(rows: Sequence[dict[str, Any]]) -> None:
    """Rows of equal keys as an aligned text table on stdout."""
    if not rows:
        return
    names = list(rows[0])
    cells = [names, *[[show(row[name]) for name in names] for row in rows]]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def print_values(values: dict[str, Any]) -> None:
    """Names and values, one a line, aligned, on stdout."""
    width = max(map(len, values), default=0)
    for name, value in values.items():
        print(f"{name:<{width}}  {show(value)}")


def show(value: Any) -> str:
    """A cell: four digits for a float."""
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def write_json(path: Path, content: dict[str, Any]) -> Path:
    """A result as JSON, in which what is undefined (NaN) is null."""
    plain = json.loads(json.dumps(content), parse_constant=lambda name: None)
    return write_text(path, json.dumps(plain, indent=1) + "\n")


def use_threads(threads: int | None) -> None:
    """Limit torch to that many threads.

    Raises:
        UsageError: fewer than one.
    """
    if threads is not None and threads < 1:
        raise UsageError(f"--threads must be at least 1 (got {threads})")
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def stderr(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)
