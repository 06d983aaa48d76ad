"""What all searches of a comparison share: space, oracle, pool, codes and limits, made from one config."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor

from graphnas.bo.beyond_oracle import WidenedOracle, judge_beyond
from graphnas.bo.codes import Codes, LatentCodes, RawCodes, default_pool
from graphnas.bo.config import OracleConfig, SearchConfig
from graphnas.bo.labels import labelled, read_table
from graphnas.bo.oracles import Oracle, PredictorOracle, SnappedOracle, TableOracle, boosted_oracle
from graphnas.errors import InvalidValues, OutsideSpace, SpaceMismatch, UnknownName
from graphnas.models import GraphVAE
from graphnas.spaces import Architectures, SearchSpace, get_space
from graphnas.tables import Table
from graphnas.train.data import seeded
from graphnas.train.rankers import digest_of_ranker, load_ranker, predictions_of


class Setting:
    """Space, oracle and pool of a search, and the codes of the pool.

    A table that knows only a part of its space answers for the nearest labelled architecture where it does not know the
    one that was asked for, nearest in the latent space if there is one; the pool then is what the table knows.

    Args:
        config: the search.
        model: a trained VAE of the space, if there is one.
        larger: a larger space, whose labels or predictor may be what answers.

    Raises:
        GraphnasError: missing or foreign labels, predictors or models.
        OutsideSpace: no architecture of the pool keeps to the limits.
        InvalidValues: more evaluations than the pool has architectures to evaluate.

    Attributes:
        pool: architectures that may be chosen, at most `config.pool_size`.
        oracle: what answers.
        digest: of the labels, where labels answer.
    """

    def __init__(self, config: SearchConfig, model: GraphVAE | None = None, larger: SearchSpace | None = None) -> None:
        self.config, self.model, self.space = config, model, get_space(config.space)
        if model is not None and model.space.name != self.space.name:
            raise SpaceMismatch(f"the model is about {model.space.name}, the search about {self.space.name}")
        self.pool: Architectures
        self.oracle: Oracle
        if config.oracle.kind == "table":
            self.use_table(read_table(self.space, config.oracle, larger))
        else:
            self.pool = default_pool(self.space, 0, config.pool_size)
            self.oracle = answer_all(self.space, config.oracle, larger)
        self.digest: str | None = getattr(self.oracle, "digest", None)
        self.check_budget()

    def check_budget(self) -> None:
        """Refuse limits that nothing keeps to, and budgets that cannot be spent."""
        config, count = self.config, int(self.allowed(self.pool).sum())
        limits = ", ".join(f"{name} <= {limit:g}" for name, limit in self.limits.items())
        if not count:
            raise OutsideSpace(f"none of {len(self.pool)} architectures of {config.space} has {limits}")
        if config.start + config.queries > count:
            known = f" beside the start of {config.start}" if config.start else ""
            raise InvalidValues(
                f"{config.queries} queries{known} are more than the {count} architectures of {config.space} to choose "
                f"from{' with ' + limits if limits else ''} (labelled ones, at most pool_size {config.pool_size})"
            )

    def use_table(self, table: Table) -> None:
        """Pool and oracle from measured labels."""
        options, limit = self.config.oracle, self.config.pool_size
        try:
            oracle = TableOracle(table, options.metric, options.test_metric, options.seconds_metric, options.minimise)
        except UnknownName as error:
            if options.labels is not None:
                raise
            kind, name, known, _ = error.args
            raise UnknownName(kind, name, known, "labels with other metrics are passed by --labels FILE") from None
        known, complete = labelled(table, oracle.metric)
        if len(known) < 2:
            raise InvalidValues(f"{options.labels or 'the table'} has {len(known)} labels, expected at least 2")
        rows = torch.randperm(len(known), generator=seeded(0))[:limit].sort().values
        self.pool, self.oracle = known[rows], oracle
        allowed = self.pool[self.allowed(self.pool)]
        if not complete and len(allowed):
            self.oracle = SnappedOracle(oracle, allowed, self.codes.place)

    @property
    def goal(self) -> str:
        """What is searched for, in words."""
        by = self.config.oracle.predictor or self.config.oracle.labels
        source = self.asked.table.source if isinstance(self.asked, TableOracle) else by
        source = f" of {source}" if source else ""
        cheap = "" if self.config.cost is None else f" at the fewest {self.config.cost}"
        return f"the {'lowest' if self.config.oracle.minimise else 'highest'} {self.metric}{source}{cheap}"

    @property
    def asked(self) -> Oracle:
        """The oracle, of one that snaps the labels behind it."""
        return self.oracle.oracle if isinstance(self.oracle, SnappedOracle) else self.oracle

    @property
    def named(self) -> OracleConfig:
        """What was asked for, the default metric of the labels by its name."""
        metric: str | None = getattr(self.asked, "metric", None)
        return self.config.oracle if metric is None else replace(self.config.oracle, metric=metric)

    @property
    def metric(self) -> str:
        """Name of what is searched for."""
        return self.named.value_label

    @property
    def reported(self) -> str:
        """Name of what is told of the best, the same where nothing else is known."""
        return self.named.label

    @property
    def codes(self) -> Codes:
        """Latent codes where there is a model, entries of the architectures where not."""
        return self.raw if self.model is None else self.latent

    @cached_property
    def latent(self) -> LatentCodes:
        """Latent codes of the pool.

        Raises:
            InvalidValues: there is no model.
        """
        if self.model is None:
            raise InvalidValues("a search in a latent space needs a trained model: pass --model RUN")
        return LatentCodes(self.model, self.pool, self.config.dim)

    @cached_property
    def raw(self) -> RawCodes:
        """Entries of the pool."""
        return RawCodes(self.space, self.pool)

    @property
    def limits(self) -> dict[str, float]:
        """The most parameters and FLOPs that are allowed, where limited."""
        limits = {"params": self.config.max_params, "flops": self.config.max_flops}
        return {name: limit for name, limit in limits.items() if limit is not None}

    def allowed(self, archs: Architectures) -> Tensor:
        """Whether architectures keep to the limits: bool [B]."""
        costs = self.space.cost(archs)
        parts = [costs[name] <= limit for name, limit in self.limits.items()]
        return torch.stack(parts).all(0).cpu() if parts else torch.ones(len(archs), dtype=torch.bool)


def answer_all(space: SearchSpace, config: OracleConfig, larger: SearchSpace | None = None) -> Oracle:
    """An oracle that knows every architecture of the space, or of a larger one.

    Raises:
        InvalidValues: a predictor that is not named.
        SpaceMismatch: a predictor of another space.
    """
    if larger is not None and (config.kind == "boosted" or config.predictor is not None):
        judge = judge_beyond(larger, space, config)
        if judge.oracle is not None:
            return WidenedOracle(space, judge.oracle)
    if config.kind == "boosted":
        return boosted_oracle(read_table(space, config), config.metric, minimise=config.minimise)
    if config.kind == "train":
        from graphnas.bo.training_oracle import TrainingOracle

        return TrainingOracle(space, config.dataset, config.epochs)
    if config.predictor is None:
        raise InvalidValues("an oracle that predicts needs --oracle.predictor RUN")
    ranker = load_ranker(config.predictor)
    if ranker.space.name != space.name:
        raise SpaceMismatch(f"{config.predictor} predicts {ranker.space.name}, the search is in {space.name}")
    return PredictorOracle(space, predictions_of(ranker), config.minimise, digest_of_ranker(config.predictor))
