"""What the leaderboards share: options by space, choice of models, work that fails one by one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from joblib import Parallel, delayed

from graphnas.commands.parsing import UsageError, stderr
from graphnas.errors import GraphnasError
from graphnas.models import list_models
from graphnas.spaces import get_space

Source = tuple[str | None, str | None]
"""Table or file, and its metric; None where not given."""

LABELS_HELP = "SPACE=TABLE_OR_FILE or SPACE=FILE:METRIC for any space"


def choose_models(patterns: Sequence[str], kind: str, noun: str, also: str | None = None) -> list[str]:
    """Names of the models of a kind that match any pattern, and of those of the kind `also` that are named in full.

    Raises:
        UsageError: there is none.
    """
    named = set() if also is None else {*list_models(kind=also)}.intersection(patterns)
    names = [
        name for pattern in patterns for name in ([pattern] if pattern in named else list_models(pattern, kind=kind))
    ]
    if not names:
        raise UsageError(f"no {noun} is called {' or '.join(patterns)}: see `graphnas models list`")
    return list(dict.fromkeys(names))


def read_sources(texts: Sequence[str]) -> dict[str, Source]:
    """SPACE=SOURCE or SPACE=SOURCE:METRIC by the space's name."""
    found: dict[str, Source] = {}
    for space, source in map(assignment, texts):
        name, colon, metric = source.rpartition(":")
        found[get_space(space).name] = (name, metric) if colon else (source, None)
    return found


def read_counts(texts: Sequence[str]) -> dict[str, int]:
    """SPACE=COUNT by the space's name."""
    return {get_space(space).name: whole_number(count) for space, count in map(assignment, texts)}


def assignment(text: str) -> tuple[str, str]:
    """The two sides of SPACE=VALUE.

    Raises:
        UsageError: no such form.
    """
    name, equals, value = text.partition("=")
    if not equals or not value:
        raise UsageError(f"expected SPACE=VALUE (got {text!r})")
    return name, value


def whole_number(text: str) -> int:
    """A count of at least 1.

    Raises:
        UsageError: anything else.
    """
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"expected a whole number of at least 1 (got {text!r})")
    return int(text)


Job = tuple[str, Callable[..., object], tuple[object, ...]]
"""Name, function and arguments."""


def run_jobs(jobs: Iterable[Job], at_once: int) -> list[str]:
    """Run all jobs, some at the same time; one line for each that failed, so that the others go on.

    All but the first are printed: that one is what the command ends with.
    """
    found = Parallel(n_jobs=at_once)(delayed(attempt)(*job) for job in jobs)
    failures = [failure for failure in found if failure]
    for failure in failures[1:]:
        stderr(failure)
    return failures


def attempt(name: str, work: Callable[..., object], arguments: tuple[object, ...]) -> str | None:
    """Run one job; what went wrong, if anything."""
    begin, now = time.monotonic(), time.time()
    try:
        result = work(*arguments)
    except (GraphnasError, OSError) as error:
        return f"{name}: {error}"
    kept = isinstance(result, Path) and result.stat().st_mtime < now
    stderr(f"{name}: {'was there' if kept else f'{time.monotonic() - begin:.1f} s'}")
    return None
