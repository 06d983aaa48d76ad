"""Files of NAS-Bench-201 and NATS-Bench (topology): the .pth, the .pickle.pbz2, and the folder or tar of one file each.

Dong and Yang, ICLR 2020, https://arxiv.org/abs/2001.00326; Dong et al., TPAMI 2021, https://arxiv.org/abs/2009.00437
(MIT). All of them are pickles. None is executed: :mod:`graphnas.pickles` reads them as plain data, and what an
architecture does not need is dropped as soon as it is complete.
"""

from __future__ import annotations

import bz2
import io
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

from graphnas.errors import CorruptFile
from graphnas.pickles import PlainReader
from graphnas.tables.base import Table
from graphnas.tables.trials import Trials

TORCH_MAGIC = 0x1950A86A20F9469CFC6C  # first pickle of a file written by torch.save before version 1.6
BZ2_HEAD, PICKLE_HEAD, ZIP_HEAD = b"BZh", b"\x80", b"PK"
MEMBER = re.compile(r"(\d+|meta)(?:-FULL)?\.(?:pickle\.pbz2|pickle|pth)")
Progress = Callable[[int, int], None]


def read_nb201_file(
    path: Path, curves: Sequence[str] = (), partial: bool = False, progress: Progress | None = None
) -> Table:
    """Table of one file with all architectures: NAS-Bench-201-v1_x.pth or NATS-tss-v1_0.pickle.pbz2.

    Metrics are `<data set>/<set>/accuracy` in percent, `/loss` and `/seconds` (training: the sum over all epochs, sets:
    one evaluation) at the end of training, `<data set>/latency`, and the constants `<data set>/flop`, `<data
    set>/params` in millions. Data sets: cifar10-valid is CIFAR-10 trained on half of the training images, the only one
    with an x-valid accuracy for CIFAR-10; cifar10 is trained on all of them and has ori-test. The `index` is the
    official one.

    Args:
        path: the file.
        curves: patterns of metrics whose learning curves are kept, see :class:`Trials`.
        partial: accept fewer architectures than the file lists.
        progress: called with (bytes done, bytes in all).

    Raises:
        CorruptFile: a file that is cut, damaged or incomplete.
        UnsafeFile: a pickle that asks for more than plain data.
    """
    trials = Trials(path.name, curves)
    size = path.stat().st_size
    with path.open("rb") as file:

        def finished(entry: dict[Any, Any]) -> None:
            if "all_results" in entry and "arch_index" in entry:
                _absorb(trials, entry)
                if progress is not None:
                    progress(min(file.tell(), size), size)

        root = _read_root(file, path.name, finished)
    if not isinstance(root, dict) or "arch2infos" not in root:
        raise CorruptFile(
            f"{path}: expected the dictionary of a benchmark with arch2infos (got a {type(root).__name__})"
        )
    return trials.table(root.get("meta_archs") or (), partial)


def read_nb201_members(
    path: Path, curves: Sequence[str] = (), partial: bool = False, progress: Progress | None = None
) -> Table:
    """Table of a folder or tar with one file per architecture (NATS-tss-v1_0-3ffb9-simple).

    Metrics, arguments and errors are those of :func:`read_nb201_file`; progress counts files of a folder, bytes of a
    tar.
    """
    trials, official = Trials(path.name, curves), []
    for name, content, done, total in _folder(path) if path.is_dir() else _tar(path):
        entry = _read_root(io.BytesIO(content), f"{path.name}/{name}", None)
        if not isinstance(entry, dict):
            raise CorruptFile(f"{path}/{name}: expected a dictionary (got a {type(entry).__name__})")
        if "meta_archs" in entry:
            official = list(entry["meta_archs"])
            continue
        for results in entry.values():
            if isinstance(results, dict) and "all_results" in results:
                trials.add(results)
        if progress is not None:
            progress(done, total)
    return trials.table(official, partial)


