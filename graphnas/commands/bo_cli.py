"""`graphnas bo`."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

from jsonargparse import Namespace

from graphnas.bo.beyond_config import BeyondConfig
from graphnas.bo.comparison import run_all, run_one
from graphnas.bo.comparison_report import SETTINGS_FENCE, write_report
from graphnas.bo.config import WITHOUT_COST, OracleConfig, SearchConfig
from graphnas.bo.methods import METHODS, WITH_SURROGATE, check_names
from graphnas.bo.search import Evaluation, History, read_journal
from graphnas.bo.search_folder import as_history, claim, read_histories, with_metric
from graphnas.bo.search_report import front_rows, report_folder, top_rows, write_search_report
from graphnas.bo.setting import Setting
from graphnas.commands.bo_beyond import search_beyond, to_beyond
from graphnas.commands.parsing import (
    CommandParser,
    UsageError,
    make_parser,
    parse,
    print_table,
    recipe_path,
    stderr,
    use_threads,
)
from graphnas.errors import GraphnasError, UnknownName
from graphnas.models import GraphVAE, create_model, list_models
from graphnas.models.zoo import load_model
from graphnas.spaces import get_space
from graphnas.state_dicts import is_place, is_shipped, list_pretrained, resolve
from graphnas.train.result_files import read_result

DESCRIPTION = """Search for the best architecture of a space in a number of evaluations, by Bayesian optimisation in the
latent space of a trained VAE or by another method. Every evaluation is written to --out/journals as soon as it is
known: the same command goes on where it was interrupted, one with more --queries goes on behind the end, and nothing is
paid for twice. An evaluation that fails counts as one and is written down with its reason.

--compare runs several methods from several seeds under the same budget instead, and writes comparison.md, curves.csv
and curves.png. With --cost the result is a Pareto front of value and cost. What the figures mean: docs/metrics.md.

--beyond goes on in a larger space under the same budget: the decoder grows architectures beyond its trained size from
the codes of the best, and the surrogate chooses among them. Real training, and labels or a predictor of the larger
space, judge both spaces; where the oracle knows the trained space only, the candidates are ranked and drawn.

