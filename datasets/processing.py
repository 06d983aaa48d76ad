"""From what was asked for to graphs and labels: the part of a dataset that is computed once and stored."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

import graphnas
from graphnas.datasets.graphs import enumerable, first_occurrences, sample_distinct
from graphnas.errors import MissingData, UnknownName
from graphnas.spaces import Architectures, SearchSpace
from graphnas.spaces.packing import digest
from graphnas.tables import Table, list_tables, load_table

FORMAT = 1  # of the processed file; another number makes all older ones be built again

logger = logging.getLogger(__name__)


class Labelled(NamedTuple):
    """Graphs, their labels float32 [n] or None, and what the labels are ("metric", "budget", "unit")."""

    archs: Architectures
    y: Tensor | None
    target: dict[str, Any]


@dataclass
class Recipe:
    """Everything that decides which graphs and labels a dataset holds; see `ArchitectureDataset` for the meaning."""

    space: SearchSpace
    labels: str | Path | Table | None
    metric: str | None
    budget: int | None
    drop_unlabelled: bool
    num_samples: int | None
    seed: int

    def table(self) -> Table | None:
        """The label table, read on first use.

        Raises:
            SpaceMismatch: it belongs to another space.
        """
        if self.labels is None:
            return None
        self.labels = load_table(self.labels, space=self.space)
        return self.labels

    def identity(self) -> dict[str, Any]:
        """What a stored result must agree in, as plain JSON: options, space, and format and version of the code."""
        space = self.space
        return {
            "format": FORMAT,
            "version": graphnas.__version__,
            "space": [space.name, list(space.vocabulary), space.max_nodes, space.size],
            "sample": None if self.num_samples is None else [self.num_samples, self.seed],
            "labels": self._label_identity(),
        }

    def _label_identity(self) -> list[Any] | None:
        """A label file is known by name, size and time, without reading it; anything else by its content."""
        if self.labels is None:
            return None
        options = [self.metric, self.budget, self.drop_unlabelled]
        if isinstance(self.labels, str | Path) and str(self.labels) not in list_tables():
            path = Path(self.labels).expanduser()
            if path.is_file():
                return [str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns, *options]
        table = self.table()
        assert table is not None
        metric = self._metric(table)
        values = sha256(table.column(metric, self.budget).numpy().tobytes()).hexdigest()
        return [digest(table.architectures), values, metric, *options]

    def _metric(self, table: Table) -> str:
        if self.metric is None and len(table.metrics) == 1:
            return table.metrics[0]
        if self.metric not in table.metrics:
            raise UnknownName("metric", self.metric, table.metrics)
        return self.metric

    def build(self) -> Labelled:
        """The graphs and their labels.

        Raises:
            MissingData: nothing says which graphs to take, or none of them has a label.
        """
        table = self.table()
        archs = self._graphs(table)
        if table is None:
            return Labelled(archs, None, {})
        metric = self._metric(table)
        y = table.query(archs, metric, self.budget)
        missing = y.isnan()
        count = int(missing.sum())
        if count == len(archs):
            raise MissingData(f"none of the {count:,} graphs of {self.space.name} has a {metric!r} in {table}")
        if count and self.drop_unlabelled:
            archs, y = archs[~missing], y[~missing]
        if count:
            fate = "left out" if self.drop_unlabelled else "y is NaN; drop_unlabelled=True leaves them out"
            logger.warning("%s: %d of %d graphs have no %r (%s)", self.space.name, count, len(missing), metric, fate)
        budget = table.budgets[-1] if self.budget is None else self.budget
        return Labelled(archs, y, {"metric": metric, "budget": budget, "unit": table.units.get(metric, "")})

    def _graphs(self, table: Table | None) -> Architectures:
        if self.num_samples is not None:
            return sample_distinct(self.space, self.num_samples, self.seed)
        if enumerable(self.space):
            return self.space.enumerate()
        if table is None:
            raise MissingData(
                f"{self.space.name} has {self.space.size:.3g} architectures: pass labels= (a file of some of them with "
                "their labels) or num_samples= (random ones without labels)"
            )
        rows = first_occurrences(table.architectures)
        if len(rows) < len(table):
            logger.warning("%s: dropped %d duplicates of %d rows", self.space.name, len(table) - len(rows), len(table))
        return table.architectures[rows].widen(self.space.max_nodes)
