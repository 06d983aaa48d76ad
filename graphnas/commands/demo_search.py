"""The third chapter of the demo: latent Bayesian optimisation against random search on measured labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from graphnas.bo.comparison import run_one
from graphnas.bo.comparison_report import markdown, rows_of, value_curves, write_report
from graphnas.bo.config import OracleConfig, SearchConfig
from graphnas.bo.labels import read_table
from graphnas.bo.regret import regret_curves
from graphnas.bo.search import Evaluation, History
from graphnas.bo.search_folder import read_histories
from graphnas.bo.search_report import write_search_report
from graphnas.bo.setting import Setting
from graphnas.commands.demo_training import short_fit
from graphnas.plot.search_curves import search_curves
from graphnas.train.config import DataConfig, VAEConfig

SPACE, LABELS = "nb201", "digits201"
MODEL = {"node_dim": 64, "latent_dim": 32, "encoder_rounds": 4, "edge_loss": "sum"}
STEPS, QUICK_STEPS = 1400, 40
METHODS = ("latent", "random")
QUERIES, SEEDS = 60, 5
QUICK_QUERIES, QUICK_SEEDS, QUICK_POOL = 12, 2, 400

Histories = dict[str, dict[int, History]]


def search_vae_config(seed: int, device: str, quick: bool) -> VAEConfig:
    """SVGE of all NAS-Bench-201 cells, which never sees a label."""
    model = {**MODEL, "node_dim": 16, "encoder_rounds": 1} if quick else MODEL
    fit = short_fit(QUICK_STEPS if quick else STEPS, 32, 3e-3, 4, 100, seed, device)
    return VAEConfig("svge", dict(model), DataConfig(SPACE, num_graphs=QUICK_POOL if quick else None), fit)


def search_config(quick: bool) -> SearchConfig:
    """The search: chosen by validation accuracy, reported is test accuracy."""
    oracle = OracleConfig(labels=LABELS, metric="validation_accuracy", test_metric="test_accuracy")
    if quick:
        return SearchConfig(SPACE, oracle=oracle, queries=QUICK_QUERIES, initial=5, pool_size=QUICK_POOL)
    return SearchConfig(SPACE, oracle=oracle, queries=QUERIES)


def compare_searches(setting: Setting, seeds: Sequence[int], folder: Path) -> Histories:
    """All methods from all seeds under the same budget, with their curves and the best of the first latent search.

    Args:
        setting: space, labels and codes.
        seeds: of the searches.
        folder: gets journals, results, comparison.md, curves.png, regret.png and the pictures of one search.
    """
    for seed in seeds:
        for method in METHODS:
            run_one(setting, method, seed, folder)
    histories = read_histories(folder)
    write_report(histories, setting.config, folder)
    regrets = regret_curves(histories, optimum(setting))
    search_curves(regrets, folder / "regret.png", "regret in validation accuracy", falling=True)
    write_search_report(setting, histories["latent"][seeds[0]], folder)
    return histories


def optimum(setting: Setting) -> float:
    """The highest value in the table."""
    options = setting.config.oracle
    assert options.metric is not None
    return read_table(setting.space, options).optimum(options.metric)[1]


def find_winner(histories: Histories) -> Evaluation:
    """The best that any of the latent searches has found."""
    return max((history.best() for history in histories["latent"].values()), key=lambda one: one.value)


def search_chapter(setting: Setting, histories: Histories, folder: str) -> list[str]:
    """Lines of the report on the search; pictures lie in `folder`."""
    config, seeds = setting.config, len(histories["latent"])
    regrets = regret_curves(histories, optimum(setting))
    reached = {name: sum(curve[-1] for curve in runs.values()) / seeds for name, runs in regrets.items()}
    words = ", ".join(f"{value:.4f} after {name}" for name, value in reached.items())
    return [
        f"## 3. Latent Bayesian optimisation on {LABELS}",
        "",
        f"{config.queries} evaluations from each of {seeds} seeds. A VAE ({setting.latent.model.num_parameters:,} "
        f"parameters) of {SPACE} cells that never saw a label gives the codes of {len(setting.pool):,} of them; a "
        "Gaussian process on these chooses the one to evaluate next by validation accuracy. Test accuracy of the best "
        "so far:",
        "",
        *markdown(rows_of(value_curves(histories), histories, config)).splitlines(),
        "",
        f"Mean regret in validation accuracy, the optimum of the table less the best found: {words}.",
        "",
        f"![Regret against evaluations]({folder}/regret.png)",
        "",
        "### The best cells of one search",
        "",
        f"![The best cells]({folder}/best.png)",
        "",
        "### Where it looked in the latent space",
        "",
        f"![Evaluated cells among all]({folder}/latent.png)",
        "",
    ]
