"""`graphnas bo --beyond`: a search that goes on in a larger space."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from jsonargparse import Namespace

from graphnas.bo.beyond_config import BeyondConfig
from graphnas.bo.beyond_report import beyond_summary, candidate_rows, write_beyond_report
from graphnas.bo.beyond_run import run_beyond
from graphnas.bo.config import SearchConfig
from graphnas.bo.search import Evaluation
from graphnas.bo.search_report import report_folder, top_rows, write_search_report
from graphnas.commands.parsing import UsageError, print_table, stderr
from graphnas.models import GraphVAE


def to_beyond(options: Namespace) -> BeyondConfig:
    """The larger space from parsed options.

    Raises:
        UsageError: a search that cannot have one.
        InvalidValues: settings of a larger space without one.
    """
    content = options.as_dict()
    beyond = BeyondConfig(**{field.name: content[field.name] for field in fields(BeyondConfig)})
    if beyond.beyond is None:
        return beyond
    if content["model"] is None:
        raise UsageError("--beyond decodes with a trained model: pass --model RUN")
    for name in ("compare", "cost"):
        if content[name]:
            raise UsageError(f"--beyond is one search of one objective: leave --{name} out")
    return beyond


def search_beyond(
    config: SearchConfig, beyond: BeyondConfig, model: GraphVAE, folder: Path, report: Callable[[Evaluation], None],
    stop_on_error: bool, shown: int,
) -> None:  # fmt: skip
    """One search in both spaces; prints so many of the best of each."""
    found = run_beyond(config, beyond, model, folder, report, stop_on_error)
    paths = write_search_report(found.setting, found.inside, report_folder(config, folder)) + write_beyond_report(found)
    print_table(top_rows(found.setting, found.inside, shown))
    print()
    if found.outside.evaluations:
        print_table(top_rows(found.setting, found.outside, shown))
    else:
        rows = candidate_rows(found)[:shown]
        print_table([{name: row[name] for name in ("expected", "deviation", "architecture")} for row in rows])
    print(beyond_summary(found))
    stderr("\n".join(map(str, paths)))
