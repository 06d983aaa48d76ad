"""`graphnas evaluate extrapolation`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from graphnas.commands.parsing import CommandParser, UsageError, make_parser, parse, stderr, use_threads
from graphnas.errors import GraphnasError

DESCRIPTION = """Beyond what a model has seen, on NAS-Bench-101 cells or another space of many sizes. Its --parts:
  ranking   VAEs and predictors learn from cells of up to --most_nodes vertices only and rank the larger labelled ones,
            beside raw features
  generate  the decoders of these VAEs go on past that size under the masks of larger spaces
  pools     the published pools of cells with one vertex more than the space has: the best by --scorers are drawn, and
            trained on digits beside random ones and the best labelled
  layers    12-layer ENAS networks scored from 6-layer labels (--layer_labels) and VAEs (--layer_runs), the best trained
            on digits beside random ones
  transfer  predictors of NAS-Bench-201 (--source_labels) asked about NAS-Bench-101, operations mapped by meaning
Without --parts those run whose files are given. --out holds vaes/ (run folders), results/ (one JSON per row and seed),
pictures and extrapolation.md; what is finished is not done again, so the command can be interrupted and repeated, with
more encoders or seeds too.
Example: graphnas evaluate extrapolation --labels nb101_sample.csv.gz --metric val_acc_108 --out runs/extrapolation"""

PARTS = ("ranking", "generate", "pools", "layers", "transfer")
NEEDS = {"layers": "layer_labels", "transfer": "source_labels"}
QUICK = [
    "--seeds=1", "--num_labels=200", "--vae_steps=60", "--predictor_steps=60",
    "--encoders", "svge", "--predictors", "gates", "--scorers", "svge",
]  # fmt: skip
"""What `--quick` stands for; options that are given go over it."""
ENCODERS = ("arch2vec", "svge", "svae", "graphrnn", "dvae_fast")


def make_extrapolation_parser() -> CommandParser:
    """Options of the command."""
    parser = make_parser("evaluate extrapolation", DESCRIPTION)
    parser.add_argument("--parts", nargs="+", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--labels", type=str, help="table or file with labels of the space")
    parser.add_argument("--metric", type=str, help="column of the labels; the table's default if not given")
    parser.add_argument("--space", type=str, default="nb101", help="search space of the labels, one of many sizes")
    parser.add_argument("--most_nodes", type=int, default=6, help="vertices of the largest cells that are learned from")
    parser.add_argument("--encoders", nargs="*", default=list(ENCODERS), help="VAEs, or patterns of their names")
    parser.add_argument("--predictors", nargs="*", default=["gates", "gcn", "gin"], help="predictors, or patterns")
    parser.add_argument("--scorers", nargs="+", default=["blend", "gbdt", "svge"], help="of the pools")
    parser.add_argument("--layer_labels", type=str, help="file of labelled 6-layer ENAS networks")
    parser.add_argument("--layer_runs", nargs="*", default=[], help="VAEs of enas6: run folders, or shipped names")
    parser.add_argument("--source_labels", type=str, help="table or file of labelled NAS-Bench-201 cells")
    parser.add_argument("--source_metric", type=str, help="its column; the table's default if not given")
    parser.add_argument("--seeds", type=int, default=3, help="of every row: seeds 0, 1, ...")
    parser.add_argument("--num_labels", type=int, default=2000, help="labels of small cells to learn from")
    parser.add_argument("--vae_steps", type=int, default=2000, help="training steps of a VAE")
    parser.add_argument("--predictor_steps", type=int, default=3000, help="most training steps of a predictor")
    parser.add_argument("--threads", type=int, default=1, help="threads of the CPU to use")
    parser.add_argument("--quick", action="store_true", help="small sizes where not given: under two minutes")
    parser.add_argument("--report", action="store_true", help="write the report of what is finished, train nothing")
    parser.add_argument("--out", type=str, default="runs/extrapolation", help="folder of runs, results and report")
    return parser


def run(command: str, arguments: Sequence[str]) -> None:
    """Measure what is missing, write the report, print it."""
    options = read_options(arguments)
    use_threads(options.threads)
    from graphnas.bo.extrapolation_report import write_report
    from graphnas.bo.extrapolation_runs import RUNS

    folder, failures, done = Path(options.out), [], 0
    work: list[tuple[str, list[tuple[str, Callable[[], object]]]]] = [
        (part, RUNS[part](options, folder)) for part in ([] if options.report else options.parts)
    ]  # all of it before the first job, so that a wrong name is told at once
    for part, jobs in work:
        for title, job in jobs:
            stderr(f"{part}: {title}")
            try:
                job()
                done += 1
            except GraphnasError as error:
                failures.append(f"{part}: {title}: {error}")
                stderr(failures[-1])
    if failures and not done:  # what the folder holds was not asked for
        raise GraphnasError(f"all {len(failures)} results are missing, the first: {failures[0]}")
    path, text = write_report(folder, settings_of(options))
    print(text)
    stderr(str(path))
    if failures:
        raise GraphnasError(f"{len(failures)} results are missing, the first: {failures[0]}")


def settings_of(options: Namespace) -> dict[str, Any]:
    """What the report says of the command that has written it; of a mere `--report` nothing."""
    if options.report:
        return {}
    kept = {name: value for name, value in options.as_dict().items() if name not in ("out", "report", "threads")}
    return {
        name: Path(value).name if name in ("labels", "layer_labels", "source_labels") and value else value
        for name, value in kept.items()
    }


def read_options(arguments: Sequence[str]) -> Namespace:
    """Parsed options, smaller ones with `--quick`.

    Raises:
        UsageError: a part that does not exist or lacks its file, numbers below one.
    """
    options = parse(make_extrapolation_parser(), [*QUICK, *arguments] if "--quick" in arguments else arguments)
    options.parts = options.parts or [part for part in PARTS if part not in NEEDS or options[NEEDS[part]]]
    unknown = [part for part in options.parts if part not in PARTS]
    if unknown:
        raise UsageError(f"--parts must be of {', '.join(PARTS)} (got {unknown[0]!r})")
    for name in ("seeds", "num_labels", "vae_steps", "predictor_steps"):
        if options[name] < 1:
            raise UsageError(f"--{name} must be at least 1 (got {options[name]})")
    for part in [] if options.report else options.parts:
        needed = NEEDS.get(part)
        if needed and options[needed] is None:
            raise UsageError(f"the part {part} needs labels: pass --{needed} FILE")
        if part != "layers" and options.labels is None:
            raise UsageError(f"the part {part} needs labels of {options.space}: pass --labels FILE --metric NAME")
    return options
