"""What stands where against what a function looks like, as features of the regressions on fixed ones.

    python benchmarks/place_features.py enas_macro6.txt.gz --out docs/place_features.json

Kendall's tau-b on 2,000 rows of a table that the seeds 10 to 13 shuffle; no leaderboard uses these seeds.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from graphnas import load_table
from graphnas.metrics import kendall_tau, mean_confidence_interval
from graphnas.train import fit_predictor

MODELS = ("ridge", "gbdt", "gp", "blend")
FEATURES = ("functional", "raw", "places")
SEEDS = range(10, 14)
TEST = 2000


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels")
    parser.add_argument("--space", default="enas6")
    parser.add_argument("--sizes", type=int, nargs="+", default=[78, 390])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = load_table(options.labels, space=options.space)
    archs, y = table.architectures, table.column(table.default_metric).double()
    found: dict[str, list[float]] = {}
    for seed in SEEDS:
        rows = torch.randperm(len(archs), generator=torch.Generator().manual_seed(seed))
        test, rest = rows[:TEST], rows[TEST:]
        for size in options.sizes:
            for name in MODELS:
                for features in FEATURES:
                    few = rest[:size]
                    fitted = fit_predictor(name, archs[few], y[few], table.space, seed, "cpu", features=features)
                    tau = kendall_tau(fitted.predict(archs[test]), y[test])
                    found.setdefault(f"{name} {features} {size}", []).append(float(tau))
    for key, taus in found.items():
        mean, low, _ = mean_confidence_interval(taus)
        print(f"{key}: {mean:.3f} ± {mean - low:.3f}")
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
