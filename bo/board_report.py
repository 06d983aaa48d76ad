"""The VAE leaderboard as tables, CSV and plots."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from graphnas.checkpoint import write_text
from graphnas.errors import GraphnasError
from graphnas.plot.board import bars
from graphnas.train.board_text import interval_text, results_csv, table_head, table_line
from graphnas.train.result_files import settled


class Column(NamedTuple):
    """One column: key of the value, heading, factor and digits."""

    key: str
    title: str
    factor: float = 1.0
    digits: int = 2


COLUMNS = (
    Column("exact", "arg-max exact %", 100),
    Column("exact_unmasked", "without masks %", 100),
    Column("exact_labelled", "labelled graphs, arg-max exact %", 100),
    Column("reconstruction", "10x10 draws %", 100),
    Column("nll", "NLL, nats", digits=3),
    Column("validity_masked", "valid, masked %", 100),
    Column("validity", "valid, unmasked %", 100),
    Column("uniqueness_isomorphic_masked", "unique %", 100),
    Column("novelty_isomorphic_masked", "novel %", 100),
    Column("legacy_rmse", "RMSE, legacy GP", digits=3),
    Column("legacy_pearson", "r, legacy GP", digits=3),
    Column("converged_rmse", "RMSE, converged GP", digits=3),
    Column("converged_pearson", "r, converged GP", digits=3),
)
COST = (
    Column("cpu_minutes", "CPU-min in all", digits=1),
    Column("minutes_to_99", "to 99 %", digits=1),
    Column("minutes_to_99.9", "to 99.9 %", digits=1),
)


class Summary(NamedTuple):
    """A model on a space over its seeds: every column's values, those of seeds that lack one left out."""

    model: str
    space: str
    seeds: int
    parameters: int
    values: dict[str, list[float]]


def summarise(entries: Sequence[dict[str, Any]]) -> list[Summary]:
    """One summary per model and space, by space and then by legacy RMSE, arg-max reconstruction where there is none.

    Raises:
        GraphnasError: seeds of a model that were trained or measured in different ways, which have no common mean.
    """
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for entry in entries:
        groups.setdefault((entry["space"], entry["model"]), []).append(entry)
    summaries = []
    for (space, model), runs in groups.items():
        if len({made_without_seed(run) for run in runs}) > 1:
            seeds = ", ".join(str(run["seed"]) for run in runs)
            raise GraphnasError(
                f"{model} on {space}: seeds {seeds} were made with different recipes, labels or profiles: "
                "delete those of the results that are out of date"
            )
        flat = [{**run, **run["values"]} for run in runs]
        values = {
            column.key: [float(run[column.key]) for run in flat if run.get(column.key) is not None]
            for column in (*COLUMNS, *COST)
        }
        summaries.append(Summary(model, space, len(runs), runs[0]["parameters"], values))
    return sorted(summaries, key=lambda one: (one.space, rank(one)))


def made_without_seed(entry: dict[str, Any]) -> str:
    """How an entry was made, as text, whatever its seed."""
    run = entry["made"]["run"]
    made = {**entry["made"], "run": {**run, "fit": {**run["fit"], "seed": None}}}
    return json.dumps(settled(made), sort_keys=True)


def rank(summary: Summary) -> tuple[float, float]:
    """Sorting key within a space, smaller is better."""
    means = [sum(values) / len(values) if (values := summary.values[key]) else 0.0 for key in ("legacy_rmse", "exact")]
    return means[0], -means[1]


def cell(values: Sequence[float], column: Column, seeds: int) -> str:
    """Mean and half-width of the 95 % interval; how many seeds have a value where not all do."""
    text = interval_text([column.factor * value for value in values], column.digits)
    return text if len(values) in (0, seeds) else f"{text} ({len(values)} of {seeds})"


def markdown(summaries: Sequence[Summary], raw: Sequence[dict[str, Any]]) -> str:
    """A table per space with its raw-feature rows below."""
    parts = []
    for space in sorted({summary.space for summary in summaries}):
        rows = [summary for summary in summaries if summary.space == space]
        columns = [column for column in (*COLUMNS, *COST) if any(row.values[column.key] for row in rows)]
        titles = ["model", "seeds", "parameters", *(column.title for column in columns)]
        lines = [f"### {space}", "", *table_head(titles)]
        for row in rows:
            cells = [cell(row.values[column.key], column, row.seeds) for column in columns]
            lines.append(table_line([row.model, str(row.seeds), f"{row.parameters:,}", *cells]))
        parts.append("\n".join(lines))
        parts += [raw_table(found) for found in raw if found["space"] == space]
    return "\n\n".join(parts) + "\n"


def raw_table(found: dict[str, Any]) -> str:
    """The raw-feature rows of one space."""
    lines = [
        f"Straight from the architecture, the same {found['train']:,} training and {found['test']:,} test labels:",
        "",
        *table_head(["features", "RMSE", "r"]),
    ]
    for row in found["rows"]:
        numbers = ["–" if row[key] is None else f"{row[key]:.3f}" for key in ("rmse", "pearson")]
        lines.append(table_line([row["features"], *numbers]))
    return "\n".join(lines)


def as_csv(entries: Sequence[dict[str, Any]]) -> str:
    """All values of all entries, one line per model, space and seed."""
    return results_csv(entries, ["model", "space", "seed", "parameters", "steps", *(column.key for column in COST)])


def write_report(folder: Path, entries: Sequence[dict[str, Any]], raw: Sequence[dict[str, Any]]) -> list[Path]:
    """leaderboard.md, leaderboard.csv and one plot per space, from whatever is finished."""
    summaries = summarise(entries)
    written = [
        write_text(folder / "leaderboard.md", markdown(summaries, raw)),
        write_text(folder / "leaderboard.csv", as_csv(entries)),
    ]
    for space in sorted({summary.space for summary in summaries}):
        rows = [summary for summary in summaries if summary.space == space]
        written.append(draw(folder / f"leaderboard_{space}.png", rows, raw))
    return written


def draw(path: Path, rows: Sequence[Summary], raw: Sequence[dict[str, Any]]) -> Path:
    """Reconstruction and predictivity of all models of a space, every seed a dot."""
    shown = [column for column in COLUMNS if column.key in ("exact", "legacy_rmse", "converged_rmse")]
    panels = {
        column.title: {row.model: [column.factor * value for value in row.values[column.key]] for row in rows}
        for column in shown
        if any(row.values[column.key] for row in rows)
    }
    lines = {row["features"]: row["rmse"] for found in raw if found["space"] == rows[0].space for row in found["rows"]}
    marks = {column.title: lines if "rmse" in column.key else {} for column in shown}
    return bars(panels, path, marks, title=rows[0].space)
