"""How good a benchmark digits201 is: noise, ranking stability, what moves accuracy, and its likeness to CIFAR-10.

    python benchmarks/digits_quality.py --cifar nb201_accuracies.csv.gz

Writes docs/digits201_quality.json and the card of the table, graphnas/tables/data/digits201.md. The CIFAR-10 labels are
those of NAS-Bench-201 with columns `arch` and `cifar10_test_200`; without them that part is left out.
"""

from __future__ import annotations

import argparse
import json
from importlib.metadata import version
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from graphnas import get_space, load_table
from graphnas.commands.digits import plan_digits
from graphnas.metrics import kendall_tau, spearman
from graphnas.spaces.nb201 import NB201
from graphnas.spaces.nb201_classes import OPS
from graphnas.tables import Table
from graphnas.tables.digits import FOLDER, NAME

METRIC = "validation_accuracy"
AGREEMENT = {
    "Spearman": "spearman",
    "Kendall": "kendall",
    "SD between seeds": "seed_sd",
    "SD between cells": "cell_sd",
}


def between_runs(table: Table, rows: Tensor, metric: str, top: int = 0) -> dict[str, float]:
    """Agreement of single runs over some rows, the mean over all pairs of runs."""
    runs = table.repeats(metric)[rows].double()
    if top:
        best = runs.mean(1).argsort(descending=True)[:top]
        runs = runs[best]
    pairs = list(combinations(range(runs.shape[1]), 2))
    rho = sum(spearman(runs[:, a], runs[:, b]) for a, b in pairs) / len(pairs)
    tau = sum(kendall_tau(runs[:, a], runs[:, b]) for a, b in pairs) / len(pairs)
    count = runs.shape[1]
    return {
        "spearman": rho,
        "kendall": tau,
        "reliability_of_mean": count * rho / (1 + (count - 1) * rho),
        "seed_sd": float(runs.var(1).mean().sqrt()),
        "cell_sd": float(runs.mean(1).std()),
    }


def top_overlap(table: Table, rows: Tensor, size: int) -> float:
    """Share of the best `size` of one run that are among those of another, the mean over pairs."""
    runs = table.repeats(METRIC)[rows]
    best = [set(runs[:, run].argsort(descending=True)[:size].tolist()) for run in range(runs.shape[1])]
    pairs = list(combinations(best, 2))
    return sum(len(a & b) / size for a, b in pairs) / len(pairs)


def operation_effects(table: Table, space: NB201) -> dict[str, list[float]]:
    """Mean validation accuracy over all 15,625 strings with an operation on each of the six edges."""
    archs = space.enumerate()
    accuracy, choices = table.query(archs, METRIC), space.choices(archs)
    return {
        op: [float(accuracy[choices[:, edge] == number].mean()) for edge in range(6)] for number, op in enumerate(OPS)
    }


def measure(cifar: Path | None) -> dict[str, Any]:
    """Everything the card tells."""
    space, table = NB201(), load_table(NAME)
    rows = space.connected(table.architectures).nonzero().flatten()
    mean = {name: table.column(name)[rows] for name in table.metrics}
    quantiles = (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)
    edges = torch.tensor([0.0, *[0.1 * step for step in range(1, 9)], 0.85, 0.9, 0.925, 0.95, 0.975, 1.0])
    result: dict[str, Any] = {
        "cells": len(rows),
        "runs": len(table.run_ids),
        "between_runs": {name: between_runs(table, rows, name) for name in (METRIC, "test_accuracy")},
        "between_runs_of_the_best_1000": between_runs(table, rows, METRIC, 1000),
        "top_100_overlap": top_overlap(table, rows, 100),
        "quantiles": {str(q): float(mean[METRIC].quantile(q)) for q in quantiles},
        "histogram": {
            f"{low:.3g}-{high:.3g}": int(((mean[METRIC] >= low) & (mean[METRIC] < high)).sum())
            for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
        },
        "operations": operation_effects(table, space),
        "validation_with_test": spearman(mean[METRIC], mean["test_accuracy"]),
        "earlier_epochs": {
            str(budget): spearman(table.column(METRIC, budget)[rows], mean[METRIC]) for budget in table.budgets[:-1]
        },
        "sizes": {name: spearman(mean[name], mean[METRIC]) for name in ("params", "flops", "training_seconds")},
        "best": [space.format(table.optimum(METRIC)[0])[0], table.optimum(METRIC)[1]],
    }
    if cifar is not None:
        other = load_table(cifar, space=get_space("nb201"))
        archs = space.enumerate()
        archs = archs[space.connected(archs)]
        here, there = table.query(archs, METRIC), other.query(archs, "cifar10_test_200")
        best = there > there.quantile(0.9)
        result["cifar10_test_200"] = {
            "spearman": spearman(here, there),
            "kendall": kendall_tau(here, there),
            "spearman_best_tenth": spearman(here[best], there[best]),
            "spearman_of_params": spearman(space.cost(archs)["params"], there),
        }
    return result


