"""An official file: where it comes from, where it is kept, and how to recognise it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from graphnas.paths import data_dir

BLOCK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Source:
    """One official file, or a folder of them.

    Attributes:
        name: what it is called here, also the folder below `data_dir`.
        file: its official name.
        about: what is in it, in a line.
        licence: of what is in it.
        size: bytes, exact or as published (see `exact`).
        page: where people find it.
        url: what a program can fetch; None where the host needs a browser.
        sha256: published hash, if any.
        md5: published hash or the end of it, if any.
        exact: whether `size` is the exact number of bytes.
        also: other official forms of the same data, files or unpacked folders.
        members: of a folder: (name, published MD5) of every file in it.
    """

    name: str
    file: str
    about: str
    licence: str
    size: int
    page: str
    url: str | None = None
    sha256: str | None = None
    md5: str | None = None
    exact: bool = False
    also: tuple[str, ...] = ()
    members: tuple[tuple[str, str], ...] = ()

    def place(self) -> Path:
        """Where the file is looked for."""
        return data_dir(self.name) / self.file

    def local(self) -> Path | None:
        """The first form of it that is here, if any."""
        return self.find_in(data_dir(self.name))

    def find_in(self, folder: Path) -> Path | None:
        """The first form of it that is in a folder, if any."""
        return next((folder / name for name in (self.file, *self.also) if (folder / name).exists()), None)

    def how_to_get(self) -> str:
        """One sentence for people who do not have it."""
        fetch = f"run `graphnas data download {self.name}`, or " if self.url else ""
        what = f"the folder {self.file} with {len(self.members)} files" if self.members else self.file
        return f"{fetch}get {what} ({self.size / 1e9:.2g} GB) from {self.page} and save it as {self.place()}"

    def mismatch(self, path: Path) -> str:
        """What is wrong with a file or folder that should be this one, empty if nothing: size, then hashes."""
        if self.members:
            return self._first_wrong_member(path)
        size = path.stat().st_size
        if self.exact and size != self.size:
            return f"expected {self.size} bytes (got {size})"
        for algorithm, wanted in (("sha256", self.sha256), ("md5", self.md5)):
            if wanted is not None:
                problem = _hash_mismatch(path, algorithm, wanted)
                if problem:
                    return problem
        return ""

    def _first_wrong_member(self, folder: Path) -> str:
        for name, wanted in self.members:
            problem = _hash_mismatch(folder / name, "md5", wanted) if (folder / name).is_file() else "it is missing"
            if problem:
                return f"{name}: {problem}"
        return ""

    @property
    def checked(self) -> str:
        """What :meth:`mismatch` can tell, in words."""
        if self.members:
            return f"the MD5 of {len(self.members)} files"
        if self.sha256:
            return "SHA-256"
        if self.md5 and len(self.md5) == 32:
            return "MD5"
        return (
            f"the last {len(self.md5)} digits of the MD5, all that is published" if self.md5 else "nothing is published"
        )


def _hash_mismatch(path: Path, algorithm: str, wanted: str) -> str:
    """What is wrong with the hash of a file, empty if it ends in the one wanted."""
    total = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            total.update(block)
    got = total.hexdigest()
    if got.endswith(wanted):
        return ""
    return f"expected the {algorithm} {'...' if len(wanted) < len(got) else ''}{wanted} (got {got})"
