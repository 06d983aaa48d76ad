from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from graphnas.errors import CorruptFile, UnsafeFile
from graphnas.networks.images import SOURCES, ImageData, load_images
from graphnas.networks.images.base import stratified_order
from graphnas.networks.images.imagenet16 import OFFICIAL, SEED, Counts, read_imagenet16
from graphnas.sources import Source

Content = dict[str, dict[str, Any]]
NAMES = [name for name, _ in SOURCES["imagenet16"].members]


@pytest.fixture
def content() -> Content:
    """Ten training files of 30 images and 1,000 held-out ones, of all thousand classes."""
    generator = np.random.default_rng(0)
    files = {}
    for name in NAMES:
        number = 1000 if name == "val_data" else 30
        labels = np.arange(1, 1001) if name == "val_data" else generator.integers(1, 300, number)
        pixels = generator.integers(256, size=(number, 768), dtype=np.uint8)
        files[name] = {"data": pixels, "labels": generator.permutation(labels).tolist(), "mean": pixels.mean(axis=0)}
    return files


def counts_of(content: Content) -> Counts:
    few = [sum(label <= 120 for label in content[name]["labels"]) for name in NAMES]
    return Counts(train=sum(few[:-1]), held_out=few[-1])


def write(folder: Path, content: Content, protocol: int = 3) -> Source:
    """The files, and a source that has their hashes."""
    folder.mkdir(exist_ok=True)
    for name, entry in content.items():
        (folder / name).write_bytes(pickle.dumps(entry, protocol=protocol))
    members = tuple((name, hashlib.md5((folder / name).read_bytes()).hexdigest()) for name in NAMES)
    return replace(SOURCES["imagenet16"], members=members)


def load(folder: Path, content: Content, protocol: int = 3) -> ImageData:
    return read_imagenet16(folder, write(folder, content, protocol), counts_of(content), verify=True)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_reads_the_first_120_classes(tmp_path: Path, content: Content, protocol: int) -> None:
    data = load(tmp_path, content, protocol)
    wanted = [
        (row, label - 1)
        for name in NAMES[:-1]
        for row, label in zip(content[name]["data"], content[name]["labels"], strict=True)
        if label <= 120
    ]
    assert len(wanted) == len(data.train) > 50
    for (row, label), image, got in zip(wanted, data.train.images, data.train.labels, strict=True):
        assert int(got) == label and np.array_equal(image.numpy().ravel(), row)
    assert data.shape == (3, 16, 16) and data.num_classes == 120 and data.scale == 255
    assert data.mean == pytest.approx((122.68 / 255, 116.66 / 255, 104.01 / 255))
    assert data.std == pytest.approx((63.22 / 255, 61.26 / 255, 65.09 / 255))


def test_held_out_images_are_cut_in_two(tmp_path: Path, content: Content) -> None:
    data = load(tmp_path, content)
    assert (len(data.validation), len(data.test)) == (60, 60)
    labels = torch.cat([data.validation.labels, data.test.labels])
    assert sorted(labels.tolist()) == list(range(120))
    entry = content["val_data"]
    rows = {label - 1: row for row, label in zip(entry["data"], entry["labels"], strict=True)}
    for part in (data.validation, data.test):
        for image, label in zip(part.images, part.labels, strict=True):
            assert np.array_equal(image.numpy().ravel(), rows[int(label)])
    again = load(tmp_path, content)
    assert torch.equal(again.test.images, data.test.images)


def test_official_cut_is_stratified_and_the_same_for_ever() -> None:
    labels = np.repeat(np.arange(120), 50)
    order = stratified_order(labels, SEED)
    assert all(np.array_equal(np.bincount(labels[half]), [25] * 120) for half in (order[:3000], order[3000:]))
    digest = hashlib.sha256(order.astype("<i8").tobytes()).hexdigest()
    assert digest == "8f0341518dfff265d55ed96055ac438af80b19fc33ca11f3881d62bb4637666c"


def test_official_facts(tmp_path: Path, content: Content) -> None:
    assert (OFFICIAL.train, OFFICIAL.held_out) == (151_700, 6_000)
    write(tmp_path / "ImageNet16", content)
    with pytest.raises(CorruptFile, match="train_data_batch_1: expected the md5 27846dcaa50de8e21a7d1a35f30f0e91"):
        load_images("imagenet16", tmp_path)
    with pytest.raises(CorruptFile, match=r"expected 151,700 images of the first 120 classes \(got \d+\)"):
        load_images("imagenet16", tmp_path, verify=False)


