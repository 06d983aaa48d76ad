"""`graphnas predict`."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from graphnas.checkpoint import write_text
from graphnas.commands.parsing import UsageError, make_parser, parse, print_table, stderr, use_threads
from graphnas.errors import GraphnasError, OutsideSpace
from graphnas.models import GraphVAE
from graphnas.spaces import Architectures, SearchSpace
from graphnas.tables.architectures import read_architectures
from graphnas.train.rankers import Ranker, load_ranker, predictions_of

DESCRIPTION = """Rank architectures by a fitted predictor, or by the regression head of shipped weights: those of a
text file (one per line), of the column `arch` (or `architecture`, `cell`, `arch_str`) or the columns `matrix` and
`ops` of a CSV, or all of the space.
Writes a CSV with rank, architecture, prediction and, where the predictor knows it, standard deviation, best first.
Example: graphnas predict runs/my_predictor all --out ranking.csv"""

SHOWN = 10


def run(command: str, arguments: Sequence[str]) -> None:
    """Rank architectures by a saved predictor."""
    parser = make_parser(command, DESCRIPTION)
    parser.add_argument(
        "folder", metavar="MODEL", help="folder of `graphnas train predictor`, or the name of shipped weights"
    )
    parser.add_argument("archs", metavar="ARCHS", help="text or CSV file, or `all` for the whole space")
    parser.add_argument("--out", type=str, default="ranking.csv", help="CSV to write")
    parser.add_argument("--threads", type=int, help="threads of the CPU to use (default all)")
    options = parse(parser, arguments)
    use_threads(options.threads)
    out, source = Path(options.out), Path(options.archs)
    if out.exists() and source.exists() and out.samefile(source):
        raise UsageError(f"--out {out} is the file that is read, and would be lost: choose another")
    fitted = load_ranker(options.folder)
    archs = asked_for(fitted.space, options.archs)
    begin = time.monotonic()
    mean, std = opinions(fitted, archs)
    order = mean.argsort(descending=True, stable=True)
    text = fitted.space.format(archs[order])
    numbers = zip(mean[order].tolist(), [""] * len(order) if std is None else std[order].tolist(), strict=True)
    rows = [(rank, arch, *pair) for rank, (arch, pair) in enumerate(zip(text, numbers, strict=True), 1)]
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([("rank", "arch", "prediction", "std"), *rows])
    path = write_text(out, stream.getvalue())
    stderr(f"{len(rows):,} architectures in {time.monotonic() - begin:.1f} s: {path}")
    shown = [
        {"rank": rank, "prediction": value} | ({} if std is None else {"std": deviation}) | {"arch": arch}
        for rank, arch, value, deviation in rows[:SHOWN]
    ]
    print_table(shown)


def opinions(fitted: Ranker, archs: Architectures) -> tuple[Tensor, Tensor | None]:
    """Predictions float [B], and their standard deviations where there are any."""
    if isinstance(fitted, GraphVAE):
        return predictions_of(fitted)(archs), None
    mean = fitted.predict(archs)
    try:
        return mean, fitted.predict_std(archs)
    except GraphnasError as error:
        stderr(f"no uncertainty: {error}")
        return mean, None


def asked_for(space: SearchSpace, source: str) -> Architectures:
    """All of the space, or the architectures of a file.

    Raises:
        InvalidArchitecture: naming file and line.
        GraphnasError: no such file, no architecture in it, or a space that cannot be enumerated.
    """
    if source != "all":
        return read_architectures(space, source)
    try:
        return space.enumerate()
    except OutsideSpace as error:
        raise GraphnasError(f"{error}; or name a file of architectures") from error
