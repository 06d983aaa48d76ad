"""Graph encoders for neural architecture search: spaces, datasets, a model zoo, training, latent search."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from graphnas.datasets import load_dataset
    from graphnas.models import create_model, list_models, model_info
    from graphnas.spaces import get_space, list_spaces
    from graphnas.tables import load_table

__all__ = ["create_model", "get_space", "list_models", "list_spaces", "load_dataset", "load_table", "model_info"]

_LAZY = {
    "create_model": "graphnas.models",
    "list_models": "graphnas.models",
    "model_info": "graphnas.models",
    "get_space": "graphnas.spaces",
    "list_spaces": "graphnas.spaces",
    "load_table": "graphnas.tables",
    "load_dataset": "graphnas.datasets",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'graphnas' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
