from __future__ import annotations

import gzip
import io
import os
import struct
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from graphnas.errors import CorruptFile, InvalidValues, MissingData
from graphnas.networks.images import load_images
from graphnas.networks.images.cifar import CIFAR10, CIFAR100, CifarFiles, read_cifar

TINY10 = replace(CIFAR10, train_records=4, test_records=6)
TINY100 = replace(CIFAR100, train_records=20, test_records=6)
FOLDERS = {"cifar10": "cifar-10-batches-bin", "cifar100": "cifar-100-binary"}
Content = dict[str, bytes]
Written = tuple[Path, CifarFiles, Content]


def content_of(files: CifarFiles) -> Content:
    """Files of the official form, record by record."""
    generator = np.random.default_rng(0)
    content = {}
    for name, number in files.records.items():
        records = b""
        for _ in range(number):
            labels = [int(generator.integers(classes)) for classes in files.classes]
            pixels = generator.integers(256, size=3072, dtype=np.uint8)
            records += struct.pack(f"{len(labels)}B", *labels) + pixels.tobytes()
        content[name] = records
    return content


def write_folder(path: Path, files: CifarFiles, content: Content) -> Path:
    folder = path / FOLDERS[files.name]
    folder.mkdir()
    for name, data in content.items():
        (folder / name).write_bytes(data)
    return folder


