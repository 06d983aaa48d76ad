from __future__ import annotations

import hashlib
import json
import shutil
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from graphnas.cli import main
from graphnas.commands import data
from graphnas.errors import DownloadFailed, InvalidValues, MissingData, UnknownName
from graphnas.networks import images
from graphnas.tables import SOURCES


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHNAS_HOME", str(tmp_path / "home"))


def test_list_tells_what_is_here() -> None:
    rows = {row["name"]: row for row in data.list_data()}
    assert set(SOURCES) < set(rows)
    assert list(rows) == sorted(rows)
    assert rows["toy"]["state"] == "built in" and rows["toy"]["kind"] == rows["nb101"]["kind"] == "labels"
    assert {rows[name]["state"] for name in SOURCES} == {"absent"}
    place = SOURCES["nb101"].place()
    place.parent.mkdir(parents=True)
    place.touch()
    row = next(row for row in data.list_data() if row["name"] == "nb101")
    assert (row["state"], row["path"], row["download"]) == ("official", str(place), "automatic")
    shutil.copy(place, SOURCES["nb101"].compact())
    row = next(row for row in data.list_data() if row["name"] == "nb101")
    assert row["state"] == "compact"
    json.dumps(rows)


def test_info() -> None:
    facts = data.info("toy")
    assert (facts["space"], facts["rows"], facts["budgets"], facts["runs"]) == ("toy", 787, [0], {0: [0]})
    score = facts["metrics"]["score"]
    assert (score["unit"], score["rows"], score["greatest"]) == ("fraction", {0: 787}, 1.0)
    assert score["noise"] is None and score["repeated_rows"] == 0
    json.dumps(facts)


def test_info_of_a_csv_with_repeats(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('arch,accuracy,empty\n"01/00:",1,\n"01/00:",3,\n')
    facts = data.info(path, "toy", columns=["accuracy", "empty"], repeats="runs")
    accuracy = facts["metrics"]["accuracy"]
    assert (facts["rows"], accuracy["repeated_rows"]) == (1, 1)
    assert (accuracy["least"], accuracy["greatest"], accuracy["noise"]) == (2.0, 2.0, pytest.approx(2**0.5))
    assert facts["metrics"]["empty"] == {"unit": "", "rows": {0: 0}}


def test_convert(tmp_path: Path) -> None:
    report = data.convert("toy", tmp_path / "a.npz", bar=False)
    assert report["path"] == str(tmp_path / "a.npz") and report["bytes"] == (tmp_path / "a.npz").stat().st_size
    assert data.info(tmp_path / "a.npz")["source"] == "closed form"


def test_convert_with_repeated_trainings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "a.csv", tmp_path / "a.npz"
    path.write_text('arch,accuracy\n"01/00:",1\n"01/00:",3\n')
    words = ["data", "convert", str(path), "--space=toy", f"--out={out}", "--quiet"]
    assert main(words) == 2
    assert "lines 2 and 3 give other values" in capsys.readouterr().err and not out.exists()
    assert main([*words, "--repeats=runs"]) == 0
    assert data.info(out)["rows"] == 1


def test_download_by_hand_says_so() -> None:
    with pytest.raises(DownloadFailed, match="browser"):
        data.download("nb201", bar=False)


def test_download_checks_a_file_that_is_there(tmp_path: Path) -> None:
    (tmp_path / SOURCES["enas6"].file).write_bytes(b"not it")
    with pytest.raises(DownloadFailed, match="1677427 bytes"):
        data.download("enas6", tmp_path)


# -- images -----------------------------------------------------------------------------------------------------------
def test_list_has_the_images_too() -> None:
    rows = {row["name"]: row for row in data.list_data()}
    assert {name for name, row in rows.items() if row["kind"] == "images"} == set(images.list_images())
    assert rows["digits"]["state"] == "built in" and rows["digits"]["about"].startswith("1,797 grey 8x8 images")
    assert (rows["cifar10"]["state"], rows["cifar10"]["download"]) == ("absent", "automatic")
    assert (rows["imagenet16"]["download"], rows["imagenet16"]["checked_by"]) == ("by hand", "the MD5 of 11 files")
    folder = images.SOURCES["cifar100"].place().parent / "cifar-100-binary"
    folder.mkdir(parents=True)
    row = next(row for row in data.list_data() if row["name"] == "cifar100")
    assert (row["state"], row["path"]) == ("official", str(folder))


def test_info_of_the_digits() -> None:
    facts = data.info("digits")
    assert (facts["train"], facts["validation"], facts["test"]) == (300, 997, 500)
    assert (facts["shape"], facts["classes"], facts["path"]) == ([1, 8, 8], 10, "built in")
    assert data.info("digits", train_size=600)["train"] == 600
    json.dumps(facts)
    with pytest.raises(InvalidValues, match="no such option"):
        data.info("digits", fraction=1)
    with pytest.raises(UnknownName, match="table 'digits'"):
        data.info("digits", space="nb101")


def test_info_of_images_that_are_here() -> None:
    folder = images.SOURCES["cifar100"].place().parent / "cifar-100-binary"
    with pytest.raises(MissingData, match="graphnas data download cifar100"):
        data.info("cifar100")
    folder.mkdir(parents=True)
    for name, number in (("train.bin", 50_000), ("test.bin", 10_000)):
        with (folder / name).open("wb") as stream:
            stream.truncate(number * 3074)
    facts = data.info("cifar100")
    assert (facts["train"], facts["validation"], facts["test"]) == (40_000, 10_000, 10_000)
    assert (facts["shape"], facts["classes"], facts["path"]) == ([3, 32, 32], 100, str(folder))


def test_download_of_images(tmp_path: Path) -> None:
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(b"not it")
    with pytest.raises(DownloadFailed, match="170052171 bytes"):
        data.download("cifar10", tmp_path, bar=False)
    with pytest.raises(DownloadFailed, match=r"browser.* save it as .*ImageNet16"):
        data.download("imagenet16", bar=False)


def test_download_of_images_from_a_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same code as for labels, which has its own tests, against a server on this computer."""
    content = bytes(range(256)) * 100
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "cifar-10-binary.tar.gz").write_bytes(content)
    source = replace(images.SOURCES["cifar10"], size=len(content), md5=hashlib.md5(content).hexdigest(), sha256=None)
    monkeypatch.setitem(images.SOURCES._entries, "cifar10", source)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "mirror"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        report = data.download("cifar10", None, f"http://127.0.0.1:{server.server_port}", bar=False)
        server.shutdown()
    assert report == {"name": "cifar10", "path": str(source.place()), "bytes": len(content), "checked_by": "MD5"}
    assert source.place().read_bytes() == content
    assert {row["name"]: row["state"] for row in data.list_data()}["cifar10"] == "official"


@pytest.mark.parametrize("name", ["digits", "toy"])
def test_download_of_what_is_built_in(name: str) -> None:
    with pytest.raises(DownloadFailed, match=f"{name} is built in: there is nothing to download"):
        data.download(name)


def test_download_of_an_unknown_name() -> None:
    with pytest.raises(UnknownName, match="data set 'cifar11': did you mean 'cifar10"):
        data.download("cifar11")
