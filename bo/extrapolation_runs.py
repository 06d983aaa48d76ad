"""The parts of the extrapolation study as lists of jobs, title and what measures it, from the command's options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from graphnas.bo.generation_study import GenerationSizes, run_generation
from graphnas.bo.grown_training import TrainingSizes
from graphnas.bo.layer_study import LayerSizes, run_layers
from graphnas.bo.pool_study import PoolSizes, check_scorer, score_pools, train_best
from graphnas.bo.ranking_study import RankingStudy, ranking_rows, run_row
from graphnas.bo.size_ranking import RankingSizes, learned_predictors, part_by_size
from graphnas.bo.small_vaes import WITH_PLACES
from graphnas.bo.transfer import TransferSizes, run_transfer, transferred
from graphnas.errors import UnknownName
from graphnas.models import list_models
from graphnas.spaces import get_space
from graphnas.state_dicts import resolve
from graphnas.tables import load_table
from graphnas.train.data import seeded
from graphnas.train.predictor_evaluation import Task, read_labels
from graphnas.train.result_files import write_result
from graphnas.train.vae import load_vae

Options = Any
Jobs = list[tuple[str, Callable[[], object]]]

QUICK_TRAINING = TrainingSizes(epochs=1, channels=16, seeds=1)
QUICK_GENERATION = GenerationSizes(points=50, starts=10, near=100)
QUICK_POOLS = PoolSizes(labels=200, random_graphs=50, compared=2, training=QUICK_TRAINING)
QUICK_LAYERS = LayerSizes(200, 50, 10, 2, TrainingSizes(epochs=1, channels=4, seeds=1))
QUICK_TRANSFER = TransferSizes(200, (20,), 2000)
TRANSFERRED = ("gbdt", "blend", "gates")


def study_of(options: Options, folder: Path) -> RankingStudy:
    """The study that the options describe."""
    sizes = RankingSizes(options.num_labels, options.predictor_steps)
    return RankingStudy(folder, f"{options.space}_{options.most_nodes}", options.vae_steps, sizes)


def chosen(patterns: Sequence[str], kind: str) -> list[str]:
    """Models by pattern, in the order asked for; `NAME+places` keeps vertex indices.

    Raises:
        UnknownName: a pattern that fits nothing.
    """
    known = list_models(kind="vae") if kind == "vae" else learned_predictors()
    found: list[str] = []
    for pattern in patterns:
        base = pattern.removesuffix(WITH_PLACES)
        names = [name for name in list_models(base) if name in known]
        if not names:
            raise UnknownName(kind, pattern, known)
        found += [name + pattern[len(base) :] for name in names]
    return list(dict.fromkeys(found))


def ranking_jobs(options: Options, folder: Path) -> Jobs:
    """Every row of the ranking by size from every seed, seeds outermost."""
    study = study_of(options, folder)
    parts = part_by_size(read_labels(Task(options.space, options.labels, options.metric)), options.most_nodes)
    rows = ranking_rows(chosen(options.encoders, "vae"), chosen(options.predictors, "predictor"))
    seeds = range(options.seeds)
    return [(f"{row.title}, seed {seed}", partial(run_row, row, seed, parts, study)) for seed in seeds for row in rows]


def generation_jobs(options: Options, folder: Path) -> Jobs:
    """Every VAE of the ranking in the space of the labels and in one of a vertex more, and ENAS VAEs with 12 layers."""
    study, sizes = study_of(options, folder), QUICK_GENERATION if options.quick else GenerationSizes()
    labels = read_labels(Task(options.space, options.labels, options.metric))
    parts = part_by_size(labels, options.most_nodes)
    table = load_table(options.labels, space=labels.space)
    labelled = (parts, table, options.metric or table.default_metric)
    known = get_space(study.small).enumerate()
    larger = {labels.space: labelled, labels.space.resized(labels.space.max_nodes + 1): None}

    def measure(name: str, seed: int) -> None:
        for space, quality in larger.items():
            model = study.vae(name, labels.space, seed)
            run_generation(name, seed, model, space, known, sizes, folder, quality)

    def grow(run: str) -> None:
        model = load_vae(resolve(run)).eval()
        samples = model.space.sample(sizes.points, seeded(0))
        run_generation(model.registered_name, 0, model, get_space("enas12"), samples, sizes, folder)

    names = chosen(options.encoders, "vae")
    jobs: Jobs = [
        (f"{name}, seed {seed}", partial(measure, name, seed)) for seed in range(options.seeds) for name in names
    ]
    return jobs + [(str(run), partial(grow, run)) for run in options.layer_runs]


def pool_jobs(options: Options, folder: Path) -> Jobs:
    """Scores of the pools, then the trainings."""
    study, sizes = study_of(options, folder), QUICK_POOLS if options.quick else PoolSizes()
    labels = read_labels(Task(options.space, options.labels, options.metric))
    for name in options.scorers:
        check_scorer(name)

    def train() -> None:
        scored = score_pools(labels, options.scorers, sizes, study)
        lines = train_best(labels, scored, sizes, folder)
        write_result(folder / "results" / "trained_pools.json", {"made": {}, "values": {"table": lines}})

    score = [(f"scores of {name}", partial(score_pools, labels, [name], sizes, study)) for name in options.scorers]
    return [*score, ("trainings on digits", train)]


def layer_jobs(options: Options, folder: Path) -> Jobs:
    """Scores of networks of more layers, and trainings."""
    sizes = QUICK_LAYERS if options.quick else LayerSizes()

    def measure() -> None:
        labels = read_labels(Task("enas6", options.layer_labels, None))
        vaes = {}
        for run in options.layer_runs:
            model = load_vae(resolve(run)).eval()
            vaes[model.registered_name] = model
        values = run_layers(labels, vaes, get_space("enas12"), sizes, folder)
        write_result(folder / "results" / "trained_layers.json", {"made": {}, "values": values})

    return [("scores and trainings of 12-layer networks", measure)]


def transfer_jobs(options: Options, folder: Path) -> Jobs:
    """Predictors from one space to the other, from every seed."""
    sizes = QUICK_TRANSFER if options.quick else TransferSizes()
    target = read_labels(Task(options.space, options.labels, options.metric))
    source = read_labels(Task("nb201", options.source_labels, options.source_metric))
    size = source.space.max_nodes
    data = transferred(source, target, target.space.resized(size, size * (size - 1) // 2))
    names = TRANSFERRED[:1] if options.quick else TRANSFERRED
    return [
        (f"{name}, seed {seed}", partial(run_transfer, name, data, seed, sizes, folder, name in learned_predictors()))
        for seed in range(options.seeds)
        for name in names
    ]


RUNS: dict[str, Callable[[Options, Path], Jobs]] = {
    "ranking": ranking_jobs,
    "generate": generation_jobs,
    "pools": pool_jobs,
    "layers": layer_jobs,
    "transfer": transfer_jobs,
}
