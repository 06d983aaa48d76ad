"""`graphnas models list | info`."""

from __future__ import annotations

from collections.abc import Sequence

from graphnas.commands.parsing import UsageError, make_parser, parse, print_table, print_values
from graphnas.models import create_model, list_models, model_info


def run(command: str, arguments: Sequence[str]) -> None:
    """List the zoo, or describe one model."""
    if command == "models list":
        parser = make_parser(command, "Models of the zoo. Example: graphnas models list --kind vae")
        parser.add_argument("pattern", nargs="?", default="*", help="shell pattern of names")
        parser.add_argument("--kind", type=str, help="only this kind, such as vae")
        options = parse(parser, arguments)
        names = list_models(options.pattern, kind=options.kind)
        if not names:
            raise UsageError(f"no model of the zoo matches {options.pattern!r}, kind {options.kind or 'any'}")
        print_table([{key: model_info(name)[key] for key in ("name", "kind", "summary")} for name in names])
        return
    parser = make_parser(command, "What a model is: its options with the paper's values, and its size on a space.")
    parser.add_argument("name", help="as listed by `graphnas models list`")
    parser.add_argument("--space", type=str, default="nb101", help="space to count parameters for")
    options = parse(parser, arguments)
    info = model_info(options.name)
    size = create_model(options.name, options.space).num_parameters
    print_values(
        {key: info[key] for key in ("name", "kind", "summary", "module")}
        | {f"parameters on {options.space}": f"{size:,}"}
    )
    print_values({f"  {key}": value for key, value in info["config"].items()})
