"""`graphnas train predictor` and `graphnas evaluate predictor`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from jsonargparse import Namespace

from graphnas.commands.parsing import (
    CommandParser,
    UsageError,
    make_parser,
    parse,
    print_values,
    stderr,
    use_threads,
    write_json,
)
from graphnas.device import check_device
from graphnas.errors import GraphnasError, MissingData
from graphnas.plot import scatter
from graphnas.spaces import SearchSpace, get_space
from graphnas.tables import default_table, list_tables, load_table
from graphnas.train.predictor import MIN_LABELS, check_labels, check_seed, fit_predictor, learns_at_once
from graphnas.train.predictor_config import PredictorSettings, read_settings
from graphnas.train.predictor_evaluation import Labels, Task, csv_options, evaluate_predictor, part_rows, read_labels
from graphnas.train.predictor_files import CONTENTS, load_predictor, read_contents, save_predictor

TRAIN = """Fit a performance predictor on labelled architectures: a CSV with a column `arch` (or `architecture`, `cell`,
`arch_str`) in the text form of the space and a column of numbers (higher is better), or any table graphnas knows. A
share of them is kept aside first, to tell how good such a predictor is; the saved one then learns from all of them.
The settings shown below are those of the model's recipe for the space: `--model gates --help` shows those of gates.
It prints how well the held-out part is ranked (kendall, top_1, ...) and how honest the uncertainty is (z_square,
coverage); docs/metrics.md says what each figure means.
Example: graphnas train predictor --labels my.csv --space nb201 --out runs/my_predictor"""

EVALUATE = """Judge a fitted predictor on labelled architectures; those that compute the same function as one it learned
from are left out. Writes RUN/evaluation.json and RUN/predicted.png. docs/metrics.md says what each figure means, such
as kendall_top (tau-b among the better half) or z_square (1 where the uncertainty is right).
Example: graphnas evaluate predictor runs/my_predictor --labels nb201_accuracies.csv --metric cifar10_test_200"""

REPEATS = "rows of the same architecture in the CSV are repeated trainings, learned from by their mean"
QUICK_EPOCHS = 3
FEW = 50
"""Held-out labels below which their figures say little."""


def make_train_parser() -> CommandParser:
    """Options of `train predictor`; the settings' defaults are those of the model's recipe."""
    parser = make_parser("train predictor", TRAIN)
    parser.add_argument("--labels", type=str, help="CSV file or table; the built-in one of the space if not given")
    parser.add_argument("--space", type=str, default="nb201", help="search space")
    parser.add_argument("--metric", type=str, help="column of the labels; the table's default if not given")
    parser.add_argument("--repeats", choices=["runs"], help=REPEATS)
    parser.add_argument("--model", type=str, default="blend", help="see `graphnas models list --kind predictor`")
    parser.add_argument("--variant", type=str, default="", help="another recipe: `published` of nar and svge")
    parser.add_argument("--num_labels", type=int, help="learn from this many random labels instead of all")
    parser.add_argument("--held_out", type=float, default=0.2, help="share kept aside to judge; 0 judges nothing")
    parser.add_argument("--seed", type=int, default=0, help="of parts, weights and order")
    parser.add_argument("--device", type=str, default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--threads", type=int, help="threads of the CPU to use (default all)")
    parser.add_argument("--quick", action="store_true", help=f"a run of seconds: {QUICK_EPOCHS} epochs")
    parser.add_argument("--out", type=str, help="folder (default runs/predictor-MODEL-SPACE-SEED)")
    parser.add_class_arguments(PredictorSettings)
    return parser


def read_train_options(arguments: Sequence[str]) -> Namespace:
    """Parsed options over the recipe of model and space, which is what `--help` shows too."""
    parser = make_train_parser()
    usual = parser.get_defaults()
    model, space, variant = (given(arguments, name) or usual[name] for name in ("model", "space", "variant"))
    recipe = asdict(read_settings(model, get_space(space).name, variant))
    if "--quick" in arguments and not learns_at_once(model):
        recipe |= {"epochs": QUICK_EPOCHS, "members": 1}
    parser.set_defaults(recipe)
    options = parse(parser, arguments)
    for name, usual in recipe.items():
        if name != "model_args" and options[name] != usual and learns_at_once(model):
            raise UsageError(f"{model} is no network and does not train: --{name} has no meaning, leave it out")
    return options


def given(arguments: Sequence[str], name: str) -> str | None:
    """What an option was given as, before anything is parsed: `--NAME VALUE` or `--NAME=VALUE`, the last of several."""
    found = None
    for place, word in enumerate(arguments):
        if word == f"--{name}":
            found = next(iter(arguments[place + 1 :]), None)
        elif word.startswith(f"--{name}="):
            found = word.partition("=")[2]
    return found


def train(arguments: Sequence[str]) -> None:
    """Fit, judge on what was kept aside, fit on everything, save."""
    options = read_train_options(arguments)
    use_threads(options.threads)
    if not 0 <= options.held_out < 1:
        raise UsageError(f"--held_out must be at least 0 and below 1 (got {options.held_out})")
    check_seed(options.seed)
    check_device(options.device)
    labels = read_labels(Task(options.space, options.labels, options.metric), options.repeats)
    space, archs, y, metric = labels
    out = Path(options.out or f"runs/predictor-{options.model}-{space.name}-{options.seed}")
    if (out / CONTENTS).exists():
        raise GraphnasError(f"{out} holds a predictor already: choose another --out")
    check_place(out)
    if options.num_labels is not None:
        if not 1 <= options.num_labels <= len(y):
            raise UsageError(f"--num_labels must lie between 1 and {len(y)} (got {options.num_labels})")
        rows = torch.randperm(len(y), generator=torch.Generator().manual_seed(options.seed))[: options.num_labels]
        archs, y = archs[rows], y[rows]
        labels = labels._replace(archs=archs, y=y)
    settings = {field.name: options[field.name] for field in fields(PredictorSettings)}
    check_labels(archs, y)
    values, judged_on = judge_held_out(options, labels, settings) if options.held_out > 0 else ({}, 0)
    stderr(f"fitting on all {len(y)} labels ({metric})")
    fitted = fit_predictor(options.model, archs, y, space, options.seed, options.device, progress=True, **settings)
    origin = {"metric": metric, "labels": options.labels, "repeats": options.repeats}
    save_predictor(fitted, out, origin | {"judged_on": judged_on, "held_out": values})
    stderr(f"predictor: {out}")
    if settings["members"] > 1 and not settings["validation"]:
        stderr("uncertainty is the disagreement of networks that saw all labels, too small as a rule: --validation 0.2")
    if values:
        if judged_on < FEW:
            stderr(f"judged on {judged_on} labels only: these figures are rough, and change with --seed")
        print_values({"judged_on": judged_on, **values})


def judge_held_out(options: Namespace, labels: Labels, settings: dict[str, Any]) -> tuple[dict[str, float], int]:
    """The figures of a predictor that learned without the labels kept aside, and how many these are.

    Raises:
        UsageError: too few labels are left to learn from.
    """
    space, archs, y, metric = labels
    test_size = max(2, round(options.held_out * len(y)))
    test = part_rows(labels, Task(options.space, options.labels, options.metric, test_size), 0, options.seed).test
    learn = torch.ones(len(y), dtype=torch.bool)
    learn[test] = False
    if int(learn.sum()) < MIN_LABELS <= len(y):
        raise UsageError(
            f"{len(y)} labels leave {int(learn.sum())} to learn from beside {len(test)} to judge on, "
            f"expected at least {MIN_LABELS}: add labels, or --held_out 0"
        )
    stderr(f"fitting on {int(learn.sum())} of {len(y)} labels ({metric}) to judge on the others")
    judged = fit_predictor(
        options.model, archs[learn], y[learn], space, options.seed, options.device, progress=True, **settings
    )
    return evaluate_predictor(judged, archs[test], y[test]), len(test)


def evaluate(arguments: Sequence[str]) -> None:
    """Judge a saved predictor on labels it has not seen."""
    parser = make_parser("evaluate predictor", EVALUATE)
    parser.add_argument("folder", metavar="RUN", help="folder of `graphnas train predictor`")
    parser.add_argument("--labels", type=str, help="CSV file or table; what it learned from if not given")
    parser.add_argument("--metric", type=str, help="column of the labels; what it learned if not given and there")
    parser.add_argument("--repeats", choices=["runs"], help=REPEATS.partition(",")[0])
    parser.add_argument("--threads", type=int, help="threads of the CPU to use (default all)")
    options = parse(parser, arguments)
    use_threads(options.threads)
    folder = Path(options.folder)
    fitted, content = load_predictor(folder), read_contents(folder)
    source = options.labels or content.get("labels")
    if options.labels is None and source is not None and source not in list_tables() and not Path(source).exists():
        raise MissingData(f"{folder} learned from {source}, which is not here: pass --labels FILE")
    same = options.labels in (None, content.get("labels"))
    repeats = options.repeats or (content.get("repeats") if same else None)
    metric = options.metric or learned_metric(content, fitted.space, source, repeats)
    labels = read_labels(Task(fitted.space.name, source, metric), repeats)
    known = set(fitted.space.class_ids(fitted.archs).tolist())
    unseen = torch.tensor([one not in known for one in fitted.space.class_ids(labels.archs).tolist()])
    if int(unseen.sum()) < 2:
        raise GraphnasError(
            f"{source or 'the table'} has {int(unseen.sum())} labels beside those the predictor learned from, "
            "expected at least 2"
        )
    archs, y = labels.archs[unseen], labels.y[unseen]
    if len(y) < len(unseen):
        stderr(f"{len(unseen) - len(y)} of {len(unseen)} labels are of what it has learned from, and left out")
    if bool((y == y[0]).all()):
        raise GraphnasError(f"{source or 'the table'} ranks nothing: all {len(y)} labels are {float(y[0])}")
    values = evaluate_predictor(fitted, archs, y)
    print_values({"architectures": len(y), **values})
    write_json(
        folder / "evaluation.json", {"labels": source, "metric": labels.metric, "count": len(y), "values": values}
    )
    stderr(str(scatter(y, fitted.predict(archs), folder / "predicted.png", "measured", "predicted", diagonal=True)))


def learned_metric(content: dict[str, Any], space: SearchSpace, source: str | None, repeats: str | None) -> str | None:
    """The metric that was learned where the labels have it, else None for what they have."""
    learned, place = content.get("metric"), source or default_table(space)
    if place is None:
        return None
    return learned if learned in load_table(place, space=space, **csv_options(place, repeats)).metrics else None


def check_place(folder: Path) -> None:
    """Find out before a long fit whether a folder can be made.

    Raises:
        GraphnasError: a file is in the way, or the folder above it does not let us.
    """
    above = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise GraphnasError(f"cannot write to {folder}: {above} is no folder that can be written to")


def run(command: str, arguments: Sequence[str]) -> None:
    """The command of that name."""
    {"train predictor": train, "evaluate predictor": evaluate}[command](arguments)
