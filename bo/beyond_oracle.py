"""Who judges architectures of two spaces, a trained one and a larger one, by the same measure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from graphnas.bo.config import OracleConfig
from graphnas.bo.oracles import Answer, Oracle, PredictorOracle, TableOracle, boosted_oracle
from graphnas.errors import InvalidArchitecture, MissingData, SpaceMismatch
from graphnas.networks.defaults import DEFAULTS
from graphnas.spaces import Architectures, SearchSpace, family_name
from graphnas.tables import Table, default_table, load_table
from graphnas.train.predictor_files import load_predictor


class Judge(NamedTuple):
    """What says how good members of a larger space are.

    Attributes:
        oracle: evaluates them; None where nothing can.
        known: which of them it can evaluate, [B] -> bool [B]; None for all.
        reason: why it cannot.
    """

    oracle: Oracle | None
    known: Callable[[Architectures], Tensor] | None = None
    reason: str = ""


class WidenedOracle:
    """An oracle of a larger space asked about the smaller one within it.

    Args:
        space: the smaller one.
        oracle: of the larger one.
    """

    def __init__(self, space: SearchSpace, oracle: Oracle) -> None:
        self.space, self.oracle = space, oracle

    def __call__(self, arch: Architectures) -> Answer:
        return self.oracle(arch.widen(self.oracle.space.max_nodes))


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


def judge_beyond(larger: SearchSpace, small: SearchSpace, options: OracleConfig) -> Judge:
    """The oracle that `options` describe, for the larger space.

    A training judges everything it has a network for, a table or predictor of the larger space both spaces, one of the
    smaller space that alone.

    Raises:
        GraphnasError: missing or damaged labels or predictors.
    """
    if options.kind == "train":
        return judge_by_training(larger, options)
    if options.kind == "predictor":
        fitted = load_predictor(Path(options.predictor or ""))
        if fitted.space.name == larger.name:
            return Judge(PredictorOracle(larger, fitted.predict, options.minimise))
        return Judge(None, None, f"{options.predictor} predicts {fitted.space.name} only")
    table = table_of_both(larger, small, options)
    if table is None:
        return Judge(None, None, f"{options.labels or default_table(small)} is not about {larger.name}")
    if options.kind == "boosted":
        return Judge(boosted_oracle(table, options.metric, minimise=options.minimise))
    oracle = TableOracle(table, options.metric, options.test_metric, options.seconds_metric, options.minimise)
    if not bool((table.architectures.num_nodes > small.max_nodes).any()):
        name = options.labels or table.source
        return Judge(None, None, f"{name} has no label of more than {small.max_nodes} vertices")
    return Judge(oracle, lambda archs: ~table.query(archs, oracle.metric).isnan())


def judge_by_training(larger: SearchSpace, options: OracleConfig) -> Judge:
    """Real trainings, where the larger space has networks."""
    from graphnas.bo.training_oracle import TrainingOracle

    if family_name(larger.name) not in DEFAULTS:
        return Judge(None, None, f"there is no network of {larger.name}")
    return Judge(TrainingOracle(larger, options.dataset, options.epochs))
