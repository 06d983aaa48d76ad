"""`graphnas data`: which labels and images there are, what is in them, fetching and converting them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from graphnas import tables
from graphnas.download import fetch
from graphnas.errors import DownloadFailed, UnknownName
from graphnas.networks import images
from graphnas.paths import data_dir
from graphnas.sources import Source
from graphnas.tables import BUILT_IN, SOURCES, list_tables, load_table

Progress = Callable[[int, int], None]


def list_data() -> list[dict[str, Any]]:
    """All registered labels and images: name, kind, size, licence, what is in them, and where they are if here.

    `kind` is "labels" or "images"; `state` is "built in", "compact" (labels that load at once), "official" (loads after
    reading the official files) or "absent".
    """
    rows = [*map(_listed_table, list_tables()), *map(_listed_images, images.list_images())]
    return sorted(rows, key=lambda row: row["name"])


def _listed_table(name: str) -> dict[str, Any]:
    if name in BUILT_IN:
        table = load_table(name)
        about = f"{len(table):,} architectures, {table.source}"
        return {"name": name, "kind": "labels", "space": table.space.name, "state": "built in", "about": about}
    source = SOURCES[name]
    path = source.local()
    state = "absent" if path is None else "compact" if path == source.compact() else "official"
    return {"name": name, "kind": "labels", "space": source.space, "state": state, **_listed_source(source, path)}


def _listed_images(name: str) -> dict[str, Any]:
    if name not in images.SOURCES:
        about = (images.IMAGES[name].__doc__ or name).partition("\n")[0].rstrip(".")
        return {"name": name, "kind": "images", "space": "-", "state": "built in", "about": about}
    source = images.SOURCES[name]
    path = source.local()
    state = "absent" if path is None else "official"
    return {"name": name, "kind": "images", "space": "-", "state": state, **_listed_source(source, path)}


def _listed_source(source: Source, path: Path | None) -> dict[str, Any]:
    return {
        "about": source.about,
        "file": source.file,
        "gigabytes": round(source.size / 1e9, 3),
        "licence": source.licence,
        "download": "automatic" if source.url else "by hand",
        "checked_by": source.checked,
        "page": source.page,
        "folder": str(data_dir(source.name)),
        "path": "" if path is None else str(path),
    }


def info(name_or_path: str | Path, space: str | None = None, **options: Any) -> dict[str, Any]:
    """What a data set holds.

    Of labels: rows, budgets, run ids, and per metric its unit, rows per budget, range, best and noise. Of images: see
    :func:`image_info`.

    Args:
        name_or_path: as for `load_images` or `load_table`, also a file of any form the latter reads.
        space: the search space of a CSV.
        options: as for `load_images` or `load_table`.
    """
    if name_or_path in images.list_images() and space is None:
        return image_info(str(name_or_path), **options)
    table = load_table(name_or_path, space, **options)
    metrics = {}
    for metric in table.metrics:
        budget = max((epochs for epochs, rows in table.coverage(metric).items() if rows), default=None)
        entry: dict[str, Any] = {"unit": table.units.get(metric, ""), "rows": table.coverage(metric)}
        if budget is not None:
            column = table.column(metric, budget)
            present = column[~column.isnan()]
            entry |= {"budget": budget, "least": float(present.min()), "greatest": float(present.max())}
            if metric in table.measured:
                noise = table.noise(metric, budget)
                entry |= {"repeated_rows": noise.repeated, "noise": noise.pooled if noise.repeated else None}
        metrics[metric] = entry
    return {
        "source": table.source,
        "space": table.space.name,
        "rows": len(table),
        "budgets": list(table.budgets),
        "runs": {budget: list(runs) for budget, runs in table.runs.items()},
        "curves": [f"{metric} at {budget}" for metric, budget in table.curves],
        "metrics": metrics,
    }


def image_info(name: str, **options: Any) -> dict[str, Any]:
    """Shape, classes, number of images in each part, and per channel mean and deviation; see `load_images`."""
    data = images.load_images(name, **options)
    path = images.SOURCES[name].local() if name in images.SOURCES else None
    return {
        "images": name,
        "path": str(path or "built in"),
        "shape": list(data.shape),
        "classes": data.num_classes,
        "train": len(data.train),
        "validation": len(data.validation),
        "test": len(data.test),
        "mean": [round(value, 4) for value in data.mean],
        "std": [round(value, 4) for value in data.std],
    }


def download(name: str, folder: Path | None = None, base_url: str | None = None, bar: bool = True) -> dict[str, Any]:
    """Downloads an official file of labels or images and checks it; see `graphnas.download.fetch`.

    Raises:
        UnknownName: neither.
        DownloadFailed: as there, or there is nothing to download.
    """
    source = find_source(name)
    with _bar(name, bar) as progress:
        path = fetch(source, folder, base_url, progress)
    size = sum(file.stat().st_size for file in ([path] if path.is_file() else path.iterdir()))
    return {"name": name, "path": str(path), "bytes": size, "checked_by": source.checked}


def find_source(name: str) -> Source:
    """The official file behind a name of labels or images.

    Raises:
        UnknownName: no such data set.
        DownloadFailed: one that is built in.
    """
    for registry in (SOURCES, images.SOURCES):
        if name in registry:
            return registry[name]
    if name in BUILT_IN or name in images.IMAGES:
        raise DownloadFailed(f"{name} is built in: there is nothing to download")
    raise UnknownName("data set", name, [*SOURCES, *images.SOURCES])


def convert(
    source: str | Path, target: Path | None = None, space: str | None = None, bar: bool = True, **options: Any
) -> dict[str, Any]:
    """Writes the compact form of a table; see `graphnas.tables.convert`."""
    with _bar(str(source), bar) as progress:
        path = tables.convert(source, target, space, progress=progress, **options)
    return {"source": str(source), "path": str(path), "bytes": path.stat().st_size}


@contextmanager
def _bar(label: str, shown: bool) -> Iterator[Progress | None]:
    """A progress bar on stderr where that is a terminal, as a (bytes done, bytes in all) callback."""
    if not shown:
        yield None
        return
    from tqdm.auto import tqdm

    with tqdm(desc=label, unit="B", unit_scale=True, file=sys.stderr, disable=None) as bar:

        def update(done: int, total: int) -> None:
            bar.total = total or None
            bar.update(done - bar.n)

        yield update
