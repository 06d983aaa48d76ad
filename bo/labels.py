"""The labels of a search: which table answers, which architectures it knows, and a fingerprint of what it says."""

from __future__ import annotations

from collections.abc import Iterable

from graphnas.bo.config import OracleConfig
from graphnas.checkpoint import digest
from graphnas.errors import InvalidArchitecture, MissingData, OutsideSpace, SpaceMismatch
from graphnas.spaces import Architectures, SearchSpace
from graphnas.tables import Table, default_table, load_members, load_table, within


def table_of_both(larger: SearchSpace, small: SearchSpace, options: OracleConfig) -> Table | None:
    """The labels that were asked for, where they are about the larger space; None where about another.

    Raises:
        GraphnasError: missing or damaged labels.
    """
    source = options.labels or default_table(larger) or default_table(small)
    if source is None:
        raise MissingData(
            f"neither {small.name} nor {larger.name} has built-in labels: pass --oracle.labels FILE or another "
            "--oracle.kind"
        )
    try:
        return load_table(source, space=larger)
    except SpaceMismatch:
        return None
    except InvalidArchitecture:
        load_table(source, space=small)  # text of the smaller space alone, where this does not raise
        return None


def read_table(space: SearchSpace, config: OracleConfig, larger: SearchSpace | None = None) -> Table:
    """The labels that were asked for, or the built-in ones; of labels of a larger space those of this one.

    Raises:
        MissingData: the space has no built-in labels.
        SpaceMismatch: labels of another space.
    """
    both = None if larger is None else table_of_both(larger, space, config)
    if both is not None:
        return within(both, space)
    source = config.labels or default_table(space)
    if source is None:
        raise MissingData(f"{space.name} has no built-in labels: pass --oracle.labels FILE or another --oracle.kind")
    return load_members(source, space)[0]


def labelled(table: Table, metric: str) -> tuple[Architectures, bool]:
    """The architectures of a table's space with a label, and whether these are all of the space."""
    try:
        archs, whole = table.space.enumerate(), True
    except OutsideSpace:
        archs, whole = table.architectures, False
    known = ~table.query(archs, metric).isnan()
    return archs[known], whole and bool(known.all())


def digest_of(table: Table, metrics: Iterable[str | None]) -> str:
    """A fingerprint of architectures and labels: the same wherever the file lies, another when it has changed."""
    archs, asked = table.architectures, [name for name in metrics if name is not None]
    return digest(archs.ops, archs.adj, archs.num_nodes, *(table.query(archs, name) for name in asked))[:16]
