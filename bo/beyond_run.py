"""A search that goes on beyond the space its model was trained on: one budget, two journals, one ranking."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from graphnas.bo.beyond import BeyondBO, can_go_on
from graphnas.bo.beyond_oracle import Judge, judge_beyond
from graphnas.bo.comparison import known_beforehand, read_histories, run_one
from graphnas.bo.config import BeyondConfig, SearchConfig
from graphnas.bo.search import Evaluation, History, run_search
from graphnas.bo.setting import Setting
from graphnas.errors import InvalidValues
from graphnas.models import GraphVAE
from graphnas.spaces import Architectures, SearchSpace, get_space
from graphnas.train.data import seeded

Report = Callable[[Evaluation], None]


class Beyond(NamedTuple):
    """What a search in two spaces has found.

    Attributes:
        setting: of the first, with the evaluations it got.
        inside: paid for in the trained space.
        outside: paid for in the larger one, none where nothing could judge them.
        reason: why nothing could.
        ranking: candidates and evaluated architectures of the larger space, best expected first.
        folder: of the larger space.
    """

    setting: Setting
    inside: History
    outside: History
    reason: str
    ranking: Ranking
    folder: Path


class Ranking(NamedTuple):
    """R architectures of a larger space, best expected first.

    Shapes: archs [R]; expected and deviation of the value, float64 [R].
    """

    space: SearchSpace
    archs: Architectures
    expected: Tensor
    deviation: Tensor


def run_beyond(
    config: SearchConfig, options: BeyondConfig, model: GraphVAE, folder: Path, report: Report | None = None
) -> Beyond:
    """Search the trained space, then the larger one, with one budget; goes on where it was interrupted.

    What is known of the trained space is what the larger one is searched from. Where the oracle cannot judge the larger
    space all evaluations are spent in the trained one, and the candidates are ranked only.

    Args:
        config: the search; its budget is that of both spaces.
        options: the larger space.
        model: a trained VAE of the space of `config`.
        folder: of the search, see :func:`graphnas.bo.comparison.run_one`; beyond/LARGER-METHOD-SEED in it gets the
            journal of the larger space.
        report: called after every new evaluation.

    Raises:
        GraphnasError: a larger space that the model cannot go on in, a budget too small for both, see also
            :func:`graphnas.bo.comparison.run_one`.
    """
    larger = get_space(options.beyond or config.space)
    can_go_on(model, larger, options.new_places)  # before anything is paid for
    judge = judge_beyond(larger, model.space, config.oracle)
    kept = options.share(config.queries) if judge.oracle is not None else 0
    setting = Setting(replace(config, queries=config.queries - kept), model, larger)
    run_one(setting, config.method, config.seed, folder, report)
    inside = read_histories(folder)[config.method][config.seed]
    searcher = make_searcher_beyond(setting, options, larger, inside)
    own = folder / "beyond" / f"{larger.name}-{config.method}-{config.seed}"
    outside, left = History([]), (config.max_seconds or math.inf) - inside.seconds
    if judge.oracle is not None and left > 0:
        outside = run_search(
            searcher.within(may_be_asked(setting, larger, judge)), judge.oracle, kept, config.batch_size,
            own / "journal.jsonl", left, report=report,
        )  # fmt: skip
    return Beyond(setting, inside, outside, judge.reason, rank(setting, searcher, config.seed), own)


def make_searcher_beyond(setting: Setting, options: BeyondConfig, larger: SearchSpace, inside: History) -> BeyondBO:
    """The search of the larger space, from what was paid for or known in the trained one."""
    config, model = setting.config, setting.model
    if model is None:
        raise InvalidValues("a search beyond a trained space needs a trained model: pass --model RUN")
    archs = setting.space.parse([evaluation.arch for evaluation in inside.evaluations])
    values = torch.tensor([evaluation.value for evaluation in inside.evaluations], dtype=torch.float64)
    if config.start:
        known, more = known_beforehand(setting, config.seed)
        archs, values = Architectures.concat([known, archs]), torch.cat([more, values])
    return BeyondBO(
        model, larger, archs, values, options.beyond_acquisition, config.seed, config.surrogate, setting.pool,
        options.candidates, config.dim, config.targets, options.new_places,
    )  # fmt: skip


def within_limits(setting: Setting, larger: SearchSpace, archs: Architectures) -> Tensor:
    """Whether architectures of the larger space keep to the limits of the search: bool [B]."""
    costs = larger.cost(archs) if setting.limits else {}
    parts = [(costs[name] <= limit).cpu() for name, limit in setting.limits.items()]
    return torch.stack(parts).all(0) if parts else torch.ones(len(archs), dtype=torch.bool)


def may_be_asked(setting: Setting, larger: SearchSpace, judge: Judge) -> Callable[[Architectures], Tensor]:
    """What keeps to the limits and can be judged."""

    def allowed(archs: Architectures) -> Tensor:
        good = within_limits(setting, larger, archs)
        return good if judge.known is None else good & judge.known(archs).cpu()

    return allowed


def rank(setting: Setting, searcher: BeyondBO, seed: int) -> Ranking:
    """What was evaluated and as many fresh candidates as of a batch, by what the surrogate expects of them."""
    grown = searcher.fresh(searcher.grow(searcher.candidates, seeded(seed)))
    grown = grown[within_limits(setting, searcher.space, grown)]
    archs = Architectures.concat([searcher.archs, grown])
    expected, deviation = searcher.expected(searcher.codes.place(archs))
    order = expected.argsort(descending=True, stable=True)
    return Ranking(searcher.space, archs[order], expected[order], deviation[order])
