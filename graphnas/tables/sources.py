"""Where the official benchmark files come from, and how to recognise them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from graphnas.paths import data_dir
from graphnas.registry import Registry

SOURCES = Registry["Source"]("data set")
BLOCK = 1 << 20


@dataclass(frozen=True)
class Source:
    """One official file.

    Attributes:
        name: what it is called here, also the folder below `data_dir`.
        space: search space of its architectures.
        file: its official name.
        about: what is in it, in a line.
        licence: of the labels.
        size: bytes, exact or as published (see `exact`).
        page: where people find it.
        url: what a program can fetch; None where the host needs a browser.
        sha256: published hash, if any.
        md5: published hash or the end of it, if any.
        exact: whether `size` is the exact number of bytes.
        also: other official forms of the same data, files or unpacked folders.
    """

    name: str
    space: str
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

    def place(self) -> Path:
        """Where the file is looked for."""
        return data_dir(self.name) / self.file

    def compact(self) -> Path:
        """Where the compact form of it is looked for, before the file itself."""
        return data_dir(self.name) / f"{self.name}.npz"

    def local(self, official: bool = False) -> Path | None:
        """The best form of it that is here, if any: compact, official, other; with `official` the compact one last."""
        folder = data_dir(self.name)
        places = [self.place(), *(folder / name for name in self.also)]
        places.insert(len(places) if official else 0, self.compact())
        return next((place for place in places if place.exists()), None)

    def how_to_get(self) -> str:
        """One sentence for people who do not have it."""
        fetch = f"run `graphnas data download {self.name}`, or " if self.url else ""
        return f"{fetch}get {self.file} ({self.size / 1e9:.2g} GB) from {self.page} and save it as {self.place()}"

    def mismatch(self, path: Path) -> str:
        """What is wrong with a file that should be this one, empty if nothing: size, then published hashes."""
        size = path.stat().st_size
        if self.exact and size != self.size:
            return f"expected {self.size} bytes (got {size})"
        for algorithm, wanted in (("sha256", self.sha256), ("md5", self.md5)):
            if wanted is not None:
                got = _hash(path, algorithm)
                if not got.endswith(wanted):
                    return f"expected the {algorithm} {'...' if len(wanted) < len(got) else ''}{wanted} (got {got})"
        return ""

    @property
    def checked(self) -> str:
        """What :meth:`mismatch` can tell, in words."""
        if self.sha256:
            return "SHA-256"
        if self.md5 and len(self.md5) == 32:
            return "MD5"
        return (
            f"the last {len(self.md5)} digits of the MD5, all that is published" if self.md5 else "nothing is published"
        )


def _hash(path: Path, algorithm: str) -> str:
    total = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            total.update(block)
    return total.hexdigest()


def _register(source: Source) -> None:
    SOURCES.register(source.name)(source)


_NASBENCH = "https://github.com/google-research/nasbench"
_NATS = "https://github.com/D-X-Y/NATS-Bench"
_DRIVE = "https://drive.google.com/file/d/{}/view"

_register(
    Source(
        name="nb101",
        space="nb101",
        file="nasbench_only108.tfrecord",
        about="NAS-Bench-101, three runs of 108 epochs",
        licence="Apache-2.0",
        size=499_000_000,
        page=_NASBENCH,
        url="https://storage.googleapis.com/nasbench/nasbench_only108.tfrecord",
        sha256="4c39c3936e36a85269881d659e44e61a245babcb72cb374eacacf75d0e5f4fd1",
    )
)
_register(
    Source(
        name="nb101_full",
        space="nb101",
        file="nasbench_full.tfrecord",
        about="NAS-Bench-101, three runs of 4, 12, 36 and 108 epochs",
        licence="Apache-2.0",
        size=1_950_000_000,
        page=_NASBENCH,
        url="https://storage.googleapis.com/nasbench/nasbench_full.tfrecord",
        sha256="3d64db8180fb1b0207212f9032205064312b6907a3bbc81eabea10db2f5c7e9c",
    )
)
_register(
    Source(
        name="nb201",
        space="nb201",
        file="NAS-Bench-201-v1_1-096897.pth",
        about="NAS-Bench-201 v1.1, one to three runs of 12 and 200 epochs",
        licence="MIT",
        size=4_700_000_000,
        page=_DRIVE.format("16Y0UwGisiouVRxW-W5hEtbxmcHw_0hF_"),
        md5="096897",
    )
)
_register(
    Source(
        name="nb201_v1_0",
        space="nb201",
        file="NAS-Bench-201-v1_0-e61699.pth",
        about="NAS-Bench-201 v1.0, fewer runs and no times",
        licence="MIT",
        size=2_200_000_000,
        page=_DRIVE.format("1SKW0Cu0u8-gb18zDpaAGi0f74UdXeGKs"),
        md5="e61699",
    )
)
_register(
    Source(
        name="nats_tss",
        space="nb201",
        file="NATS-tss-v1_0-3ffb9.pickle.pbz2",
        about="NATS-Bench, topology search space",
        licence="MIT",
        size=1_000_000_000,
        page=f"{_DRIVE.format('1vzyK0UVH2D3fTpa1_dSWnp1gvGpAxRul')} (linked from {_NATS})",
        md5="3ffb9",
        also=("NATS-tss-v1_0-3ffb9-simple", "NATS-tss-v1_0-3ffb9-simple.tar"),
    )
)
_register(
    Source(
        name="enas6",
        space="enas6",
        file="final_structures6.txt",
        about="ENAS macro space of 6 layers, 20,020 weight-sharing accuracies (from the D-VAE repository)",
        licence="not stated",
        size=1_677_427,
        page="https://github.com/muhanzhang/D-VAE",
        url="https://raw.githubusercontent.com/muhanzhang/D-VAE/master/data/final_structures6.txt",
        md5="0f3ea57bf5ab6abf2bbc482d931309b4",
        exact=True,
    )
)
