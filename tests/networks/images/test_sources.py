from __future__ import annotations

from pathlib import Path

import pytest

from graphnas.errors import DownloadFailed, MissingData, UnknownName
from graphnas.networks.images import IMAGES, SOURCES, download
from graphnas.networks.images.sources import find


def test_published_facts() -> None:
    assert SOURCES["cifar10"].md5 == "c32a1d4ab5d03f1284b67883e8d87530"
    assert SOURCES["cifar100"].md5 == "03b5dce01913d631647c71ecec9e9cb8"
    assert dict(SOURCES["imagenet16"].members)["val_data"] == "3410e3017fdaefba8d5073aaa65e4bd6"
    assert len({md5 for _, md5 in SOURCES["imagenet16"].members}) == 11
    for name in SOURCES:
        source = SOURCES[name]
        assert source.name == name and name in IMAGES and source.page.startswith("https://")
        assert source.url is None or (source.url.startswith("https://") and source.url.endswith(source.file))
        assert all(len(md5) == 32 for _, md5 in source.members)


def test_other_files_are_not_accepted(tmp_path: Path) -> None:
    path = tmp_path / "cifar-10-binary.tar.gz"
    path.write_bytes(b"an error page")
    with pytest.raises(DownloadFailed, match=r"not the published file: expected 170052171 bytes \(got 13\)"):
        download("cifar10", tmp_path)
    assert not path.exists() and path.with_name(f"{path.name}.wrong").exists()
    with path.open("wb") as stream:
        stream.truncate(170_052_171)
    with pytest.raises(DownloadFailed, match=r"expected the sha256 c4a38c50\w+ \(got "):
        download("cifar10", tmp_path)


def test_imagenet_needs_a_browser(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match=rf"needs a browser: .*AutoDL-Projects.* save it as {tmp_path}/ImageNet16"):
        download("imagenet16", tmp_path)


def test_unknown_name() -> None:
    with pytest.raises(UnknownName, match="image data set 'nb101'"):
        download("nb101")


def test_forms_in_which_images_are_found(tmp_path: Path) -> None:
    archive, unpacked = tmp_path / "cifar-10-binary.tar.gz", tmp_path / "cifar-10-batches-bin"
    with pytest.raises(
        MissingData, match=rf"cifar10 is not in {tmp_path}: run `graphnas data download cifar10`, or get"
    ):
        find("cifar10", tmp_path, "test_batch.bin")
    unpacked.mkdir()
    assert find("cifar10", tmp_path, "test_batch.bin") == unpacked
    archive.touch()
    assert find("cifar10", tmp_path, "test_batch.bin") == find("cifar10", archive, "test_batch.bin") == archive
    (unpacked / "test_batch.bin").touch()
    assert find("cifar10", unpacked, "test_batch.bin") == unpacked
    with pytest.raises(MissingData, match="is not in"):
        find("cifar10", tmp_path / "nowhere", "test_batch.bin")
