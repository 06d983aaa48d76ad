"""`graphnas leaderboard vae`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from jsonargparse import Namespace

from graphnas.bo.board_report import markdown, summarise, write_report
from graphnas.bo.vae_board import BoardSizes, Labels, entry_name, raw_rows, read_results, run_entry
from graphnas.commands.board_options import LABELS_HELP, assignment, choose_models, read_counts, read_sources, run_jobs
from graphnas.commands.parsing import CommandParser, UsageError, make_parser, parse, shipped_recipes, stderr
from graphnas.commands.train_cli import read_options, to_config
from graphnas.errors import GraphnasError
from graphnas.spaces import get_space
from graphnas.train.config import VAEConfig, check_range
from graphnas.train.evaluate import EvaluationConfig

DESCRIPTION = """Train VAEs of the zoo on search spaces from several seeds and compare them: reconstruction, validity,
uniqueness, novelty, and how well two Gaussian processes predict labels from their codes, beside the same from raw
features. The legacy GP is that of published tables, stopped long before it has converged; the converged GP says how
much of the labels the codes hold; docs/metrics.md explains every column. Each model trains by its recipe MODEL_SPACE,
where there is none as on NAS-Bench-201.
--out holds runs/, results/ (one JSON per entry), leaderboard.md, leaderboard.csv and a plot per space; what is finished
is not done again, so the command can be interrupted and repeated, with more models, spaces or seeds too.

