"""Fetching official files: resumable, checked against the published hash, and honest where a browser is needed."""

from __future__ import annotations

import time
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from graphnas.errors import DownloadFailed
from graphnas.lock import alone
from graphnas.sources import BLOCK, Source

TIMEOUT = 30.0  # seconds without a byte
ATTEMPTS = 5  # in a row without progress
Progress = Callable[[int, int], None]


def fetch(
    source: Source,
    folder: Path | None = None,
    base_url: str | None = None,
    progress: Progress | None = None,
    wait: float = 2.0,
) -> Path:
    """An official file, fetched if it is not there yet and checked in any case.

    A cut transfer leaves `<file>.part` and goes on from there, now or in the next call. Processes that want the same
    file fetch it once.

    Args:
        source: what to fetch.
        folder: where to; by default the data folder in which the loaders look.
        base_url: a mirror that has the file under its official name.
        progress: called with (bytes done, bytes in all).
        wait: seconds before the second attempt, doubled for every further one.

    Raises:
        DownloadFailed: offline, refused, cut again and again, another hash, nowhere to save it, or on a page that
            needs a browser; the text says what to do by hand.
    """
    target = (source.place() if folder is None else Path(folder) / source.file).expanduser()
    if target.exists():
        return _checked(source, target, target)
    url = f"{base_url.rstrip('/')}/{source.file}" if base_url else source.url
    if url is None:
        raise DownloadFailed(
            f"{source.file} is on a page that needs a browser: open {source.page} and save it as {target}; "
            f"then call this again to check {source.checked}"
        )
    if not url.startswith(("https://", "http://")):
        raise DownloadFailed(f"expected an http or https address (got {url})")
    try:
        return _fetch_alone(source, url, target, progress, wait)
    except DownloadFailed:
        raise
    except OSError as error:
        raise DownloadFailed(
            f"cannot save {target}: {error.strerror or error}. Mend that or set GRAPHNAS_HOME to another folder"
        ) from error


def _fetch_alone(source: Source, url: str, target: Path, progress: Progress | None, wait: float) -> Path:
    """Fetches while other processes that want the same file wait, and then find it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    with alone(target.with_name(f"{target.name}.lock")):
        if target.exists():
            return _checked(source, target, target)
        _fill(url, part, progress, wait, f"Get it on another machine and save it as {target}")
        return _checked(source, part, target)


def _checked(source: Source, path: Path, target: Path) -> Path:
    """Moves a good file to `target`; a bad one is moved aside, a folder with a bad one stays."""
    problem = source.mismatch(path)
    if problem and path.is_dir():
        raise DownloadFailed(f"{target} is not as published: {problem}. Replace that file and call this again")
    if problem:
        aside = target.with_name(f"{target.name}.wrong")
        path.replace(aside)
        raise DownloadFailed(
            f"{target.name} is not the published file: {problem}. It was moved to {aside}; download again"
        )
    if path != target:
        path.replace(target)
    return target


def _fill(url: str, part: Path, progress: Progress | None, wait: float, advice: str) -> None:
    """Fills `part` from where it ends, attempt after attempt while it grows."""
    failures, longest = 0, _size(part)
    while True:
        try:
            if _attempt(url, part, progress):
                return
            reason = "the server closed the connection early"
        except HTTPError as error:
            error.close()
            if error.code < 500:
                raise DownloadFailed(f"{url}: {error.code} {error.reason}. {advice}") from None
            reason = f"{error.code} {error.reason}"
        except (URLError, HTTPException, ConnectionError, TimeoutError) as error:
            reason = str(getattr(error, "reason", "") or error or type(error).__name__)
        grown = _size(part) > longest
        longest = max(longest, _size(part))
        failures = 1 if grown else failures + 1
        if failures >= ATTEMPTS:
            raise DownloadFailed(
                f"{url}: {reason}, {failures} times without progress; {_size(part)} bytes are kept in {part} "
                f"and the next call goes on from there. {advice}"
            )
        time.sleep(wait * 2 ** (failures - 1))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _attempt(url: str, part: Path, progress: Progress | None) -> bool:
    """One request; True if the file is complete afterwards."""
    start = _size(part)
    request = Request(url, headers={"User-Agent": "graphnas", **({"Range": f"bytes={start}-"} if start else {})})
    try:
        response = urlopen(request, timeout=TIMEOUT)
    except HTTPError as error:
        if error.code != 416 or not start:
            raise
        error.close()
        if error.headers.get("Content-Range") == f"bytes */{start}":
            return True  # nothing is missing
        part.unlink()  # longer than the file: of something else
        return False
    with response:
        return _receive(response, part, start, progress)


def _receive(response: HTTPResponse, part: Path, start: int, progress: Progress | None) -> bool:
    """Writes the body behind `start`, or from the beginning where the server sends all of it."""
    resumed = response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
    done = start if resumed else 0
    length = response.headers.get("Content-Length")
    total = done + int(length) if length else 0
    with part.open("ab" if resumed else "wb") as stream:
        while block := response.read(BLOCK):
            stream.write(block)
            done += len(block)
            if progress is not None:
                progress(done, total)
    return not total or done == total
