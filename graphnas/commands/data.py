"""`graphnas data`: which benchmark files there are, what is in them, fetching and converting them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from graphnas import tables
from graphnas.paths import data_dir
from graphnas.tables import BUILT_IN, SOURCES, list_tables, load_table

Progress = Callable[[int, int], None]


def list_data() -> list[dict[str, Any]]:
    """All registered tables: name, space, size, licence, what is in them, and where they are if they are here.

    `state` is "built in", "compact" (loads at once), "official" (loads after reading the official file) or "absent".
    """
    return [_listed(name) for name in list_tables()]


def _listed(name: str) -> dict[str, Any]:
    if name in BUILT_IN:
        table = load_table(name)
        about = f"{len(table):,} architectures, {table.source}"
        return {"name": name, "space": table.space.name, "state": "built in", "about": about}
    source = SOURCES[name]
    path = source.local()
    state = "absent" if path is None else "compact" if path == source.compact() else "official"
    return {
        "name": name,
        "space": source.space,
        "state": state,
        "about": source.about,
        "file": source.file,
        "gigabytes": round(source.size / 1e9, 3),
        "licence": source.licence,
        "download": "automatic" if source.url else "by hand",
        "checked_by": source.checked,
        "page": source.page,
        "folder": str(data_dir(name)),
        "path": "" if path is None else str(path),
    }


def info(name_or_path: str | Path, space: str | None = None, **options: Any) -> dict[str, Any]:
    """What a table holds: rows, budgets, run ids, and per metric its unit, rows per budget, range, best and noise.

    Args:
        name_or_path: as for `load_table`, also a file of any form it reads.
        space: the search space of a CSV.
        options: as for `load_table`.
    """
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


def download(name: str, folder: Path | None = None, base_url: str | None = None, bar: bool = True) -> dict[str, Any]:
    """Downloads an official file and checks it; see `graphnas.tables.download`."""
    with _bar(name, bar) as progress:
        path = tables.download(name, folder, base_url, progress)
    return {"name": name, "path": str(path), "bytes": path.stat().st_size, "checked_by": SOURCES[name].checked}


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
