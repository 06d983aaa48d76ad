"""Where the official image files come from, and where they are found on this computer."""

from __future__ import annotations

from pathlib import Path

from graphnas.download import Progress, fetch
from graphnas.errors import MissingData
from graphnas.registry import Registry
from graphnas.sources import Source

SOURCES = Registry[Source]("image data set")


def download(
    name: str,
    folder: Path | None = None,
    base_url: str | None = None,
    progress: Progress | None = None,
    wait: float = 2.0,
) -> Path:
    """The official file of the images called `name`, fetched if it is not there yet; see `graphnas.download.fetch`.

    Raises:
        UnknownName: no such data set.
        DownloadFailed: as there.
    """
    return fetch(SOURCES[name], folder, base_url, progress, wait)


def find(name: str, root: Path | None, inside: str) -> Path:
    """The archive or folder of a data set.

    Args:
        name: of the data set.
        root: an archive, an unpacked folder, or a folder that has one of them under its official name; None for what is
            in the data folder.
        inside: a file that tells an unpacked folder.

    Raises:
        MissingData: nothing of that is there, saying how to get it.
    """
    source = SOURCES[name]
    if root is None:
        found, folder = source.local(), source.place().parent
    elif root.is_file() or (root / inside).exists():
        return root
    else:
        found, folder = source.find_in(root), root
    if found is None:
        raise MissingData(f"{name} is not in {folder}: {source.how_to_get()}")
    return found


def _register(source: Source) -> None:
    SOURCES.register(source.name)(source)


_KRIZHEVSKY = "https://www.cs.toronto.edu/~kriz"

_register(
    Source(
        name="cifar10",
        file="cifar-10-binary.tar.gz",
        about="CIFAR-10, 50,000 + 10,000 colour images of 32x32 in 10 classes",
        licence="not stated",
        size=170_052_171,
        exact=True,
        page=f"{_KRIZHEVSKY}/cifar.html",
        url=f"{_KRIZHEVSKY}/cifar-10-binary.tar.gz",
        md5="c32a1d4ab5d03f1284b67883e8d87530",  # of the page; the SHA-256 is that of TensorFlow Datasets
        sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        also=("cifar-10-batches-bin",),
    )
)
_register(
    Source(
        name="cifar100",
        file="cifar-100-binary.tar.gz",
        about="CIFAR-100, 50,000 + 10,000 colour images of 32x32 in 100 classes",
        licence="not stated",
        size=168_513_733,
        exact=True,
        page=f"{_KRIZHEVSKY}/cifar.html",
        url=f"{_KRIZHEVSKY}/cifar-100-binary.tar.gz",
        md5="03b5dce01913d631647c71ecec9e9cb8",
        sha256="58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        also=("cifar-100-binary",),
    )
)
_register(
    Source(
        name="imagenet16",
        file="ImageNet16",
        about="ImageNet16-120 of NAS-Bench-201, 151,700 + 6,000 colour images of 16x16 in 120 classes",
        licence="ImageNet terms, research only",
        size=1_030_000_000,
        page="https://drive.google.com/drive/folders/1T3UIyZXUhMmIuJLOBMIYKAsJknAtrrO4"
        " (linked from https://github.com/D-X-Y/AutoDL-Projects)",
        members=(  # published in DownsampledImageNet.py of AutoDL-Projects
            ("train_data_batch_1", "27846dcaa50de8e21a7d1a35f30f0e91"),
            ("train_data_batch_2", "c7254a054e0e795c69120a5727050e3f"),
            ("train_data_batch_3", "4333d3df2e5ffb114b05d2ffc19b1e87"),
            ("train_data_batch_4", "1620cdf193304f4a92677b695d70d10f"),
            ("train_data_batch_5", "348b3c2fdbb3940c4e9e834affd3b18d"),
            ("train_data_batch_6", "6e765307c242a1b3d7d5ef9139b48945"),
            ("train_data_batch_7", "564926d8cbf8fc4818ba23d2faac7564"),
            ("train_data_batch_8", "f4755871f718ccb653440b9dd0ebac66"),
            ("train_data_batch_9", "bb6dd660c38c58552125b1a92f86b5d4"),
            ("train_data_batch_10", "8f03f34ac4b42271a294f91bf480f29b"),
            ("val_data", "3410e3017fdaefba8d5073aaa65e4bd6"),
        ),
    )
)
