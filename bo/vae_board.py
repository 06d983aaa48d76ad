"""One entry of the VAE leaderboard: a model trained on a space from a seed, and everything measured on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from graphnas.bo.predictivity import latent_predictivity, raw_feature_rows
from graphnas.models import GraphVAE
from graphnas.run_folder import plain
from graphnas.spaces import Architectures, SearchSpace
from graphnas.tables import default_table, load_table
from graphnas.train.config import DataConfig, VAEConfig
from graphnas.train.data import Prepared, prepare, random_rows
from graphnas.train.evaluate import EvaluationConfig, decode_all, encode_all, evaluate_vae
from graphnas.train.result_files import finite, is_finished, read_result, write_result
from graphnas.train.vae import load_vae, train_or_continue

GOALS = (0.99, 0.999)
"""Arg-max reconstructions for which the CPU-minutes are reported."""


@dataclass(frozen=True)
class BoardSizes:
    """How much is measured; the defaults are the full profile."""

    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    """Reconstruction and prior."""
    gp_seeds: int = 1
    """Gaussian processes per autoencoder: its own seeds vary more than theirs."""
    legacy_epochs: int = 100
    """Passes of the sparse GP over the codes."""
    fit_points: int = 250
    """Labelled codes that the converged GP's hyper-parameters are fitted on."""
    gp_points: int = 4000
    """Labelled codes that the converged GP conditions on."""
    max_labels: int = 5000
    """Labelled training codes; the D-VAE paper takes 5,000 Bayesian networks, and all 17,118 ENAS architectures."""


@dataclass(frozen=True)
class Labels:
    """Where the labels of a space come from."""

    source: str | None = None
    """Table name or file; the built-in one of the space if not given."""
    metric: str | None = None
    """Metric of that table; its default if not given."""


@dataclass(frozen=True)
class LabelledCells:
    """Labelled architectures of a space, apart in training and test part."""

    train: Architectures
    train_y: Tensor
    test: Architectures
    test_y: Tensor
    own: bool
    """Whether they are the run's own graphs."""


def labelled_cells(data: Prepared, labels: Labels, limit: int) -> LabelledCells | None:
    """The labels that judge codes; None where there is no table.

    Where the table knows the run's own graphs, the parts are the run's: held-out labels belong to graphs the
    autoencoder never saw. Otherwise its rows are split by class from the same seed.

    Args:
        data: what the autoencoder was trained on.
        labels: which.
        limit: most training rows.
    """
    source = labels.source or default_table(data.space)
    if source is None:
        return None
    table = load_table(source, space=data.space)
    metric = labels.metric or table.default_metric
    y = table.query(data.archs, metric)
    own_graphs = float((~y.isnan()).float().mean()) > 0.5
    if own_graphs:
        archs, split = data.archs, data.split
    else:
        seed = data.split.seed
        config = DataConfig(space=data.space.name, labels=source, metric=metric, split_seed=seed)
        other = prepare(config)
        assert other.y is not None
        archs, y, split = other.archs, other.y, other.split
    train, test = (rows[~y[rows].isnan()] for rows in (random_rows(split.train, limit, split.seed), split.test))
    return LabelledCells(archs[train], y[train].double(), archs[test], y[test].double(), own_graphs)


def independent(space: SearchSpace, archs: Architectures) -> int:
    """How many different functions there are: architectures that compute the same share one label."""
    return len(space.class_ids(archs).unique())


