"""`graphnas models build`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from graphnas import state_dicts
from graphnas.bo.zoo_build import Entry, is_released, release_vae
from graphnas.bo.zoo_plots import draw_missing
from graphnas.bo.zoo_pretrain import PretrainConfig, release_predictor
from graphnas.commands.board_options import Job, run_jobs
from graphnas.commands.parsing import UsageError, make_parser, parse, print_table
from graphnas.commands.train_cli import read_options, to_config
from graphnas.commands.zoo_text import pretrained_rows, write_cards
from graphnas.errors import CorruptFile, GraphnasError, MissingData
from graphnas.models import model_info
from graphnas.run_folder import plain
from graphnas.spaces import get_space
from graphnas.tables import load_table
from graphnas.train.config import DataConfig, VAEConfig
from graphnas.train.data import DEFAULT_SAMPLE
from graphnas.train.predictor_config import read_settings

DESCRIPTION = """Make the shipped weights again from their list: train by recipe, measure on the test part, store in
half precision where no metric changes by it, write weights, cards and the table of --out. What is finished is not done
again, nor a run folder RUNS/NAME_SEED trained again, so the command can be interrupted and repeated.

Example: graphnas models build "svge_*" --out state_dicts"""

LIST = Path(state_dicts.__file__).with_name("zoo.yaml")
"""The list of the weights that ship."""
Training = VAEConfig | PretrainConfig
KEYS = {"properties", "model", "space", "recipe", "seed", "tag", "options", "bar"}


def run(command: str, arguments: Sequence[str]) -> None:
    """Make what is missing, write cards and table, print it."""
    parser = make_parser(command, DESCRIPTION)
    parser.add_argument("names", nargs="*", default=["*"], help="names or patterns of the list")
    parser.add_argument("--list", type=str, help="YAML list of weights (default that of graphnas)")
    parser.add_argument("--runs", type=str, default="runs/zoo", help="folder of run folders")
    parser.add_argument("--out", type=str, default="state_dicts", help="folder of weights and cards")
    parser.add_argument("--board", type=str, help="folder of leaderboard results that measured the same runs")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at the same time, one thread each")
    options = parse(parser, arguments)
    out, board = Path(options.out), None if options.board is None else Path(options.board)
    path = LIST if options.list is None else Path(options.list)
    entries = read_list(path)
    chosen = {name: entry for name, entry in entries.items() if any(fnmatchcase(name, one) for one in options.names)}
    if not chosen:
        raise UsageError(f"no weights in {path} are called {' or '.join(options.names)}")
    jobs: list[Job] = []
    for name, (entry, config) in chosen.items():
        folder = Path(options.runs) / f"{name}_{entry.seed}"
        if is_released(entry, out):
            continue
        if isinstance(config, VAEConfig):
            jobs.append((name, release_vae, (entry, config, folder, out, board)))
        else:
            jobs.append((name, release_predictor, (entry, config, folder, out)))
    failures = run_jobs(jobs, options.jobs)
    cards = write_cards(out)
    draw_missing(cards, out)
    print_table(pretrained_rows(cards))
    if failures:
        raise GraphnasError(f"{len(failures)} of {len(chosen)} weights failed, the first: {failures[0]}")


def read_list(path: Path) -> dict[str, tuple[Entry, Training]]:
    """Entries and trainings by name.

    Raises:
        MissingData: no such file.
        CorruptFile: it holds something else.
    """
    if not path.is_file():
        raise MissingData(f"no list of weights at {path}: --list names a YAML file like {LIST}")
    try:
        content = yaml.safe_load(path.read_text())
        lines, bars = content["weights"], content["bars"]
        found = [read_line(line, float(line.get("bar", bars[line["space"]]))) for line in lines]
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, GraphnasError):
            raise
        raise CorruptFile(f"{path} is no list of weights: {error!r}") from error
    return {entry.name: (entry, config) for entry, config in found}


def read_line(line: dict[str, Any], bar: float) -> tuple[Entry, Training]:
    """One line of the list."""
    if line.keys() - KEYS:
        raise CorruptFile(f"unknown keys {sorted(line.keys() - KEYS)} in the list of weights: known are {sorted(KEYS)}")
    name, seed, tag = f"{line['model']}_{line['space']}", int(line.get("seed", 0)), line.get("tag", "")
    recipe, name = line.get("recipe", name), name + (f"-{tag}" if tag else "")
    if "properties" in line:
        settings = read_settings(line["model"], line["space"])
        data = DataConfig(space=line["space"])
        plan = PretrainConfig(line["model"], settings.model_args, data, int(line["properties"]), seed)
        command = shlex.join(["graphnas", "models", "build", name])
        about = about_data(line["model"], data, "size, cost, depth and paths instead of labels, the score untrained")
        return Entry(name, about, line["model"], command, plain(plan), seed, bar, tag), plan
    words = [f"--recipe={recipe}", f"--seed={seed}", "--device=cpu", *line.get("options", [])]
    config = to_config(read_options(words))
    command = shlex.join(["graphnas", "train", "vae", *words, "--threads=1", f"--out=runs/{name}"])
    labels = f"labels {config.data.labels}" if config.data.labels else "no labels"
    about = about_data(config.model, config.data, labels)
    return Entry(name, about, recipe, command, plain(config), seed, bar, tag), config


def about_data(model: str, data: DataConfig, labels: str) -> str:
    """What a model was trained on, in words."""
    space, count = get_space(data.space), data.num_graphs
    if data.whole_space:
        graphs, labels = f"all {space.size:,} architectures", f"{labels} of the class of each"
    elif data.labels is not None:
        graphs = f"the {len(load_table(data.labels, space=space).architectures):,} rows of table {data.labels}"
    elif count is not None:
        graphs = f"{count:,} random architectures"
    elif space.size <= 1_000_000:
        graphs = f"all {space.size:,} architectures"
    else:
        graphs = f"{DEFAULT_SAMPLE:,} random architectures"
    kept = f"{data.held_out:.0%} of them kept aside"
    return f"{model_info(model)['summary'].rstrip('.')}; trained on {graphs} of {space.name}, {kept}, {labels}"
