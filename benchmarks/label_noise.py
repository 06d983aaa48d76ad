"""How much of a table of single trainings is noise, and what that leaves of a perfect ranking.

    python benchmarks/label_noise.py nb101_sample.csv.gz --space nb101 --metric val_acc_108 --out docs/label_noise.json

Everything is in the unit of normal scores, z = Phi^-1((rank - 1/2) / n), in which labels have variance 1. Two figures
that both contain the noise:

* the nugget of the Gaussian process `gp` fitted to random labels: what remains between cells whose features are equal;
* half the mean square of the difference between a cell and its nearest other cell in the process's kernel, for the
  nearest 1 % of those pairs: the same without a model of the mean, with what distance is left.

Cells that compute the same function, where a table has them, give the noise itself; cells with equal features nearly
do. With noise of variance s^2 among 1, and Gaussian labels, the best tau-b is 2 / pi asin(sqrt(1 - s^2)). Neither of
the two figures is a bound in the strict sense: features that miss a difference make them too large, a kernel that
follows single labels makes the nugget too small. How far off they are is seen where the truth is known: run it on a
table with equal functions. The error at left-out labels is noise and ignorance together: what `gp` itself reaches.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import torch
from torch import Tensor

from graphnas import create_model
from graphnas.models import GaussianProcess
from graphnas.models.functional_features import functional_features
from graphnas.models.layers.normal_scores import NormalScores
from graphnas.train.predictor_evaluation import Labels, Task, read_labels

NEAREST = 0.01


def ceiling(variance: float) -> float:
    """tau-b between Gaussian labels and what is left of them without noise of that variance, of 1 in all."""
    return 2 / math.pi * math.asin(math.sqrt(max(0.0, 1 - variance)))


def within(classes: Tensor, z: Tensor) -> tuple[int, float]:
    """Rows beyond the first of their class, int64 [B] or float [B, F], and the variance of z [B] within classes."""
    _, inverse, counts = classes.unique(return_inverse=True, return_counts=True, dim=0)
    spare = len(z) - len(counts)
    mean = torch.zeros(len(counts), dtype=z.dtype).index_add(0, inverse, z) / counts
    return spare, float((z - mean[inverse]).square().sum()) / spare if spare else math.nan


def nugget(labels: Labels, count: int, seed: int) -> tuple[float, float]:
    """Noise variance of the process on so many random labels, and mean squared error where a label is left out."""
    rows = torch.randperm(len(labels.y), generator=torch.Generator().manual_seed(seed))[:count]
    model = create_model("gp", labels.space).fit(labels.archs[rows], labels.y[rows], seed)  # type: ignore[operator]
    assert isinstance(model, GaussianProcess)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    z = model.labels.scores[order]
    mean, _ = model.process.left_out(z)
    return model.process.noise, float((mean - z).square().mean())


def neighbours(labels: Labels, z: Tensor, seed: int) -> float:
    """Half the mean square difference of the nearest pairs, by the kernel of a process on 1,000 labels."""
    rows = torch.randperm(len(z), generator=torch.Generator().manual_seed(seed))
    model = create_model("gp", labels.space).fit(labels.archs[rows[:1000]], labels.y[rows[:1000]], seed)  # type: ignore[operator]
    assert isinstance(model, GaussianProcess)
    codes = model.embed(labels.archs)
    best, partner = [], []
    for start in range(0, len(codes), 512):
        near = model.process.kernel(codes[start : start + 512], codes)
        near[torch.arange(len(near)), torch.arange(start, start + len(near))] = -math.inf
        top = near.max(1)
        best.append(top.values)
        partner.append(top.indices)
    closeness, other = torch.cat(best), torch.cat(partner)
    chosen = closeness.argsort(descending=True)[: max(50, round(NEAREST * len(z)))]
    return float((z[chosen] - z[other[chosen]]).square().mean()) / 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", help="CSV file or table")
    parser.add_argument("--space", required=True)
    parser.add_argument("--metric", required=True)
    parser.add_argument("--sizes", nargs="+", type=int, default=[1000, 3000])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="JSON file to write; other tables' rows stay")
    options = parser.parse_args()
    torch.set_num_threads(1)
    labels = read_labels(Task(options.space, options.labels, options.metric))
    z = NormalScores(labels.y).scores
    rows: list[dict[str, float | str]] = []

    def add(name: str, values: list[float]) -> None:
        mean = sum(values) / len(values)
        rows.append({"from": name, "noise_sd": math.sqrt(mean), "low": math.sqrt(min(values)),
                     "high": math.sqrt(max(values)), "tau": ceiling(mean)})  # fmt: skip
        print(f"| {name} | {math.sqrt(mean):.3f} | {ceiling(mean):.3f} |", flush=True)

    print("| from | noise, SD among 1 | best tau |\n|---|---|---|")
    begin = time.process_time()
    features = torch.cat([*functional_features(labels.space, labels.archs).values()], 1)
    for name, classes in (("function", labels.space.class_ids(labels.archs)), ("features", features.mul(1e4).round())):
        spare, variance = within(classes, z)
        if spare:
            add(f"{spare:,} rows with the {name} of an earlier one", [variance])
    for size in options.sizes:
        found = [nugget(labels, size, seed) for seed in range(options.seeds)]
        add(f"nugget at {size:,} labels", [noise for noise, _ in found])
        add(f"error at left out labels, {size:,}", [error for _, error in found])
    add("nearest pairs", [neighbours(labels, z, seed) for seed in range(options.seeds)])
    if options.out:
        known = json.loads(options.out.read_text()) if options.out.exists() else {}
        known[f"{options.space} {options.metric}"] = {
            "equal": spare,
            "cpu_seconds": time.process_time() - begin,
            "rows": rows,
        }
        options.out.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()
