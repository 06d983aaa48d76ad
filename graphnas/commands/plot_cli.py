"""`graphnas plot latent | architectures | reconstructions`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from graphnas.commands.parsing import UsageError, make_parser, parse
from graphnas.spaces import get_space


def run(command: str, arguments: Sequence[str]) -> None:
    """Draw, then print the path written."""
    print(
        {"plot latent": latent, "plot architectures": architectures, "plot reconstructions": reconstructions}[command](
            arguments
        )
    )


def latent(arguments: Sequence[str]) -> Path:
    """A map of the codes of a run's architectures."""
    parser = make_parser("plot latent", "2-D map (principal components) of the codes of a run's training graphs.")
    parser.add_argument(
        "folder", metavar="RUN", help="run folder of `graphnas train vae`, or the name of shipped weights"
    )
    parser.add_argument("--out", type=str, help="image to write (default RUN/latent.png)")
    parser.add_argument(
        "--colour",
        choices=["params", "flops", "labels", "density"],
        help="what colours a point (default params; labels with --labels or --metric)",
    )
    parser.add_argument("--labels", type=str, help="table or file of the labels (default the run's, else built-in)")
    parser.add_argument("--metric", type=str, help="metric of the labels (default a validation accuracy)")
    parser.add_argument("--num_graphs", type=int, default=20_000, help="architectures drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="of that draw")
    options = parse(parser, arguments)
    named = options.labels is not None or options.metric is not None
    colour = options.colour or ("labels" if named else "params")
    if named and colour != "labels":
        raise UsageError(f"--labels and --metric colour by labels, not by {colour}")
    from graphnas.commands.runs import label_values, open_run
    from graphnas.plot import latent_map
    from graphnas.train.data import random_rows
    from graphnas.train.evaluate import encode_all

    run = open_run(options.folder)
    rows = random_rows(run.data.split.train, options.num_graphs, options.seed)
    archs = run.data.archs[rows]
    values, label = None, ""
    if colour == "labels":
        values, label = label_values(run, rows, options.labels, options.metric)
    elif colour != "density":
        values, label = run.data.space.cost(archs)[colour].double().log10(), f"log10 {colour}"
    return latent_map(encode_all(run.model, archs), options.out or run.folder / "latent.png", values, label)


def architectures(arguments: Sequence[str]) -> Path:
    """A picture of architectures given as text."""
    parser = make_parser("plot architectures", "Draw architectures given in the text form of their space.")
    parser.add_argument("text", nargs="*", help="architectures (optional; none draws random ones)")
    parser.add_argument("--space", type=str, default="nb101", help="search space")
    parser.add_argument("--count", type=int, default=10, help="how many random ones")
    parser.add_argument("--seed", type=int, default=0, help="of the random ones")
    parser.add_argument("--out", type=str, default="architectures.png", help="image to write")
    options = parse(parser, arguments)
    from graphnas.plot import grid_of_architectures
    from graphnas.train.data import seeded

    space = get_space(options.space)
    if not options.text and options.count < 1:
        raise UsageError(f"--count must be at least 1 (got {options.count})")
    archs = space.parse(options.text) if options.text else space.sample(options.count, seeded(options.seed))
    return grid_of_architectures(archs, space.vocabulary, options.out, titles=None)


def reconstructions(arguments: Sequence[str]) -> Path:
    """Held-out architectures beside their reconstructions."""
    parser = make_parser(
        "plot reconstructions", "Held-out architectures beside the most probable decode of their codes."
    )
    parser.add_argument(
        "folder", metavar="RUN", help="run folder of `graphnas train vae`, or the name of shipped weights"
    )
    parser.add_argument("--out", type=str, help="image to write (default RUN/reconstructions.png)")
    parser.add_argument("--count", type=int, default=9, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="which")
    options = parse(parser, arguments)
    from graphnas.commands.runs import open_run
    from graphnas.plot import reconstruction_grid
    from graphnas.train.data import random_rows
    from graphnas.train.evaluate import decode_all, encode_all

    folder, model, _, data = open_run(options.folder)
    archs = data.archs[random_rows(data.split.test, options.count, options.seed)]
    decoded = decode_all(model, encode_all(model, archs), sample=False)
    return reconstruction_grid(archs, decoded, data.space.vocabulary, options.out or folder / "reconstructions.png")
