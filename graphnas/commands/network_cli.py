"""`graphnas network train`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any
from zlib import crc32

from jsonargparse import Namespace

from graphnas.commands.parsing import (
    CommandParser,
    UsageError,
    make_parser,
    parse,
    print_table,
    print_values,
    stderr,
    use_threads,
)
from graphnas.networks.config import NetworkConfig
from graphnas.networks.defaults import DEFAULTS, TINY_IMAGES, default_recipe, list_recipes, read_recipe
from graphnas.networks.result import EpochRecord, NetworkResult
from graphnas.networks.training import train_network
from graphnas.run_folder import RunFolder

DESCRIPTION = """Train the network of one architecture on images and evaluate it after every epoch. The result is the
network after the last epoch; the epoch with the best validation accuracy is reported beside it. Everything about the
run lies in --out: config.yaml, metrics.jsonl, TensorBoard events, last.safetensors, result.json and last.ckpt to resume
from.
Example: graphnas network train --space nb201 --dataset digits --out runs/mine
             --arch "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_1x1~2|"
"""
RECIPE_HELP = (
    "shipped recipe ({}) or a YAML file with its fields; options below go over it (default: digits201 for digits, else "
    "that of the space's benchmark)"
)
QUICK = {"epochs": 2, "batch_size": 32}
QUICK_IMAGES = 128
OF_THE_COMMAND = ("--resume", "--quiet", "--threads")
"""Options that say nothing about the run and so go with --resume."""


def make_network_parser() -> CommandParser:
    """Options of the command: all fields of the config, and how to run it."""
    parser = make_parser("network train", DESCRIPTION)
    parser.add_argument("--config", action="config", help="YAML file with any of the options below")
    parser.add_argument("--out", type=str, help="run folder (default runs/network-SPACE-DATASET-ARCH-SEED)")
    parser.add_argument(
        "--resume", type=str, help="go on with the run in this folder; takes no other but --quiet, --threads"
    )
    parser.add_argument("--threads", type=int, help="threads of the CPU to use (default 1 for tiny images, else all)")
    parser.add_argument(
        "--quick", action="store_true", help=f"a run of seconds: a small network, {QUICK_IMAGES} images, 2 epochs"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_class_arguments(NetworkConfig)
    for action in parser._actions:
        if action.dest == "recipe":
            action.help, action.metavar = RECIPE_HELP.format(", ".join(list_recipes())), "RECIPE"
    return parser


def take_recipe(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """The name given with `--recipe`, and all other words.

    Raises:
        UsageError: `--recipe` without a name.
    """
    name, rest, words = None, [], iter(arguments)
    for word in words:
        option, equals, value = word.partition("=")
        if option == "--recipe":
            name = value if equals else next(words, "")
            if not name:
                raise UsageError("--recipe needs the name of a recipe or a YAML file")
        else:
            rest.append(word)
    return name, rest


def read_options(arguments: Sequence[str]) -> Namespace:
    """Parsed options; underneath them what `--quick` stands for, and under that a recipe."""
    name, words = take_recipe(arguments)
    parser = make_network_parser()
    options = parse(parser, words)
    if options.resume is not None:
        return options
    recipe = asdict(read_recipe(name or default_recipe(options.space, options.dataset), options.space, options.dataset))
    if options.quick:
        recipe |= {**QUICK, "network": dict(DEFAULTS[options.space].small)}
        parser.set_defaults(max_images=QUICK_IMAGES)
    parser.set_defaults({f"recipe.{field}": value for field, value in recipe.items()})
    return parse(parser, words)


def to_config(options: Namespace) -> NetworkConfig:
    """The run's config from parsed options.

    Raises:
        UsageError: no architecture.
    """
    names = [field.name for field in fields(NetworkConfig)]
    content = {field: options.as_dict()[field] for field in names}
    if not content["arch"]:
        raise UsageError(f"--arch is missing: the text of an architecture of {content['space']}")
    return NetworkConfig.from_plain(content)


def default_folder(config: NetworkConfig) -> Path:
    """A folder of its own for every architecture."""
    arch = f"{crc32(config.arch.encode()):08x}"
    return Path(f"runs/network-{config.space}-{config.dataset}-{arch}-{config.seed}")


def run(command: str, arguments: Sequence[str]) -> None:
    """Train, then print the result."""
    options = read_options(arguments)
    if options.resume is not None:
        others = [word for word in arguments if word.startswith("--") and word.split("=")[0] not in OF_THE_COMMAND]
        if others:
            raise UsageError(
                f"--resume takes the options of the run it goes on with, not {', '.join(others)}: to train with other "
                "options, begin a run in another --out"
            )
        out = Path(options.resume)
        config = RunFolder(out).read_config_as(NetworkConfig)
    else:
        config = to_config(options)
        out = Path(options.out) if options.out else default_folder(config)
    # several threads on maps of a few pixels wait for each other longer than they work
    use_threads(1 if options.threads is None and config.dataset in TINY_IMAGES else options.threads)
    result = train_network(config, out, resume=options.resume is not None, progress=not options.quiet)
    stderr(f"run folder: {out}")
    print_result(result)


def print_result(result: NetworkResult) -> None:
    """What was trained, and its accuracies."""
    shape = "x".join(map(str, result.image_shape))
    images = f"{result.num_train:,} / {result.num_validation:,} / {result.num_test:,}"
    print_values(
        {
            "architecture": result.arch,
            "images": f"{result.dataset}, {shape}, {images} (train / validation / test)",
            "parameters": f"{result.parameters:,}",
            "FLOPs": f"{result.flops:,} ({result.flops_convention})",
            "seconds": f"{result.final.seconds:.1f}",
        }
    )
    print()
    rows = [row("last epoch", result.final)]
    if result.best_validation is not None:
        rows.append(row("best validation", result.best_validation))
    print_table(rows)


def row(name: str, record: EpochRecord) -> dict[str, Any]:
    """A line of the table of accuracies."""
    scores = {part: getattr(record, f"{part}_accuracy") for part in ("train", "validation", "test")}
    known = {part: "-" if score is None else f"{score:.2%}" for part, score in scores.items()}
    return {"accuracy": name, "epoch": record.epoch, **known}
