"""Training and evaluation: one loop, objectives, run folders, recipes."""

from __future__ import annotations

from graphnas.train.config import DataConfig, FitConfig, VAEConfig
from graphnas.train.loop import FitResult, fit
from graphnas.train.objectives import Objective, VAEObjective

__all__ = ["DataConfig", "FitConfig", "FitResult", "Objective", "VAEConfig", "VAEObjective", "fit"]
