"""What the recipe of encoders as predictors gains: head, loss, batch and width, on one seed that no table uses.

    python benchmarks/encoder_recipes.py nb201_accuracies.csv.gz --out docs/encoder_recipes.json

NAS-Bench-201, cifar10_test_200, 78 labels, the 7,812 test rows of seed 10 of the plain permutation.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from graphnas.train.predictor_evaluation import Task, read_labels, run_task
from graphnas.train.result_files import finite

SEED, NUM_LABELS, TEST_SIZE = 10, 78, 7812
WIDE = {"hidden_dim": 501, "input_scale": 1.0}
EARLIER = {"head": "halving", "loss": "mse", "batch_size": 32}
STEPS: dict[str, dict[str, Any]] = {
    "published width, halving head, squared error, batches of 32": {**EARLIER, "vae_args": WIDE},
    "leaderboard width": EARLIER,
    "tanh head": {"loss": "mse", "batch_size": 32},
    "pairwise hinge": {"batch_size": 32},
    "batches of 16: the recipe": {},
    "pairwise logistic": {"loss": "logistic"},
    "input_scale 1": {"vae_args": {"hidden_dim": 128, "input_scale": 1.0}},
}
"""Name -> what differs from the recipe, one change after the other up to the recipe, then single changes of it."""
NARROW_ONLY = ("published width", "input_scale")
MODELS: dict[str, dict[str, dict[str, Any]]] = {
    "dvae": STEPS,
    "dagnn": STEPS,
    "svge": {
        "published": {
            "mode": "joint", "score_weight": 0.9, "head": "halving", "vae_args": {}, "loss": "mse", "batch_size": 32,
            "schedule": "plateau", "warmup_steps": 0, "clip_norm": 0.0,
        },
        "the recipe": {},
    },
    "arch2vec": {name: step for name, step in STEPS.items() if not name.startswith(NARROW_ONLY)},
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", help="CSV of NAS-Bench-201 with cifar10_test_200")
    parser.add_argument("--out", type=Path, help="JSON file to write; rows that are there are not made again")
    options = parser.parse_args()
    torch.set_num_threads(1)
    task = Task("nb201", options.labels, "cifar10_test_200", TEST_SIZE, "rows")
    labels = read_labels(task)
    found = json.loads(options.out.read_text()) if options.out and options.out.exists() else {}
    for model, steps in MODELS.items():
        for step, changes in steps.items():
            name = f"{model}: {step}"
            if name not in found:
                values = run_task(model, task, labels, NUM_LABELS, SEED, dict(changes))
                found[name] = finite({key: values[key] for key in ("kendall", "fit_seconds")})
                if options.out:
                    options.out.write_text(json.dumps(found, indent=1) + "\n")
            tau = found[name]["kendall"]
            said = "no ranking" if tau is None else f"tau {tau:.3f}"
            print(f"{name}: {said}, {found[name]['fit_seconds']:.1f} CPU-s", flush=True)


if __name__ == "__main__":
    main()
