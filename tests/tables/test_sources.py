from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from graphnas.errors import DownloadFailed, UnknownName
from graphnas.tables import SOURCES, Source, download


@pytest.mark.parametrize("name", [name for name in SOURCES if SOURCES[name].url is None])
def test_pages_that_need_a_browser(name: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed) as caught:
        download(name, tmp_path)
    text = str(caught.value)
    assert SOURCES[name].page in text and str(tmp_path / SOURCES[name].file) in text and "browser" in text


def test_unknown_name() -> None:
    with pytest.raises(UnknownName, match="data set 'nb100'"):
        download("nb100")


def test_registry() -> None:
    """Published facts; the hashes are those of the official page."""
    assert SOURCES["nb101"].sha256 == "4c39c3936e36a85269881d659e44e61a245babcb72cb374eacacf75d0e5f4fd1"
    assert SOURCES["nb101_full"].sha256 == "3d64db8180fb1b0207212f9032205064312b6907a3bbc81eabea10db2f5c7e9c"
    for name in SOURCES:
        source = SOURCES[name]
        assert source.name == name and source.size > 0 and source.page.startswith("https://")
        assert source.url is None or source.url.startswith("https://")
        assert source.url is None or source.url.endswith(source.file)
        if source.md5 and len(source.md5) < 32:
            assert source.md5 in source.file


def test_compact_form_comes_first_unless_the_official_one_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAPHNAS_HOME", str(tmp_path))
    source = SOURCES["nats_tss"]
    assert isinstance(source, Source) and source.local() is None and source.local(official=True) is None
    folder = source.place().parent
    (folder / source.also[0]).mkdir(parents=True)
    assert source.local() == source.local(official=True) == folder / source.also[0]
    source.compact().touch()
    assert (source.local(), source.local(official=True)) == (source.compact(), folder / source.also[0])
    source.place().touch()
    assert (source.local(), source.local(official=True)) == (source.compact(), source.place())
    source.place().unlink()
    shutil.rmtree(folder / source.also[0])
    assert source.local() == source.local(official=True) == source.compact()