Examples: graphnas bo --space nb201 --model runs/svge --queries 100
          graphnas bo --space nb201 --model runs/svge --labels mine.csv --metric accuracy --compare --seeds 10
          graphnas bo --recipe nb201_published --labels nb201.csv --model runs/svge
          graphnas bo --space nb101 --model svge --oracle.kind train --queries 60 --beyond nb101_8"""

COMPARED = ("latent", "latent_random", "raw_gp", "evolution", "local", "random")
QUICK = ["--queries=20", "--initial=5", "--batch_size=5", "--pool_size=500", "--start=0", "--seeds=2"]
SHORT = ("labels", "metric", "test_metric")
SHOWN = 5


def make_bo_parser() -> CommandParser:
    """Options of the command: all fields of the config, and how to run it."""
    parser = make_parser("bo", DESCRIPTION)
    parser.add_argument("--config", action="config", help="YAML file with any of the options below")
    parser.add_argument("--recipe", type=str, help="name of a shipped recipe, or a YAML file; other options go over it")
    for name in SHORT:
        parser.add_argument(f"--{name}", type=str, help=f"short for --oracle.{name}")
    parser.add_argument("--compare", action="store_true", help="run --methods from --seeds seeds and compare them")
    parser.add_argument("--methods", nargs="+", default=list(COMPARED), help="what --compare compares")
    parser.add_argument("--seeds", type=int, default=10, help="seeds 0, 1, ... of --compare")
    parser.add_argument("--jobs", type=int, default=1, help="processes of --compare, one thread each")
    parser.add_argument("--threads", type=int, default=1, help="threads of the CPU to use without --compare")
    parser.add_argument("--quick", action="store_true", help="20 evaluations from a pool of 500; 2 seeds to compare")
    text = "end at the first evaluation that fails; the same command then goes on behind it"
    parser.add_argument("--stop_on_error", action="store_true", help=text)
    parser.add_argument("--out", type=str, help="folder (default runs/bo-METHOD-SPACE, runs/bo-compare-SPACE)")
    parser.add_class_arguments(SearchConfig)
    parser.add_class_arguments(BeyondConfig)
    return parser


def read_options(arguments: Sequence[str]) -> Namespace:
    """Parsed options; underneath them what `--quick` stands for, and under that a recipe."""
    words = [*QUICK, *arguments] if "--quick" in arguments else list(arguments)
    for place, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name == "--recipe":
            value = value if equals else "".join(words[place + 1 : place + 2])
            words = ["--config", str(recipe_path(value, "bo")), *words]
            break
    return parse(make_bo_parser(), words)


ONLY_COMPARED = ("methods", "seeds", "jobs")
NOT_COMPARED = {"method": "--methods says which", "seed": "--seeds N are the seeds 0, 1, ..."}


def given_options(arguments: Sequence[str]) -> set[str]:
    """Names of the options that were typed."""
    return {word.partition("=")[0].removeprefix("--") for word in arguments if word.startswith("--")}


def check_options(options: Namespace, arguments: Sequence[str]) -> None:
    """Refuse options that would not be read.

    Raises:
        UsageError: naming the first.
    """
    given = given_options(arguments)
    for name in SHORT:
        if {name, f"oracle.{name}"} <= given:
            raise UsageError(f"--{name} is short for --oracle.{name}: give one of them")
    for name in ONLY_COMPARED:
        if name in given and not options.compare:
            raise UsageError(f"--{name} has no meaning without --compare")
    for name, instead in NOT_COMPARED.items():
        if name in given and options.compare:
            raise UsageError(f"--{name} has no meaning with --compare, where {instead}")


def check_method(options: Namespace, arguments: Sequence[str]) -> None:
    """Refuse settings of a surrogate for one search that has none.

    Raises:
        UsageError: naming the first.
    """
    if options.compare or options.method in WITH_SURROGATE:
        return
    for name in WITHOUT_COST:
        if name in given_options(arguments):
            raise UsageError(f"--{name} has no meaning for --method {options.method}, which has no surrogate")


def to_config(options: Namespace) -> SearchConfig:
    """The search from parsed options."""
    content = options.as_dict()
    names = [field.name for field in fields(SearchConfig)]
    oracle = content["oracle"] | {name: content[name] for name in SHORT if content[name] is not None}
    return SearchConfig(**{name: content[name] for name in names} | {"oracle": OracleConfig(**oracle)})


def run(command: str, arguments: Sequence[str]) -> None:
    """Search or compare, print the result."""
    options = read_options(arguments)
    check_options(options, arguments)
    config, beyond = to_config(options), to_beyond(options)
    for name in ("seeds", "jobs"):
        if options[name] < 1:
            raise UsageError(f"--{name} must be at least 1 (got {options[name]})")
    methods = options.methods if options.compare else [config.method]
    for method in methods:
        METHODS[method]  # an unknown one is told before anything is loaded
    check_names(config)
    check_method(options, arguments)
    model = open_model(config)
    if options.compare:
        compare(config, model, options)
        return
    use_threads(options.threads)
    folder = Path(options.out or f"runs/bo-{config.method}-{config.space}")
    if beyond.beyond is None or model is None:
        search(config, model, folder, options.stop_on_error)
    else:
        report = tell_improvements(config.oracle.sign)
        search_beyond(config, beyond, model, folder, report, options.stop_on_error, SHOWN)


def open_model(config: SearchConfig) -> GraphVAE | None:
    """The VAE that the config names, if it does.

    Raises:
        UsageError: a model of another kind.
        UnknownName: no such VAE, file or weights.
        GraphnasError: missing, damaged, or of another space.
    """
    if config.model is None:
        return None
    space, name = get_space(config.space), config.model
    is_file = is_shipped(name) or is_place(name)
    if not is_file and name not in (known := list_models(kind="vae")):
        shipped = [card["name"] for card in list_pretrained() if card["space"] == space.name]
        raise UnknownName("model", name, [*known, *shipped])
    model = load_model(resolve(name)) if is_file else create_model(name, space, pretrained=True)
    if not isinstance(model, GraphVAE):
        raise UsageError(f"--model {config.model} is no graph VAE, and has no latent space to search in")
    return model


def search(config: SearchConfig, model: GraphVAE | None, folder: Path, stop_on_error: bool) -> None:
    """One search."""
    claim(config, folder, write=False)
    past = read_journal(folder / "journals" / f"{config.method}-{config.seed}.jsonl")
    setting, report = Setting(config, model), tell_improvements(config.oracle.sign, past)
    result = read_result(run_one(setting, config.method, config.seed, folder, report, stop_on_error))
    history = as_history(result)
    paths = write_search_report(setting, history, report_folder(config, folder))
    print_table(top_rows(setting, history, SHOWN) if config.cost is None else front_rows(setting, history))
    print(summary(config, history, result["values"]["snapped"]))
    stderr(f"searched for {setting.goal}")
    stderr("\n".join(map(str, paths)))
    if all(evaluation.error for evaluation in history.evaluations):
        raise GraphnasError(f"no evaluation has succeeded, the first failed because of: {history.evaluations[0].error}")


def tell_improvements(sign: float, past: Sequence[Evaluation] = ()) -> Callable[[Evaluation], None]:
    """A reporter that says on stderr what is better than all before, in the unit of the metric, and what failed.

    Args:
        sign: of the metric.
        past: evaluations of an interrupted search.
    """
    best, failed = max((one.value for one in past if not one.error), default=-math.inf), 0

    def report(evaluation: Evaluation) -> None:
        nonlocal best, failed
        if evaluation.error:
            failed += 1
            if failed > 1:  # the search itself warns of the first
                stderr(f"{evaluation.arch} failed: {evaluation.error}")
        elif evaluation.value > best:
            best = evaluation.value
            stderr(f"{sign * evaluation.value:.5g}  {evaluation.found}")

    return report


def summary(config: SearchConfig, history: History, snapped: int) -> str:
    """One line on what was spent."""
    spent, parts = len(history.evaluations), [failures_text([history])]
    if snapped:
        parts.append(f"{snapped} answered with the nearest labelled architecture")
    if config.method in WITH_SURROGATE and config.start + spent <= config.initial:
        parts.append(f"all of them random, before the first choice of {config.method} (--initial {config.initial})")
    if history.seconds:
        parts.append(f"{history.seconds:,.0f} s of training")
    if spent < config.queries and history.seconds < (config.max_seconds or math.inf):
        parts.append("nothing else was left to evaluate")
    return "; ".join(parts)


def failures_text(histories: Sequence[History]) -> str:
    """How many evaluations there were, how many failed, and why the first did."""
    paid = [evaluation for history in histories for evaluation in history.evaluations]
    reasons = [evaluation.error for evaluation in paid if evaluation.error]
    why = f", the first because of: {' '.join(reasons[0].split())}" if reasons else ""
    return f"{len(paid)} evaluations, {len(reasons)} of them failed{why}"


def compare(config: SearchConfig, model: GraphVAE | None, options: Namespace) -> None:
    """All methods from all seeds."""
    from joblib import Parallel, delayed

    folder, seeds = Path(options.out or f"runs/bo-compare-{config.space}"), range(options.seeds)
    claim(config, folder, write=False)
    methods = [name for name in options.methods if model is not None or not name.startswith("latent")]
    left_out = [name for name in options.methods if name not in methods]
    if left_out and options.methods != list(COMPARED):
        raise UsageError(f"there is no latent space for {', '.join(left_out)} without a model: pass --model RUN")
    if left_out:
        stderr(f"without --model there is no latent space: {', '.join(left_out)} left out")
    shares = [share for start in range(options.jobs) if (share := seeds[start :: options.jobs])]
    parent = os.getpid() if len(shares) > 1 else None
    done = Parallel(n_jobs=len(shares))(
        delayed(run_all)(config, model, methods, share, folder, options.stop_on_error, parent) for share in shares
    )
    failures = [failure for part in done for failure in part]
    histories = read_histories(folder, config)
    shorter = sum(map(len, read_histories(folder).values())) - sum(map(len, histories.values()))
    if shorter:
        stderr(f"{shorter} searches of a smaller budget in {folder} are left out of the comparison")
    if not histories:
        raise GraphnasError(failures[0] if failures else f"{folder} has no finished search")
    paths = write_report(histories, with_metric(config, folder), folder)
    print((folder / "comparison.md").read_text().partition(SETTINGS_FENCE)[0])
    stderr(failures_text([history for runs in histories.values() for history in runs.values()]))
    stderr("\n".join(map(str, paths)))
    if failures:
        raise GraphnasError(f"{len(failures)} searches failed, the first: {failures[0]}")
