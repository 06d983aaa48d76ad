"""Training and evaluation: one loop, objectives, run folders, recipes, fitted predictors."""

from __future__ import annotations

from graphnas.train.config import DataConfig, FitConfig, VAEConfig
from graphnas.train.fitted import FittedPredictor
from graphnas.train.loop import FitResult, fit
from graphnas.train.objectives import Objective, VAEObjective
from graphnas.train.predictor import fit_predictor
from graphnas.train.predictor_files import load_predictor, save_predictor
from graphnas.train.vae import train_vae

__all__ = [
    "DataConfig",
    "FitConfig",
    "FitResult",
    "FittedPredictor",
    "Objective",
    "VAEConfig",
    "VAEObjective",
    "fit",
    "fit_predictor",
    "load_predictor",
    "save_predictor",
    "train_vae",
]
