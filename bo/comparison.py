"""Several searches from several seeds under one budget, each resumable."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from graphnas.bo.config import SearchConfig
from graphnas.bo.methods import make_searcher
from graphnas.bo.search import Evaluation, evaluate, run_search
from graphnas.bo.search_folder import DIGEST, alone, claim, is_extended, settings_of
from graphnas.bo.searcher import Searcher
from graphnas.bo.setting import Setting
from graphnas.children import end_with
from graphnas.errors import GraphnasError
from graphnas.models import GraphVAE
from graphnas.spaces import Architectures
from graphnas.train.data import random_rows
from graphnas.train.result_files import is_finished, write_result

ONE_BY_ONE = ("evolution", "local", "random")
"""Methods that gain nothing from batches, and lose by them."""


def run_one(
    setting: Setting, method: str, seed: int, folder: Path, report: Callable[[Evaluation], None] | None = None,
    stop_on_error: bool = False,
) -> Path:  # fmt: skip
    """One search to its end; goes on with one that was interrupted or had a smaller budget.

    A finished one is left alone.

    Args:
        setting: what it searches in.
        method: of :data:`graphnas.bo.methods.METHODS`.
        seed: of the search.
        folder: gets search.json, journals/METHOD-SEED.jsonl and results/METHOD-SEED.json.
        report: called after every new evaluation.
        stop_on_error: raise at the first new evaluation that fails.

    Returns:
        The result file.

    Raises:
        GraphnasError: see :func:`make_searcher` and :func:`run_search`; a folder of other searches, or in which
            another process is at this one.
    """
    config, name = replace(setting.config, method=method, seed=seed), f"{method}-{seed}"
    result = folder / "results" / f"{name}.json"
    shared = {DIGEST: setting.digest} if setting.digest else {}
    claim(config, folder, write=False, more=shared)
    made = {"search": settings_of(config)}
    if not is_extended(result, made) and is_finished(result, made):
        return result
    searcher = make_searcher(setting, method, seed)
    claim(config, folder, more=shared)
    journal, batch_size = folder / "journals" / f"{name}.jsonl", 1 if method in ONE_BY_ONE else config.batch_size
    with alone(journal):
        known = begin(setting, searcher, seed)
        history = run_search(
            searcher, setting.oracle, config.queries, batch_size, journal, config.max_seconds or math.inf,
            stop_on_error, report,
        )  # fmt: skip
    values = {
        "best_known": known,
        "failed": sum(bool(evaluation.error) for evaluation in history.evaluations),
        "snapped": sum(bool(evaluation.answered) for evaluation in history.evaluations),
        "simulated_seconds": history.seconds,
        "evaluations": [evaluation._asdict() for evaluation in history.evaluations],
    }
    content = {"method": method, "seed": seed, "metric": setting.named.metric, "made": made, "values": values}
    return write_result(result, content)


def begin(setting: Setting, searcher: Searcher, seed: int) -> float | None:
    """Tell a search the values that are known beforehand; the highest of them."""
    if not setting.config.start:
        return None
    searcher.tell(*known_beforehand(setting, seed))
    return float(searcher.best()[1])


def known_beforehand(setting: Setting, seed: int) -> tuple[Architectures, Tensor]:
    """Random architectures of the pool and their values, float64 [start]."""
    rows = random_rows(torch.arange(len(setting.pool)), setting.config.start, seed)
    archs = setting.pool[rows]
    values = [evaluate(setting.oracle, "", archs[row : row + 1]).value for row in range(len(archs))]
    return archs, torch.tensor(values, dtype=torch.float64)


def run_all(
    config: SearchConfig, model: GraphVAE | None, methods: Sequence[str], seeds: Iterable[int], folder: Path,
    stop_on_error: bool = False, parent: int | None = None,
) -> list[str]:  # fmt: skip
    """All methods from all seeds, seed by seed; one line for each that failed, so that the others go on.

    Args:
        config: what all searches share.
        model: a trained VAE of the space, if there is one.
        methods: of :data:`graphnas.bo.methods.METHODS`.
        seeds: of each.
        folder: see :func:`run_one`.
        stop_on_error: end a search at its first evaluation that fails.
        parent: process id of a command that this process ends with, after the evaluation it is at.
    """
    torch.set_num_threads(1)
    setting, failures = Setting(config, model), []

    def report(evaluation: Evaluation) -> None:
        if parent is not None and os.getppid() != parent:
            raise SystemExit("the command that has started this process was killed")

    try:
        for seed in seeds:
            for method in methods:
                try:
                    run_one(setting, method, seed, folder, report, stop_on_error)
                except GraphnasError as error:
                    failures.append(f"{method}, seed {seed}: {error}")
    finally:
        if parent is not None:
            end_with(parent)  # idle from here on, nothing would be lost
    return failures
