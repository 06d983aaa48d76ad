"""All that was measured beyond the trained size, as one Markdown report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graphnas.bo.generation_study import generation_table, quality_table, read_generation
from graphnas.bo.ranking_study import ranking_table, read_rows
from graphnas.bo.transfer import read_transfer, transfer_table
from graphnas.checkpoint import write_text
from graphnas.errors import GraphnasError
from graphnas.train.board_text import table_head, table_line
from graphnas.train.result_files import read_result


def write_report(folder: Path, settings: Mapping[str, Any]) -> tuple[Path, str]:
    """The report of all results in a folder: where it was written, and its text.

    Args:
        folder: of the study.
        settings: of the command that has made the last of them; written below.

    Raises:
        GraphnasError: nothing was measured yet.
    """
    sections = [ranking(folder), generated(folder), pools(folder), layers(folder), transfers(folder)]
    parts = ["\n".join(lines) for lines in sections if lines]
    if not parts:
        raise GraphnasError(f"{folder} has no finished result to report")
    text = "\n\n".join(parts)
    below = f"\n\nThe last command's settings:\n\n```json\n{json.dumps(settings, indent=1)}\n```" if settings else ""
    return write_text(folder / "extrapolation.md", text + below + "\n"), text


def ranking(folder: Path) -> list[str]:
    """The ranking by size."""
    results = read_rows(folder)
    if not results:
        return []
    small, larger = results[0]["made"]["labels"]
    fewer = min(small, results[0]["made"]["sizes"]["labels"])
    metric = f", {results[0]['metric']}" if results[0].get("metric") else ""
    head = f"Ranking {larger:,} larger cells by {fewer:,} labels of {results[0]['made']['small']}{metric}"
    return [head, "", *ranking_table(results)]


def generated(folder: Path) -> list[str]:
    """What decoders make beyond the trained size."""
    results = read_generation(folder)
    if not results:
        return []
    lines = ["Decoding beyond the trained size", "", *generation_table(results)]
    quality, metrics = quality_table(results), {one["made"]["labels"][1] for one in results if "labels" in one["made"]}
    metric = metrics.pop() if len(metrics) == 1 else "label"
    return lines + (["", f"Mean {metric} of what is decoded, where it has one", "", *quality] if quality else [])


def pools(folder: Path) -> list[str]:
    """Pools, their best, and the trainings."""
    results = [read_result(path) for path in sorted((folder / "results").glob("pool_*.json"))]
    if not results:
        return []
    lines = ["Pools", "", *table_head(["pool", "candidates", "valid", "scorer", "valid among the best", "picture"])]
    for one in results:
        values = one["values"]
        counts = [f"{values['candidates']:,}", f"{values['valid']:,}"]
        best = f"{len(values['archs'])} of {len(values['rows'])}"
        lines.append(table_line([one["pool"], *counts, one["scorer"], best, one["picture"]]))
    path = folder / "results" / "trained_pools.json"
    return lines + (["", "Trained on digits", "", *read_result(path)["values"]["table"]] if path.exists() else [])


def layers(folder: Path) -> list[str]:
    """Networks of more layers."""
    path = folder / "results" / "trained_layers.json"
    if not path.exists():
        return []
    values = read_result(path)["values"]
    lines = ["Twelve layers: mean score of candidates by scorer", ""]
    titles = list(next(iter(values["means"].values())))
    lines += table_head(["scorer", *titles, "its best are"])
    for name, means in values["means"].items():
        origin = values["best_from"][name]
        best = ", ".join(f"{origin.count(title)} {title}" for title in dict.fromkeys(origin))
        lines.append(table_line([name, *(f"{means[title]:.4f}" for title in titles), best]))
    lines += ["", "Agreement of scorers on random candidates, tau", "", *table_head(["scorers", "tau"])]
    lines += [table_line([name, "–" if tau is None else f"{tau:.3f}"]) for name, tau in values["agreement"].items()]
    return [*lines, "", "Trained on digits", "", *values["table"]]


def transfers(folder: Path) -> list[str]:
    """Predictors of another space."""
    results = read_transfer(folder)
    return ["Transfer, tau on the target space", "", *transfer_table(results)] if results else []
