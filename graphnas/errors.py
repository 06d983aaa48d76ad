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


FEW = 8
"""Known names that are told even where one of them is close."""
WHERE_ALL_ARE = {
    "command": "`graphnas --help`",
    "data set": "`graphnas data list`",
    "image data set": "`graphnas data list`",
    "metric": "`graphnas data info TABLE`",
    "model": "`graphnas models list`",
    "option of model": "`graphnas models info MODEL`",
    "pretrained model": "`graphnas models list --pretrained`",
    "table": "`graphnas data list`",
}
"""What lists all names of a kind, by its first words."""


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """A question after the names that are close to another one, empty where none is."""
    close = get_close_matches(name, list(names), n=3)
    return f"did you mean {' or '.join(map(repr, close))}?" if close else ""


class UnknownName(GraphnasError, KeyError, ValueError):
    """A name that is in no registry.

    Args:
        kind: what was looked up, for the text ("model", "space", ...).
        name: what came.
        known: the names that exist; where one is close, of many only those that are.
        hint: what else there is to do.
    """

    def __init__(self, kind: str, name: object, known: Iterable[str], hint: str = "") -> None:
        names = sorted(known)
        question = did_you_mean(str(name), names)
        parts = [question] if question else []
        if not question or len(names) <= FEW:
            parts.append(f"known are {', '.join(names) or 'none'}")
        else:
            place = next((place for start, place in WHERE_ALL_ARE.items() if f"{kind} ".startswith(f"{start} ")), None)
            parts.append(f"{place} lists all {len(names)}" if place else f"{len(names)} are known")
        what, of, whole = kind.partition(" of ")
        self.text = f"unknown {what} {name!r}{of}{whole}: {' '.join(parts)}" + (f"; {hint}" if hint else "")
        super().__init__(kind, name, names, hint)  # from which a copy that comes from another process is made

    def __str__(self) -> str:
        return self.text


def reason_of(failure: BaseException) -> str:
    """One line on what was raised: its kind and its words."""
    return " ".join(f"{type(failure).__name__}: {failure}".split())
