"""How good a predictor is from few labels: the task, its parts, and every figure that a ranking is judged by."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from graphnas.checkpoint import digest
from graphnas.errors import GraphnasError
from graphnas.metrics import kendall_tau, pearson, precision_at, rmse, spearman
from graphnas.spaces import Architectures, SearchSpace, get_space
from graphnas.tables import default_table, list_tables, load_members
from graphnas.tables.load import detect
from graphnas.train.fitted import FittedPredictor
from graphnas.train.predictor import fit_predictor

logger = logging.getLogger(__name__)

FIRST_LINES = {"csv": 2, "enas": 1}
"""Line of the first row in files with a row per line."""
NAMED = 5
"""Lines that are named at most."""

TOP_SHARES = (0.01, 0.05, 0.1)
"""Shares of the test part whose overlap in truth and prediction is reported."""
PICKS = (1, 10, 100)
"""Numbers of best predicted architectures whose best true rank is reported."""
COVERED = 1.96
"""Standard deviations on either side of the mean that hold 95 % of a normal distribution."""

Parting = Literal["classes", "rows"]


@dataclass(frozen=True)
class Task:
    """Labels to be predicted."""

    space: str
    """Search space."""
    source: str | None = None
    """Table name or file; the built-in one of the space if not given."""
    metric: str | None = None
    """Metric of the table, its default if not given; higher is better."""
    test_size: int | None = None
    """Architectures to judge on; half of the labelled ones if not given."""
    parting: Parting = "classes"
    """`classes`: no architecture computes the same function as one of the other part. `rows`: the rows of
    `numpy.random.default_rng(seed).permutation`, first those to judge on, as released predictors were measured."""

    @property
    def name(self) -> str:
        """Short name for files: space, metric or source, and the parting where it is not the usual one."""
        labels = self.metric or (Path(self.source).name.split(".")[0] if self.source else "labels")
        parts = [self.space, labels, *(["rows"] if self.parting == "rows" else [])]
        return "-".join("".join(c if c.isalnum() else "_" for c in part) for part in parts)


class Labels(NamedTuple):
    """All labelled architectures of a task, y float64 [R], and the name of the metric."""

    space: SearchSpace
    archs: Architectures
    y: Tensor
    metric: str = ""

    @property
    def digest(self) -> str:
        """Of architectures and labels: the same wherever the file lies, another when it has changed."""
        return digest_of((self.archs, self.y))


def digest_of(*labelled: tuple[Architectures, Tensor]) -> str:
    """A fingerprint of architectures and their labels."""
    return digest(*(part for archs, y in labelled for part in (archs.ops, archs.adj, archs.num_nodes, y)))[:16]


def read_labels(task: Task, repeats: str | None = None) -> Labels:
    """The architectures of the table that have a label.

    Args:
        task: which table and metric.
        repeats: "runs" where rows of the same architecture in a CSV are repeated trainings; their mean is the label.

    Raises:
        GraphnasError: no table, metric or label, or repeats asked of a table that is no CSV.
    """
    space = get_space(task.space)
    source = task.source or default_table(space)
    if source is None:
        raise GraphnasError(f"no labels of {space.name} come with graphnas: name a table or file")
    table, whole = load_members(source, space, **csv_options(source, repeats))
    metric = task.metric or table.default_metric
    if metric in table.measured and not bool((~table.values[..., table.measured.index(metric)].isnan()).any()):
        raise GraphnasError(f"{source} has no value of {metric}")
    y = table.column(metric).double()
    known = ~y.isnan()
    if not bool(known.any()):
        raise GraphnasError(f"{source} has no value of {metric}")
    if not bool(known.all()):
        where = where_missing(source, known, whole and repeats is None)
        logger.warning("%s: no %s in %s: left out", source, metric, where)
    return Labels(space, table.architectures[known], y[known], metric)


def csv_options(source: str, repeats: str | None) -> dict[str, Any]:
    """What a CSV is read with.

    Raises:
        GraphnasError: repeats of a table that is no CSV.
    """
    path = Path(source).expanduser()
    if repeats is None:
        return {}
    if source in list_tables() or (path.is_file() and detect(path) != "csv"):
        raise GraphnasError(f"{source} is no CSV: only rows of a CSV can be read as repeated trainings")
    return {"repeats": repeats}


def where_missing(source: str, known: Tensor, by_line: bool = True) -> str:
    """The rows that are not `known` bool [R], as lines of the file where `by_line` it is text with a row per line."""
    path = Path(source).expanduser()
    first = FIRST_LINES.get(detect(path)) if path.is_file() and by_line else None
    rows = (~known).nonzero().flatten()
    if first is None:
        return f"{len(rows)} of {len(known)} rows"
    lines = ", ".join(str(first + row) for row in rows[:NAMED].tolist())
    more = f" and {len(rows) - NAMED} more" if len(rows) > NAMED else ""
    return f"line{'s' * (len(rows) > 1)} {lines}{more}"


class Parts(NamedTuple):
    """Rows to learn from and to judge on, int64."""

    train: Tensor
    test: Tensor


def part_rows(labels: Labels, task: Task, num_train: int, seed: int) -> Parts:
    """Parts of a seed; a smaller number of training rows is a prefix of a larger one.

    Raises:
        GraphnasError: more rows asked for than there are.
    """
    total = len(labels.y)
    test_size = task.test_size or total // 2
    order = torch.from_numpy(np.random.default_rng(seed).permutation(total))
    if task.parting == "classes":
        # classes in random order, all rows of a class side by side, each side in random order
        groups, inverse = labels.space.class_ids(labels.archs).unique(return_inverse=True)
        place = torch.from_numpy(np.random.default_rng(seed).permutation(len(groups)))[inverse]
        ordered = order[place[order].argsort(stable=True)]
        border = min(test_size, total)
        while 0 < border < total and place[ordered[border]] == place[ordered[border - 1]]:
            border += 1  # the class at the border is judged as a whole
        test = ordered[:border]
        inside = torch.zeros(total, dtype=torch.bool)
        inside[test] = True
        rest = order[~inside[order]]
    else:
        test, rest = order[:test_size], order[test_size:]
    if len(rest) < num_train:
        raise GraphnasError(
            f"{total} labelled architectures leave {len(rest)} to learn from beside {len(test)} to judge on "
            f"(asked for {num_train})"
        )
    return Parts(rest[:num_train], test)


def measure(predicted: Tensor, y: Tensor) -> dict[str, float]:
    """Everything a ranking is judged by; higher is better except for `rmse` and `best_rank_at_*` (1 is the best).

    `kendall_top` is tau-b among the better half by label, `top_x` the overlap of the best x % in truth and prediction,
    `best_rank_at_k` the best true rank among the k best predicted.
    """
    half = y >= y.median()
    values = {
        "kendall": kendall_tau(predicted, y),
        "kendall_top": kendall_tau(predicted[half], y[half]),
        "spearman": spearman(predicted, y),
        "pearson": pearson(predicted, y),
        "rmse": rmse(predicted, y),
    }
    for share in TOP_SHARES:
        values[f"top_{100 * share:g}"] = precision_at(predicted, y, max(1, round(share * len(y))))
    best = predicted.argsort(descending=True, stable=True)
    ranks = 1 + (y[None, :] > y[best[: max(PICKS)], None]).sum(1)
    for count in PICKS:
        values[f"best_rank_at_{count}"] = float(ranks[:count].min())
    return values


def evaluate_predictor(fitted: FittedPredictor, archs: Architectures, y: Tensor) -> dict[str, float]:
    """:func:`measure` on labelled architectures, with the CPU-seconds of the prediction and how honest its spread is.

    `z_square` is the mean of z^2, z = (y - mean) / std, 1 where the uncertainty is right; a single failed training can
    be most of it. `coverage` is the share with |z| < 1.96, 0.95 where the uncertainty is right and Gaussian.
    """
    begin = time.process_time()
    predicted = fitted.predict(archs)
    seconds = time.process_time() - begin
    values = measure(predicted, y) | {"query_seconds": seconds}
    try:
        std = fitted.predict_std(archs)
    except GraphnasError:  # a single network knows nothing about its errors
        return values
    z = ((y - predicted) / std).abs()
    return values | {"z_square": float(z.square().mean()), "coverage": float((z < COVERED).double().mean())}


def run_task(
    name: str, task: Task, labels: Labels, num_train: int, seed: int, overrides: dict[str, Any] | None = None
) -> dict[str, float]:
    """Fit one predictor on one seed's labels and judge it; CPU-seconds of the fit under `fit_seconds`."""
    rows = part_rows(labels, task, num_train, seed)
    begin = time.process_time()
    fitted = fit_predictor(
        name, labels.archs[rows.train], labels.y[rows.train], labels.space, seed, device="cpu", **(overrides or {})
    )
    seconds = time.process_time() - begin
    values = evaluate_predictor(fitted, labels.archs[rows.test], labels.y[rows.test])
    return {"train": len(rows.train), "test": len(rows.test), "fit_seconds": seconds, **values}
