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


def lock(stream: IO[bytes]) -> None:
    """Wait for the lock on an open file."""
    try:
        if fcntl is not None:
            fcntl.flock(stream, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise


def is_at(stream: IO[bytes], path: Path) -> bool:
    """Whether the open file is still the one under that name."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False
