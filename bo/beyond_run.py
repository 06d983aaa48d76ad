"""A search that goes on beyond the space its model was trained on: one budget, two journals, one ranking."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from graphnas.bo.acquisition import ACQUISITIONS
from graphnas.bo.beyond import BeyondBO, can_go_on
from graphnas.bo.beyond_config import BeyondConfig
from graphnas.bo.beyond_oracle import Judge, judge_beyond
from graphnas.bo.comparison import known_beforehand, run_one
from graphnas.bo.config import SearchConfig
from graphnas.bo.search import Evaluation, History, run_search
from graphnas.bo.search_folder import DIGEST, alone, as_history, claim
from graphnas.bo.setting import Setting
from graphnas.errors import InvalidValues
from graphnas.models import GraphVAE
from graphnas.spaces import Architectures, SearchSpace, get_space
from graphnas.train.data import seeded
from graphnas.train.result_files import read_result

Report = Callable[[Evaluation], None]


class Beyond(NamedTuple):
    """What a search in two spaces has found.

    Attributes:
        setting: of the first, with the evaluations it got.
        inside: paid for in the trained space.
        snapped: how many of these were answered with the nearest labelled architecture.
        outside: paid for in the larger one, none where nothing could judge them.
        reason: why nothing could.
        ranking: candidates and evaluated architectures of the larger space, best expected first.
        folder: of the larger space.
    """

    setting: Setting
    inside: History
    snapped: int
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
    config: SearchConfig, options: BeyondConfig, model: GraphVAE, folder: Path, report: Report | None = None,
    stop_on_error: bool = False,
) -> Beyond:  # fmt: skip
    """Search the trained space, then the larger one, with one budget; goes on where it was interrupted.

    What is known of the trained space is what the larger one is searched from. Where the oracle cannot judge the larger
    space all evaluations are spent in the trained one, and the candidates are ranked only. The budget of a folder
    cannot grow: more evaluations of the trained space would change what is asked for in the larger one.

    Args:
        config: the search; its budget of evaluations and seconds is that of both spaces. The trained space gets its
            share of the seconds, the larger one what is left of all.
        options: the larger space.
        model: a trained VAE of the space of `config`.
        folder: of the search, see :func:`graphnas.bo.comparison.run_one`; beyond/LARGER-METHOD-SEED in it gets
            search.json and the journal of the larger space.
        report: called after every new evaluation.
        stop_on_error: raise at the first new evaluation that fails.

    Raises:
        GraphnasError: a larger space that the model cannot go on in, an unknown acquisition, a budget too small for
            both, a folder of another search, see also :func:`graphnas.bo.comparison.run_one`.
    """
    larger = get_space(options.beyond or config.space)
    ACQUISITIONS[options.beyond_acquisition]  # what cannot be is told before anything is paid for
    can_go_on(model, larger, options.new_places)
    judge = judge_beyond(larger, model.space, config.oracle)
    kept = options.share(config.queries) if judge.oracle is not None else 0
    own = folder / "beyond" / f"{larger.name}-{config.method}-{config.seed}"
    told = asdict(options) | {DIGEST: getattr(judge.oracle, "digest", None)}
    claim(config, own, write=False, more=told, grows=False)
    setting = Setting(leave(config, kept), model, larger)
    result = read_result(run_one(setting, config.method, config.seed, folder, report, stop_on_error))
    claim(config, own, more=told, grows=False)
    inside, outside = as_history(result), History([])
    searcher = make_searcher_beyond(setting, options, larger, inside)
    left = (config.max_seconds or math.inf) - inside.seconds
    if judge.oracle is not None and left > 0:
        journal, allowed = own / "journal.jsonl", may_be_asked(setting, larger, judge)
        with alone(journal):
            outside = run_search(
                searcher.within(allowed), judge.oracle, kept, config.batch_size, journal, left, stop_on_error, report
            )
    ranking, snapped = rank(setting, searcher, config.seed), int(result["values"]["snapped"])
    return Beyond(setting, inside, snapped, outside, judge.reason, ranking, own)


def leave(config: SearchConfig, kept: int) -> SearchConfig:
    """The search of the trained space that leaves so many evaluations, and their share of the seconds, to the other."""
    inside = config.queries - kept
    seconds = None if config.max_seconds is None else config.max_seconds * inside / config.queries
    return replace(config, queries=inside, max_seconds=seconds)


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
    grown = searcher.grow(searcher.candidates, seeded(seed))
    grown = grown[searcher.fresh(grown)]
    grown = grown[within_limits(setting, searcher.space, grown)]
    archs = Architectures.concat([searcher.archs, grown])
    expected, deviation = searcher.expected(searcher.codes.place(archs))
    order = expected.argsort(descending=True, stable=True)
    return Ranking(searcher.space, archs[order], expected[order], deviation[order])
