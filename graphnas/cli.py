"""The `graphnas` command: thin commands over the library, loaded only when chosen."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module

from graphnas import __version__
from graphnas.errors import GraphnasError

COMMANDS = {
    "demo": (
        "graphnas.commands.demo",
        "the whole path on NAS-Bench-101 in minutes: enumerate, train, evaluate, draw, report",
    ),
    "data list": ("graphnas.commands.data_cli", "labels and images graphnas knows and whether they are here"),
    "data info": ("graphnas.commands.data_cli", "what a search space, labels, images or a file hold"),
    "data download": ("graphnas.commands.data_cli", "fetch official labels or images, resumable and hash-checked"),
    "data convert": ("graphnas.commands.data_cli", "an official benchmark file to a compact .npz"),
    "data build-digits": (
        "graphnas.commands.digits_cli",
        "measure the embedded benchmark again: NAS-Bench-201 cells trained on digits",
    ),
    "models list": ("graphnas.commands.models_cli", "the zoo"),
    "models info": ("graphnas.commands.models_cli", "a model's paper, options and size"),
    "models card": ("graphnas.commands.pretrained_cli", "the card of shipped weights: what they learned and how well"),
    "models embed": ("graphnas.commands.pretrained_cli", "codes of the architectures of a file or of a whole space"),
    "models build": ("graphnas.commands.zoo_cli", "make the shipped weights again: train, measure, write cards"),
    "models import": (
        "graphnas.commands.import_cli",
        "a checkpoint released by the authors of a model, as one of ours",
    ),
    "train vae": ("graphnas.commands.train_cli", "train a graph VAE on a search space"),
    "train predictor": ("graphnas.commands.predictor_cli", "fit a performance predictor on labelled architectures"),
    "predict": ("graphnas.commands.predict_cli", "rank architectures of a file or a whole space by a predictor"),
    "bo": ("graphnas.commands.bo_cli", "search for the best architecture: latent Bayesian optimisation and baselines"),
    "network train": ("graphnas.commands.network_cli", "train the network of one architecture on images"),
    "evaluate vae": (
        "graphnas.commands.evaluate_cli",
        "reconstruction, validity, uniqueness, novelty of a trained VAE",
    ),
    "evaluate predictor": ("graphnas.commands.predictor_cli", "judge a fitted predictor on labels it has not seen"),
    "evaluate extrapolation": (
        "graphnas.commands.extrapolation_cli",
        "rank, generate and train architectures larger than those a model learned from",
    ),
    "leaderboard predictor": (
        "graphnas.commands.predictor_board_cli",
        "fit, measure and compare predictors over spaces, numbers of labels and seeds",
    ),
    "leaderboard vae": (
        "graphnas.commands.leaderboard_cli",
        "train, measure and compare VAEs of the zoo over spaces and seeds",
    ),
    "plot latent": ("graphnas.commands.plot_cli", "2-D map of a trained VAE's latent space"),
    "plot architectures": ("graphnas.commands.plot_cli", "draw architectures given as text"),
    "plot reconstructions": (
        "graphnas.commands.plot_cli",
        "held-out architectures beside what a trained VAE makes of them",
    ),
    "plot interpolate": (
        "graphnas.commands.smoothness_cli",
        "architectures along a line or a great circle of a latent space, and how smoothly they change",
    ),
    "plot neighbourhood": (
        "graphnas.commands.smoothness_cli",
        "architectures on a grid around one in a latent space, and how smoothly they change",
    ),
    "plot projector": ("graphnas.commands.projector_cli", "a latent space with pictures for TensorBoard's projector"),
}
"""Command words -> module with a function `run(words, arguments)`, and one line of help."""


AGAIN = "the same command goes on from what is done"
RESUME = "--resume FOLDER goes on from the last checkpoint there"
GOES_ON = {
    "data build-digits": AGAIN,
    "data download": AGAIN,
    "models build": AGAIN,
    "train vae": RESUME,
    "bo": AGAIN,
    "network train": RESUME,
    "evaluate extrapolation": AGAIN,
    "leaderboard predictor": AGAIN,
    "leaderboard vae": AGAIN,
}
"""Commands whose work is not lost when they are interrupted, and how it is taken up again."""


def usage(prefix: str = "") -> str:
    """The list of commands, or of those that begin with `prefix`."""
    lines = [f"usage: graphnas {prefix + ' ' if prefix else ''}COMMAND [OPTIONS]", "", "commands:"]
    lines += [f"  {name:<22} {text}" for name, (_, text) in COMMANDS.items() if name.startswith(prefix)]
    lines += ["", "`graphnas COMMAND --help` explains one; `graphnas --version` prints the version."]
    return "\n".join(lines)


def find_command(words: Sequence[str]) -> str | None:
    """The command that the first one or two words name."""
    for count in (2, 1):
        name = " ".join(words[:count])
        if len(words) >= count and name in COMMANDS:
            return name
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; exit status 0, 2 for bad input (one line on stderr), 130 when interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = dispatch(words)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (GraphnasError, OSError) as error:
        print(f"graphnas: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        how = GOES_ON.get(find_command(words) or "")
        print(f"graphnas: interrupted{': ' + how if how else ''}", file=sys.stderr)
        return 130


def dispatch(words: Sequence[str]) -> int:
    """Run the command that the words name, or help."""
    if words in (["--version"], ["-V"]):
        print(__version__)
        return 0
    name = find_command(words)
    if name is None:
        return no_command(words)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for noisy in ("lightning_fabric", "matplotlib"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning_fabric")
    import_module(COMMANDS[name][0]).run(name, words[len(name.split()) :])
    return 0


def no_command(words: Sequence[str]) -> int:
    """Help where none or half a command was given, an error for anything else."""
    group = words[0] if words else ""
    if group in ("", "-h", "--help"):
        print(usage())
        return 0
    if any(name.startswith(group + " ") for name in COMMANDS):
        rest = words[1:]
        if rest and rest[0] not in ("-h", "--help"):
            known = ", ".join(name for name in COMMANDS if name.startswith(group + " "))
            print(f"graphnas: unknown command '{group} {rest[0]}': known are {known}", file=sys.stderr)
            return 2
        print(usage(group))
        return 0
    from graphnas.errors import UnknownName

    print(f"graphnas: {UnknownName('command', group, COMMANDS)}", file=sys.stderr)
    return 2
