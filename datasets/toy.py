"""The toy space as graphs, labelled with its score."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

from graphnas.datasets.base import ArchitectureDataset, DatasetOptions
from graphnas.spaces import get_space
from graphnas.spaces.toy import Toy as ToySpace
from graphnas.tables import Table


class Toy(ArchitectureDataset):
    """All cells of the toy space, for tests and examples: nothing is downloaded and the best cell is known.

    Source: enumerated; the labels are computed. No licence needed.

    | graphs | nodes min / mean / max | edges min / mean / max | types | functional classes |
    |--------|------------------------|------------------------|-------|--------------------|
    | 787    | 2 / 4.94 / 5           | 1 / 6.80 / 10          | 4     | 787                |

    Target: the closed-form score of the space in [0, 1], 1 for its optimum only (`metric` "score"), unless `labels`
    says otherwise.

    Split: by class and seed, see :func:`graphnas.datasets.split`; every graph is a class of its own.

    Args:
        root: folder of `raw` and `processed`.
        options: those of :class:`ArchitectureDataset`.

    >>> dataset = Toy()
    >>> dataset, dataset.num_node_features, float(dataset.y.max())
    (Toy(787), 4, 1.0)
    """

    def __init__(self, root: str | Path | None = None, **options: Unpack[DatasetOptions]) -> None:
        if options.get("labels") is None:
            options["labels"] = score_table()
        super().__init__("toy", root, **options)


def score_table() -> Table:
    """The score of every member of the toy space as a label table."""
    space = get_space("toy")
    assert isinstance(space, ToySpace)
    archs = space.enumerate()
    return Table(space, archs, space.score(archs)[:, None, None, None], measured=("score",), source="closed form")
