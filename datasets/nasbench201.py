"""NAS-Bench-201 as graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

from graphnas.datasets.base import ArchitectureDataset, DatasetOptions


class NASBench201(ArchitectureDataset):
    """All cells of NAS-Bench-201 (Dong and Yang, ICLR 2020, https://arxiv.org/abs/2001.00326), operations on vertices.

    Source: the graphs are enumerated in the order of `get_space("nb201").rank`; labels come from the files of the
    authors (https://github.com/D-X-Y/NAS-Bench-201) or a table with the same architectures. Licence of the labels: MIT.

    | graphs | nodes min / mean / max | edges min / mean / max | types | functional classes |
    |--------|------------------------|------------------------|-------|--------------------|
    | 15,625 | 8 / 8 / 8              | 10 / 10 / 10           | 7     | 4,930              |

    Target: whatever `metric` of the table says, for instance test accuracy on CIFAR-10 in percent after `budget` = 200
    epochs. Cells that compute the same function were trained separately and have different labels, all of which stay.

    Split: by class and seed, see :func:`graphnas.datasets.split`. 11,901 of the cells share their function with another
    one, so that a random split of rows would leak; here all members of a class are on one side, and parts can miss the
    wanted size by some rows (the largest class has 460).

    Args:
        root: folder of `raw` and `processed`.
        options: those of :class:`ArchitectureDataset`.
    """

    def __init__(self, root: str | Path | None = None, **options: Unpack[DatasetOptions]) -> None:
        super().__init__("nb201", root, **options)
