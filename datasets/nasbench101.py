"""NAS-Bench-101 as graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

from graphnas.datasets.base import ArchitectureDataset, DatasetOptions


class NASBench101(ArchitectureDataset):
    """All cells of NAS-Bench-101 (Ying et al., ICML 2019, https://arxiv.org/abs/1902.09635).

    Source: the graphs are enumerated, one cell per isomorphism class; labels come from the file of the authors
    (https://github.com/google-research/nasbench) or a table with the same architectures. Licence of the labels:
    Apache-2.0.

    | graphs  | nodes min / mean / max | edges min / mean / max | types | functional classes |
    |---------|------------------------|------------------------|-------|--------------------|
    | 423,624 | 2 / 6.84 / 7           | 1 / 8.73 / 9           | 5     | 423,624            |

    Target: whatever `metric` of the table says, for instance final validation accuracy on CIFAR-10 after `budget` = 108
    epochs, as a fraction, averaged over the runs the table has.

    Split: by class and seed, see :func:`graphnas.datasets.split`; here every graph is a class of its own, so parts have
    the wanted size.

    Args:
        root: folder of `raw` and `processed`.
        options: those of :class:`ArchitectureDataset`.
    """

    def __init__(self, root: str | Path | None = None, **options: Unpack[DatasetOptions]) -> None:
        super().__init__("nb101", root, **options)
