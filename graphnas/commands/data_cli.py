"""`graphnas data list | info | download | convert`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from graphnas.commands import data
from graphnas.commands.parsing import CommandParser, UsageError, make_parser, parse, print_table, print_values
from graphnas.spaces import get_space, list_spaces

COLUMNS = ("name", "space", "state", "gigabytes", "download", "about")
CONVERT = """Write a benchmark file as a compact .npz that loads in a fraction of a second. Without --out it goes where
the name SOURCE is looked for first, so that everything that reads SOURCE reads it from then on.
Examples: graphnas data convert nb201
          graphnas data convert labels.csv --space nb101 --out labels.npz"""


def run(command: str, arguments: Sequence[str]) -> None:
    """One of the four commands."""
    {"data list": list_, "data info": info, "data download": download, "data convert": convert}[command](arguments)


def list_(arguments: Sequence[str]) -> None:
    """All data sets and where they are."""
    parser = make_parser("data list", "Labels and images graphnas knows: what is in them and whether they are here.")
    parser.add_argument("--json", action="store_true", help="everything that is known of them, as JSON")
    options = parse(parser, arguments)
    rows = data.list_data()
    if options.json:
        print(json.dumps(rows, indent=1))
        return
    print_table([{column: row.get(column, "") for column in COLUMNS} for row in rows])


def info(arguments: Sequence[str]) -> None:
    """What a search space, a table or an image data set holds."""
    parser = make_parser("data info", "What a search space, a data set of labels or images, or a file of labels holds.")
    parser.add_argument("name", help="a search space, a name of `graphnas data list`, or a file")
    parser.add_argument("--json", action="store_true", help="the same as JSON")
    add_space(parser)
    options = parse(parser, arguments)
    if options.name in list_spaces() and not options.json:
        space = get_space(options.name)
        size = f"{space.size:,}" if space.size < 1e9 else f"{space.size:.3g}"
        vocabulary = ", ".join(space.vocabulary)
        print_values({"search space": space.name, "size": size, "max_nodes": space.max_nodes, "vocabulary": vocabulary})
        if all(row["name"] != space.name or row["state"] == "absent" for row in data.list_data()):
            print(f"\nno labels here: `graphnas data list` says where those of {space.name} are")
            return
        print()
    content = data.info(options.name, options.space)
    if options.json:
        print(json.dumps(content, indent=1))
        return
    print_values({name: value for name, value in content.items() if name not in ("metrics", "curves")})
    if "metrics" in content:
        print()
        print_table([metric_row(name, entry) for name, entry in content["metrics"].items()])


def metric_row(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    """What is known of a metric at its largest budget."""
    budget = entry.get("budget")
    rows = entry["rows"].get(budget, 0)
    values = {"budget": budget or None, "rows": rows} | {key: entry.get(key) for key in ("least", "greatest", "noise")}
    return {"metric": name, "unit": entry["unit"]} | {key: "" if x is None else x for key, x in values.items()}


def download(arguments: Sequence[str]) -> None:
    """Fetch an official file."""
    parser = make_parser("data download", "Fetch an official file of labels or images: resumable, checked by its hash.")
    parser.add_argument("name", help="a name of `graphnas data list`")
    parser.add_argument("--out", type=Path, help="folder for the file (default: where graphnas looks for it)")
    parser.add_argument("--mirror", type=str, help="address of a folder that has the file under its official name")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parse(parser, arguments)
    print_values(data.download(options.name, options.out, options.mirror, bar=not options.quiet))


def convert(arguments: Sequence[str]) -> None:
    """Write the compact form of a table."""
    parser = make_parser("data convert", CONVERT)
    parser.add_argument("source", help="a name of `graphnas data list`, or a file")
    parser.add_argument("--out", type=Path, help=".npz file to write")
    parser.add_argument("--curves", nargs="+", help="patterns of metrics whose learning curves are kept (NB201, NATS)")
    parser.add_argument("--partial", action="store_true", help="accept a file that lacks architectures (NB201, NATS)")
    parser.add_argument(
        "--repeats", choices=["runs"], help="rows of the same architecture are repeated trainings (CSV)"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_space(parser)
    options = parse(parser, arguments)
    extra = {name: options[name] for name in ("curves", "partial", "repeats") if options[name]}
    try:
        result = data.convert(options.source, options.out, options.space, not options.quiet, **extra)
    except TypeError as error:
        if "unexpected keyword" not in str(error):
            raise
        raise UsageError(f"{options.source} is of a form without --{' and --'.join(extra)}") from error
    print_values(result)


def add_space(parser: CommandParser) -> None:
    """The option that a CSV needs."""
    parser.add_argument("--space", type=str, help="search space of a CSV, which does not say itself")
