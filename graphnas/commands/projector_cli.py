"""`graphnas plot projector`."""

from __future__ import annotations

from collections.abc import Sequence

from graphnas.commands.parsing import UsageError, make_parser, parse

DESCRIPTION = """Write the codes of random training graphs of a run for TensorBoard's projector, with the architecture
as text, its label, parameters and FLOPs, and a small picture of it, to RUN/tensorboard/projector. A picture takes about
30 ms, so 500 graphs are shown, at most 1,000; --plain leaves the pictures out and takes any number.
Example: graphnas plot projector runs/svge && tensorboard --logdir runs/svge"""
MOST = 1000


def run(command: str, arguments: Sequence[str]) -> None:
    """Write the export and print its folder."""
    parser = make_parser(command, DESCRIPTION)
    parser.add_argument(
        "folder", metavar="RUN", help="run folder of `graphnas train vae`, or the name of shipped weights"
    )
    parser.add_argument(
        "--num_graphs", type=int, default=500, help=f"graphs drawn at random; at most {MOST}, see above"
    )
    parser.add_argument("--plain", action="store_true", help="no pictures")
    parser.add_argument("--labels", type=str, help="table or file of the labels (default the run's, else built-in)")
    parser.add_argument("--metric", type=str, help="metric of the labels (default a validation accuracy)")
    parser.add_argument("--quick", action="store_true", help="at most 50 graphs")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    options = parse(parser, arguments)
    count = min(50, options.num_graphs) if options.quick else options.num_graphs
    if count < 1 or (count > MOST and not options.plain):
        raise UsageError(f"--num_graphs must be 1 to {MOST}, more with --plain (got {count})")
    from graphnas.commands.runs import label_values, open_run
    from graphnas.plot import thumbnails, write_projector
    from graphnas.tables import default_table
    from graphnas.train.data import random_rows
    from graphnas.train.evaluate import encode_all

    opened = open_run(options.folder)
    space = opened.data.space
    rows = random_rows(opened.data.split.train, count, options.seed)
    archs = opened.data.archs[rows]
    columns: dict[str, Sequence[object]] = {"architecture": space.format(archs)}
    wanted = options.labels is not None or options.metric is not None
    if wanted or opened.data.y is not None or default_table(space) is not None:
        values, name = label_values(opened, rows, options.labels, options.metric)
        columns[name] = [f"{value:.6g}" for value in values.tolist()]
    columns |= {name: space.cost(archs)[name].tolist() for name in ("params", "flops")}
    pictures = None if options.plain else thumbnails(archs, space.vocabulary)
    target = opened.folder / "tensorboard" / "projector"
    print(write_projector(target, encode_all(opened.model, archs), columns, pictures))
