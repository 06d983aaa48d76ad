"""Eight-vertex cells scored by what learned from smaller ones, the best drawn, and trained for real."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from graphnas.bo.code_features import code_predictor
from graphnas.bo.grown_training import Cell, TrainingSizes, group_table, train_groups
from graphnas.bo.pools import PUBLISHED_BASE, Pool, published_pool, valid_classes
from graphnas.bo.ranking_study import RankingStudy
from graphnas.errors import UnknownName
from graphnas.models import list_models
from graphnas.models.enlarge import enlarge
from graphnas.plot import grid_of_architectures
from graphnas.spaces import Architectures, SearchSpace, get_space
from graphnas.train.data import random_rows, seeded
from graphnas.train.predictor import fit_predictor
from graphnas.train.predictor_evaluation import Labels
from graphnas.train.result_files import finite, is_finished, read_result, write_result

TOP = 5
POOL_SEED = 0


@dataclass(frozen=True)
class PoolSizes:
    """How much is fitted and trained."""

    labels: int = 4000
    """Labels of up to seven vertices that scores are learned from."""
    random_graphs: int = 1000
    """Random graphs in the published pool, and sampled cells in the one under the limit on edges."""
    compared: int = 6
    """Random eight-vertex cells, and best seven-vertex ones, that are trained beside the best scored."""
    training: TrainingSizes = field(default_factory=TrainingSizes)


def pools(space: SearchSpace, sizes: PoolSizes) -> dict[str, tuple[SearchSpace, Pool]]:
    """The pools by name, each with the space it lies in.

    `published` as it is, of any number of edges; `valid` its different valid cells; `few edges` cells sampled under the
    space's own limit on edges, which no grown cell keeps.
    """
    size = space.max_nodes + 1
    loose, tight = space.resized(size, size * (size - 1) // 2), space.resized(size)
    published = published_pool(space.parse(PUBLISHED_BASE), loose, seeded(POOL_SEED), sizes.random_graphs)
    drawn = tight.sample(sizes.random_graphs, seeded(POOL_SEED + 1))
    sampled = valid_classes(Pool(drawn, torch.full((len(drawn),), 2)), tight)
    return {
        "published": (loose, published),
        "valid": (loose, valid_classes(published, loose)),
        "few edges": (tight, sampled),
    }


def check_scorer(name: str) -> None:
    """Refuse what :func:`scorer` would not know, before anything is trained.

    Raises:
        UnknownName: no such model.
    """
    known = list_models(kind="vae") + list_models(kind="predictor")
    if name.split("+")[0] not in known:
        raise UnknownName("scorer", name, known)


def scorer(
    name: str, space: SearchSpace, archs: Architectures, y: Tensor, study: RankingStudy, family: SearchSpace
) -> Callable[[Architectures], Tensor]:
    """A fitted score of architectures of `space`: a predictor of the zoo, or a GP on the codes of a VAE of the study.

    Raises:
        UnknownName: no such model.
        SpaceMismatch: a VAE that cannot read larger architectures.
    """
    if name.split("+")[0] in list_models(kind="vae"):
        model = code_predictor(enlarge(study.vae(name, family, POOL_SEED), space, "repeat"), "gp")
        return model.fit(archs, y, POOL_SEED).predict
    return fit_predictor(name, archs, y, space, POOL_SEED, device="cpu").predict


def score_pools(labels: Labels, names: Sequence[str], sizes: PoolSizes, study: RankingStudy) -> list[dict[str, Any]]:
    """The best of every pool by every scorer, a result file each; pictures of them beside the results."""
    rows = random_rows(torch.arange(len(labels.y)), sizes.labels, POOL_SEED)
    archs, y = labels.archs[rows], labels.y[rows]
    found = []
    for name in names:
        fitted: dict[str, Callable[[Architectures], Tensor]] = {}
        for title, (space, pool) in pools(labels.space, sizes).items():
            path = study.folder / "results" / f"pool_{title.replace(' ', '_')}_{name.replace('+', '_')}.json"
            made = finite({"sizes": asdict(sizes), "study": [study.small, study.vae_steps], "labels": labels.digest})
            if not is_finished(path, made):
                if space.name not in fitted:
                    fitted[space.name] = scorer(name, space, archs, y, study, labels.space)
                content = best_of(space, pool, fitted[space.name](pool.archs))
                picture = draw_best(space, pool, content, study.folder / f"{path.stem}.png", f"{title} pool by {name}")
                head = {"pool": title, "scorer": name, "space": space.name, "picture": picture.name}
                write_result(path, {**head, "made": made, "values": content})
            found.append(read_result(path))
    return found


def best_of(space: SearchSpace, pool: Pool, scores: Tensor) -> dict[str, Any]:
    """The best scored of a pool: rows, scores, families, and texts of the valid ones."""
    order = scores.argsort(descending=True, stable=True)[:TOP]
    best, valid = pool.archs[order], space.is_valid(pool.archs)
    kept = valid[order]
    return {
        "candidates": len(pool.archs),
        "valid": int(valid.sum()),
        "rows": order.tolist(),
        "scores": scores[order].tolist(),
        "families": pool.family[order].tolist(),
        "archs": space.format(best[kept]),
    }


def draw_best(space: SearchSpace, pool: Pool, content: dict[str, Any], path: Path, title: str) -> Path:
    """A picture of the best scored."""
    titles = [f"{score:.4f}" for score in content["scores"]]
    return grid_of_architectures(pool.archs[content["rows"]], space.vocabulary, path, titles, TOP, title=title)


def train_best(labels: Labels, scored: Sequence[dict[str, Any]], sizes: PoolSizes, folder: Path) -> list[str]:
    """Train the best scored valid cells beside random ones and the best labelled of seven vertices: a table."""
    groups: dict[str, list[Cell]] = {}
    most = labels.archs.num_nodes == labels.space.max_nodes
    order = labels.y.masked_fill(~most, -torch.inf).argsort(descending=True)[: sizes.compared]
    size = labels.space.max_nodes
    groups[f"best labelled, {size} vertices"] = cells(labels.space, labels.archs[order])
    groups["the published base"] = [Cell(labels.space.name, PUBLISHED_BASE)]
    for title, (space, pool) in pools(labels.space, sizes).items():
        if title != "published":
            rows = random_rows(torch.arange(len(pool.archs)), sizes.compared, POOL_SEED)
            groups[f"{title}: random, {size + 1} vertices"] = cells(space, pool.archs[rows])
    for result in scored:
        if result["pool"] != "published":
            space = get_space(result["space"])
            groups[f"{result['pool']}: best {TOP} by {result['scorer']}"] = [
                Cell(space.name, text) for text in result["values"]["archs"]
            ]
    return group_table(train_groups(groups, sizes.training, folder))


def cells(space: SearchSpace, archs: Architectures) -> list[Cell]:
    """Their texts."""
    return [Cell(space.name, text) for text in space.format(archs)]
