"""How far from the optimum searches still are."""

from __future__ import annotations

import math
from collections.abc import Mapping

from graphnas.bo.search import History


def regret_curves(histories: Mapping[str, Mapping[int, History]], optimum: float) -> dict[str, dict[int, list[float]]]:
    """Simple regret: per method, seed and evaluation, `optimum` less the highest value so far, NaN before a success.

    Args:
        histories: method -> seed -> history.
        optimum: the highest value there is, of what is searched for.
    """
    return {
        method: {seed: regret(history, optimum) for seed, history in runs.items()} for method, runs in histories.items()
    }


def regret(history: History, optimum: float) -> list[float]:
    """That of one search."""
    best, curve = -math.inf, []
    for evaluation in history.evaluations:
        if not evaluation.error:
            best = max(best, evaluation.value)
        curve.append(optimum - best if best > -math.inf else math.nan)
    return curve
