"""`graphnas data build-digits`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from graphnas.commands.digits import SEEDS, build_digits, plan_digits, quick_plan, write_table
from graphnas.commands.digits_seconds import write_seconds
from graphnas.commands.parsing import make_parser, parse, print_values
from graphnas.tables.digits import NAME

DESCRIPTION = f"""Measure the embedded benchmark {NAME} again: every functionally distinct NAS-Bench-201 cell is trained
on scikit-learn's handwritten digits, once per seed, and the learning curves become a table. Interrupt it whenever you
like: the same command goes on from the shards in --out. About an hour and a half for three seeds on two cores.
Example: graphnas data build-digits --out runs/digits201
Then:    graphnas data info runs/digits201/{NAME}.npz"""


def run(command: str, arguments: Sequence[str]) -> None:
    """Measure, then write the table."""
    parser = make_parser(command, DESCRIPTION)
    parser.add_argument("--out", type=Path, default=Path(f"runs/{NAME}"), help="folder of the shards and the table")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS), help="one run of every cell each")
    parser.add_argument("--cells", type=int, help="measure so many evenly chosen cells instead of all 4,930")
    parser.add_argument("--jobs", type=int, help="processes (default: all cores)")
    parser.add_argument("--quick", action="store_true", help="16 cells for two epochs: a build of seconds")
    parser.add_argument("--fit-seconds", type=Path, help="also fit the time model to it and write it to this file")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parse(parser, arguments)
    plan = quick_plan(options.seeds) if options.quick else plan_digits(options.seeds, options.cells)
    from tqdm.auto import tqdm

    shards = options.out / "shards"
    with tqdm(desc="shards", file=sys.stderr, disable=True if options.quiet else None) as bar:
        for done, total in build_digits(plan, shards, options.jobs):
            bar.total = total
            bar.update(done - bar.n)
    if options.fit_seconds is not None:
        write_seconds(plan, shards, options.fit_seconds)
    path = write_table(plan, shards, options.out / f"{NAME}.npz")
    print_values({"table": path, "bytes": path.stat().st_size, "cells": len(plan.texts), "seeds": len(plan.seeds)})
