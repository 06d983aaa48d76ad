"""`graphnas models list | info`."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from graphnas.commands.config_text import field_rows, plain, plain_text
from graphnas.commands.parsing import UsageError, make_parser, parse, print_table, print_values
from graphnas.commands.zoo_text import pretrained_rows
from graphnas.models import create_model, list_models, model_info
from graphnas.spaces import get_space
from graphnas.state_dicts import list_pretrained


def run(command: str, arguments: Sequence[str]) -> None:
    """List the zoo, or describe one model."""
    if command == "models list":
        parser = make_parser(command, "Models of the zoo. Example: graphnas models list --kind vae")
        parser.add_argument("pattern", nargs="?", default="*", help="shell pattern of names")
        parser.add_argument("--kind", type=str, help="only this kind, such as vae")
        parser.add_argument("--pretrained", action="store_true", help="the weights that come with graphnas instead")
        parser.add_argument("--space", type=str, help="with --pretrained, only those for this space")
        options = parse(parser, arguments)
        if options.pretrained:
            list_weights(options.pattern, options.kind, options.space)
            return
        if options.space is not None:
            raise UsageError("--space goes with --pretrained: every model of the zoo can be made for every space")
        names = list_models(options.pattern, kind=options.kind)
        if not names:
            raise UsageError(f"no model of the zoo matches {options.pattern!r}, kind {options.kind or 'any'}")
        infos = [model_info(name) for name in names]
        print_table([{"name": one["name"], "kind": one["kind"], "summary": plain(one["summary"])} for one in infos])
        return
    parser = make_parser(command, "What a model is: its paper, options with its values, size on a space, and formulas.")
    parser.add_argument("name", help="as listed by `graphnas models list`")
    parser.add_argument("--space", type=str, default="nb101", help="space to count parameters for")
    options = parse(parser, arguments)
    info = model_info(options.name)
    model = create_model(options.name, options.space)
    size = model.num_parameters
    print_values(
        {key: plain(info[key]) for key in ("name", "kind", "paper", "summary", "module")}
        | {f"parameters on {options.space}": f"{size:,}", "pretrained": ", ".join(info["pretrained"]) or "–"}
    )
    print()
    print_table(field_rows(model.config_class, info["config"]))
    print(f"\n{plain_text(info['text'])}")


def list_weights(pattern: str, kind: str | None, space: str | None) -> None:
    """The table of shipped weights whose name or model matches.

    Raises:
        UsageError: there are none.
    """
    wanted = None if space is None else get_space(space).name
    cards = [
        card
        for card in list_pretrained()
        if fnmatchcase(card["name"], pattern) or fnmatchcase(card["model"], pattern)
        if kind in (None, card["kind"]) and wanted in (None, card["space"])
    ]
    if not cards:
        raise UsageError(f"no shipped weights match {pattern!r}, kind {kind or 'any'}, space {wanted or 'any'}")
    print_table(pretrained_rows(cards))
