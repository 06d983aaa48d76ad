"""The zoo: create, list and describe models by name."""

from __future__ import annotations

from graphnas.models.base import GraphModel, GraphVAE, ModelConfig
from graphnas.models.zoo import create_model, list_models, load_model, model_info, register_model, save_model

from graphnas.models.svge import SVGE, SVGEConfig  # isort: skip  (registers itself)

__all__ = [
    "SVGE",
    "GraphModel",
    "GraphVAE",
    "ModelConfig",
    "SVGEConfig",
    "create_model",
    "list_models",
    "load_model",
    "model_info",
    "register_model",
    "save_model",
]