def run_entry(config: VAEConfig, folder: Path, labels: Labels, sizes: BoardSizes) -> Path:
    """Train (or go on with) one entry and measure it; what is there already is not done again.

    Args:
        config: the training run.
        folder: of the leaderboard; the run lies in `runs`, the result in `results`.
        labels: that judge the codes.
        sizes: how much is measured.

    Returns:
        The result file: JSON with model, space, seed, cost of the training, `values`, and the number of test labels and
        of different functions among them that the codes are judged on.

    Raises:
        GraphnasError: a result made in another way is there; see :func:`graphnas.train.vae.train_or_continue`.
    """
    name = entry_name(config)
    result, run = folder / "results" / f"{name}.json", folder / "runs" / name
    made = finite({"run": plain(config), "labels": asdict(labels), "sizes": asdict(sizes)})
    if is_finished(result, made):
        return result
    torch.set_num_threads(1)
    records = train_or_continue(config, run)
    model, data = load_vae(run), prepare(config.data)
    values = evaluate_vae(model, data.archs[data.split.train], data.archs[data.split.test], sizes.evaluation)
    cells, judged_on = labelled_cells(data, labels, sizes.max_labels), {"labels": 0, "functions": 0}
    if cells is not None:
        values |= predictivity(model, cells, sizes)
        judged_on = {"labels": len(cells.test), "functions": independent(data.space, cells.test)}
        if not cells.own:
            best = decode_all(model, encode_all(model, cells.test), sample=False)
            values["exact_labelled"] = float(best.equal(cells.test).float().mean())
    content = {
        "model": config.model,
        "space": config.data.space,
        "seed": config.fit.seed,
        "parameters": model.num_parameters,
        **training_cost(records),
        "config": model.config.to_dict(),
        "made": made,
        "judged_on": judged_on,
        "values": values,
    }
    return write_result(result, content)


def entry_name(config: VAEConfig) -> str:
    """Name of an entry's run and result."""
    return f"{config.model}_{config.data.space}_{config.fit.seed}"


def predictivity(model: GraphVAE, cells: LabelledCells, sizes: BoardSizes) -> dict[str, float]:
    """What the two Gaussian processes make of the codes, see :func:`latent_predictivity`."""
    codes, held_out = encode_all(model, cells.train), encode_all(model, cells.test)
    return latent_predictivity(
        codes, cells.train_y, held_out, cells.test_y, range(sizes.gp_seeds), sizes.legacy_epochs,
        fit_points=sizes.fit_points, max_points=sizes.gp_points,
    )  # fmt: skip


def training_cost(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Steps and CPU-minutes of a run, and the minutes until validation first reached each of :data:`GOALS`."""
    cost: dict[str, Any] = {"steps": records[-1]["step"], "cpu_minutes": records[-1]["cpu_seconds"] / 60}
    for goal in GOALS:
        reached = [record["cpu_seconds"] / 60 for record in records if record["validation/exact"] >= goal]
        cost[f"minutes_to_{100 * goal:g}"] = min(reached, default=None)
    return cost


def raw_rows(config: VAEConfig, folder: Path, labels: Labels, sizes: BoardSizes) -> Path | None:
    """The raw-feature rows of a space, measured once on the same labels and parts; None without labels."""
    result = folder / "results" / f"raw_{config.data.space}.json"
    made = finite({"data": plain(config.data), "labels": asdict(labels), "max_labels": sizes.max_labels})
    if is_finished(result, made):
        return result
    data = prepare(config.data)
    cells = labelled_cells(data, labels, sizes.max_labels)
    if cells is None:
        return None
    rows = raw_feature_rows(data.space, cells.train, cells.train_y, cells.test, cells.test_y)
    content = {"space": data.space.name, "train": len(cells.train), "test": len(cells.test), "made": made, "rows": rows}
    return write_result(result, content)


def check_result(content: dict[str, Any]) -> None:
    """Refuse what lacks an entry that the report reads, or has none or text for a number.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: for whatever is wrong first.
    """
    str(content["space"])
    if "rows" in content:
        int(content["train"]), int(content["test"])
        for row in content["rows"]:
            optional_numbers([row["rmse"], row["pearson"], len(row["features"])])
        return
    int(content["parameters"]), int(content["steps"]), int(content["seed"]), len(content["model"])
    optional_numbers([content["cpu_minutes"], *(content[f"minutes_to_{100 * goal:g}"] for goal in GOALS)])
    optional_numbers(content["values"].values())
    dict(content["made"]["run"]["fit"])


def optional_numbers(values: Iterable[Any]) -> list[float | None]:
    """Numbers, or None where there is none.

    Raises:
        TypeError, ValueError: something else.
    """
    return [None if value is None else float(value) for value in values]


def read_results(folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """All entries and all raw-feature files of a leaderboard.

    Raises:
        GraphnasError: a file that is no result, named.
    """
    found = [read_result(path, check_result) for path in sorted((folder / "results").glob("*.json"))]
    return [one for one in found if "rows" not in one], [one for one in found if "rows" in one]
