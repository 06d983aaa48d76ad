"""The predictor leaderboard: models x tasks x numbers of labels x seeds, one result file each."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from graphnas.checkpoint import write_text
from graphnas.errors import GraphnasError
from graphnas.train.predictor_config import read_settings
from graphnas.train.predictor_evaluation import Labels, Task, run_task


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
    made = json.loads(json.dumps({"task": asdict(entry.task), "settings": asdict(settings)}))
    if path.exists():
        if read_predictor_result(path)["made"] != made:
            raise GraphnasError(f"{path} was made with another recipe or task: choose another --out")
        return path
    torch.set_num_threads(1)
    values = run_task(entry.model, entry.task, labels, entry.num_train, entry.seed, overrides)
    content = {
        "model": entry.model,
        "task": entry.task.name,
        "num_train": entry.num_train,
        "seed": entry.seed,
        "made": made,
        "values": {key: None if value != value else value for key, value in values.items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_text(path, json.dumps(content, indent=1) + "\n")


def read_predictor_result(path: Path) -> dict[str, Any]:
    """A result file.

    Raises:
        GraphnasError: damaged, or no result.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text())
        content["values"]["kendall"], content["made"]
    except (ValueError, KeyError, TypeError) as error:
        raise GraphnasError(f"{path} is damaged: delete it and run the leaderboard again") from error
    return content


def read_predictor_results(folder: Path) -> list[dict[str, Any]]:
    """All results of a leaderboard.

    Raises:
        GraphnasError: a file that is no result, named.
    """
    return [read_predictor_result(path) for path in sorted((folder / "results").glob("*.json"))]
