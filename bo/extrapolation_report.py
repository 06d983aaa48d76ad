"""All that was measured beyond the trained size, as one Markdown report."""

from __future__ import annotations

from pathlib import Path

from graphnas.bo.ranking_study import ranking_table, read_rows
from graphnas.checkpoint import write_text
from graphnas.errors import GraphnasError


def write_report(folder: Path) -> tuple[Path, str]:
    """The report of all results in a folder: where it was written, and its text.

    Raises:
        GraphnasError: nothing was measured yet.
    """
    parts = []
    ranking = read_rows(folder)
    if ranking:
        small, larger = ranking[0]["made"]["labels"]
        fewer = ranking[0]["made"]["sizes"]["labels"]
        head = f"Ranking {larger:,} larger cells by {min(fewer, small):,} labels of {ranking[0]['made']['small']}"
        parts.append("\n".join([head, "", *ranking_table(ranking)]))
    if not parts:
        raise GraphnasError(f"{folder} has no finished result to report")
    text = "\n\n".join(parts)
    return write_text(folder / "extrapolation.md", text + "\n"), text