CIFAR = """With NAS-Bench-201's own CIFAR-10 test accuracy after 200 epochs, over the 15,284 connected strings:
Spearman {spearman:.3f}, Kendall {kendall:.3f}, within the best tenth there {spearman_best_tenth:.3f} (the number of
parameters alone: {spearman_of_params:.3f}). A method that does well here works on real, noisy labels; that it finds the
best CIFAR-10 network is another claim."""


def card(result: dict[str, Any]) -> str:
    """The card as Markdown, from the template beside this file."""
    recipe, seconds = plan_digits().recipe, json.loads((FOLDER / f"{NAME}_seconds.json").read_text())
    runs = result["between_runs"]
    names = {
        "validation, one run against another": runs[METRIC],
        "test, one run against another": runs["test_accuracy"],
        "validation, the best 1,000 by the mean only": result["between_runs_of_the_best_1000"],
    }
    agreement = {
        name: [f"{row[key]:{form}}" for key, form in zip(AGREEMENT.values(), (".3f", ".3f", ".4f", ".4f"), strict=True)]
        for name, row in names.items()
    }
    operations = {op: [f"{value:.3f}" for value in row] for op, row in result["operations"].items()}
    values = {
        **result,
        "recipe": recipe,
        "network": recipe.network,
        "seconds": seconds,
        "num_runs": result["runs"],
        "last_run": result["runs"] - 1,
        "train": recipe.data["train_size"],
        "validation": 1297 - recipe.data["train_size"],
        "trainings": 4930 * result["runs"],
        "cpu_minutes": seconds["cpu_seconds"] / 60,
        "versions": ", ".join(f"{name} {version(name).split('+')[0]}" for name in ("torch", "numpy", "scikit-learn")),
        "reliability": runs[METRIC]["reliability_of_mean"],
        "ceiling": runs[METRIC]["reliability_of_mean"] ** 0.5,
        "repeatability": markdown(["", *AGREEMENT], agreement),
        "histogram": markdown(
            ["validation accuracy", "cells"], {span: [f"{count:,}"] for span, count in result["histogram"].items()}
        ),
        "operations": markdown(["operation", "0->1", "0->2", "1->2", "0->3", "1->3", "2->3"], operations),
        "earlier_epochs": ", ".join(f"epoch {at} {value:.3f}" for at, value in result["earlier_epochs"].items()),
        "sizes": ", ".join(f"{name} {value:.3f}" for name, value in result["sizes"].items()),
        "cifar": CIFAR.format(**result["cifar10_test_200"]) if "cifar10_test_200" in result else "",
        "prices": ", ".join(f"{op} {seconds[op]:.3f}" for op in OPS[1:]),
    }
    return Path(__file__).with_name("digits201_card.md").read_text().format(**values)


def markdown(head: list[str], rows: dict[str, list[str]]) -> str:
    """A Markdown table whose first column are the names of the rows."""
    lines = [head, ["---"] * len(head), *([name, *row] for name, row in rows.items())]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs") / f"{NAME}_quality.json")
    options = parser.parse_args()
    result = measure(options.cifar)
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    (FOLDER / f"{NAME}.md").write_text(card(result))
    print(card(result))


if __name__ == "__main__":
    main()
