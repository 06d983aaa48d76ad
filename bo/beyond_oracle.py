"""Who judges architectures of two spaces, a trained one and a larger one, by the same measure."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from graphnas.bo.config import OracleConfig
from graphnas.bo.labels import table_of_both
from graphnas.bo.oracles import Answer, Oracle, PredictorOracle, TableOracle, boosted_oracle
from graphnas.networks.defaults import DEFAULTS
from graphnas.spaces import Architectures, SearchSpace, family_name
from graphnas.tables import default_table
from graphnas.train.rankers import digest_of_ranker, load_ranker, predictions_of


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

    Attributes:
        digest: of its labels, where labels answer.
        metric: name of its labels, where known.
    """

    def __init__(self, space: SearchSpace, oracle: Oracle) -> None:
        self.space, self.oracle = space, oracle
        self.digest: str | None = getattr(oracle, "digest", None)
        self.metric: str | None = getattr(oracle, "metric", None)

    def __call__(self, arch: Architectures) -> Answer:
        return self.oracle(arch.widen(self.oracle.space.max_nodes))


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
        ranker = load_ranker(options.predictor or "")
        if ranker.space.name == larger.name:
            digest = digest_of_ranker(options.predictor or "")
            return Judge(PredictorOracle(larger, predictions_of(ranker), options.minimise, digest))
        return Judge(None, None, f"{options.predictor} predicts {ranker.space.name} only")
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
