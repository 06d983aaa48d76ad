"""Twelve-layer ENAS networks scored by what learned from six-layer ones; without labels, trained on digits instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from graphnas.bo.code_features import code_predictor
from graphnas.bo.extrapolation import around, generate_beyond
from graphnas.bo.grown_training import TrainingSizes, group_table, train_groups
from graphnas.bo.pool_study import POOL_SEED, TOP, cells
from graphnas.errors import SpaceMismatch
from graphnas.metrics import kendall_tau
from graphnas.models import GraphVAE
from graphnas.models.enlarge import enlarge
from graphnas.spaces import Architectures, SearchSpace
from graphnas.train.data import random_rows, seeded
from graphnas.train.evaluate import encode_all
from graphnas.train.predictor import fit_predictor
from graphnas.train.predictor_evaluation import Labels
from graphnas.train.result_files import finite, is_finished, read_result, write_result

RAW_SCORERS = ("gbdt", "blend")


@dataclass(frozen=True)
class LayerSizes:
    """How much is fitted and trained."""

    labels: int = 2000
    """Labels of small networks."""
    candidates: int = 1000
    """Random larger networks, and as many decoded around the codes of the best small ones by every VAE."""
    starts: int = 50
    """Best small networks around whose codes is decoded."""
    compared: int = 6
    """Random networks trained beside the best scored."""
    training: TrainingSizes = field(default_factory=lambda: TrainingSizes(epochs=12, channels=8, seeds=2))


def layer_candidates(
    small: Architectures, y: Tensor, vaes: Mapping[str, GraphVAE], larger: SearchSpace, sizes: LayerSizes
) -> dict[str, Architectures]:
    """Candidates of the larger space: random ones, and those that VAEs decode around the best small ones.

    VAEs that cannot go on are left out; :mod:`graphnas.bo.generation_study` says why.
    """
    found = {"random": larger.sample(sizes.candidates, seeded(POOL_SEED))}
    best = small[y.argsort(descending=True)[: sizes.starts]]
    for name, vae in vaes.items():
        codes = around(encode_all(vae, best), sizes.candidates, 0.1, seeded(POOL_SEED))
        try:
            found[f"decoded by {name}"] = generate_beyond(vae, larger, codes, seeded(POOL_SEED), new_places="repeat")
        except (SpaceMismatch, ValueError):
            continue
    return found


def score_candidates(
    labels: Labels, vaes: Mapping[str, GraphVAE], larger: SearchSpace, sizes: LayerSizes, archs: Architectures
) -> dict[str, Tensor]:
    """Scores of larger networks, float [P], by raw features and by a GP on the codes of every VAE that reads them."""
    rows = random_rows(torch.arange(len(labels.y)), sizes.labels, POOL_SEED)
    small, y = labels.archs[rows], labels.y[rows]
    found = {
        name: fit_predictor(name, small, y, larger, POOL_SEED, "cpu", features="functional").predict(archs)
        for name in RAW_SCORERS  # nothing was learned of the places that only the larger ones have
    }
    for name, vae in vaes.items():
        model = code_predictor(enlarge(vae, larger, "repeat"), "gp").fit(small, y, POOL_SEED)
        found[f"codes of {name}"] = model.predict(archs).double()
    return found


def run_layers(
    labels: Labels, vaes: Mapping[str, GraphVAE], larger: SearchSpace, sizes: LayerSizes, folder: Path
) -> dict[str, Any]:
    """Candidates, scores and their agreement, unless the result is there, and then the trainings.

    Returns:
        `agreement`, Kendall's tau-b of every two scorers on the random candidates; `means`, mean score of random and of
        decoded candidates by every scorer; `table`, lines of the trained groups.
    """
    path = folder / "results" / "layers.json"
    made = finite(
        {
            "sizes": asdict(sizes),
            "vaes": {name: vae.description() for name, vae in vaes.items()},
            "labels": labels.digest,
        }
    )
    if not is_finished(path, made):
        pool = layer_candidates(labels.archs, labels.y, vaes, larger, sizes)
        every = Architectures.concat(list(pool.values()))
        scores = score_candidates(labels, vaes, larger, sizes, every)
        origin = torch.arange(len(pool)).repeat_interleave(torch.tensor([len(part) for part in pool.values()]))
        random = origin == 0
        content = {
            "agreement": {
                f"{a} / {b}": kendall_tau(scores[a][random], scores[b][random]) for a, b in combinations(scores, 2)
            },
            "means": {
                name: {title: float(values[origin == place].mean()) for place, title in enumerate(pool)}
                for name, values in scores.items()
            },
            "best": {
                name: larger.format(every[values.argsort(descending=True)[:TOP]]) for name, values in scores.items()
            },
            "best_from": {
                name: [list(pool)[int(origin[row])] for row in values.argsort(descending=True)[:TOP]]
                for name, values in scores.items()
            },
        }
        write_result(path, {"larger": larger.name, "made": made, "values": content})
    values: dict[str, Any] = read_result(path)["values"]
    trained = train_groups(layer_groups(labels, values["best"], larger, sizes), sizes.training, folder)
    return {**values, "table": group_table(trained)}


def layer_groups(
    labels: Labels, best: Mapping[str, list[str]], larger: SearchSpace, sizes: LayerSizes
) -> dict[str, list[Any]]:
    """What is trained: the best scored and random larger networks, and as a check the best and worst labelled small
    ones beside random ones, whose labels are known."""
    order = labels.y.argsort(descending=True)
    rows = random_rows(torch.arange(len(labels.y)), sizes.compared, POOL_SEED)
    groups = {
        f"{labels.space.name}: best labelled": cells(labels.space, labels.archs[order[:TOP]]),
        f"{labels.space.name}: random labelled": cells(labels.space, labels.archs[rows]),
        f"{labels.space.name}: worst labelled": cells(labels.space, labels.archs[order[-TOP:]]),
        f"{larger.name}: random": cells(larger, larger.sample(sizes.compared, seeded(POOL_SEED + 1))),
    }
    for name, texts in best.items():
        groups[f"{larger.name}: best {TOP} by {name}"] = cells(larger, larger.parse(texts))
    return groups
