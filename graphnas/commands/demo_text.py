"""What the chapters of the demo's report have in common."""

from __future__ import annotations

from typing import Any


def table(heading: str, values: dict[str, Any], form: str) -> list[str]:
    """Lines of a two-column Markdown table."""
    rows = [f"| {name} | {form.format(value)} |" for name, value in values.items()]
    return [f"| {heading} | |", "|---|---|", *rows, ""]
