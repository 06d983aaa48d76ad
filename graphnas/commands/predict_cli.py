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
from graphnas.errors import GraphnasError, InvalidArchitecture, OutsideSpace
from graphnas.models import GraphVAE, load_model
from graphnas.spaces import Architectures, SearchSpace
from graphnas.state_dicts import find, is_shipped, list_pretrained
from graphnas.tables.header import ARCH_COLUMNS, arch_column, looks_like_header, other_separator
from graphnas.tables.text import UNREADABLE, open_text, parse_lines
from graphnas.train.evaluate import head_values
from graphnas.train.predictor import FittedPredictor
from graphnas.train.predictor_files import load_predictor

DESCRIPTION = """Rank architectures by a fitted predictor, or by the regression head of shipped weights: those of a
text file (one per line), of the column `arch` (or `architecture`, `cell`, `arch_str`) of a CSV, or all of the space.
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
    shipped = is_shipped(options.folder)
    fitted = load_head(options.folder) if shipped else load_predictor(Path(options.folder))
    archs = read_architectures(fitted.space, options.archs)
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
    print_table([{"rank": rank, "prediction": value, "arch": arch} for rank, arch, value, _ in rows[:SHOWN]])


def load_head(name: str) -> GraphVAE:
    """Shipped weights with a regression head.

    Raises:
        UsageError: weights that learned no label.
    """
    model = load_model(find(name))
    if not isinstance(model, GraphVAE) or not model.predicts:
        able = [card["name"] for card in list_pretrained() if "prediction_kendall" in card["metrics"]]
        raise UsageError(f"{name} learned no label and ranks nothing: shipped weights that do are {', '.join(able)}")
    return model


def opinions(fitted: FittedPredictor | GraphVAE, archs: Architectures) -> tuple[Tensor, Tensor | None]:
    """Predictions float [B], and their standard deviations where there are any."""
    if isinstance(fitted, GraphVAE):
        return head_values(fitted, archs), None
    mean = fitted.predict(archs)
    try:
        return mean, fitted.predict_std(archs)
    except GraphnasError as error:
        stderr(f"no uncertainty: {error}")
        return mean, None


def read_architectures(space: SearchSpace, source: str) -> Architectures:
    """All of the space, or the lines or the column `arch` of a file.

    Raises:
        InvalidArchitecture: naming file and line.
        GraphnasError: no such file, no architecture in it, or a space that cannot be enumerated.
    """
    if source == "all":
        try:
            return space.enumerate()
        except OutsideSpace as error:
            raise GraphnasError(f"{error}; or name a file of architectures") from error
    try:
        with open_text(Path(source)) as stream:
            lines = stream.read().splitlines()
    except (OSError, UnicodeDecodeError, *UNREADABLE) as error:
        raise GraphnasError(f"cannot read architectures from {source}: {error}") from error
    rows = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if rows and (column := arch_column(header := next(csv.reader([rows[0][1]])))) is not None:
        place = header.index(column)
        cells = [(number, next(csv.reader([line]))) for number, line in rows[1:]]
        short = next((number for number, row in cells if len(row) <= place), None)
        if short is not None:
            raise InvalidArchitecture(f"{source}: line {short} has no column {column}")
        rows = [(number, row[place]) for number, row in cells]
    elif rows and looks_like_header(rows[0][1]):
        refuse_header(source, *rows[0])
    if not rows:
        raise GraphnasError(f"{source} holds no architecture")
    return parse_lines(space, source, rows)


def refuse_header(source: str, number: int, line: str) -> None:
    """Say what is wrong with the header of a CSV that names no column of architectures.

    Raises:
        InvalidArchitecture: always.
    """
    head = f"{source}: line {number} is the header of a CSV"
    if (sign := other_separator(line)) is not None:
        raise InvalidArchitecture(f"{head} with {sign} between the cells: save it with commas (got {line[:80]!r})")
    names = f"{ARCH_COLUMNS[0]} (or {', '.join(ARCH_COLUMNS[1:])})"
    raise InvalidArchitecture(f"{head} without a column of architectures: name it {names} (got {line[:80]!r})")
