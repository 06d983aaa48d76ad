"""Latent codes, surrogates, the Bayesian optimisation loop, extrapolation and discrete search.

What a program of one's own needs is here, loaded when it is asked for: a search, an oracle, the loop.

>>> from graphnas import create_model, get_space
>>> from graphnas.bo import CallableOracle, LatentBO, run_search
>>> search = LatentBO(create_model("svge", "toy", node_dim=16, latent_dim=4), seed=0)
>>> history = run_search(search, CallableOracle("toy", lambda arch: arch.count("conv")), queries=12)
>>> len(history.evaluations), history.best().value
(12, 3.0)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphnas.bo.baselines import LocalSearch, RandomSearch, RegularisedEvolution
    from graphnas.bo.beyond import BeyondBO
    from graphnas.bo.codes import Codes, LatentCodes, RawCodes
    from graphnas.bo.config import OracleConfig, SearchConfig
    from graphnas.bo.extrapolation import generate_beyond
    from graphnas.bo.latent_bo import LatentBO, LatentRandom
    from graphnas.bo.oracles import (
        Answer,
        CallableOracle,
        Oracle,
        PredictorOracle,
        SnappedOracle,
        TableOracle,
        boosted_oracle,
    )
    from graphnas.bo.pareto import Front, ParetoBO, ParetoEvolution, front_of
    from graphnas.bo.pool_bo import PoolBO
    from graphnas.bo.search import Evaluation, History, run_search
    from graphnas.bo.searcher import Searcher
    from graphnas.bo.tier_search import NARSearchConfig, judge_search, nar_search
    from graphnas.bo.training_oracle import TrainingOracle

__all__ = [
    "Answer",
    "BeyondBO",
    "CallableOracle",
    "Codes",
    "Evaluation",
    "Front",
    "History",
    "LatentBO",
    "LatentCodes",
    "LatentRandom",
    "LocalSearch",
    "NARSearchConfig",
    "Oracle",
    "OracleConfig",
    "ParetoBO",
    "ParetoEvolution",
    "PoolBO",
    "PredictorOracle",
    "RandomSearch",
    "RawCodes",
    "RegularisedEvolution",
    "SearchConfig",
    "Searcher",
    "SnappedOracle",
    "TableOracle",
    "TrainingOracle",
    "boosted_oracle",
    "front_of",
    "generate_beyond",
    "judge_search",
    "nar_search",
    "run_search",
]

_MODULES = {
    "baselines": ("LocalSearch", "RandomSearch", "RegularisedEvolution"),
    "beyond": ("BeyondBO",),
    "codes": ("Codes", "LatentCodes", "RawCodes"),
    "config": ("OracleConfig", "SearchConfig"),
    "extrapolation": ("generate_beyond",),
    "latent_bo": ("LatentBO", "LatentRandom"),
    "oracles": (
        "Answer",
        "CallableOracle",
        "Oracle",
        "PredictorOracle",
        "SnappedOracle",
        "TableOracle",
        "boosted_oracle",
    ),
    "pareto": ("Front", "ParetoBO", "ParetoEvolution", "front_of"),
    "pool_bo": ("PoolBO",),
    "search": ("Evaluation", "History", "run_search"),
    "searcher": ("Searcher",),
    "tier_search": ("NARSearchConfig", "judge_search", "nar_search"),
    "training_oracle": ("TrainingOracle",),
}
_LAZY = {name: f"graphnas.bo.{module}" for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'graphnas.bo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
