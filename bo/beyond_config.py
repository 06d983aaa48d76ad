"""What a search that goes on in a larger space is told."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from graphnas.errors import InvalidValues
from graphnas.train.config import check_range


@dataclass
class BeyondConfig:
    """How a search goes on beyond the space that its model was trained on; without one nothing else may be set."""

    beyond: str | None = None
    """Larger search space, such as nb101_8, in which architectures are proposed when the search is done."""
    beyond_queries: int | None = None
    """How many of --queries, and with them of --max_seconds, are kept for them; a third if not given."""
    candidates: int = 1000
    """Architectures that are decoded beyond for every batch, to choose from."""
    beyond_acquisition: str = "mean"
    """What chooses among them: mean, ucb, logei or thompson. Outside of all data a surrogate is unsure of everything,
    and the hope for improvement would choose by that alone."""
    new_places: Literal["refuse", "repeat"] = "refuse"
    """What models with weights for every place of a graph do: refuse, or repeat those of the last one."""

    def __post_init__(self) -> None:
        check_range(self, 2, "candidates")
        if self.beyond_queries is not None:
            check_range(self, 1, "beyond_queries")
        if self.beyond is not None:
            return
        for one in fields(self):
            if getattr(self, one.name) != one.default:
                raise InvalidValues(f"{one.name} has no meaning without a larger space: pass --beyond SPACE")

    def share(self, queries: int) -> int:
        """Evaluations of the larger space, of so many in all.

        Raises:
            InvalidValues: fewer than two would be left for the trained space.
        """
        kept = max(1, queries // 3) if self.beyond_queries is None else self.beyond_queries
        if queries - kept < 2:
            raise InvalidValues(f"beyond_queries must leave at least 2 of {queries} queries to the search (got {kept})")
        return kept