def write_archive(path: Path, files: CifarFiles, content: Content) -> Path:
    """As the official one: a folder, the files below it, and others that are not read."""
    archive = path / f"{files.name.replace('cifar', 'cifar-')}-binary.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        folder = tarfile.TarInfo(FOLDERS[files.name])
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, data in {"batches.meta.txt": b"airplane\n", **content}.items():
            member = tarfile.TarInfo(f"{FOLDERS[files.name]}/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return archive


WRITERS = [write_folder, write_archive]
Writer = Callable[[Path, CifarFiles, Content], Path]


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("files", [TINY10, TINY100], ids=lambda files: files.name)
def test_reads_the_official_form(tmp_path: Path, files: CifarFiles, writer: Writer) -> None:
    content = content_of(files)
    data = read_cifar(writer(tmp_path, files, content), files, 0.8)
    assert (data.name, data.num_classes, data.scale) == (files.name, files.classes[-1], 255)
    assert (len(data.train), len(data.validation), len(data.test), data.shape) == (16, 4, 6, (3, 32, 32))
    length = 3072 + len(files.classes)
    for number in range(20):
        name = files.train[number // files.train_records]
        record = content[name][number % files.train_records * length :][:length]
        part, place = (data.train, number) if number < 16 else (data.validation, number - 16)
        assert int(part.labels[place]) == record[len(files.classes) - 1]
        assert part.images[place].numpy().tobytes() == record[len(files.classes) :]
    assert data.test.labels.tolist() == [content[files.test][n * length + length - 3073] for n in range(6)]


def test_pixels_are_channels_then_rows_then_columns(tmp_path: Path) -> None:
    content = content_of(TINY10)
    image = read_cifar(write_folder(tmp_path, TINY10, content), TINY10, 1.0).train.images[0]
    record = content["data_batch_1.bin"]
    assert [int(image[2, 5, 7]), int(image[0, 31, 0])] == [record[1 + 2048 + 5 * 32 + 7], record[1 + 31 * 32]]


@pytest.mark.parametrize(("fraction", "train"), [(1.0, 20), (0.5, 10), (0.79, 16), (0.001, 1)])
def test_train_fraction(tmp_path: Path, fraction: float, train: int) -> None:
    folder = write_folder(tmp_path, TINY10, content_of(TINY10))
    data = read_cifar(folder, TINY10, fraction)
    whole = read_cifar(folder, TINY10, 1.0)
    assert (len(data.train), len(data.validation), len(whole.validation)) == (train, 20 - train, 0)
    assert torch.equal(torch.cat([data.train.images, data.validation.images]), whole.train.images)
    assert torch.equal(data.test.images, whole.test.images)
    assert data.normalise(data.validation.images).shape == (20 - train, 3, 32, 32)


@pytest.mark.parametrize("fraction", [0, -0.5, 1.01, float("nan")])
def test_other_fractions_are_refused(tmp_path: Path, fraction: float) -> None:
    with pytest.raises(InvalidValues, match="above 0 and at most 1"):
        read_cifar(write_folder(tmp_path, TINY10, content_of(TINY10)), TINY10, fraction)


# -- the registered loaders -------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def full_size(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpacked folders of the official sizes, all zero, which take no room on the disk."""
    root = tmp_path_factory.mktemp("full")
    for files in (CIFAR10, CIFAR100):
        folder = write_folder(root, files, dict.fromkeys(files.records, b""))
        for name, number in files.records.items():
            os.truncate(folder / name, number * (3072 + len(files.classes)))
    return root


@pytest.mark.parametrize(("name", "classes"), [("cifar10", 10), ("cifar100", 100)])
def test_official_counts(full_size: Path, name: str, classes: int) -> None:
    data = load_images(name, full_size)
    assert (len(data.train), len(data.validation), len(data.test)) == (40_000, 10_000, 10_000)
    assert data.num_classes == classes
    again = load_images(name, str(full_size / FOLDERS[name]), train_fraction=0.5)
    assert (len(again.train), len(again.validation)) == (25_000, 25_000)


def test_official_statistics() -> None:
    """Those NAS-Bench-201 normalises by; NAS-Bench-101 has one digit more."""
    assert (CIFAR10.mean, CIFAR10.std) == ((125.3, 123.0, 113.9), (63.0, 62.1, 66.7))
    assert (CIFAR100.mean, CIFAR100.std) == ((129.3, 124.1, 112.4), (68.2, 65.4, 70.4))


def test_default_place(full_size: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHNAS_HOME", str(tmp_path))
    (tmp_path / "data" / "cifar100").mkdir(parents=True)
    (tmp_path / "data" / "cifar100" / FOLDERS["cifar100"]).symlink_to(full_size / FOLDERS["cifar100"])
    assert len(load_images("cifar100").test) == 10_000


def test_tiny_files_are_not_the_official_ones(tmp_path: Path) -> None:
    write_folder(tmp_path, TINY10, content_of(TINY10))
    with pytest.raises(
        CorruptFile, match=r"data_batch_1\.bin: expected 10,000 records of 3,073 bytes, 30,730,000 in all"
    ):
        load_images("cifar10", tmp_path)


# -- damage -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"\0", lambda data: data[:3073]])
def test_wrong_sizes(tmp_path: Path, writer: Writer, change: Callable[[bytes], bytes]) -> None:
    content = content_of(TINY10)
    content["data_batch_3.bin"] = change(content["data_batch_3.bin"])
    size = len(content["data_batch_3.bin"])
    with pytest.raises(CorruptFile, match=rf"data_batch_3\.bin: expected 4 records .* 12,292 in all \(got {size:,}\)"):
        read_cifar(writer(tmp_path, TINY10, content), TINY10, 0.8)


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize(("files", "byte", "limit"), [(TINY10, 0, 10), (TINY100, 0, 20), (TINY100, 1, 100)])
def test_wrong_labels(tmp_path: Path, files: CifarFiles, byte: int, limit: int, writer: Writer) -> None:
    content = content_of(files)
    data = bytearray(content[files.test])
    data[2 * (3072 + len(files.classes)) + byte] = limit
    content[files.test] = bytes(data)
    with pytest.raises(CorruptFile, match=rf"{files.test}: expected labels of record 2 below {limit} \(got {limit}\)"):
        read_cifar(writer(tmp_path, files, content), files, 0.8)


def test_missing_files(tmp_path: Path) -> None:
    content = content_of(TINY10)
    del content["data_batch_5.bin"]
    with pytest.raises(CorruptFile, match=r"has no data_batch_5\.bin: get the official archive"):
        read_cifar(write_archive(tmp_path, TINY10, content), TINY10, 0.8)
    with pytest.raises(MissingData, match=r"has no data_batch_5\.bin: unpack"):
        read_cifar(write_folder(tmp_path, TINY10, content), TINY10, 0.8)


def test_cut_archives(tmp_path: Path) -> None:
    path = write_archive(tmp_path, TINY10, content_of(TINY10))
    data = path.read_bytes()
    for end in (0, 5, 20, 1000, len(data) // 2, len(data) - 100, len(data) - 4, len(data) - 1):
        path.write_bytes(data[:end])
        with pytest.raises(CorruptFile, match=r"cifar-10-binary\.tar\.gz (is not a whole \.tar\.gz|has no)"):
            read_cifar(path, TINY10, 0.8)


def test_damaged_archives(tmp_path: Path) -> None:
    """A flipped bit behind the head, even in the pixels, is found by the checksum at the end."""
    path = write_archive(tmp_path, TINY10, content_of(TINY10))
    data = bytearray(path.read_bytes())
    for place in np.linspace(40, len(data) - 1, 30).astype(int):
        broken = data.copy()
        broken[place] ^= 1
        path.write_bytes(broken)
        with pytest.raises(CorruptFile):
            read_cifar(path, TINY10, 0.8)


@pytest.mark.parametrize(
    "data", [b"", b"not an archive", gzip.compress(b"not a tar" * 500, mtime=0), gzip.compress(b"", mtime=0)]
)
def test_other_files(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.tar.gz"
    path.write_bytes(data)
    with pytest.raises(CorruptFile, match=r"a\.tar\.gz (is not a whole|has no)"):
        read_cifar(path, TINY10, 0.8)


def test_links_in_an_archive_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(content_of(TINY10)["test_batch.bin"])
    path = tmp_path / "cifar-10-binary.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        link = tarfile.TarInfo("test_batch.bin")
        link.type, link.linkname = tarfile.SYMTYPE, str(secret)
        tar.addfile(link)
    with pytest.raises(CorruptFile, match=r"has no data_batch_1\.bin, .*test_batch\.bin"):
        read_cifar(path, TINY10, 0.8)
