"""The last chapter of the demo: the best cell is trained for real, beside what the table says of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from graphnas.bo.search import Evaluation
from graphnas.bo.training_oracle import TrainingOracle
from graphnas.spaces import SearchSpace
from graphnas.tables import Table
from graphnas.train.board_text import table_head, table_line

NEW_SEEDS = 3
FIRST_NEW = 100


class Training(NamedTuple):
    """Validation and test accuracy of the same cell and seed, as trained now and as the table has them."""

    seed: int
    validation: float
    test: float
    table_validation: float
    table_test: float


def train_winner(
    winner: Evaluation, table: Table, old_seeds: int | None = None, new_seeds: int = NEW_SEEDS
) -> list[Training]:
    """Train the network of a cell from seeds of the table, and from new ones, which no search has seen.

    Args:
        winner: what was found.
        table: the labels it was found with; their recipe is the default one of the images.
        old_seeds: how many of the table's seeds; all if not given.
        new_seeds: trainings from other seeds; NaN stands for what the table has of them.
    """
    arch = table.space.parse([winner.arch])
    found = []
    for seed in [*table.run_ids[:old_seeds], *range(FIRST_NEW, FIRST_NEW + new_seeds)]:
        known = [
            float(table.query(arch, f"{part}_accuracy", run=seed)[0]) if seed in table.run_ids else math.nan
            for part in ("validation", "test")
        ]
        found.append(Training(seed, *trained(table.space, winner.arch, seed), *known))
    return found


def trained(space: SearchSpace, text: str, seed: int) -> tuple[float, float]:
    """Validation and test accuracy on digits."""
    answer = TrainingOracle(space, "digits", seed=seed)(space.parse([text]))
    return answer.value, answer.test


def mean(values: Sequence[float]) -> float:
    """Of at least one value."""
    return sum(values) / len(values)


def training_rows(trainings: Sequence[Training]) -> list[dict[str, str]]:
    """Rows of a table."""
    names = ("seed", "validation, trained now", "test, trained now", "validation, table", "test, table")
    cells = [[str(one.seed), *("–" if math.isnan(value) else f"{value:.4f}" for value in one[1:])] for one in trainings]
    return [dict(zip(names, line, strict=True)) for line in cells]


def winner_chapter(winner: Evaluation, trainings: Sequence[Training]) -> list[str]:
    """Lines of the report on the winner."""
    old = [one for one in trainings if not math.isnan(one.table_test)]
    new = [one for one in trainings if math.isnan(one.table_test)]
    rows = training_rows(trainings)
    return [
        "## 4. The winner, trained for real",
        "",
        f"`{winner.arch}`",
        "",
        "The same network and recipe as in the table. From the seeds of the table the training should give its numbers "
        "again; new seeds tell what the cell is worth apart from the luck it was chosen by.",
        "",
        *table_head(list(rows[0])),
        *(table_line(list(row.values())) for row in rows),
        "",
        f"Mean test accuracy: {mean([one.table_test for one in old]):.4f} in the table, "
        f"{mean([one.test for one in old]):.4f} now from the same seeds, "
        f"{mean([one.test for one in new]):.4f} from new ones.",
        "",
    ]
