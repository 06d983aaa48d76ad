"""`graphnas train vae`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from jsonargparse import Namespace

from graphnas.commands.parsing import (
    CommandParser,
    UsageError,
    make_parser,
    parse,
    print_table,
    recipe_path,
    shipped_recipes,
    stderr,
    use_threads,
)
from graphnas.models import model_info
from graphnas.run_folder import is_main_process
from graphnas.spaces import get_space
from graphnas.train.config import VAEConfig
from graphnas.train.vae import read_vae_config, train_vae

DESCRIPTION = """Train a graph VAE on a search space. Everything about the run lies in --out: config.yaml,
metrics.jsonl, TensorBoard events, best.safetensors (chosen on validation), last.safetensors and last.ckpt to resume
from.
Example: graphnas train vae --model svge --space nb101 --out runs/svge
Several processes: torchrun --nproc-per-node 2 -m graphnas train vae ..."""

log = logging.getLogger(__name__)

QUICK = ["--data.num_graphs=1000", "--fit.max_steps=50", "--fit.validate_every=25", "--fit.warmup_steps=5"]
QUICK_MODEL = {"node_dim": 32, "hidden_dim": 32, "latent_dim": 8}


def make_train_parser() -> CommandParser:
    """Options of the command; all fields of the config, and short forms of the common ones."""
    parser = make_parser("train vae", DESCRIPTION)
    parser.add_argument("--config", action="config", help="YAML file with any of the options below")
    parser.add_argument("--recipe", type=str, help="name of a shipped recipe, or a YAML file; other options go over it")
    parser.add_argument("--space", type=str, help="short for --data.space")
    parser.add_argument("--seed", type=int, help="short for --fit.seed")
    parser.add_argument("--device", type=str, help="short for --fit.device")
    parser.add_argument("--out", type=str, help="run folder (default runs/vae-MODEL-SPACE-SEED)")
    parser.add_argument("--resume", type=str, help="go on with the run in this folder; takes no option but --quiet")
    parser.add_argument("--threads", type=int, help="threads of the CPU to use (default all)")
    parser.add_argument("--quick", action="store_true", help="a run of seconds: 1,000 graphs, 50 steps, a narrow model")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_class_arguments(VAEConfig)
    return parser


def read_options(arguments: Sequence[str]) -> Namespace:
    """Parsed options; underneath them what `--quick` stands for, and under that a recipe."""
    words = [*QUICK, *arguments] if "--quick" in arguments else list(arguments)
    parser = make_train_parser()
    for place, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name == "--recipe":
            value = value if equals else "".join(words[place + 1 : place + 2])
            words = ["--config", str(recipe_path(value, "train")), *words]
            break
    return parse(parser, words)


def to_config(options: Namespace) -> VAEConfig:
    """The run's config from parsed options."""
    content = options.as_dict()
    for short, (group, name) in {
        "space": ("data", "space"),
        "seed": ("fit", "seed"),
        "device": ("fit", "device"),
    }.items():
        if content[short] is not None:
            content[group][name] = content[short]
    if content["quick"]:
        known = model_info(content["model"])["config"]
        narrow = {name: size for name, size in QUICK_MODEL.items() if name in known}
        content["model_args"] = narrow | content["model_args"]
    return VAEConfig.from_plain(content)


def tell_recipe(config: VAEConfig) -> None:
    """Say that a recipe for model and space is there, where nobody has named one."""
    name = f"{config.model}_{get_space(config.data.space).name}"
    if name in shipped_recipes("train"):
        log.info("there is a recipe %s for this model and space: --recipe %s trains by it instead", name, name)


def run(command: str, arguments: Sequence[str]) -> None:
    """Train, then print the last records."""
    options = read_options(arguments)
    use_threads(options.threads)
    if options.resume is not None:
        others = [
            word
            for word in arguments
            if word.startswith("--") and word.split("=")[0] not in ("--resume", "--quiet", "--threads")
        ]
        if others:
            raise UsageError(
                f"--resume takes the options of the run it goes on with, not {', '.join(others)}: to train on from its "
                f"weights with other options, pass --start_from {options.resume} --out FOLDER instead"
            )
        config, out = read_vae_config(Path(options.resume)), Path(options.resume)
    else:
        config = to_config(options)
        out = Path(options.out or f"runs/vae-{config.model}-{config.data.space}-{config.fit.seed}")
        if is_main_process() and not options.recipe and not options.config and not options.quick:
            tell_recipe(config)
    result = train_vae(config, out, resume=options.resume is not None, progress=not options.quiet)
    if not is_main_process():
        return
    stderr(f"run folder: {out}")
    keys = (
        [key for key in result.records[-1] if key == "step" or key.startswith("validation/")] if result.records else []
    )
    print_table([{key.removeprefix("validation/"): record[key] for key in keys} for record in result.records[-5:]])
