"""What commands read from a run folder: its model, its graphs, and labels for them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from graphnas.commands.parsing import UsageError
from graphnas.errors import MissingData, SpaceMismatch, did_you_mean
from graphnas.models import GraphVAE, load_model
from graphnas.state_dicts import find, is_shipped, list_pretrained, read_card
from graphnas.tables import default_table, load_table
from graphnas.train.config import DataConfig
from graphnas.train.data import Prepared, prepare
from graphnas.train.vae import load_vae, read_vae_config


class OpenRun(NamedTuple):
    """A trained VAE in eval mode, the folder of what is made from it, and the data it was trained on."""

    folder: Path
    model: GraphVAE
    config: DataConfig
    data: Prepared


def open_run(path: str) -> OpenRun:
    """The best weights of a run folder of `graphnas train vae`, or shipped ones by their name, and their graphs.

    What is made from shipped weights goes to `runs/NAME`. A name goes before a folder of the same name, which `./NAME`
    means in any case.

    Raises:
        GraphnasError: no such run, a damaged one, or shipped weights of no VAE.
    """
    if is_shipped(path):
        return open_shipped(path)
    folder = Path(path)
    if not folder.exists():
        meant = did_you_mean(path, [card["name"] for card in list_pretrained()])
        raise MissingData(f"{path} is not a run folder, nor the name of shipped weights" + f": {meant}" * bool(meant))
    config = read_vae_config(folder).data
    model = load_vae(folder)
    return OpenRun(folder, model.eval(), config, prepare(config))


def open_shipped(name: str) -> OpenRun:
    """Shipped weights and the graphs that their card says they were trained on."""
    model, config = load_model(find(name)), DataConfig(**read_card(name)["run"]["data"])
    if not isinstance(model, GraphVAE):
        raise UsageError(f"{name} is a {model.registered_name} predictor, expected a VAE: see `graphnas models list`")
    return OpenRun(Path("runs") / name, model.eval(), config, prepare(config))


def label_values(run: OpenRun, rows: Tensor, labels: str | None, metric: str | None) -> tuple[Tensor, str]:
    """Labels of the graphs at `rows`, float [B] with NaN where there is none, and what they are.

    They come from the table or file `labels`, else from the labels of the run, else from the built-in table of the
    space.

    Raises:
        UsageError: there are no labels, or none of these graphs has one.
        SpaceMismatch: a table of another space.
    """
    own = labels is None and run.data.y is not None
    if own and metric is None:
        assert run.data.y is not None
        return run.data.y[rows], run.config.metric or "label"
    source = labels or run.config.labels or default_table(run.data.space)
    if source is None:
        raise UsageError(
            f"{run.folder} was trained without labels and {run.data.space.name} has no built-in ones: pass --labels"
        )
    table = load_table(source, space=run.data.space)
    if table.space.name != run.data.space.name:
        raise SpaceMismatch(f"table {source} is about {table.space.name}, the run about {run.data.space.name}")
    name = metric or table.default_metric
    values = table.query(run.data.archs[rows], name, run.config.budget if own else None)
    if len(rows) and bool(values.isnan().all()):
        raise UsageError(f"table {source} has no {name} of any of the {len(rows)} graphs")
    unit = table.units.get(name, "")
    return values, f"{name} ({unit})" if unit else name
