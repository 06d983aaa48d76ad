"""The predictor leaderboard as tables, CSV and learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graphnas.checkpoint import write_text
from graphnas.plot.label_curves import label_curves
from graphnas.train.board_text import interval_text, results_csv, table_head, table_line

Result = dict[str, Any]

DETAILS = {
    "kendall_top": "tau, better half",
    "spearman": "Spearman",
    "pearson": "Pearson",
    "rmse": "RMSE",
    "top_1": "share of top 1 %",
    "top_5": "share of top 5 %",
    "top_10": "share of top 10 %",
    "best_rank_at_1": "rank of the pick",
    "best_rank_at_10": "best rank of 10",
    "z_square": "z²",
    "coverage": "within 1.96 SD",
    "fit_seconds": "fit, CPU-s",
    "query_seconds": "query, CPU-s",
}
"""Columns of the second table, at the largest number of labels."""


def tasks_of(results: Sequence[Result]) -> list[str]:
    """Names of the tasks, sorted."""
    return sorted({result["task"] for result in results})


def by_model(results: Sequence[Result], task: str, key: str) -> dict[str, dict[int, list[float]]]:
    """model -> number of labels -> values of a task's seeds, the best model at the most labels first."""
    found: dict[str, dict[int, list[float]]] = {}
    for result in results:
        value = result["values"].get(key)
        if result["task"] == task and value is not None:
            found.setdefault(result["model"], {}).setdefault(result["num_train"], []).append(float(value))
    most = max((size for sizes in found.values() for size in sizes), default=0)
    return dict(sorted(found.items(), key=lambda item: -_mean(item[1].get(most, []))))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("-inf")


def cell(values: Sequence[float]) -> str:
    """Mean, and half-width of the 95 % interval where there are several."""
    return interval_text(values, 3 if not values or abs(_mean(values)) < 10 else 1)


def seeds_text(found: Mapping[int, Sequence[float]]) -> str:
    """How many seeds there are, from the fewest to the most of any number of labels."""
    counts = sorted({len(values) for values in found.values()})
    return "–".join(map(str, counts if len(counts) < 2 else [counts[0], counts[-1]]))


def markdown(results: Sequence[Result], ceilings: Mapping[str, float]) -> str:
    """Per task: tau-b of every model by number of labels, then everything else at the most labels."""
    parts = []
    for task in tasks_of(results):
        taus = by_model(results, task, "kendall")
        sizes = sorted({size for found in taus.values() for size in found})
        if not taus:
            parts.append(f"### {task}\n\nNo ranking: labels or predictions do not differ.")
            continue
        lines = [f"### {task}", "", "Kendall's tau-b by number of labels:", ""]
        lines += table_head(["model", *map(str, sizes), "seeds"])
        for model, found in taus.items():
            lines.append(table_line([model, *(cell(found.get(size, [])) for size in sizes), seeds_text(found)]))
        if task in ceilings:
            lines.append(table_line(["label noise alone", *[f"{ceilings[task]:.3f}"] * len(sizes), "–"]))
        details = {key: by_model(results, task, key) for key in DETAILS}
        lines += [
            "",
            f"At {sizes[-1]} labels:",
            "",
            *table_head(["model", *DETAILS.values()]),
        ]
        for model in taus:
            cells = [cell(values.get(model, {}).get(sizes[-1], [])) for values in details.values()]
            lines.append(table_line([model, *cells]))
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def as_csv(results: Sequence[Result]) -> str:
    """All values, one line per result."""
    return results_csv(results, ["model", "task", "num_train", "seed"])


def write_predictor_report(folder: Path, results: Sequence[Result], ceilings: Mapping[str, float]) -> list[Path]:
    """predictors.md, predictors.csv and a learning curve per task, from whatever is finished."""
    written = [
        write_text(folder / "predictors.md", markdown(results, ceilings)),
        write_text(folder / "predictors.csv", as_csv(results)),
    ]
    for task in tasks_of(results):
        if not (curves := by_model(results, task, "kendall")):
            continue
        written.append(label_curves(curves, folder / f"predictors_{task}.png", ceiling=ceilings.get(task), title=task))
    return written
