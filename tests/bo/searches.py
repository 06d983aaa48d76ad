"""A toy objective, every search on it, and what they share."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from graphnas import create_model, get_space
from graphnas.bo.baselines import LocalSearch, RandomSearch, RegularisedEvolution
from graphnas.bo.codes import LatentCodes
from graphnas.bo.config import OracleConfig, SearchConfig
from graphnas.bo.latent_bo import LatentBO, LatentRandom
from graphnas.bo.searcher import Searcher
from graphnas.models import GraphVAE
from graphnas.spaces import Architectures
from graphnas.spaces.toy import Toy

SPACE = get_space("toy")


def toy_model() -> GraphVAE:
    """An untrained VAE: its codes tell architectures apart all the same."""
    torch.manual_seed(0)
    model = create_model("svge", SPACE, node_dim=16, latent_dim=6)
    assert isinstance(model, GraphVAE)
    return model.eval()


MODEL = toy_model()

Make = Callable[[int], Searcher]

SEARCHES: dict[str, Make] = {
    "random": lambda seed: RandomSearch(SPACE, seed),
    "evolution": lambda seed: RegularisedEvolution(SPACE, seed, initial=5, population=10, tournament=5),
    "local": lambda seed: LocalSearch(SPACE, seed, initial=5),
    "latent random": lambda seed: LatentRandom(LatentCodes(MODEL, SPACE.enumerate()), seed),
    "codes": lambda seed: LatentBO(MODEL, SPACE, seed=seed, initial=5),
    "mutants": lambda seed: LatentBO(
        MODEL, SPACE, seed=seed, proposal="mutants", pool=SPACE.enumerate()[::9], initial=5
    ),
    "box": lambda seed: LatentBO(MODEL, SPACE, "ucb", seed, proposal="box", initial=5, draws=5),
    "trust region": lambda seed: LatentBO(MODEL, SPACE, "thompson", seed, "rbf", "trust_region", initial=5, draws=5),
}


def score(archs: Architectures, sign: float = 1.0) -> Tensor:
    """The closed-form score of the toy space, or its negative."""
    assert isinstance(SPACE, Toy)
    return sign * SPACE.score(archs).double()


def spend(search: Searcher, queries: int, batch_size: int = 3, sign: float = 1.0) -> list[float]:
    """Values in the order they were paid for."""
    while len(search.values) < queries:
        archs = search.ask(min(batch_size, queries - len(search.values)))
        search.tell(archs, score(archs, sign))
    return search.values.tolist()


def write_labels(path: Path, archs: Architectures | None = None) -> Path:
    """A CSV of the toy space: score, error = 1 - score, test = score / 2, seconds = 1, 2, ..."""
    archs = SPACE.enumerate() if archs is None else archs
    values = score(archs).tolist()
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["arch", "score", "error", "test", "seconds"])
        for number, (text, value) in enumerate(zip(SPACE.format(archs), values, strict=True), 1):
            writer.writerow([text, value, 1 - value, value / 2, number])
    return path


def config(**changes: Any) -> SearchConfig:
    """A search of the toy space that takes a second."""
    oracle = OracleConfig(**changes.pop("oracle", {}))
    usual: dict[str, Any] = {"method": "random", "queries": 8, "initial": 4, "batch_size": 2}
    return SearchConfig(space="toy", oracle=oracle, **usual | changes)
