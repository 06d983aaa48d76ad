"""CIFAR-10 and CIFAR-100 from their official binary archives.

Krizhevsky, Learning multiple layers of features from tiny images, 2009, https://www.cs.toronto.edu/~kriz/cifar.html.
A file is a row of records: one label byte (CIFAR-100: a coarse and a fine one), then 1,024 bytes each of red, green and
blue, row by row.
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from graphnas.errors import CorruptFile, InvalidValues, MissingData
from graphnas.networks.images.base import IMAGES, ImageData, ImageSplit
from graphnas.networks.images.sources import find
from graphnas.sources import BLOCK

SHAPE = (3, 32, 32)
PIXELS = 3072
SCALE = 255.0
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class CifarFiles:
    """What an official archive holds.

    Attributes:
        name: of the data set.
        train: names of the training files, in order.
        test: name of the test file.
        train_records: images in each training file.
        test_records: images in the test file.
        classes: number of classes of each label byte; the last one is the label.
        mean: of the training pixels, 0 to 255, as NAS-Bench-201 rounds it.
        std: their standard deviation.
    """

    name: str
    train: tuple[str, ...]
    test: str
    train_records: int
    test_records: int
    classes: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def records(self) -> dict[str, int]:
        """Number of images in each file."""
        return {**dict.fromkeys(self.train, self.train_records), self.test: self.test_records}


CIFAR10 = CifarFiles(
    name="cifar10",
    train=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    test="test_batch.bin",
    train_records=10_000,
    test_records=10_000,
    classes=(10,),
    mean=(125.3, 123.0, 113.9),
    std=(63.0, 62.1, 66.7),
)
CIFAR100 = CifarFiles(
    name="cifar100",
    train=("train.bin",),
    test="test.bin",
    train_records=50_000,
    test_records=10_000,
    classes=(20, 100),
    mean=(129.3, 124.1, 112.4),
    std=(68.2, 65.4, 70.4),
)


@IMAGES.register("cifar10")
def load_cifar10(root: Path | None = None, train_fraction: float = 0.8) -> ImageData:
    """CIFAR-10: 60,000 colour images of 32x32 pixels in ten classes.

    | part | images |
    |---|---|
    | train | the first `train_fraction` of the 50,000 training images, in their order |
    | validation | the rest of them |
    | test | 10,000 |

    NAS-Bench-101 trains on 40,000 (0.8), NAS-Bench-201 on 25,000 (0.5, there drawn at random), final training on all
    (1.0, which leaves no validation). Mean and deviation are constants, those of all training pixels; much PyTorch code
    divides by (0.2023, 0.1994, 0.2010) instead, the mean of the deviations of single images.

    Args:
        root: `cifar-10-binary.tar.gz`, `cifar-10-batches-bin`, or a folder with one of them, the data folder if None.
        train_fraction: above 0, at most 1.

    Raises:
        MissingData: neither is there.
        CorruptFile: a file that is cut, damaged or of another form.
        InvalidValues: another `train_fraction`.
    """
    return read_cifar(find("cifar10", root, CIFAR10.test), CIFAR10, train_fraction)


@IMAGES.register("cifar100")
def load_cifar100(root: Path | None = None, train_fraction: float = 0.8) -> ImageData:
    """CIFAR-100: as CIFAR-10 in all, but of 100 classes, the fine labels.

    Args:
        root: `cifar-100-binary.tar.gz`, `cifar-100-binary`, or a folder with one of them, the data folder if None.
        train_fraction: above 0, at most 1.

    Raises:
        MissingData, CorruptFile, InvalidValues: as for CIFAR-10.
    """
    return read_cifar(find("cifar100", root, CIFAR100.test), CIFAR100, train_fraction)


def read_cifar(path: Path, files: CifarFiles, train_fraction: float) -> ImageData:
    """The data set in an archive or an unpacked folder; errors are those of the loaders."""
    if not 0 < train_fraction <= 1:
        raise InvalidValues(f"expected train_fraction to be above 0 and at most 1 (got {train_fraction})")
    members = _read_folder(path, files) if path.is_dir() else _read_archive(path, files)
    splits = {name: _split(f"{path}: {name}", data, files) for name, data in members}
    missing = [name for name in files.records if name not in splits]
    if missing:
        raise CorruptFile(f"{path} has no {', '.join(missing)}: get the official archive of {files.name} again")
    images = torch.cat([splits[name].images for name in files.train])
    labels = torch.cat([splits[name].labels for name in files.train])
    cut = max(1, round(train_fraction * len(labels)))
    return ImageData(
        files.name,
        train=ImageSplit(images[:cut], labels[:cut]),
        validation=ImageSplit(images[cut:], labels[cut:]),
        test=splits[files.test],
        num_classes=files.classes[-1],
        scale=SCALE,
        mean=tuple(value / SCALE for value in files.mean),
        std=tuple(value / SCALE for value in files.std),
    )


def _read_folder(folder: Path, files: CifarFiles) -> Iterator[tuple[str, bytes]]:
    for name in files.records:
        path = folder / name
        if not path.is_file():
            raise MissingData(f"{folder} has no {name}: unpack the official archive of {files.name} again")
        _check_size(str(path), path.stat().st_size, name, files)
        yield name, path.read_bytes()


def _read_archive(path: Path, files: CifarFiles) -> Iterator[tuple[str, bytes]]:
    """The wanted files of an archive in the order they are in it; read to its end, where its checksum is."""
    try:
        with gzip.open(path) as unpacked, tarfile.open(fileobj=unpacked, mode="r|") as archive:
            for member in archive:
                name = member.name.rsplit("/", 1)[-1]
                stream = archive.extractfile(member) if member.isfile() and name in files.records else None
                if stream is not None:
                    _check_size(f"{path}: {name}", member.size, name, files)
                    yield name, stream.read()
            while unpacked.read(BLOCK):
                pass
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise CorruptFile(
            f"{path} is not a whole .tar.gz ({error}): delete it and run `graphnas data download {files.name}`"
        ) from error


def _check_size(where: str, size: int, name: str, files: CifarFiles) -> None:
    records, length = files.records[name], len(files.classes) + PIXELS
    if size != records * length:
        raise CorruptFile(
            f"{where}: expected {records:,} records of {length:,} bytes, {records * length:,} in all (got {size:,}): "
            f"get the official archive of {files.name} again"
        )


def _split(where: str, data: bytes, files: CifarFiles) -> ImageSplit:
    labels_each = len(files.classes)
    records: Bytes = np.frombuffer(data, np.uint8).reshape(-1, labels_each + PIXELS)
    for column, classes in enumerate(files.classes):
        wrong = np.flatnonzero(records[:, column] >= classes)
        if len(wrong):
            raise CorruptFile(
                f"{where}: expected labels of record {wrong[0]} below {classes} (got {records[wrong[0], column]}): "
                f"get the official archive of {files.name} again"
            )
    images = np.ascontiguousarray(records[:, labels_each:]).reshape(-1, *SHAPE)
    return ImageSplit(torch.from_numpy(images), torch.from_numpy(records[:, labels_each - 1].astype(np.int64)))
