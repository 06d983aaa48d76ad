"""The benchmark that ships with graphnas: NAS-Bench-201 cells trained on handwritten digits."""

from __future__ import annotations

from pathlib import Path

from graphnas.errors import MissingData
from graphnas.tables.base import Table
from graphnas.tables.compact import load_compact

NAME = "digits201"
FOLDER = Path(__file__).resolve().parent / "data"


def digits_table() -> Table:
    """All 15,625 NAS-Bench-201 strings through the 4,930 functions they compute, each trained with several seeds.

    Metrics are `train_accuracy`, `validation_accuracy` and `test_accuracy` as fractions and `training_seconds`, after
    every epoch, and `params` and `flops` of the network. How it was made and what it is good for: digits201.md beside
    the table.

    Raises:
        MissingData: an incomplete installation.
    """
    path = FOLDER / f"{NAME}.npz"
    if not path.is_file():
        raise MissingData(f"{path} is missing: install graphnas again, or make it with `graphnas data build-digits`")
    return load_compact(path)
