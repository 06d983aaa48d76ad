from __future__ import annotations

import errno
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from graphnas.download import fetch
from graphnas.errors import DownloadFailed
from graphnas.sources import Source

CONTENT = bytes(range(256)) * 4000
FILE = "official.bin"


class Server(ThreadingHTTPServer):
    """A loopback host of one file whose faults the tests switch on."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.ranges = True
        self.cut_after: int | None = None  # bytes of a body before the connection closes
        self.statuses: list[int] = []  # answers before the regular ones
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        self.server.requests.append(wanted)
        if self.server.statuses or self.path != f"/{FILE}":
            self.send_error(self.server.statuses.pop(0) if self.server.statuses else 404)
            return
        content = self.server.content
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.server.ranges else 0
        if start and start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:][: self.server.cut_after])
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def source() -> Source:
    """The file, with its full hash."""
    return Source(
        name="official",
        file=FILE,
        about="test",
        licence="none",
        size=len(CONTENT),
        page="http://page.example",
        url=f"http://official.invalid/{FILE}",
        sha256=hashlib.sha256(CONTENT).hexdigest(),
    )


get = partial(fetch, wait=0.0)


def test_full_download(server: Server, source: Source, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = get(
        source, tmp_path / "new" / "folder", server.url + "/", progress=lambda done, total: seen.append((done, total))
    )
    assert path == tmp_path / "new" / "folder" / FILE and path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [entry.name for entry in path.parent.iterdir()] == [FILE]


def test_default_folder_is_where_loaders_look(server: Server, source: Source) -> None:
    path = get(source, base_url=server.url)
    assert path == source.place() == source.local()


def test_a_file_that_is_there_is_checked_and_not_fetched(server: Server, source: Source, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(CONTENT)
    assert get(source, tmp_path, server.url) == tmp_path / FILE
    assert server.requests == []


def test_resumes_an_earlier_part(server: Server, source: Source, tmp_path: Path) -> None:
    (tmp_path / f"{FILE}.part").write_bytes(CONTENT[:1000])
    seen: list[tuple[int, int]] = []
    assert get(source, tmp_path, server.url, lambda done, total: seen.append((done, total))).read_bytes() == CONTENT
    assert server.requests == ["bytes=1000-"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))


def test_part_that_is_already_complete(server: Server, source: Source, tmp_path: Path) -> None:
    (tmp_path / f"{FILE}.part").write_bytes(CONTENT)
    assert get(source, tmp_path, server.url).read_bytes() == CONTENT


def test_part_that_is_longer_than_the_file(server: Server, source: Source, tmp_path: Path) -> None:
    (tmp_path / f"{FILE}.part").write_bytes(CONTENT + b"more")
    assert get(source, tmp_path, server.url).read_bytes() == CONTENT


def test_connection_that_is_cut_again_and_again(server: Server, source: Source, tmp_path: Path) -> None:
    server.cut_after = 300_000
    assert get(source, tmp_path, server.url).read_bytes() == CONTENT
    assert server.requests == ["", "bytes=300000-", "bytes=600000-", "bytes=900000-"]


def test_cut_without_progress_fails_and_keeps_the_part(server: Server, source: Source, tmp_path: Path) -> None:
    (tmp_path / f"{FILE}.part").write_bytes(CONTENT[:5000])
    server.cut_after = 0
    with pytest.raises(DownloadFailed, match=r"closed the connection early, 5 times .*5000 bytes are kept in .*\.part"):
        get(source, tmp_path, server.url)
    assert len(server.requests) == 5
    assert (tmp_path / f"{FILE}.part").read_bytes() == CONTENT[:5000]
    server.cut_after = None
    assert get(source, tmp_path, server.url).read_bytes() == CONTENT


def test_server_without_ranges(server: Server, source: Source, tmp_path: Path) -> None:
    server.ranges = False
    (tmp_path / f"{FILE}.part").write_bytes(b"x" * 1000)
    assert get(source, tmp_path, server.url).read_bytes() == CONTENT


def test_server_without_ranges_that_always_cuts_ends(server: Server, source: Source, tmp_path: Path) -> None:
    server.ranges, server.cut_after = False, 1000
    with pytest.raises(DownloadFailed, match="times without progress"):
        get(source, tmp_path, server.url)
    assert len(server.requests) == 5


def test_wrong_hash_moves_the_file_aside(server: Server, source: Source, tmp_path: Path) -> None:
    server.content = CONTENT[:-1] + b"?"
    got = hashlib.sha256(server.content).hexdigest()
    with pytest.raises(DownloadFailed, match=rf"expected the sha256 {source.sha256} \(got {got}\).*moved to .*wrong"):
        get(source, tmp_path, server.url)
    assert [entry.name for entry in tmp_path.iterdir()] == [f"{FILE}.wrong"]
    server.content = CONTENT
    assert get(source, tmp_path, server.url).read_bytes() == CONTENT


def test_wrong_size(server: Server, source: Source, tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match=f"expected 5 bytes .got {len(CONTENT)}"):
        get(replace(source, size=5, exact=True), tmp_path, server.url)


@pytest.mark.parametrize("good", [True, False])
def test_end_of_a_hash(source: Source, tmp_path: Path, good: bool) -> None:
    digits = hashlib.md5(CONTENT).hexdigest()[-6:] if good else "abcdef"
    source = replace(source, sha256=None, md5=digits, url=None)
    (tmp_path / FILE).write_bytes(CONTENT)
    if good:
        assert get(source, tmp_path) == tmp_path / FILE
        assert "last 6 digits" in source.checked
    else:
        with pytest.raises(DownloadFailed, match=r"expected the md5 \.\.\.abcdef"):
            get(source, tmp_path)


@pytest.mark.parametrize("code", [401, 403, 404, 410])
def test_refusal_is_not_tried_again(server: Server, source: Source, tmp_path: Path, code: int) -> None:
    server.statuses = [code] * 9
    with pytest.raises(DownloadFailed, match=rf"{FILE}: {code} .*save it as {tmp_path}"):
        get(source, tmp_path, server.url)
    assert len(server.requests) == 1


def test_trouble_of_the_server_is_tried_again(server: Server, source: Source, tmp_path: Path) -> None:
    server.statuses = [503, 500]
    assert get(source, tmp_path, server.url).read_bytes() == CONTENT
    server.statuses = [503] * 9
    (tmp_path / FILE).unlink()
    with pytest.raises(DownloadFailed, match="503 Service Unavailable, 5 times"):
        get(source, tmp_path, server.url)


def test_offline(source: Source, tmp_path: Path, server: Server) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(DownloadFailed, match=rf"[Rr]efused.*Get it on another machine and save it as {tmp_path}"):
        get(source, tmp_path, server.url)


def test_other_protocols(source: Source, tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="http or https"):
        get(source, tmp_path, "file:///etc")


def test_page_that_needs_a_browser(source: Source, tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match=rf"needs a browser: open http://page.example and save it as {tmp_path}/"):
        get(replace(source, url=None), tmp_path)


def test_folder_of_files_is_checked_file_by_file(source: Source, tmp_path: Path) -> None:
    members = tuple((name, hashlib.md5(name.encode()).hexdigest()) for name in ("a", "b"))
    source = replace(source, file="folder", url=None, sha256=None, members=members)
    folder = tmp_path / "folder"
    assert "2 files" in source.how_to_get() and source.checked == "the MD5 of 2 files"
    with pytest.raises(DownloadFailed, match="needs a browser"):
        get(source, tmp_path)
    folder.mkdir()
    for name in ("a", "b"):
        with pytest.raises(DownloadFailed, match=f"not as published: {name}: it is missing. Replace that file"):
            get(source, tmp_path)
        (folder / name).write_text(name)
    assert get(source, tmp_path) == folder
    (folder / "b").write_text("c")
    with pytest.raises(DownloadFailed, match="b: expected the md5 .* .got "):
        get(source, tmp_path)
    assert (folder / "a").exists() and (folder / "b").exists()


def test_who_comes_while_another_fetches_waits_and_finds_it(server: Server, source: Source, tmp_path: Path) -> None:
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(get(source, tmp_path, server.url))) for _ in range(4)
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [tmp_path / FILE] * 4 and found[0].read_bytes() == CONTENT
    assert server.requests == [""]  # it was asked for once
    assert [entry.name for entry in tmp_path.iterdir()] == [FILE]


def test_nowhere_to_save_it(server: Server, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DownloadFailed, match="cannot save .*official.bin: Not a directory.* set GRAPHNAS_HOME"):
        get(source, tmp_path / "file" / "folder", server.url)
    path = get(source, tmp_path, server.url)
    monkeypatch.setattr(Path, "replace", lambda *_: pytest.fail("a good file stays where it is, be it read-only"))
    assert get(source, tmp_path, server.url) == path


def test_a_disk_that_is_full(
    server: Server, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    def full(*_: object) -> bool:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("graphnas.download._receive", full)
    with pytest.raises(DownloadFailed, match="cannot save .*No space left on device"):
        get(source, tmp_path, server.url)
