"""Our GATES, FLAN, GIN and GCN on the rows and seeds that the released programs were measured on, and what FLAN needs.

    python benchmarks/released_predictors.py --nb201 nb201_accuracies.csv.gz --nb101 nb101_sample.csv.gz \
        --out docs/released_predictors.json

Recipes are those of `train/recipes/predictors/`; a variant changes what its name says. Kendall's tau-b per seed. What
the file holds is not measured again, so that the command can be stopped and repeated.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

import torch

from graphnas.train.predictor_evaluation import Task, read_labels, run_task
from graphnas.train.result_files import write_result

METRICS = {"nb201": ("cifar10_test_200", 7812), "nb101": ("val_acc_108", 7290)}
"""Labels and number of test rows."""


class Job(NamedTuple):
    """One variant on one number of labels."""

    model: str
    space: str
    size: int
    seeds: int
    variant: str = "recipe"
    overrides: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """Key in the result file."""
        return f"{self.model} {self.space} {self.size}, {self.variant}"


AS_THEY_ARE = {"closed_ops": [], "bypassed_ops": []}
JOBS = [
    Job("flan", "nb201", 78, 3),
    Job("flan", "nb101", 72, 3),
    Job("flan", "nb201", 78, 3, "masked attention", {"faithful": False}),
    Job("flan", "nb101", 72, 3, "masked attention", {"faithful": False}),
    Job("flan", "nb201", 78, 3, "cells as they are", AS_THEY_ARE),
    Job("flan", "nb201", 78, 3, "20 steps of warm-up", {"warmup_steps": 20}),
    Job("gates", "nb201", 78, 3),
    Job("gates", "nb201", 390, 5),
    Job("gates", "nb101", 72, 3),
    Job("gates", "nb101", 364, 3),
    Job("gin", "nb101", 72, 5),
    Job("gcn", "nb201", 78, 3),
    Job("gcn", "nb101", 72, 3),
    Job("flan", "nb201", 390, 2),
    Job("flan", "nb101", 364, 2),
]


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nb201", required=True, help="label file of NAS-Bench-201")
    parser.add_argument("--nb101", required=True, help="label file of NAS-Bench-101")
    parser.add_argument("--out", type=Path, required=True, help="JSON of results")
    options = parser.parse_args()
    torch.set_num_threads(1)
    tasks = {
        space: Task(space, getattr(options, space), metric, tests, "rows") for space, (metric, tests) in METRICS.items()
    }
    labels = {space: read_labels(task) for space, task in tasks.items()}
    found: dict[str, list[float]] = json.loads(options.out.read_text()) if options.out.exists() else {}
    for job in JOBS:
        taus = found.setdefault(job.name, [])
        for seed in range(len(taus), job.seeds):
            values = run_task(job.model, tasks[job.space], labels[job.space], job.size, seed, job.overrides)
            taus.append(round(values["kendall"], 4))
            write_result(options.out, found)
        print(f"{job.name}: {sum(taus) / len(taus):.3f} {taus}", flush=True)


if __name__ == "__main__":
    main()
