"""`graphnas models build`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from graphnas.bo.zoo_build import Entry, is_released, release_vae
from graphnas.commands.board_options import run_jobs
from graphnas.commands.parsing import UsageError, make_parser, parse, print_table
from graphnas.commands.train_cli import read_options, to_config
from graphnas.commands.zoo_text import pretrained_rows, write_cards
from graphnas.errors import CorruptFile, GraphnasError
from graphnas.models import model_info
from graphnas.run_folder import plain
from graphnas.spaces import get_space
from graphnas.train.config import VAEConfig

DESCRIPTION = """Make the shipped weights again from their list: train by recipe, measure on the test part, store in
half precision where no metric changes by it, write weights, cards and the table of --out. What is finished is not done
again, nor a run folder RUNS/NAME_SEED trained again, so the command can be interrupted and repeated.

Example: graphnas models build "svge_*" --out state_dicts"""

KEYS = {"model", "space", "recipe", "seed", "tag", "options", "about"}


def run(command: str, arguments: Sequence[str]) -> None:
    """Make what is missing, write cards and table, print it."""
    parser = make_parser(command, DESCRIPTION)
    parser.add_argument("names", nargs="*", default=["*"], help="names or patterns of the list")
    parser.add_argument("--list", type=str, default="state_dicts/zoo.yaml", help="YAML list of weights")
    parser.add_argument("--runs", type=str, default="runs/zoo", help="folder of run folders")
    parser.add_argument("--out", type=str, default="state_dicts", help="folder of weights and cards")
    parser.add_argument("--board", type=str, help="folder of leaderboard results that measured the same runs")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at the same time, one thread each")
    options = parse(parser, arguments)
    out, board = Path(options.out), None if options.board is None else Path(options.board)
    entries = read_list(Path(options.list))
    chosen = {name: entry for name, entry in entries.items() if any(fnmatchcase(name, one) for one in options.names)}
    if not chosen:
        raise UsageError(f"no weights in {options.list} are called {' or '.join(options.names)}")
    failures = run_jobs([
        (name, release_vae, (entry, config, Path(options.runs) / f"{name}_{entry.seed}", out, board))
        for name, (entry, config) in chosen.items() if not is_released(entry, out)
    ], options.jobs)  # fmt: skip
    cards = write_cards(out)
    print_table(pretrained_rows(cards))
    if failures:
        raise GraphnasError(f"{len(failures)} of {len(chosen)} weights failed, the first: {failures[0]}")


def read_list(path: Path) -> dict[str, tuple[Entry, VAEConfig]]:
    """Entries and trainings by name.

    Raises:
        CorruptFile: no such list.
    """
    try:
        content = yaml.safe_load(path.read_text())
        lines, bars = content["weights"], content["bars"]
        found = [read_line(line, float(bars[line["space"]])) for line in lines]
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, GraphnasError):
            raise
        raise CorruptFile(f"{path} is no list of weights: {error!r}") from error
    return {entry.name: (entry, config) for entry, config in found}


def read_line(line: dict[str, Any], bar: float) -> tuple[Entry, VAEConfig]:
    """One line of the list."""
    if line.keys() - KEYS:
        raise CorruptFile(f"unknown keys {sorted(line.keys() - KEYS)} in the list of weights: known are {sorted(KEYS)}")
    name, seed, tag = f"{line['model']}_{line['space']}", int(line.get("seed", 0)), line.get("tag", "")
    recipe = line.get("recipe", name)
    words = [f"--recipe={recipe}", f"--seed={seed}", "--device=cpu", *line.get("options", [])]
    config = to_config(read_options(words))
    name += f"-{tag}" if tag else ""
    command = shlex.join(["graphnas", "train", "vae", *words, "--threads=1", f"--out=runs/{name}"])
    about = line.get("about") or about_data(config)
    return Entry(name, about, recipe, command, plain(config), seed, bar, tag), config


def about_data(config: VAEConfig) -> str:
    """What a VAE was trained on, in words."""
    space, count = get_space(config.data.space), config.data.num_graphs
    if count is not None:
        graphs = f"{count:,} random architectures"
    elif space.size <= 1_000_000:
        graphs = f"all {space.size:,} architectures"
    else:
        graphs = "100,000 random architectures"
    labels = f" and labels {config.data.labels}" if config.data.labels else ", no labels"
    kept = f"{config.data.held_out:.0%} of them kept aside"
    return f"{model_info(config.model)['summary'].rstrip('.')}; trained on {graphs} of {space.name}, {kept}{labels}"
