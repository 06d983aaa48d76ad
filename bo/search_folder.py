"""A folder of searches: what all of them share, and what each has found."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from graphnas.bo.config import SearchConfig
from graphnas.bo.search import History, as_evaluation
from graphnas.checkpoint import make_folder, write_text
from graphnas.errors import CorruptFile, GraphnasError
from graphnas.lock import held
from graphnas.train.result_files import finite, read_result

SETTINGS = "search.json"
"""File of a folder that says what all searches in it share."""


def claim(config: SearchConfig, folder: Path, write: bool = True, more: Mapping[str, Any] | None = None) -> None:
    """Let a folder say what its searches are about, so that journals of different searches never mix.

    Args:
        config: of a search; method and seed do not count.
        folder: of a search or of a comparison.
        write: say it; otherwise an unclaimed folder stays as it is.
        more: further settings, by name.

    Raises:
        GraphnasError: the folder says otherwise, or cannot be read or written.
    """
    own, path = flat(finite(asdict(config) | dict(more or {}))), folder / SETTINGS
    for name in ("method", "seed"):
        del own[name]
    if not path.exists():
        if write:
            write_text(path, json.dumps(own, indent=1) + "\n")
        return
    try:
        found = dict(json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise CorruptFile(f"{path} is damaged: choose another --out") from error
    missing = object()
    other = [name for name in sorted({*own, *found}) if own.get(name, missing) != found.get(name, missing)]
    if other:
        changes = ", ".join(f"{name} {found.get(name)}, now {own.get(name)}" for name in other)
        raise GraphnasError(f"{folder} holds a search with other settings ({changes}): choose another --out")


def flat(content: dict[str, Any]) -> dict[str, Any]:
    """Settings by their names on the command line."""
    found: dict[str, Any] = {}
    for name, value in content.items():
        found |= (
            {f"{name}.{inner}": one for inner, one in flat(value).items()} if isinstance(value, dict) else {name: value}
        )
    return found


@contextmanager
def alone(journal: Path) -> Iterator[None]:
    """Keep a second process away from a journal; the lock ends with the process that holds it, however that ends.

    Raises:
        GraphnasError: another process is at it, or it cannot be opened.
    """
    make_folder(journal.parent)
    with ExitStack() as stack:
        try:
            stack.enter_context(held(journal))
        except BlockingIOError as error:
            raise GraphnasError(f"another process is writing {journal}: wait for its end, or end it") from error
        except OSError as error:
            raise GraphnasError(f"could not write {journal}: {error.strerror or error}") from error
        yield


def read_histories(folder: Path) -> dict[str, dict[int, History]]:
    """Finished searches: method -> seed -> history, methods by name.

    Raises:
        GraphnasError: a file that is no result, named.
    """
    found: dict[str, dict[int, History]] = {}
    for path in sorted((folder / "results").glob("*.json")):
        content = read_result(path, check)
        found.setdefault(content["method"], {})[content["seed"]] = as_history(content)
    return found


def as_history(content: dict[str, Any]) -> History:
    """What a result of :func:`run_one` has found."""
    values = content["values"]
    known = math.nan if values["best_known"] is None else float(values["best_known"])
    return History([as_evaluation(line) for line in values["evaluations"]], known)


def check(content: dict[str, Any]) -> None:
    """Refuse what is no result of :func:`run_one`.

    Raises:
        KeyError, TypeError, ValueError: for whatever is wrong first.
    """
    if not isinstance(content["method"], str) or not isinstance(content["seed"], int) or not as_history(content)[0]:
        raise ValueError("expected a method, a seed and its evaluations")
