"""`graphnas leaderboard predictor`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from graphnas.checkpoint import make_folder
from graphnas.commands.board_options import LABELS_HELP, choose_models, read_sources, run_jobs
from graphnas.commands.parsing import UsageError, make_parser, parse
from graphnas.errors import GraphnasError
from graphnas.spaces import get_space
from graphnas.tables import default_table, load_table
from graphnas.train.config import check_range
from graphnas.train.noise_ceiling import noise_ceiling
from graphnas.train.predictor import MIN_LABELS, learns_at_once
from graphnas.train.predictor_board import Entry, keep_ceilings, read_predictor_results, run_predictor_entry
from graphnas.train.predictor_evaluation import Task, part_rows, read_labels
from graphnas.train.predictor_report import markdown, write_predictor_report

DESCRIPTION = """Fit predictors of the zoo on few labels, judge them on many, over seeds: Kendall's tau-b by number of
labels beside the raw-feature rows and what label noise alone leaves of it. Every model trains by its recipe. --out
holds results/ (one JSON per fit), predictors.md, predictors.csv and a learning curve per task; what is finished is not
done again, so the command can be interrupted and repeated, with more models, sizes or seeds too. docs/metrics.md says
what each column means, such as share of top 1 % (how many of the best are among as many best predicted).

Example: graphnas leaderboard predictor --spaces nb201 --labels nb201=nb201_accuracies.csv:cifar10_test_200 \\
             --sizes 40 78 390 781 --test_size 7812 --seeds 5 --jobs 2 --out runs/predictors"""

QUICK: dict[str, Any] = {"epochs": 2, "members": 1}
QUICK_SIZES = [20]
SIZES = [40, 78, 390]
SIZES_HELP = f"numbers of labels to learn from (default {' '.join(map(str, SIZES))})"
MODELS_HELP = "names or patterns of predictors; names of VAEs, which are then encoders with a head"
PARTING = (
    "classes: no function of the test part is learned from; rows: plain permutation, as released predictors were judged"
)


def run(command: str, arguments: Sequence[str]) -> None:
    """Fit and judge what is missing, write the report, print it."""
    parser = make_parser(command, DESCRIPTION)
    parser.add_argument("--models", nargs="+", default=["*"], help=MODELS_HELP)
    parser.add_argument("--spaces", nargs="+", default=["nb201"], help="search spaces")
    parser.add_argument("--labels", nargs="*", default=[], help=LABELS_HELP)
    parser.add_argument("--sizes", nargs="+", type=int, help=SIZES_HELP)
    parser.add_argument("--test_size", type=int, help="architectures to judge on (default half of the labelled ones)")
    parser.add_argument("--parting", choices=["classes", "rows"], default="classes", help=PARTING)
    parser.add_argument("--seeds", type=int, default=5, help="fits per model, task and size, seeds 0, 1, ...")
    parser.add_argument("--jobs", type=int, default=1, help="fits at the same time, one thread each")
    parser.add_argument("--quick", action="store_true", help="2 epochs of a network, on 20 labels without --sizes")
    parser.add_argument("--report", action="store_true", help="write the report of what is finished, fit nothing")
    parser.add_argument("--out", type=str, default="runs/predictors", help="folder of results and report")
    options = parse(parser, arguments)
    check_range(options, 1, "seeds", "jobs")
    options.sizes = options.sizes or (QUICK_SIZES if options.quick else SIZES)
    if (wrong := next((size for size in options.sizes if size < MIN_LABELS), None)) is not None:
        raise GraphnasError(f"sizes must be at least {MIN_LABELS} (got {wrong})")
    if options.test_size is not None:
        check_range(options, 2, "test_size")
    folder, tasks, failures = Path(options.out), read_tasks(options), []
    if not options.report:
        failures = fit_all(options, tasks, folder)
    results = read_predictor_results(folder)
    if not results:
        raise GraphnasError(failures[0] if failures else f"{folder} has no finished fit to report")
    ceilings = keep_ceilings(folder, read_ceilings(tasks))
    paths = write_predictor_report(folder, results, ceilings)
    print(markdown(results, ceilings))
    print("\n".join(map(str, paths)))
    if failures:
        raise GraphnasError(f"{len(failures)} fits failed, the first: {failures[0]}")


def read_tasks(options: Namespace) -> list[Task]:
    """One task per space."""
    sources = read_sources(options.labels)
    names = dict.fromkeys(get_space(space).name for space in options.spaces)
    unused = next((name for name in sources if name not in names), None)
    if unused is not None:
        raise UsageError(f"--labels names {unused}, which is not among --spaces {' '.join(names)}: add it there")
    return [Task(name, *sources.get(name, (None, None)), options.test_size, options.parting) for name in names]


def fit_all(options: Namespace, tasks: Sequence[Task], folder: Path) -> list[str]:
    """Fit what is not finished, small sizes and first seeds first; one line per failure."""
    names = choose_models(options.models, "predictor", "predictor", also="vae")
    labels = {task.name: read_labels(task) for task in tasks}
    for task in tasks:
        part_rows(labels[task.name], task, max(options.sizes), 0)  # sizes that no seed can have are told once
    make_folder(folder / "results")
    entries = [
        Entry(name, task, size, seed)
        for seed in range(options.seeds)
        for size in sorted(set(options.sizes))
        for task in tasks
        for name in names
    ]
    quick = {name: QUICK if options.quick and not learns_at_once(name) else {} for name in names}
    jobs = [
        (entry.name, run_predictor_entry, (entry, labels[entry.task.name], folder, quick[entry.model]))
        for entry in entries
    ]
    return run_jobs(jobs, options.jobs)


def read_ceilings(tasks: Sequence[Task]) -> dict[str, float]:
    """What label noise leaves of a perfect ranking, for the tasks whose labels tell."""
    found = {}
    for task in tasks:
        space = get_space(task.space)
        source = task.source or default_table(space)
        table = load_table(source, space=space) if source else None
        ceiling = noise_ceiling(table, task.metric or table.default_metric) if table else None
        if ceiling is not None:
            found[task.name] = ceiling
    return found
