"""The exceptions graphnas raises, all of them one-line readable and caught by meaning."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class GraphnasError(Exception):
    """Base of every error a user can cause; the command line prints it as one line and exits with status 2."""


class InvalidArchitecture(GraphnasError, ValueError):
    """An architecture that breaks a rule of its space; the text names the row, the rule and the value."""


class OutsideSpace(GraphnasError, ValueError):
    """A request the search space cannot answer, such as enumerating one with 1e18 members."""


class SpaceMismatch(GraphnasError, ValueError):
    """Two objects that belong to different search spaces were put together."""


class InvalidValues(GraphnasError, ValueError):
    """Numbers, sizes or shapes a function cannot work on; the text says what it expects."""


class CorruptFile(GraphnasError, ValueError):
    """A file that is truncated, damaged, or not of the format it claims."""


class UnsafeFile(CorruptFile):
    """A pickle that asks for more than plain data; it was not executed."""


class CheckpointMismatch(GraphnasError, ValueError):
    """Weights or a run folder that do not belong to the model or space they are loaded into."""


class DownloadFailed(GraphnasError, OSError):
    """A download that was refused, cut, or arrived with another hash than the published one."""


class MissingData(GraphnasError, FileNotFoundError):
    """A file or data set that has to be there first; the text says how to get it."""

    def __str__(self) -> str:
        return " ".join(str(part) for part in self.args)


class UnknownName(GraphnasError, KeyError, ValueError):
    """A name that is in no registry.

    Args:
        kind: what was looked up, for the text ("model", "space", ...).
        name: what came.
        known: the names that exist.
    """

    def __init__(self, kind: str, name: object, known: Iterable[str]) -> None:
        names = sorted(known)
        close = get_close_matches(str(name), names, n=3)
        hint = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
        self.text = f"unknown {kind} {name!r}: {hint}known are {', '.join(names) or 'none'}"
        super().__init__(kind, name, names)  # from which a copy that comes from another process is made

    def __str__(self) -> str:
        return self.text
