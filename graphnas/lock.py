"""One process at a time: a lock that the system lets go of when its holder ends, however it ends."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any

fcntl: Any = None
with suppress(ImportError):  # Windows has none: processes there do not wait for each other
    fcntl = import_module("fcntl")

UNSUPPORTED = (errno.ENOLCK, errno.ENOTSUP)
"""What file systems without locks answer; there, too, nobody waits."""


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, for which others wait in this call; it is gone afterwards.

    Raises:
        OSError: the file cannot be made.
    """
    stream = path.open("ab")
    lock(stream)
    while not is_at(stream, path):  # whoever held it has removed it: another one may be there by now
        stream.close()
        stream = path.open("ab")
        lock(stream)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        stream.close()


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a lock on the file `path` itself, which is made if it is not there and stays, without waiting for it.

    Raises:
        BlockingIOError: another process holds it.
        OSError: the file cannot be opened.
    """
    with path.open("ab") as stream:
        lock(stream, wait=False)
        yield


def lock(stream: IO[bytes], wait: bool = True) -> None:
    """Take the lock on an open file, which others may hold for as long as they like.

    Raises:
        BlockingIOError: it was not to be waited for, and another process holds it.
    """
    try:
        if fcntl is not None:
            fcntl.flock(stream, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise


def is_at(stream: IO[bytes], path: Path) -> bool:
    """Whether the open file is still the one under that name."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False
