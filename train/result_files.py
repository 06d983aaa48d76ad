"""Results of leaderboards on disk: JSON that says how it was made, so that nothing is measured twice or mixed up."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from graphnas.checkpoint import write_text
from graphnas.errors import GraphnasError
from graphnas.run_folder import flat


def write_result(path: Path, content: dict[str, Any]) -> Path:
    """A result with its entries `made` and `values` or `rows`; null where a number is NaN, which JSON lacks."""
    return write_text(path, json.dumps(finite(content), indent=1) + "\n")


def read_result(path: Path, check: Callable[[dict[str, Any]], object] | None = None) -> dict[str, Any]:
    """A result file.

    Args:
        path: where it is.
        check: fails with KeyError, TypeError or ValueError on contents that are no such result.

    Raises:
        GraphnasError: damaged, or no result.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text())
        content["made"], content["rows" if "rows" in content else "values"]
        if check is not None:
            check(content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise GraphnasError(f"{path} is damaged: delete it and run the same command again") from error
    return content


def is_finished(path: Path, made: dict[str, Any], later: Sequence[str] = ()) -> bool:
    """Whether the result file is there.

    Args:
        path: of the result.
        made: how it would be made now.
        later: entries that are not compared where the file does not have them, as it is older than they are.

    Raises:
        GraphnasError: it is damaged, or was made with other settings, such as another profile or recipe.
    """
    if not path.exists():
        return False
    before, now = flat(settled(read_result(path)["made"])), flat(settled(made))
    for name in later:
        if name not in before:
            now.pop(name, None)
    other = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    if other:
        key = other[0]
        raise GraphnasError(
            f"{path} was made with another recipe, labels or profile ({key} was {before.get(key)!r}, is now "
            f"{now.get(key)!r}): choose another --out"
        )
    return True


def finite(content: Any) -> Any:
    """The same content as JSON gives it back, with None where a number is NaN."""
    return json.loads(json.dumps(content), parse_constant=lambda name: None)


def settled(content: Any) -> Any:
    """The same content without what is None: an option nobody gave is the same as one that did not exist yet."""
    if isinstance(content, dict):
        return {name: settled(value) for name, value in content.items() if value is not None}
    return [settled(value) for value in content] if isinstance(content, list) else content