Example: graphnas leaderboard vae --models svge dvae --spaces nb201 --seeds 3 --jobs 2 --out runs/leaderboard"""

QUICK_STEPS = 60
USUAL = "nb201"
"""Whose recipes train models on spaces that have none."""
QUICK_SIZES = BoardSizes(
    EvaluationConfig(num_graphs=100, encodings=2, decodings=5, prior_points=50, prior_codes=500),
    gp_seeds=1, legacy_epochs=2, fit_points=60, gp_points=300, max_labels=500,
)  # fmt: skip


def make_board_parser(command: str) -> CommandParser:
    """Options of the command."""
    parser = make_parser(command, DESCRIPTION)
    parser.add_argument("--models", nargs="+", default=["*"], help="names or patterns")
    parser.add_argument("--spaces", nargs="+", default=["nb201"], help="search spaces")
    parser.add_argument("--seeds", type=int, default=3, help="trainings per model and space, seeds 0, 1, ...")
    parser.add_argument("--labels", nargs="*", default=[], help=LABELS_HELP)
    parser.add_argument("--num_graphs", nargs="*", default=[], help="SPACE=COUNT, a subset to train and test on")
    parser.add_argument("--variant", default="", help="train by the recipes MODEL_SPACE_VARIANT, on their device")
    parser.add_argument(
        "--max_steps", nargs="*", default=[], help="SPACE=COUNT, training steps instead of the recipes'"
    )
    parser.add_argument(
        "--max_labels", nargs="*", default=[], help="SPACE=COUNT, labelled training codes (5,000 if not given)"
    )
    parser.add_argument("--jobs", type=int, default=1, help="entries at the same time, one thread each")
    parser.add_argument("--quick", action="store_true", help="60 steps, small sizes: minutes for the whole zoo")
    parser.add_argument("--report", action="store_true", help="write the report of what is finished, train nothing")
    parser.add_argument("--out", type=str, default="runs/leaderboard", help="folder of runs, results and report")
    return parser


def run(command: str, arguments: Sequence[str]) -> None:
    """Train and measure what is missing, write the report, print it."""
    options = parse(make_board_parser(command), arguments)
    check_range(options, 1, "seeds", "jobs")
    check_spaces(options)
    folder, configs = Path(options.out), [] if options.report else plan(options)
    labels = {space: Labels(*source) for space, source in read_sources(options.labels).items()}
    failures = [] if options.report else measure(options, configs, labels, folder)
    entries, raw = read_results(folder)
    if not entries:
        raise GraphnasError(failures[0] if failures else f"{folder} has no finished entry to report")
    paths = write_report(folder, entries, raw)
    print(markdown(summarise(entries), raw))
    print("\n".join(map(str, paths)))
    if failures:
        raise GraphnasError(f"{len(failures)} of {len(configs)} entries failed, the first: {failures[0]}")


def measure(options: Namespace, configs: Sequence[VAEConfig], labels: Mapping[str, Labels], folder: Path) -> list[str]:
    """Raw features of every space, then all entries; one line per failure."""
    sizes = read_sizes(options)
    for space in dict.fromkeys(config.data.space for config in configs):
        first = next(config for config in configs if config.data.space == space)
        raw_rows(first, folder, labels.get(space, Labels()), sizes[space])
    spaces = [config.data.space for config in configs]
    jobs = [
        (entry_name(config), run_entry, (config, folder, labels.get(space, Labels()), sizes[space]))
        for config, space in zip(configs, spaces, strict=True)
    ]
    return run_jobs(jobs, options.jobs)


def plan(options: Namespace) -> list[VAEConfig]:
    """The trainings asked for, seeds outermost so that every model has a first seed early."""
    names = choose_models(options.models, "vae", "VAE")
    counts, steps = read_counts(options.num_graphs), read_counts(options.max_steps)
    spaces, found = [get_space(space) for space in options.spaces], []
    for space in spaces:
        other = [name for name in names if lacks_recipe(name, space.name, options.variant)]
        if other:
            stderr(f"no recipe for {space.name}, trained as on {USUAL}: {', '.join(other)}")
    for seed in range(options.seeds):
        for space in spaces:
            for name in names:
                config = recipe_of(name, space.name, options.variant)
                max_steps = steps.get(space.name, QUICK_STEPS if options.quick else config.fit.max_steps)
                device = config.fit.device if options.variant else "cpu"
                fit = replace(config.fit, seed=seed, device=device, max_steps=max_steps)
                if options.quick:
                    fit = replace(fit, validate_every=max(1, max_steps // 2), warmup_steps=5)
                count = counts.get(space.name, 2000 if options.quick else config.data.num_graphs)
                found.append(replace(config, fit=fit, data=replace(config.data, num_graphs=count)))
    return found


def recipe_of(model: str, space: str, variant: str) -> VAEConfig:
    """The recipe of a model for a space, or that for :data:`USUAL` where the space has none.

    Raises:
        UnknownName: no such variant.
    """
    recipe = "_".join(filter(None, (model, space, variant)))
    if not lacks_recipe(model, space, variant):
        return to_config(read_options([f"--recipe={recipe}"]))
    config = to_config(read_options([f"--recipe={model}_{USUAL}"]))
    return replace(config, data=replace(config.data, space=space))


def lacks_recipe(model: str, space: str, variant: str) -> bool:
    """Whether a model is trained on a space by its recipe for another one."""
    known = shipped_recipes("train")
    return not variant and f"{model}_{space}" not in known and f"{model}_{USUAL}" in known


def check_spaces(options: Namespace) -> None:
    """Settings of a space that does not take part are a slip of the pen.

    Raises:
        UsageError: naming the option.
    """
    known = {get_space(space).name for space in options.spaces}
    for name in ("labels", "num_graphs", "max_steps", "max_labels"):
        for space, _ in map(assignment, options[name]):
            if get_space(space).name not in known:
                raise UsageError(f"--{name} is about {space}, which is not among --spaces {' '.join(options.spaces)}")


def read_sizes(options: Namespace) -> dict[str, BoardSizes]:
    """How much is measured on every space."""
    sizes = QUICK_SIZES if options.quick else BoardSizes()
    counts = read_counts(options.max_labels)
    names = [get_space(space).name for space in options.spaces]
    return {name: replace(sizes, max_labels=counts.get(name, sizes.max_labels)) for name in names}
