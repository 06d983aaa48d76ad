"""Bayesian-network structures as graphs, labelled with their BIC."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

from graphnas.datasets.base import ArchitectureDataset, DatasetOptions


class BN8(ArchitectureDataset):
    """200,000 structures of Bayesian networks on the eight asia variables: nothing is downloaded.

    Source: the second task of D-VAE (Zhang et al., NeurIPS 2019, https://arxiv.org/abs/1904.11088), drawn anew with a
    fixed seed, as the published list is no longer to be had; the labels are computed. No licence needed.

    | graphs  | nodes min / mean / max | edges min / mean / max | types | functional classes |
    |---------|------------------------|------------------------|-------|--------------------|
    | 200,000 | 10 / 10 / 10           | 11 / 17.98 / 28        | 10    | 200,000            |

    Target: BIC of the structure on 5,000 rows of the asia network, negative and higher is better (`metric` "bic"),
    unless `labels` says otherwise.

    Split: by class and seed, see :func:`graphnas.datasets.split`; two graphs are the same if their variables have the
    same edges, in whatever order they stand.

    Args:
        root: folder of `raw` and `processed`.
        options: those of :class:`ArchitectureDataset`; `num_samples` for other random structures, labelled too.

    >>> BN8(num_samples=10)
    BN8(10)
    """

    def __init__(self, root: str | Path | None = None, **options: Unpack[DatasetOptions]) -> None:
        if options.get("labels") is None:
            options["labels"] = "bn8"
        super().__init__("bn8", root, **options)
