"""`graphnas evaluate extrapolation`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import Namespace

from graphnas.commands.parsing import CommandParser, UsageError, make_parser, parse, stderr, use_threads
from graphnas.errors import GraphnasError
from graphnas.spaces import get_space

if TYPE_CHECKING:
    from graphnas.bo.ranking_study import RankingStudy
    from graphnas.train.predictor_evaluation import Labels

DESCRIPTION = """Beyond what a model has seen. Parts, chosen by --parts:
  ranking   VAEs and predictors learn from cells of up to --most_nodes vertices only and rank the larger labelled ones,
            beside raw features.
Labels are a file and a column of it. --out holds vaes/ (run folders), results/ (one JSON per row and seed) and
extrapolation.md; what is finished is not done again, so the command can be interrupted and repeated, with more encoders
or seeds too.
Example: graphnas evaluate extrapolation --labels nb101_sample.csv.gz --metric val_acc_108 --out runs/extrapolation"""

PARTS = ("ranking",)
ENCODERS = ("arch2vec", "svge", "svae", "graphrnn", "dvae_fast")


def make_extrapolation_parser() -> CommandParser:
    """Options of the command."""
    parser = make_parser("evaluate extrapolation", DESCRIPTION)
    parser.add_argument("--parts", nargs="+", default=list(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--labels", type=str, help="table or file with labels of NAS-Bench-101 cells")
    parser.add_argument("--metric", type=str, help="column of the labels; the table's default if not given")
    parser.add_argument("--space", type=str, default="nb101", help="search space of the labels, one of many sizes")
    parser.add_argument("--most_nodes", type=int, default=6, help="vertices of the largest cells that are learned from")
    parser.add_argument("--encoders", nargs="*", default=list(ENCODERS), help="VAEs, or patterns of their names")
    parser.add_argument("--predictors", nargs="*", default=["gates", "gcn", "gin"], help="predictors, or patterns")
    parser.add_argument("--seeds", type=int, default=3, help="of every row: seeds 0, 1, ...")
    parser.add_argument("--num_labels", type=int, default=2000, help="labels of small cells to learn from")
    parser.add_argument("--vae_steps", type=int, default=2000, help="training steps of a VAE")
    parser.add_argument("--predictor_steps", type=int, default=3000, help="most training steps of a predictor")
    parser.add_argument("--threads", type=int, default=1, help="threads of the CPU to use")
    parser.add_argument("--quick", action="store_true", help="one seed, one encoder, 60 steps, 200 labels")
    parser.add_argument("--report", action="store_true", help="write the report of what is finished, train nothing")
    parser.add_argument("--out", type=str, default="runs/extrapolation", help="folder of runs, results and report")
    return parser


def run(command: str, arguments: Sequence[str]) -> None:
    """Measure what is missing, write the report, print it."""
    options = read_options(arguments)
    use_threads(options.threads)
    folder = Path(options.out)
    if not options.report:
        for part in options.parts:
            {"ranking": measure_ranking}[part](options, folder)
    from graphnas.bo.extrapolation_report import write_report

    path, text = write_report(folder)
    print(text)
    stderr(str(path))


def read_options(arguments: Sequence[str]) -> Namespace:
    """Parsed options, smaller ones with `--quick`.

    Raises:
        UsageError: a part that does not exist, numbers below one.
    """
    options = parse(make_extrapolation_parser(), arguments)
    unknown = [part for part in options.parts if part not in PARTS]
    if unknown:
        raise UsageError(f"--parts must be of {', '.join(PARTS)} (got {unknown[0]!r})")
    for name in ("seeds", "num_labels", "vae_steps", "predictor_steps"):
        if options[name] < 1:
            raise UsageError(f"--{name} must be at least 1 (got {options[name]})")
    if options.quick:
        options.seeds, options.num_labels = 1, min(200, options.num_labels)
        options.vae_steps, options.predictor_steps = min(60, options.vae_steps), min(60, options.predictor_steps)
        options.encoders, options.predictors = options.encoders[:1], options.predictors[:1]
    return options


def measure_ranking(options: Namespace, folder: Path) -> None:
    """Every row of the ranking by size from every seed; rows that fail are told and the others go on.

    Raises:
        UsageError: no labels.
        GraphnasError: the first failure, when all others are done.
    """
    from graphnas.bo.ranking_study import ranking_rows, run_row
    from graphnas.bo.size_ranking import part_by_size

    study = ranking_study(options, folder)
    parts = part_by_size(labels_of(options.labels, options.metric, options.space), options.most_nodes)
    rows = ranking_rows(chosen(options.encoders, "vae"), chosen(options.predictors, "predictor"))
    failures = []
    for seed in range(options.seeds):
        for row in rows:
            stderr(f"seed {seed}: {row.title}")
            try:
                run_row(row, seed, parts, study)
            except GraphnasError as error:
                failures.append(f"{row.title}, seed {seed}: {error}")
                stderr(failures[-1])
    if failures:
        raise GraphnasError(f"{len(failures)} of {len(rows) * options.seeds} rows failed, the first: {failures[0]}")


def labels_of(source: str | None, metric: str | None, space: str) -> Labels:
    """The labelled architectures of a table or file.

    Raises:
        UsageError: no file, or one whose columns do not say which of them is an accuracy.
    """
    from graphnas.tables import load_table
    from graphnas.train.predictor_evaluation import Task, read_labels

    if source is None:
        raise UsageError(f"this part needs labels of {space}: pass --labels FILE --metric NAME")
    table = load_table(source, space=get_space(space))
    if metric is None and len(table.measured) > 1 and "accuracy" not in table.default_metric:
        raise UsageError(f"name the column of {source} to learn by --metric: it has {', '.join(table.measured)}")
    return read_labels(Task(space, source, metric))


def ranking_study(options: Namespace, folder: Path) -> RankingStudy:
    """The study that the options describe."""
    from graphnas.bo.ranking_study import RankingStudy
    from graphnas.bo.size_ranking import RankingSizes

    sizes = RankingSizes(options.num_labels, options.predictor_steps)
    return RankingStudy(folder, f"{options.space}_{options.most_nodes}", options.vae_steps, sizes)


def chosen(patterns: Sequence[str], kind: str) -> list[str]:
    """Models by pattern, in the order asked for; `NAME+places` keeps vertex indices.

    Raises:
        UnknownName: a name that fits nothing.
    """
    from graphnas.bo.size_ranking import learned_predictors
    from graphnas.bo.small_vaes import WITH_PLACES
    from graphnas.errors import UnknownName
    from graphnas.models import list_models

    known = list_models(kind="vae") if kind == "vae" else learned_predictors()
    found: list[str] = []
    for pattern in patterns:
        base = pattern.removesuffix(WITH_PLACES)
        names = [name for name in list_models(base) if name in known]
        if not names:
            raise UnknownName(kind, pattern, known)
        found += [name + pattern[len(base) :] for name in names]
    return list(dict.fromkeys(found))
