"""Where graphnas keeps data and caches."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """$GRAPHNAS_HOME, or ~/.cache/graphnas; created on first use by whoever writes there."""
    return Path(os.environ.get("GRAPHNAS_HOME") or Path.home() / ".cache" / "graphnas").expanduser()


def data_dir(name: str) -> Path:
    """Folder of one data set below :func:`home`."""
    return home() / "data" / name
