"""DARTS genotypes as graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

from graphnas.datasets.base import ArchitectureDataset, DatasetOptions


class DARTS(ArchitectureDataset):
    """Genotypes of DARTS (Liu et al., ICLR 2019, https://arxiv.org/abs/1806.09055): normal and reduction cell in one
    graph.

    Source: `num_samples` different random genotypes of the 1.08e18 there are, or the genotypes of a label file
    (`labels=`). Licence of the space: Apache-2.0 (https://github.com/quark0/darts).

    | graphs        | nodes min / mean / max | edges min / mean / max | types | functional classes |
    |---------------|------------------------|------------------------|-------|--------------------|
    | `num_samples` | 22 / 22 / 22           | 36 / 41.75 / 46        | 13    | one per graph      |

    Edges and classes were counted on 20,000 genotypes drawn with seed 0.

    Target: whatever `metric` of the table says; random genotypes alone have none.

    Split: by class and seed, see :func:`graphnas.datasets.split`.

    Args:
        root: folder of `raw` and `processed`.
        options: those of :class:`ArchitectureDataset`.
    """

    def __init__(self, root: str | Path | None = None, **options: Unpack[DatasetOptions]) -> None:
        super().__init__("darts", root, **options)
