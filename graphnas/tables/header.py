"""The first line of a CSV: which column holds the architectures, and what is wrong with a line that names none."""

from __future__ import annotations

import re
from collections.abc import Collection

ARCH_COLUMNS = ("arch", "architecture", "cell", "arch_str")
"""Names of the column of architectures, in small or capital letters; the first that is there counts."""
SEPARATORS = {";": "semicolons", "\t": "tabs"}
"""What spreadsheets write in the place of commas."""
HEADERS = re.compile(r"\s*[^\W\d][\w .%()-]*")


def arch_column(names: Collection[str]) -> str | None:
    """Which of the names is that of the architectures, None where none is."""
    plain = {name.strip().lower(): name for name in reversed(list(names))}
    return next((plain[name] for name in ARCH_COLUMNS if name in plain), None)


def other_separator(line: str) -> str | None:
    """What parts the cells of a line in the place of commas, in words; None where nothing does."""
    return next((words for sign, words in SEPARATORS.items() if sign in line and "," not in line), None)


def looks_like_header(line: str) -> bool:
    """Whether a line consists of names with commas, semicolons or tabs between them, as architectures never do."""
    cells = re.split("[,;\t]", line)
    return len(cells) > 1 and all(HEADERS.fullmatch(cell.strip().strip('"')) for cell in cells)
