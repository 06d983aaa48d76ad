"""Performance labels of architectures: one table per benchmark, every repeated run kept apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graphnas.errors import CorruptFile, InvalidValues, UnknownName
from graphnas.spaces import Architectures, SearchSpace
from graphnas.tables.lookup import Identity, Lookup, usual_identity


@dataclass(frozen=True)
class Noise:
    """How far repeated runs of the same architecture lie apart.

    Attributes:
        per_architecture: sample standard deviation (n - 1) of every row, float32 [R]; NaN where a row has fewer than
            two runs.
        pooled: one standard deviation for all, the square root of the mean variance weighted by n - 1; NaN without
            repeats.
        repeated: rows that have at least two runs.
    """

    per_architecture: Tensor
    pooled: float
    repeated: int


@dataclass(frozen=True, eq=False)
class Table:
    """R architectures with their measured performance.

    A value is addressed by architecture, budget, run and metric. Nothing is averaged on the way in; `query` averages
    over runs only because it was asked without one, and says so.

    Args:
        space: the search space of all rows.
        architectures: R architectures, in the order of the source.
        values: float32 [R, budgets, runs, measured]; NaN where nothing was measured.
        measured: names along the last axis of `values`.
        budgets: training epochs along the second axis, ascending; (0,) where the source names none.
        run_ids: what tells runs apart along the third axis: seeds, or 0, 1, 2 where the source only numbers them.
        units: unit of every metric: "fraction", "percent", "seconds", "count", "million", or "" where unknown.
        constants: metrics that depend on the architecture alone (parameters, FLOPs), float64 [R] each.
        curves: per (metric, budget) the value after every epoch, float32 [R, runs, epochs].
        identity: when two architectures are the same row, "exact", "isomorphic" or "functional"; None for the usual
            one of the space.
        hashes: official MD5 of every row, bytes16 [R], where the source has them.
        source: where the labels come from, for reports.

    Raises:
        CorruptFile: arrays that do not fit each other.
    """

    space: SearchSpace
    architectures: Architectures
    values: Tensor
    measured: tuple[str, ...]
    budgets: tuple[int, ...] = (0,)
    run_ids: tuple[int, ...] = (0,)
    units: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, Tensor] = field(default_factory=dict)
    curves: Mapping[tuple[str, int], Tensor] = field(default_factory=dict)
    identity: Identity | None = None
    hashes: NDArray[np.bytes_] | None = None
    source: str = ""

    def __post_init__(self) -> None:
        shape = (len(self.architectures), len(self.budgets), len(self.run_ids), len(self.measured))
        if self.values.dtype != torch.float32 or self.values.shape != shape:
            raise CorruptFile(
                f"values must be float32 of shape {list(shape)} "
                f"(got {self.values.dtype} of shape {list(self.values.shape)})"
            )
        for name, column in [*self.constants.items(), *self.curves.items()]:
            if len(column) != len(self):
                raise CorruptFile(f"{name} has {len(column)} rows where the table has {len(self)}")
        if self.hashes is not None and self.hashes.shape != (len(self),):
            raise CorruptFile(f"there are {len(self.hashes)} hashes for {len(self)} rows")
        if len(set(self.metrics)) != len(self.metrics) or not self.metrics:
            raise CorruptFile(f"a table needs metrics with different names (got {list(self.metrics)})")
        if list(self.budgets) != sorted(set(self.budgets)):
            raise CorruptFile(f"budgets must be different and ascending (got {list(self.budgets)})")

    def __len__(self) -> int:
        return len(self.architectures)

    def __repr__(self) -> str:
        source = f" of {self.source}" if self.source else ""
        budgets = "/".join(map(str, self.budgets))
        return f"Table({len(self)} x {len(self.metrics)} metrics of {self.space.name}, budgets {budgets}{source})"

    # -- what there is ------------------------------------------------------------------------------------------
    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Names `query` knows: the measured ones, then the constants."""
        return (*self.measured, *self.constants)

    @property
    def default_metric(self) -> str:
        """The metric meant where nobody names one: a validation accuracy, else the only accuracy, else the only one.

        Raises:
            InvalidValues: several, none of which is called so.
        """
        accuracies = [name for name in self.measured if "accuracy" in name]
        validation = [name for name in accuracies if "valid" in name]
        found = validation[:1] or accuracies or list(self.measured or self.metrics)
        if len(found) > 1:
            raise InvalidValues(
                f"{self.source or 'the table'} has several metrics, say which is meant with metric= or --metric: "
                f"{', '.join(found)}"
            )
        return found[0]

    @cached_property
    def runs(self) -> dict[int, tuple[int, ...]]:
        """Per budget the run ids under which anything was measured; the number of runs of one row may be smaller."""
        present = ~torch.isnan(self.values).flatten(3).all(3).all(0)  # [budgets, runs]
        return {
            budget: tuple(run for run, there in zip(self.run_ids, row, strict=True) if there)
            for budget, row in zip(self.budgets, present.tolist(), strict=True)
        }

    def coverage(self, metric: str) -> dict[int, int]:
        """Number of rows that have a metric, per budget."""
        if metric in self.constants:
            return dict.fromkeys(self.budgets, int((~torch.isnan(self.constants[metric])).sum()))
        return dict(zip(self.budgets, self._counts[:, self._column(metric)].tolist(), strict=True))

    # -- asking -------------------------------------------------------------------------------------------------
    def query(self, archs: Architectures, metric: str, budget: int | None = None, run: int | None = None) -> Tensor:
        """Measured values: float32 [B] on the device of `archs`, NaN where an architecture was not measured.

        Args:
            archs: B architectures, relabelled ones too where the space counts isomorphic graphs as one.
            metric: one of `metrics`, in the unit `units` says.
            budget: one of `budgets`; None is the largest, never a smaller one that happens to be filled.
            run: one of `run_ids`; None is the mean over the runs this row has.

        Raises:
            UnknownName: for a metric, budget or run the table does not have, or a budget at which the metric was never
                measured.
            InvalidValues: for a metric that was never measured at all.
        """
        rows = self.rows(archs)
        values = self._at(rows.clamp_min(0) if len(self) else rows[:0], metric, budget, run)
        return torch.where(rows < 0, torch.nan, values if len(self) else torch.nan).to(archs.device)

    def rows(self, archs: Architectures) -> Tensor:
        """Row of every architecture, -1 where it is not in the table: int64 [B] on the CPU."""
        return self._lookup.find(archs)

    def column(self, metric: str, budget: int | None = None, run: int | None = None) -> Tensor:
        """The values of all rows, as :meth:`query` gives them: float32 [R]."""
        return self._at(slice(None), metric, budget, run)

    def repeats(self, metric: str, budget: int | None = None) -> Tensor:
        """All runs of a measured metric side by side: float32 [R, runs] in the order of `run_ids`, NaN where absent."""
        place, column = self._budget(budget), self._column(metric)
        counts = self._counts[:, column].tolist()
        if len(self) and not counts[place]:
            filled = [str(epochs) for epochs, rows in zip(self.budgets, counts, strict=True) if rows]
            if not filled:
                raise InvalidValues(f"{self.source or 'the table'} has no value of {metric!r}: all of them are missing")
            raise UnknownName(f"budget of {metric!r}", self.budgets[place], filled)
        return self.values[:, place, :, column]

    def curve(self, archs: Architectures, metric: str, budget: int | None = None, run: int | None = None) -> Tensor:
        """Values after every epoch: float32 [B, epochs], NaN where an epoch was not measured.

        Only the curves that were asked for when the table was read are there.
        """
        key = (metric, self.budgets[self._budget(budget)])
        if key not in self.curves:
            raise UnknownName(
                "learning curve", f"{metric} at {key[1]}", [f"{name} at {at}" for name, at in self.curves]
            )
        curve = self.curves[key]
        column = _mean_of_present(curve.transpose(1, 2)) if run is None else curve[:, self._run(run)]
        rows = self.rows(archs)
        return torch.where((rows < 0)[:, None], torch.nan, column[rows.clamp_min(0)]).to(archs.device)

    # -- judging ------------------------------------------------------------------------------------------------
    def noise(self, metric: str, budget: int | None = None) -> Noise:
        """Spread over repeated runs of the same architecture, in the unit of the metric."""
        runs = self.repeats(metric, budget).double()
        there = ~torch.isnan(runs)
        freedom = (there.sum(1) - 1).clamp_min(0)
        deviation = torch.where(there, runs - _mean_of_present(runs)[:, None], 0.0)
        squares = deviation.square().sum(1)
        spread = torch.where(freedom > 0, (squares / freedom).sqrt(), torch.nan)
        total = int(freedom.sum())
        pooled = float((squares[freedom > 0].sum() / total).sqrt()) if total else float("nan")
        return Noise(spread.float(), pooled, int((freedom > 0).sum()))

    def optimum(self, metric: str, budget: int | None = None, maximize: bool = True) -> tuple[Architectures, float]:
        """The row with the best mean over runs, a batch of one, and its value; `maximize=False` for losses, times."""
        column = self.column(metric, budget)
        if not len(self):
            raise UnknownName("architecture", f"best {metric}", [])
        worst = -torch.inf if maximize else torch.inf
        filled = torch.where(torch.isnan(column), worst, column)
        row = int(filled.argmax() if maximize else filled.argmin())
        return self.architectures[row], float(column[row])

    # -- inside -------------------------------------------------------------------------------------------------
    @cached_property
    def _lookup(self) -> Lookup:
        return Lookup(self.space, self.architectures, self.identity or usual_identity(self.space))

    @cached_property
    def _counts(self) -> Tensor:
        """Rows with at least one run: int64 [budgets, measured]."""
        return (~torch.isnan(self.values)).any(2).sum(0)

    def _at(self, rows: Tensor | slice, metric: str, budget: int | None, run: int | None) -> Tensor:
        """Values of some rows, averaged over runs only without a run."""
        if metric in self.constants:
            return self.constants[metric][rows].float()
        runs = self.repeats(metric, budget)
        return _mean_of_present(runs[rows]) if run is None else runs[rows, self._run(run)].contiguous()

    def _column(self, metric: str) -> int:
        if metric in self.constants:
            raise UnknownName("metric with runs", metric, self.measured)
        if metric not in self.measured:
            raise UnknownName("metric", metric, self.metrics)
        return self.measured.index(metric)

    def _budget(self, budget: int | None) -> int:
        if budget is None:
            return len(self.budgets) - 1
        if budget not in self.budgets:
            raise UnknownName("budget", budget, map(str, self.budgets))
        return self.budgets.index(budget)

    def _run(self, run: int) -> int:
        if run not in self.run_ids:
            raise UnknownName("run", run, map(str, self.run_ids))
        return self.run_ids.index(run)


def _mean_of_present(values: Tensor) -> Tensor:
    """Mean over the last axis without its NaN, NaN where there is nothing else; summed in double precision."""
    return values.double().nanmean(-1).to(values.dtype)
