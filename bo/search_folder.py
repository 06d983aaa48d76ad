"""A folder of searches: what all of them share, and what each has found."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from graphnas.bo.config import SearchConfig
from graphnas.bo.search import History, as_evaluation
from graphnas.checkpoint import make_folder, write_text
from graphnas.errors import CorruptFile, GraphnasError
from graphnas.lock import held
from graphnas.train.result_files import finite, read_result, settled

BUDGETS = ("queries", "max_seconds")
"""Settings that may grow: journals of a smaller budget are gone on with."""
DIGEST = "labels_digest"
"""Entry of the settings that says which labels answered, where that is known: a file may have changed since."""
SETTINGS = "search.json"
"""File of a folder that says what all searches in it share."""


def settings_of(config: SearchConfig) -> dict[str, Any]:
    """The settings of a search as they are written down: of a file of labels its name, wherever it lies, as what is in
    it has a digest of its own."""
    content = finite(asdict(config))
    if config.oracle.labels is not None:
        content["oracle"]["labels"] = Path(config.oracle.labels).name
    return dict(content)


def claim(
    config: SearchConfig, folder: Path, write: bool = True, more: Mapping[str, Any] | None = None, grows: bool = True
) -> None:
    """Let a folder say what its searches are about, so that journals of different searches never mix.

    A larger budget takes the place of the one the folder says.

    Args:
        config: of a search; method and seed do not count.
        folder: of a search or of a comparison.
        write: say it; otherwise an unclaimed folder stays as it is.
        more: further settings, by name.
        grows: whether a larger budget is taken.

    Raises:
        GraphnasError: the folder says otherwise, or has a larger budget, or cannot be read or written.
    """
    own, path = flat(settings_of(config) | finite(dict(more or {}))), folder / SETTINGS
    for name in ("method", "seed"):
        del own[name]
    if not path.exists():
        if write:
            write_text(path, json.dumps(own, indent=1) + "\n")
        return
    try:
        found = dict(json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise CorruptFile(f"{path} is damaged: delete it and run the same command again") from error
    missing, names = object(), sorted({*own, *found} - {DIGEST})
    other = [name for name in names if own.get(name, missing) != found.get(name, missing)]
    wrong = [name for name in other if name not in BUDGETS]
    changes = ", ".join(f"{name} {found.get(name)}, now {own.get(name)}" for name in wrong or other)
    if wrong:
        raise GraphnasError(f"{folder} holds a search with other settings ({changes}): choose another --out")
    if other and not grows:
        raise GraphnasError(
            f"{folder} holds a search in two spaces, whose budget cannot change ({changes}): choose another --out"
        )
    if any(limit(own, name) < limit(found, name) for name in other):
        raise GraphnasError(
            f"{folder} holds a search with a larger budget ({changes}): it may only grow, choose another --out for less"
        )
    if len({said[DIGEST] for said in (own, found) if said.get(DIGEST)}) > 1:
        raise GraphnasError(
            f"{folder} holds a search by other labels, or another predictor, of the same name: choose another --out"
        )
    if other and write:
        write_text(path, json.dumps(own, indent=1) + "\n")


def limit(settings: Mapping[str, Any], name: str) -> float:
    """A budget among settings, infinite where there is none."""
    value = settings.get(name)
    return math.inf if value is None else float(value)


def is_extended(path: Path, made: dict[str, Any]) -> bool:
    """Whether a result is there that differs from what is wanted by a smaller budget alone."""
    if not path.exists():
        return False
    old, new = dict(read_result(path)["made"]["search"]), dict(made["search"])
    smaller = any(limit(old, name) < limit(new, name) for name in BUDGETS)
    same = {name: new[name] for name in BUDGETS}
    return smaller and settled(old | same) == settled(new)


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


def read_histories(folder: Path, config: SearchConfig | None = None) -> dict[str, dict[int, History]]:
    """Finished searches: method -> seed -> history, methods by name.

    Args:
        folder: of the searches.
        config: leaves out what was found under a smaller budget than this one's.

    Raises:
        GraphnasError: a file that is no result, named.
    """
    found: dict[str, dict[int, History]] = {}
    for path in sorted((folder / "results").glob("*.json")):
        content = read_result(path, check)
        made = content["made"].get("search", {})
        if config is not None and any(limit(made, name) != limit(vars(config), name) for name in BUDGETS):
            continue
        found.setdefault(content["method"], {})[content["seed"]] = as_history(content)
    return found


def with_metric(config: SearchConfig, folder: Path) -> SearchConfig:
    """The same with the default metric of the labels by its name, which finished searches have written down."""
    names = {read_result(path).get("metric") for path in sorted((folder / "results").glob("*.json"))} - {None}
    return replace(config, oracle=replace(config.oracle, metric=names.pop())) if len(names) == 1 else config


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
