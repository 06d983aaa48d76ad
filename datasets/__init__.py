"""Graph datasets: a search space, optionally labels, splits without leaks, and the fast batch loader."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from graphnas.datasets.loader import ArchitectureBatch, ArchitectureLoader
from graphnas.datasets.splits import Split, split
from graphnas.registry import Registry

if TYPE_CHECKING:
    from graphnas.datasets.base import ArchitectureDataset
    from graphnas.datasets.bn8 import BN8
    from graphnas.datasets.darts import DARTS
    from graphnas.datasets.enas import ENAS
    from graphnas.datasets.nasbench101 import NASBench101
    from graphnas.datasets.nasbench201 import NASBench201
    from graphnas.datasets.toy import Toy

__all__ = [
    "BN8",
    "DARTS",
    "DATASETS",
    "ENAS",
    "ArchitectureBatch",
    "ArchitectureDataset",
    "ArchitectureLoader",
    "NASBench101",
    "NASBench201",
    "Split",
    "Toy",
    "list_datasets",
    "load_dataset",
    "split",
]

DATASETS: Registry[Callable[..., ArchitectureDataset]] = Registry("dataset")
"""Name -> what builds the dataset from keyword arguments; `DATASETS.register(name)` adds your own."""

# PyG takes seconds to import, so the classes are imported where they are first used.
_LAZY = {
    "ArchitectureDataset": "graphnas.datasets.base",
    "BN8": "graphnas.datasets.bn8",
    "DARTS": "graphnas.datasets.darts",
    "ENAS": "graphnas.datasets.enas",
    "NASBench101": "graphnas.datasets.nasbench101",
    "NASBench201": "graphnas.datasets.nasbench201",
    "Toy": "graphnas.datasets.toy",
}


def load_dataset(name: str, **options: Any) -> ArchitectureDataset:
    """The dataset of that name, the name of its search space.

    Args:
        name: as listed by :func:`list_datasets`.
        options: of every class: `root`, `labels` (table, file or registered name), `metric`, `budget`,
            `drop_unlabelled`, `transform`, `pre_transform`, `pre_filter`, `force_reload`; and `num_samples`, `seed`
            where a space is sampled.

    Raises:
        UnknownName: with close matches and the full list.

    >>> load_dataset("toy", num_samples=10)
    Toy(10)
    """
    return DATASETS[name](**options)


def list_datasets(pattern: str = "*") -> list[str]:
    """Names `load_dataset` knows, those that match a shell pattern."""
    return DATASETS.names(pattern)


def _enter(name: str, attribute: str, **fixed: Any) -> None:
    @DATASETS.register(name)
    def build(**options: Any) -> ArchitectureDataset:
        dataset: ArchitectureDataset = __getattr__(attribute)(**fixed, **options)
        return dataset


for _name, _attribute, _fixed in (
    ("bn8", "BN8", {}),
    ("darts", "DARTS", {}),
    ("enas6", "ENAS", {"layers": 6}),
    ("enas12", "ENAS", {"layers": 12}),
    ("nb101", "NASBench101", {}),
    ("nb201", "NASBench201", {}),
    ("toy", "Toy", {}),
):
    _enter(_name, _attribute, **_fixed)


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'graphnas.datasets' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
