"""From a data config to graphs, labels and a split."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from graphnas.datasets.splits import Split, split
from graphnas.errors import GraphnasError, InvalidValues, OutsideSpace, SpaceMismatch
from graphnas.spaces import Architectures, SearchSpace, get_space
from graphnas.train.config import DataConfig

DEFAULT_SAMPLE = 100_000


@dataclass
class Prepared:
    """Graphs of a space with optional labels [n] and the split that every model shares."""

    space: SearchSpace
    archs: Architectures
    y: Tensor | None
    split: Split


def prepare(config: DataConfig) -> Prepared:
    """Graphs of a run: the rows of a table, the whole space, or a seeded sample of it; then the split.

    Raises:
        GraphnasError: too few graphs for the split, labels of another space, no such metric or budget.
        InvalidValues: the whole space is asked for by name, but without labels there is nothing else.
    """
    space = get_space(config.space)
    if config.whole_space is not None and config.labels is None:
        raise InvalidValues("data.whole_space says which architectures get labels: give data.labels too")
    if config.labels is None:
        archs, y = unlabelled(space, config.num_graphs, config.split_seed), None
    else:
        archs, y = labelled(space, config)
    if config.num_graphs is not None and config.num_graphs < len(archs):
        pick = random_rows(torch.arange(len(archs)), config.num_graphs, config.split_seed).sort().values
        archs, y = archs[pick], None if y is None else y[pick]
    if len(archs) * config.held_out < 2:
        raise GraphnasError(f"{len(archs)} graphs are too few to hold out a share of {config.held_out} in two parts")
    fractions = (1 - config.held_out, config.held_out / 2, config.held_out / 2)
    try:
        return Prepared(space, archs, y, split(space, archs, fractions, seed=config.split_seed))
    except ValueError as error:
        raise GraphnasError(f"cannot split {len(archs)} graphs: {error}") from error


def unlabelled(space: SearchSpace, num_graphs: int | None, seed: int) -> Architectures:
    """The whole space, or distinct samples where it is too large."""
    try:
        return space.enumerate()
    except OutsideSpace:
        archs = space.sample(num_graphs or DEFAULT_SAMPLE, seeded(seed))
        keys = space.canonical_keys(archs)
        first = {key: row for row, key in reversed(list(enumerate(keys)))}
        return archs[torch.tensor(sorted(first.values()))]


def labelled(space: SearchSpace, config: DataConfig) -> tuple[Architectures, Tensor]:
    """The rows of a table, or all of its space, with their values; what has no value is left out.

    Raises:
        OutsideSpace: all of a space that cannot be enumerated.
        SpaceMismatch, GraphnasError: see :func:`prepare`.
    """
    from graphnas.tables import load_table

    assert config.labels is not None
    table = load_table(config.labels, space=space)
    if table.space.name != space.name:
        raise SpaceMismatch(f"table {config.labels} is about {table.space.name}, the run about {space.name}")
    archs = space.enumerate() if config.whole_space else table.architectures
    metric = config.metric or table.default_metric
    y = table.query(archs, metric, config.budget)
    known = ~y.isnan()
    if not bool(known.any()):
        raise GraphnasError(f"table {config.labels} has no value of {metric!r}")
    return archs[known], y[known]


def seeded(seed: int) -> torch.Generator:
    """A CPU generator of its own.

    Raises:
        InvalidValues: a negative or too large seed.
    """
    if not 0 <= seed < 2**63:
        raise InvalidValues(f"seed must be at least 0 and below {2**63} (got {seed})")
    return torch.Generator().manual_seed(seed)


def random_rows(rows: Tensor, count: int, seed: int) -> Tensor:
    """At most `count` of `rows`, in random order: a prefix of a split would hold the smallest graphs only.

    Raises:
        InvalidValues: a negative count.
    """
    if count < 0:
        raise InvalidValues(f"expected a number of graphs of at least 0 (got {count})")
    return rows[torch.randperm(len(rows), generator=seeded(seed))[:count]]
