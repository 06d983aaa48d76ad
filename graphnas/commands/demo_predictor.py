"""The second chapter of the demo: a performance predictor on the embedded benchmark, beside raw features."""

from __future__ import annotations

from pathlib import Path

import torch
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import RidgeCV

from graphnas.commands.demo_training import short_fit
from graphnas.metrics import kendall_tau, spearman
from graphnas.plot import scatter
from graphnas.spaces import Architectures
from graphnas.tables import default_table, load_table
from graphnas.train.config import DataConfig, VAEConfig
from graphnas.train.data import Prepared, prepare
from graphnas.train.vae import load_vae, train_vae

MODEL = {"node_dim": 64, "latent_dim": 32, "encoder_rounds": 4, "accuracy_head": True, "edge_loss": "sum"}
STEPS, QUICK_STEPS = 1400, 60


def predictor_config(space: str, seed: int, device: str, quick: bool) -> VAEConfig:
    """SVGE with its regression head on half of the built-in labels of a search space."""
    steps = QUICK_STEPS if quick else STEPS
    fit = short_fit(steps, 32, 3e-3, 7, 100, seed, device)
    return VAEConfig("svge", dict(MODEL), DataConfig(space, held_out=0.5, labels=default_table(space)), fit)


def train_predictor(config: VAEConfig, out: Path) -> dict[str, dict[str, float]]:
    """Trains the predictor into `out` and compares it with raw features on architectures none of them has seen.

    Returns:
        per predictor its rank correlations with the labels of the test part and, where labels were measured repeatedly,
        those of one run with the mean of the others.
    """
    train_vae(config, out)
    data = prepare(config.data)
    assert data.y is not None
    model, test = load_vae(out), data.split.test
    with torch.no_grad():
        predicted = model.predict(data.archs[test])
    truth = data.y[test]
    rows = {"SVGE with regression head": predicted, **raw_features(data)}
    scatter(predicted, truth, out / "predicted.png", "predicted", f"measured ({config.data.labels})")
    scores = {name: scored(values, truth) for name, values in rows.items()}
    return scores | other_training(config.data, data.archs[test])


def raw_features(data: Prepared) -> dict[str, torch.Tensor]:
    """Predictions [test] of regressors that see the one-hot operations of every vertex and the edges, nothing else."""
    assert data.y is not None
    features = torch.cat([data.archs.one_hot(data.space.num_ops).flatten(1), data.archs.adj.flatten(1).float()], 1)
    train, test = features[data.split.train].numpy(), features[data.split.test].numpy()
    labels = data.y[data.split.train].numpy()
    regressors = {
        "ridge on raw features": RidgeCV([0.1, 1.0, 10.0, 100.0]),
        "gradient boosting on raw features": GradientBoostingRegressor(n_estimators=200, random_state=0),
    }
    return {name: torch.from_numpy(found.fit(train, labels).predict(test)) for name, found in regressors.items()}


def other_training(config: DataConfig, archs: Architectures) -> dict[str, dict[str, float]]:
    """Rank correlation of one run's labels with the mean of the others, where labels were measured repeatedly."""
    assert config.labels is not None
    table = load_table(config.labels)
    runs = table.repeats(table.default_metric)[table.rows(archs)]
    if runs.shape[1] < 2:
        return {}
    return {"one other training of the same cells": scored(runs[:, 0], runs[:, 1:].mean(1))}


def scored(predicted: torch.Tensor, truth: torch.Tensor) -> dict[str, float]:
    """Both rank correlations."""
    return {"kendall": kendall_tau(predicted, truth), "spearman": spearman(predicted, truth)}


def predictor_chapter(config: VAEConfig, scores: dict[str, dict[str, float]]) -> list[str]:
    """Lines of the report on the performance predictor."""
    return [
        f"## 2. Performance predictor on {config.data.labels}",
        "",
        f"{config.data.space}, a quarter of the architectures each to choose and to test; rank correlations with the "
        "measured accuracy of the latter.",
        "",
        "| predictor | Kendall tau | Spearman rho |",
        "|---|---|---|",
        *(f"| {name} | {score['kendall']:.3f} | {score['spearman']:.3f} |" for name, score in scores.items()),
        "",
        "![Predicted against measured](predictor/predicted.png)",
        "",
    ]
