"""The predictor leaderboard: models x tasks x numbers of labels x seeds, one result file each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from graphnas.train.predictor_config import read_settings
from graphnas.train.predictor_evaluation import Labels, Task, run_task
from graphnas.train.result_files import finite, is_finished, read_result, write_result

DIGEST = "labels_digest"
CEILINGS = "ceilings.json"


@dataclass(frozen=True)
class Entry:
    """One predictor fitted once."""

    model: str
    task: Task
    num_train: int
    seed: int

    @property
    def name(self) -> str:
        """Of its result file."""
        return f"{self.model}_{self.task.name}_{self.num_train}_{self.seed}"


def run_predictor_entry(entry: Entry, labels: Labels, folder: Path, overrides: dict[str, Any]) -> Path:
    """Measure one entry; what is there already is not done again.

    Returns:
        The result file.

    Raises:
        GraphnasError: a result made with other settings is there.
    """
    path = folder / "results" / f"{entry.name}.json"
    settings = read_settings(entry.model, labels.space.name, **overrides)
    source = entry.task.source and Path(entry.task.source).name  # wherever it lies: its labels have a digest
    made = finite({"task": asdict(entry.task) | {"source": source}, "settings": asdict(settings)})
    made[DIGEST] = labels.digest
    if is_finished(path, made, later=(DIGEST,)):
        return path
    torch.set_num_threads(1)
    values = run_task(entry.model, entry.task, labels, entry.num_train, entry.seed, overrides)
    head = {"model": entry.model, "task": entry.task.name, "num_train": entry.num_train, "seed": entry.seed}
    return write_result(path, {**head, "made": made, "values": values})


def read_predictor_results(folder: Path) -> list[dict[str, Any]]:
    """All results of a leaderboard.

    Raises:
        GraphnasError: a file that is no result, named.
    """
    return [read_result(path) for path in sorted((folder / "results").glob("*.json"))]


def keep_ceilings(folder: Path, found: Mapping[str, float]) -> dict[str, float]:
    """Add what label noise leaves of tasks to what the folder knows of others; all of it.

    Raises:
        GraphnasError: a damaged file, or one that cannot be written.
    """
    path = folder / CEILINGS
    known = dict(read_result(path)["values"]) if path.exists() else {}
    whole = known | dict(found)
    if whole != known:
        write_result(path, {"made": {}, "values": whole})
    return whole
