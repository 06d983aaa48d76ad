"""x."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

from graphnas.datasets.base import ArchitectureDataset, DatasetOptions


class Toy(ArchitectureDataset):
    """x."""

    def __init__(self, root: str | Path | None = None, **options: Unpack[DatasetOptions]) -> None:
        super().__init__("toy", root, **options)
