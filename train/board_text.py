"""Leaderboards as text: cells, lines of tables, CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from graphnas.metrics import mean_confidence_interval


def interval_text(values: Sequence[float], digits: int) -> str:
    """Mean, and half-width of the 95 % interval where there are several values; a dash where there is none."""
    if not values:
        return "–"
    interval = mean_confidence_interval(values)
    text = f"{interval.mean:.{digits}f}"
    return text if len(values) == 1 else f"{text} ± {interval.half_width:.{digits}f}"


def table_line(cells: Sequence[str]) -> str:
    """One line of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def table_head(titles: Sequence[str]) -> list[str]:
    """The first two lines of a Markdown table."""
    return [table_line(titles), "|" + "---|" * len(titles)]


def results_csv(results: Sequence[dict[str, Any]], head: Sequence[str]) -> str:
    """One line per result: its entries `head`, then all of its `values`, empty where it lacks one."""
    keys = sorted({key for result in results for key in result["values"]})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*head, *keys])
    for result in results:
        writer.writerow([*(result[key] for key in head), *(result["values"].get(key) for key in keys)])
    return text.getvalue()
