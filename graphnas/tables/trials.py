"""The results of NAS-Bench-201 and NATS-Bench (topology), gathered one training run after the other.

Both name every run by data set and seed and store it as a dictionary (the state of `ResultsCount`); an architecture
holds its runs in `all_results` (the state of `ArchResults`). The budget of a run is the number of epochs it says
itself, whatever the file calls its group: "less" and "full" in NAS-Bench-201, "12" and "200" in NATS-Bench.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from graphnas.errors import CorruptFile
from graphnas.spaces import get_space
from graphnas.tables.base import Table

TRUSTED_SEED = 888  # the official package takes its counts where runs of one architecture disagree
AGREE = 5e-6
UNITS = {
    "accuracy": "percent",
    "loss": "nats",
    "seconds": "seconds",
    "latency": "seconds",
    "flop": "million",
    "params": "million",
}
Key = tuple[str, int, int]  # metric, budget, seed


class Trials:
    """Values of all runs by (metric, budget, seed).

    Args:
        source: name of the file, for messages and the table.
        curves: patterns of accuracy and loss metrics whose value after every epoch is kept, such as
            "cifar10*/x-valid/accuracy".
    """

    def __init__(self, source: str, curves: Sequence[str] = ()) -> None:
        self.source, self.patterns = source, tuple(curves)
        self.strings: dict[int, str] = {}
        self.columns: dict[Key, NDArray[np.float64]] = {}
        self.curves: dict[Key, NDArray[np.float32]] = {}

    # -- gathering ----------------------------------------------------------------------------------------------
    def add(self, results: Mapping[str, Any]) -> None:
        """Enters one architecture trained with one budget: the fields of `ArchResults` as a mapping.

        Raises:
            CorruptFile: fields that are missing or of another type.
        """
        try:
            index, text = int(results["arch_index"]), str(results["arch_str"])
            if self.strings.setdefault(index, text) != text:
                raise CorruptFile(f"{self.source}: architecture {index} is {self.strings[index]} and {text}")
            for (dataset, seed), run in results["all_results"].items():
                self._add_run(index, str(dataset), int(seed), run if isinstance(run, Mapping) else vars(run))
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            if isinstance(error, CorruptFile):
                raise
            name = results.get("arch_index", "?")
            raise CorruptFile(
                f"{self.source}: results of architecture {name} ({type(error).__name__}: {error})"
            ) from error

    def _add_run(self, index: int, dataset: str, seed: int, run: Mapping[str, Any]) -> None:
        epochs = int(run["epochs"])
        at = (index, epochs, seed)
        self._series(f"{dataset}/train/accuracy", at, range(epochs), run["train_acc1es"])
        self._series(f"{dataset}/train/loss", at, range(epochs), run["train_losses"])
        if run.get("train_times"):
            self._put(f"{dataset}/train/seconds", at, sum(run["train_times"].values()))
        for part in run["eval_names"]:
            keys = [f"{part}@{epoch}" for epoch in range(epochs)]
            self._series(f"{dataset}/{part}/accuracy", at, keys, run["eval_acc1es"])
            self._series(f"{dataset}/{part}/loss", at, keys, run["eval_losses"])
            self._put(f"{dataset}/{part}/seconds", at, (run.get("eval_times") or {}).get(keys[-1]))
        measured = [seconds for seconds in run.get("latency") or () if seconds > 0]
        self._put(f"{dataset}/latency", at, sum(measured) / len(measured) if measured else None)
        self._put(f"{dataset}/flop", at, run["flop"])
        self._put(f"{dataset}/params", at, run["params"])

    def _series(self, metric: str, at: tuple[int, int, int], keys: Sequence[Any], values: Mapping[Any, float]) -> None:
        """The value after the last epoch, and the whole curve where it was asked for."""
        self._put(metric, at, values.get(keys[-1]))
        if any(fnmatchcase(metric, pattern) for pattern in self.patterns):
            index, epochs, seed = at
            array = _room(self.curves, (metric, epochs, seed), index, (epochs,), np.float32)
            array[index] = [values.get(key, np.nan) for key in keys]

    def _put(self, metric: str, at: tuple[int, int, int], value: float | None) -> None:
        if value is not None:
            index, epochs, seed = at
            _room(self.columns, (metric, epochs, seed), index, (), np.float64)[index] = value

    # -- the table ----------------------------------------------------------------------------------------------
    def table(self, official: Sequence[str], partial: bool = False) -> Table:
        """Everything gathered, rows by ascending official index.

        Args:
            official: strings of all architectures by index, as the file lists them; empty where it has no list.
            partial: accept fewer architectures than there are.

        Raises:
            CorruptFile: architectures that are missing, or stand under another index than in the list.
        """
        space = get_space("nb201")
        self._check(list(official), space.size, partial)
        indices = np.array(sorted(self.strings))
        budgets = sorted({budget for _, budget, _ in self.columns})
        seeds = sorted({seed for _, _, seed in self.columns})
        measured: list[str] = []
        counted: list[str] = []
        for metric in sorted({metric for metric, _, _ in self.columns}):
            (counted if metric.endswith(("/flop", "/params")) else measured).append(metric)
        values = np.full((len(measured), len(indices), len(budgets), len(seeds)), np.nan, dtype=np.float32)
        for (metric, budget, seed), column in self.columns.items():
            if metric not in counted:
                place = (measured.index(metric), slice(None), budgets.index(budget), seeds.index(seed))
                values[place] = _take(column, indices)
        constants = {metric: torch.from_numpy(self._count(metric, indices, budgets, seeds)) for metric in counted}
        names = ["index", *measured, *counted]
        return Table(
            space=space,
            architectures=space.parse([self.strings[index] for index in indices.tolist()]),
            values=torch.from_numpy(values).permute(1, 2, 3, 0),
            measured=tuple(measured),
            budgets=tuple(budgets),
            run_ids=tuple(seeds),
            units={name: UNITS.get(name.rsplit("/", 1)[-1], "count") for name in names},
            constants=constants | {"index": torch.from_numpy(indices).double()},
            curves=self._stacked_curves(indices, seeds),
            source=self.source,
        )

    def _check(self, official: list[str], size: int, partial: bool) -> None:
        wrong = [index for index, text in self.strings.items() if official and official[index : index + 1] != [text]]
        if wrong:
            raise CorruptFile(
                f"{self.source}: architecture {wrong[0]} is {self.strings[wrong[0]]}, in the list it is "
                f"{''.join(official[wrong[0] : wrong[0] + 1]) or 'missing'}"
            )
        wanted = len(official) or size
        if not self.strings or (len(self.strings) != wanted and not partial):
            raise CorruptFile(
                f"{self.source}: {len(self.strings)} of {wanted} architectures are there: "
                "get the rest, or pass partial=True"
            )

    def _count(
        self, metric: str, indices: NDArray[np.int64], budgets: Iterable[int], seeds: Sequence[int]
    ) -> NDArray[np.float64]:
        """FLOPs or parameters of every architecture, float64 [R]: of the longest training that has them.

        Where the runs of one training disagree, which happens in the official files, the run with seed 888 counts, as
        in the official package.
        """
        result = np.full(len(indices), np.nan)
        for budget in budgets:
            runs = np.full((len(indices), len(seeds)), np.nan)
            for place, seed in enumerate(seeds):
                if (metric, budget, seed) in self.columns:
                    runs[:, place] = _take(self.columns[metric, budget, seed], indices)
            there = ~np.isnan(runs)
            first = runs[np.arange(len(runs)), there.argmax(1)]
            agree = (~there | (np.abs(runs - first[:, None]) < AGREE)).all(1)
            trusted = runs[:, seeds.index(TRUSTED_SEED)] if TRUSTED_SEED in seeds else np.full(len(runs), np.nan)
            chosen = np.where(agree | np.isnan(trusted), first, trusted)
            result = np.where(there.any(1), chosen, result)
        return result

    def _stacked_curves(self, indices: NDArray[np.int64], seeds: Sequence[int]) -> dict[tuple[str, int], torch.Tensor]:
        """Curves with all seeds side by side, float32 [R, seeds, epochs]."""
        result: dict[tuple[str, int], torch.Tensor] = {}
        for (metric, budget, seed), array in self.curves.items():
            stacked = result.setdefault((metric, budget), torch.full((len(indices), len(seeds), budget), torch.nan))
            stacked[:, seeds.index(seed)] = torch.from_numpy(_take(array, indices))
        return result


def _room(columns: dict[Key, NDArray[Any]], key: Key, index: int, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """The array under `key` with room for row `index`; doubled when too short, NaN where nothing was entered."""
    array = columns.get(key)
    if array is None:
        array = columns[key] = np.full((max(1024, index + 1), *shape), np.nan, dtype=dtype)
    elif len(array) <= index:
        more = np.full((max(len(array), index + 1 - len(array)), *shape), np.nan, dtype=dtype)
        array = columns[key] = np.concatenate([array, more])
    return array


def _take(array: NDArray[Any], indices: NDArray[np.int64]) -> NDArray[Any]:
    """Rows `indices`, NaN beyond the end."""
    result = np.full((len(indices), *array.shape[1:]), np.nan, dtype=array.dtype)
    inside = indices < len(array)
    result[inside] = array[indices[inside]]
    return result
