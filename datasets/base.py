"""Architectures of a search space, with or without labels, as an ordinary PyG dataset."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, TypedDict

import torch
from torch import Tensor
from torch_geometric.data import Data, InMemoryDataset
from torch_geometric.data.collate import collate
from torch_geometric.data.dataset import IndexType

from graphnas.datasets import storage
from graphnas.datasets.functions import describe
from graphnas.datasets.loader import ArchitectureLoader
from graphnas.datasets.processing import Labelled, Recipe
from graphnas.datasets.splits import Split, split
from graphnas.errors import CorruptFile, MissingData
from graphnas.paths import data_dir
from graphnas.spaces import Architectures, SearchSpace, get_space
from graphnas.spaces.packing import Packed, pack, unpack
from graphnas.spaces.pyg import to_collated, to_data
from graphnas.tables import Table


class DatasetOptions(TypedDict, total=False):
    """Keyword arguments all datasets take; :class:`ArchitectureDataset` explains them."""

    labels: str | Path | Table | None
    metric: str | None
    budget: int | None
    drop_unlabelled: bool
    num_samples: int | None
    seed: int
    transform: Callable[[Data], Any] | None
    pre_transform: Callable[[Data], Data] | None
    pre_filter: Callable[[Data], bool] | None
    force_reload: bool


class ArchitectureDataset(InMemoryDataset):
    """Architectures as graphs: `dataset[i]` is a `Data`, `dataset.architectures` the dense batch of all.

    Items have `x` one-hot float32 [n, T] over `space.vocabulary`, `edge_index` int64 [2, e] ordered by source and then
    by target and, in a dataset with labels, `y` float32 [1]. Slicing, `DataLoader` and transforms work as in any PyG
    dataset.

    The graphs are all of an enumerable space, or `num_samples` different random ones, or else the distinct ones of the
    label file. They are kept packed in `root/processed`, one file per combination of options and version of the code;
    it is read without executing anything, and built again with a warning if it is damaged.

    Args:
        space: name or object.
        root: folder of `raw` and `processed`; `graphnas.paths.data_dir(space.name)` by default.
        labels: anything `load_table` reads (a file, a registered name), or a `Table`; without it items have no `y`.
        metric: one of the metrics of the table; may be left out where there is only one.
        budget: training epochs; the largest of the table by default.
        drop_unlabelled: leave out graphs without a label; otherwise their `y` is NaN.
        num_samples: that many different random architectures instead of all.
        seed: of `num_samples`.
        transform: applied to every `Data` on access.
        pre_transform: applied once before storing, labels included; may leave tensor attributes only. Another function
            makes another stored file; use `force_reload` after editing what it calls.
        pre_filter: keeps the `Data` it is true for; stored likewise.
        force_reload: build again even if a stored result fits.

    Raises:
        MissingData: nothing says which graphs to take, a file is not there, or no graph is left.
        SpaceMismatch: a table of another space.
        UnknownName: a metric or budget the table does not have, or no metric where it has several.
    """

    def __init__(
        self,
        space: str | SearchSpace,
        root: str | Path | None = None,
        labels: str | Path | Table | None = None,
        metric: str | None = None,
        budget: int | None = None,
        drop_unlabelled: bool = False,
        num_samples: int | None = None,
        seed: int = 0,
        transform: Callable[[Data], Any] | None = None,
        pre_transform: Callable[[Data], Data] | None = None,
        pre_filter: Callable[[Data], bool] | None = None,
        force_reload: bool = False,
    ) -> None:
        self.space = get_space(space)
        recipe = Recipe(self.space, labels, metric, budget, drop_unlabelled, num_samples, seed)
        identity = {**recipe.identity(), "prepare": [describe(pre_filter), describe(pre_transform)]}
        self._version = sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
        self._recipe: Recipe | None = recipe
        self._stored: tuple[dict[str, Tensor], dict[str, Any]] | None = None
        folder = str(root or data_dir(self.space.name))
        super().__init__(folder, transform, pre_transform, pre_filter, log=False, force_reload=force_reload)
        self._fill()

    # -- what there is ------------------------------------------------------------------------------------------
    @property
    def rows(self) -> Tensor:
        """int64 [n]: which graphs of the stored file this dataset, possibly a slice of another, consists of."""
        return torch.as_tensor(self.indices(), dtype=torch.int64)

    @property
    def architectures(self) -> Architectures:
        """All graphs as one dense batch, as they are in the space (transforms do not show)."""
        return self._archs if self._indices is None else self._archs[self.rows]

    @property
    def y(self) -> Tensor | None:
        """Labels float32 [n], NaN where there is none; None in a dataset without labels."""
        return self._y if self._y is None or self._indices is None else self._y[self.rows]

    @property
    def num_classes(self) -> int:
        """1 for a dataset with labels, which are values of one target and not classes; 0 for others."""
        return 0 if self._y is None else 1

    def split(
        self, fractions: Sequence[float] = (0.9, 0.05, 0.05), seed: int = 0, counts: Sequence[int] | None = None
    ) -> Split:
        """Train, validation and test rows without a common functional class, by :func:`graphnas.datasets.split`."""
        return split(self.space, self.architectures, fractions, seed, counts)

    def loader(self, batch_size: int = 128, shuffle: bool = True, seed: int = 0) -> ArchitectureLoader:
        """Dense batches of architectures and labels; far faster than `DataLoader`, which works too."""
        return ArchitectureLoader(self.architectures, self.y, batch_size, shuffle, seed)

    def copy(self, idx: IndexType | None = None) -> ArchitectureDataset:
        """A deep copy of this dataset, or of its graphs `idx`."""
        kept = self if idx is None else self.index_select(idx)
        result = super().copy(idx)
        result._archs, result._y = kept.architectures[:], None if kept.y is None else kept.y.clone()
        return result

    # -- PyG ----------------------------------------------------------------------------------------------------
    @property
    def raw_file_names(self) -> list[str]:
        """None: the graphs come from the space and the labels from wherever the user keeps them."""
        return []

    @property
    def processed_file_names(self) -> list[str]:
        """One file, named by the space and a hash of everything its content depends on."""
        return [f"{self.space.name}-{self._version}.safetensors"]

    def _process(self) -> None:
        """Reads or builds the stored file. (PyG's own version would unpickle two files of the folder.)"""
        path = Path(self.processed_paths[0])
        if path.is_file() and not self.force_reload:
            try:
                self._stored = _read(path)
                return
            except CorruptFile as error:
                warnings.warn(f"{error}: building it again", stacklevel=4)
        self.process()
        self._stored = _read(path)

    def process(self) -> None:
        """Builds the graphs and labels and stores them."""
        assert self._recipe is not None
        labelled = self._recipe.build()
        tensors: dict[str, Tensor] = {}
        if self.pre_filter is not None or self.pre_transform is not None:
            labelled, tensors = self._prepared(labelled)
        tensors |= pack(labelled.archs)._asdict()
        if labelled.y is not None:
            tensors["y"] = labelled.y
        storage.write(self.processed_paths[0], tensors, {"kind": "dataset", **labelled.target})

    def _prepared(self, labelled: Labelled) -> tuple[Labelled, dict[str, Tensor]]:
        """What pre_filter and pre_transform make of the graphs; the tensors of the latter."""
        archs, y, target = labelled
        items = to_data(archs, self.space.num_ops, y)
        if self.pre_filter is not None:
            keep = [row for row, item in enumerate(items) if self.pre_filter(item)]
            if not keep:
                raise MissingData(f"pre_filter left none of {len(items):,} graphs")
            items, archs, y = [items[row] for row in keep], archs[keep], None if y is None else y[keep]
        if self.pre_transform is None:
            return Labelled(archs, y, target), {}
        data, slices, _ = collate(Data, [self.pre_transform(item) for item in items], increment=False, add_batch=False)
        for name, value in data.to_dict().items():
            if not isinstance(value, Tensor) or name not in slices:
                raise ValueError(
                    f"pre_transform may leave tensor attributes only (got {name!r} of {type(value).__name__})"
                )
        tensors = {f"data.{name}": value for name, value in data.to_dict().items()}
        return Labelled(archs, y, target), tensors | {f"slices.{name}": value for name, value in slices.items()}

    def _fill(self) -> None:
        """Takes over what `_process` read."""
        assert self._stored is not None
        tensors, header = self._stored
        self._stored = self._recipe = None
        self.metric, self.budget, self.unit = header.get("metric"), header.get("budget"), header.get("unit")
        self._archs = unpack(Packed(tensors["ops"], tensors["edges"], tensors["num_nodes"]))
        self._y = tensors.get("y")
        names = [name.removeprefix("data.") for name in tensors if name.startswith("data.")]
        if names:
            self._data = Data.from_dict({name: tensors[f"data.{name}"] for name in names})
            self.slices = {name: tensors[f"slices.{name}"] for name in names}
        else:
            self._data, self.slices = to_collated(self._archs, self.space.num_ops, self._y)


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors, header = storage.read(path)
    if header.get("kind") != "dataset":
        raise CorruptFile(f"{path} holds no dataset (got {header.get('kind', 'something else')!r})")
    return tensors, header
