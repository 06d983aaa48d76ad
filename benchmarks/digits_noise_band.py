"""After how many evaluations searches on digits201 are within the noise of its best cell.

    python benchmarks/digits_noise_band.py docs/search/digits-curves.csv

Labels are means of three runs. A cell is within the noise where its test accuracy is below the highest of the table by
at most 1.96 standard deviations of such a mean, or of the difference of two, as the runs of the best 1,000 cells have
them.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
from collections import defaultdict
from pathlib import Path

import numpy as np

from graphnas import load_table

QUALITY = Path(__file__).resolve().parents[1] / "docs" / "digits201_quality.json"


def read_curves(path: Path) -> dict[str, dict[int, list[float]]]:
    """method -> seed -> reported value after every evaluation."""
    curves: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    with path.open() as stream:
        for method, seed, _, value in list(csv.reader(stream))[1:]:
            curves[method][int(seed)].append(float(value or "nan"))
    return curves


def row_of(method: str, runs: dict[int, list[float]], bands: dict[str, float]) -> str:
    """A line of the table: for each band how many searches reach it, and after how many evaluations in the median."""
    cells = []
    for least in bands.values():
        first = [
            next((count for count, value in enumerate(run, 1) if value >= least), math.inf) for run in runs.values()
        ]
        reached = sum(math.isfinite(one) for one in first)
        median = float(np.median(first))
        cells.append(f"{reached} of {len(first)}, {f'{median:g}' if math.isfinite(median) else '–'}")
    return f"| {method} | {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("curves", type=Path, help="curves.csv of a comparison by validation accuracy on digits201")
    curves = read_curves(parser.parse_args().curves)
    quality, table = json.loads(QUALITY.read_text()), load_table("digits201")
    best = float(table.query(table.architectures, "test_accuracy").max())
    mean_sd = quality["between_runs_of_the_best_1000"]["seed_sd"] / math.sqrt(quality["runs"])
    bands = {"of a mean": best - 1.96 * mean_sd, "of a difference": best - 1.96 * math.sqrt(2) * mean_sd}
    print("| method | " + " | ".join(f"noise {name}: at least {least:.4f}" for name, least in bands.items()) + " |")
    print("|---" * (1 + len(bands)) + "|")
    for method, runs in curves.items():
        print(row_of(method, runs, bands))


if __name__ == "__main__":
    main()