def test_labels_may_be_an_array(tmp_path: Path, content: Content) -> None:
    wanted = load(tmp_path, content)
    arrays = {name: entry | {"labels": np.array(entry["labels"], dtype=np.int16)} for name, entry in content.items()}
    assert torch.equal(load(tmp_path, arrays).train.labels, wanted.train.labels)


# -- damage -----------------------------------------------------------------------------------------------------------
def test_wrong_hash(tmp_path: Path, content: Content) -> None:
    source = write(tmp_path, content)
    path = tmp_path / "train_data_batch_4"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(CorruptFile, match=r"not as published: train_data_batch_4: expected the md5 \w+ \(got \w+\)"):
        read_imagenet16(tmp_path, source, counts_of(content), verify=True)
    with pytest.raises(CorruptFile, match=r"train_data_batch_4: (a damaged pickle|the pickle uses)"):
        read_imagenet16(tmp_path, source, counts_of(content), verify=False)


@pytest.mark.parametrize("verify", [True, False])
def test_missing_file(tmp_path: Path, content: Content, verify: bool) -> None:
    source = write(tmp_path, content)
    (tmp_path / "train_data_batch_7").unlink()
    with pytest.raises(CorruptFile, match=r"train_data_batch_7.* (missing|get it from)"):
        read_imagenet16(tmp_path, source, counts_of(content), verify)


def test_cut_file(tmp_path: Path, content: Content) -> None:
    source = write(tmp_path, content)
    path = tmp_path / "val_data"
    data = path.read_bytes()
    for end in (0, 10, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:end])
        with pytest.raises(CorruptFile, match="val_data: a damaged pickle"):
            read_imagenet16(tmp_path, source, counts_of(content), verify=False)


class Attack:
    """Removes a file when an ordinary unpickler meets it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.remove, (str(self.path),)


@pytest.mark.parametrize("key", ["data", "labels", "mean"])
def test_nothing_is_executed(tmp_path: Path, content: Content, key: str) -> None:
    victim = tmp_path / "victim"
    victim.touch()
    counts = counts_of(content)
    content["train_data_batch_2"][key] = Attack(victim)
    source = write(tmp_path / "ImageNet16", content)
    with pytest.raises(UnsafeFile, match=r"train_data_batch_2: the pickle asks for posix\.(remove|unlink)"):
        read_imagenet16(tmp_path / "ImageNet16", source, counts, verify=True)
    assert victim.exists()


def change(key: str, edit: Callable[[Any], Any]) -> Callable[[dict[str, Any]], Any]:
    return lambda entry: entry | {key: edit(entry[key])}


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda entry: list(entry.items()), r"expected a dictionary with data and labels \(got list\)"),
        (lambda entry: {"labels": entry["labels"]}, r"expected data to be uint8 \[n, 768\] \(got NoneType\)"),
        (lambda entry: {"data": entry["data"]}, r"labels to be a list of whole numbers \(got NoneType\)"),
        (change("data", lambda data: data[:, :767]), r"\(got uint8 \(30, 767\)\)"),
        (change("data", lambda data: data.reshape(-1)), r"\(got uint8 \(23040,\)\)"),
        (change("data", lambda data: data.astype(np.float32)), r"\(got float32 \(30, 768\)\)"),
        (change("data", lambda data: data[:-1]), r"a label for each of the 29 images \(got 30\)"),
        (change("labels", lambda labels: [0, *labels[1:]]), r"labels from 1 to 1,000 \(got 0\)"),
        (change("labels", lambda labels: [*labels[1:], 1001]), r"labels from 1 to 1,000 \(got 1001\)"),
        (change("labels", lambda labels: [*labels[1:], 10**30]), "labels from 1 to 1,000"),
        (change("labels", lambda labels: [*labels[1:], "1"]), "a list of whole numbers"),
        (change("labels", lambda labels: [*labels[1:], [1, 2]]), "a list of whole numbers"),
        (change("labels", lambda labels: np.array(labels, dtype=float)), r"a list of whole numbers \(got ndarray\)"),
        (change("labels", lambda labels: [200] * 30), r"expected \d+ images of the first 120 classes \(got \d+\)"),
    ],
)
def test_other_forms(tmp_path: Path, content: Content, edit: Callable[[Any], Any], reason: str) -> None:
    counts = counts_of(content)
    content["train_data_batch_5"] = edit(content["train_data_batch_5"])
    source = write(tmp_path, content)
    with pytest.raises(CorruptFile, match=reason):
        read_imagenet16(tmp_path, source, counts, verify=True)
