"""Where the official files of performance labels come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from graphnas.download import Progress, fetch
from graphnas.paths import data_dir
from graphnas.registry import Registry
from graphnas.sources import Source

SOURCES = Registry["LabelSource"]("data set")


@dataclass(frozen=True, kw_only=True)
class LabelSource(Source):
    """An official file of labels, which also has a compact form of our own.

    Attributes:
        space: search space of its architectures.
    """

    space: str

    def compact(self) -> Path:
        """Where the compact form of it is looked for, before the file itself."""
        return data_dir(self.name) / f"{self.name}.npz"

    def local(self, official: bool = False) -> Path | None:
        """The best form of it that is here, if any: compact, official, other; with `official` the compact one last."""
        compact = self.compact() if self.compact().exists() else None
        return (super().local() or compact) if official else (compact or super().local())


def download(
    name: str,
    folder: Path | None = None,
    base_url: str | None = None,
    progress: Progress | None = None,
    wait: float = 2.0,
) -> Path:
    """The official file of labels called `name`, fetched if it is not there yet; see `graphnas.download.fetch`.

    Raises:
        UnknownName: no such data set.
        DownloadFailed: as there.
    """
    return fetch(SOURCES[name], folder, base_url, progress, wait)


def _register(source: LabelSource) -> None:
    SOURCES.register(source.name)(source)


_NASBENCH = "https://github.com/google-research/nasbench"
_NATS = "https://github.com/D-X-Y/NATS-Bench"
_DRIVE = "https://drive.google.com/file/d/{}/view"

_register(
    LabelSource(
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
    LabelSource(
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
    LabelSource(
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
    LabelSource(
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
    LabelSource(
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
    LabelSource(
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