def read_nb201_api(api: Any, curves: Sequence[str] = (), partial: bool = False) -> Table:
    """Table of an open API object of nats_bench (topology) or nas_201_api.

    One that reads lazily (`fast_mode=True`) holds nothing yet; its folder is read instead.
    """
    folder = getattr(api, "archive_dir", None)
    if folder:
        return read_nb201_members(Path(folder), curves, partial)
    trials = Trials(type(api).__name__, curves)
    for groups in api.arch2infos_dict.values():
        for results in groups.values():
            trials.add(vars(results))
    return trials.table(list(api.meta_archs), partial)


def is_nb201_api(source: object) -> bool:
    """Whether an object has what :func:`read_nb201_api` reads."""
    return hasattr(source, "meta_archs") and hasattr(source, "arch2infos_dict")


# -- containers -------------------------------------------------------------------------------------------------------
def _absorb(trials: Trials, entry: dict[Any, Any]) -> None:
    """Takes the values out of one finished architecture and frees everything else it holds."""
    trials.add(entry)
    for run in entry["all_results"].values():
        if isinstance(run, dict):
            for part in run.values():
                if isinstance(part, dict | list):
                    part.clear()
            run.clear()
    entry["all_results"].clear()


def _read_root(file: BinaryIO, source: str, finished: Callable[[dict[Any, Any]], None] | None) -> Any:
    """The object in a plain, bzip2-compressed or torch-written pickle file."""
    head = file.read(4)
    file.seek(0)
    if head.startswith(BZ2_HEAD):
        with io.BufferedReader(cast(io.RawIOBase, bz2.open(file)), 1 << 20) as stream:
            return PlainReader(stream, source, finished).read()
    if head.startswith(ZIP_HEAD):
        return _read_torch_zip(file, source, finished)
    if not head.startswith(PICKLE_HEAD):
        raise CorruptFile(f"{source}: neither a pickle nor one in a bzip2 or torch file (it begins with {head!r})")
    buffered = io.BufferedReader(cast(io.RawIOBase, file), 1 << 20)
    try:
        root = PlainReader(buffered, source, finished).read()
        if root == TORCH_MAGIC:  # then come the protocol, facts about the machine, and the object
            for _ in range(3):
                root = PlainReader(buffered, source, finished).read()
        return root
    finally:
        buffered.detach()


def _read_torch_zip(file: BinaryIO, source: str, finished: Callable[[dict[Any, Any]], None] | None) -> Any:
    try:
        with zipfile.ZipFile(file) as archive:
            names = [name for name in archive.namelist() if name.rsplit("/", 1)[-1] == "data.pkl"]
            if len(names) != 1:
                raise CorruptFile(f"{source}: a zip archive without the data.pkl of a torch file")
            with io.BufferedReader(cast(io.RawIOBase, archive.open(names[0])), 1 << 20) as stream:
                return PlainReader(stream, source, finished).read()
    except zipfile.BadZipFile as error:
        raise CorruptFile(f"{source}: a damaged zip archive ({error})") from error


def _folder(path: Path) -> Iterator[tuple[str, bytes, int, int]]:
    """(name, content, files done, files in all) of the files that belong to the benchmark, meta first."""
    names = sorted(entry.name for entry in path.iterdir() if MEMBER.fullmatch(entry.name))
    names.sort(key=lambda name: not name.startswith("meta"))
    for done, name in enumerate(names, 1):
        yield name, (path / name).read_bytes(), done, len(names)


def _tar(path: Path) -> Iterator[tuple[str, bytes, int, int]]:
    """The same from a tar, read front to back without unpacking it; done and total are bytes."""
    size = path.stat().st_size
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                name = member.name.rsplit("/", 1)[-1]
                content = archive.extractfile(member) if member.isfile() and MEMBER.fullmatch(name) else None
                if content is not None:
                    yield name, content.read(), member.offset_data + member.size, size
    except tarfile.TarError as error:
        raise CorruptFile(f"{path}: a damaged tar archive ({error})") from error


def holds_members(path: Path) -> bool:
    """Whether a folder holds files of one architecture each."""
    return any(MEMBER.fullmatch(entry.name) for entry in path.iterdir())
