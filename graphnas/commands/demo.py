"""`graphnas demo`: the whole story on real input, from a search space to a trained network, with no download."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from graphnas.bo.setting import Setting
from graphnas.checkpoint import write_text
from graphnas.commands.demo_predictor import predictor_chapter, predictor_config, train_predictor
from graphnas.commands.demo_search import (
    LABELS,
    QUICK_SEEDS,
    SEEDS,
    compare_searches,
    find_winner,
    search_chapter,
    search_config,
    search_vae_config,
)
from graphnas.commands.demo_text import table
from graphnas.commands.demo_vae import demo_config, draw, vae_chapter
from graphnas.commands.demo_winner import NEW_SEEDS, train_winner, training_rows, winner_chapter
from graphnas.commands.parsing import (
    UsageError,
    make_parser,
    parse,
    print_table,
    print_values,
    stderr,
    use_threads,
    write_json,
)
from graphnas.tables import load_table
from graphnas.train.config import VAEConfig
from graphnas.train.data import prepare
from graphnas.train.evaluate import EvaluationConfig, evaluate_vae
from graphnas.train.vae import load_vae, train_vae

DESCRIPTION = """The whole story on real input in minutes, with no download: enumerate the 423,624 cells of
NAS-Bench-101, train SVGE on them, evaluate it on held-out cells, draw reconstructed and sampled cells and a map of the
latent space; train a performance predictor on the embedded benchmark of NAS-Bench-201 cells; search for the best of
them by Bayesian optimisation in the latent space of a VAE, against random search; train the winner for real on
handwritten digits beside what the benchmark says of it; and write one report.
Training is not converged after these few minutes; `graphnas train vae --recipe
svge_nb101` goes on."""


class Clock:
    """Seconds every stage took, told on stderr as they pass."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage."""
        stderr(f"{name} ...")
        begin = time.monotonic()
        yield
        self.stages[name] = time.monotonic() - begin


def run(command: str, arguments: Sequence[str]) -> None:
    """Run all chapters and write their report."""
    parser = make_parser("demo", DESCRIPTION)
    parser.add_argument("--out", type=str, default="runs/demo", help="folder of the run and its report")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights, data order and draws")
    parser.add_argument("--device", type=str, default="cpu", help="torch device")
    parser.add_argument("--threads", type=int, default=1, help="threads of the CPU to use")
    parser.add_argument("--quick", action="store_true", help="small spaces and few evaluations instead, in seconds")
    options = parse(parser, arguments)
    use_threads(options.threads)
    config = demo_config(options.seed, options.device, options.quick)  # what cannot be is told before all else
    out = fresh_folder(Path(options.out))
    stderr(f"run folder: {out}")
    clock, cpu = Clock(), time.process_time()
    lines = show_vae(config, options.seed, clock, out)
    lines += show_predictor(options, clock, out)
    lines += show_search(options, clock, out)
    seconds = {**clock.stages, "all, of the processor": time.process_time() - cpu}
    head = ["# From a search space to a trained network", "", *table("stage", seconds, "{:.1f} s")]
    write_text(out / "report.md", "\n".join([*head, *lines]))
    stderr(f"report: {out / 'report.md'}")


def fresh_folder(folder: Path) -> Path:
    """`folder`, or the first of folder-2, folder-3, ... that holds no run yet."""
    candidates = [folder, *(folder.with_name(f"{folder.name}-{number}") for number in range(2, 1000))]
    for candidate in candidates:
        if not candidate.exists():
            return candidate
    raise UsageError(f"{folder} and its 998 successors exist: clear some of them")


def show_vae(config: VAEConfig, seed: int, clock: Clock, out: Path) -> list[str]:
    """The first chapter: a VAE of a whole space, into `out` itself."""
    with clock.stage(f"enumerating {config.data.space}"):
        data = prepare(config.data)
    with clock.stage(f"training SVGE on {len(data.split.train):,} cells"):
        train_vae(config, out)
    model = load_vae(out)
    with clock.stage("evaluating on held-out cells"):
        sizes = EvaluationConfig(num_graphs=1000, prior_points=200, seed=seed)
        train, test = data.archs[data.split.train], data.archs[data.split.test]
        values = evaluate_vae(model, train, test, sizes)
    write_json(out / "evaluation.json", values)
    with clock.stage("drawing"):
        figures = draw(model, data, out, seed)
    print_values(values)
    print()
    return vae_chapter(model, data, values, figures)


def show_predictor(options: Namespace, clock: Clock, out: Path) -> list[str]:
    """The second chapter: learning from labels, into `out`/predictor."""
    config = predictor_config("toy" if options.quick else "nb201", options.seed, options.device, options.quick)
    with clock.stage(f"training a performance predictor on {config.data.labels}"):
        scores = train_predictor(config, out / "predictor")
    write_json(out / "predictor.json", scores)
    print_table([{"predictor": name, **score} for name, score in scores.items()])
    print()
    return predictor_chapter(config, scores)


def show_search(options: Namespace, clock: Clock, out: Path) -> list[str]:
    """The last two chapters: search in a latent space, into `out`/search, and a real training of what it finds."""
    config = search_vae_config(options.seed, options.device, options.quick)
    with clock.stage(f"training SVGE on {config.data.space} without labels"):
        train_vae(config, out / "search" / "vae")
    setting = Setting(search_config(options.quick), load_vae(out / "search" / "vae").eval())
    seeds = range(options.seed, options.seed + (QUICK_SEEDS if options.quick else SEEDS))
    with clock.stage(f"searching {LABELS}, {len(seeds)} times in the latent space and at random"):
        histories = compare_searches(setting, seeds, out / "search")
    winner = find_winner(histories)
    with clock.stage("training the winner"):
        trainings = train_winner(winner, load_table(LABELS), *((1, 1) if options.quick else (None, NEW_SEEDS)))
    write_json(out / "winner.json", {"arch": winner.arch, "trainings": [one._asdict() for one in trainings]})
    print_table(training_rows(trainings))
    return search_chapter(setting, histories, "search") + winner_chapter(winner, trainings)
