"""The ENAS macro space as graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

from graphnas.datasets.base import ArchitectureDataset, DatasetOptions
from graphnas.errors import MissingData
from graphnas.paths import data_dir


class ENAS(ArchitectureDataset):
    """Macro architectures of ENAS (Pham et al., ICML 2018, https://arxiv.org/abs/1802.03268) with 6 or 12 layers.

    Source: the architectures of `final_structures6.txt` or `final_structures12.txt`, published with D-VAE (Zhang et
    al., NeurIPS 2019, https://github.com/muhanzhang/D-VAE; no licence is stated there), from `root/raw` or wherever
    `labels=` says; or `num_samples` different random ones without labels. Rows that repeat an earlier one are dropped,
    which is logged.

    | graphs                    | nodes min / mean / max | edges min / mean / max | types | functional classes |
    |---------------------------|------------------------|------------------------|-------|--------------------|
    | 6 layers, label file      | 8 / 8 / 8              | 7 / 11.52 / 20         | 8     | one per graph      |
    | 6 layers, `num_samples`   | 8 / 8 / 8              | 7 / 14.50 / 21         | 8     | one per graph      |
    | 12 layers, `num_samples`  | 14 / 14 / 14           | 32 / 45.95 / 63        | 8     | one per graph      |

    The first line was counted on 18,018 of the 20,020 rows of the published file, 18,015 of them distinct; the others
    on 20,000 random architectures (seed 0).

    Target: validation accuracy on CIFAR-10 with the *shared* weights of the ENAS supernet, as a fraction; not the
    accuracy of a network trained for itself.

    Split: by class and seed, see :func:`graphnas.datasets.split`; two architectures are the same only if they are
    equal.

    Args:
        layers: 6 or 12.
        root: folder of `raw` and `processed`.
        options: those of :class:`ArchitectureDataset`.

    Raises:
        MissingData: neither a label file nor `num_samples`.
    """

    def __init__(self, layers: int = 6, root: str | Path | None = None, **options: Unpack[DatasetOptions]) -> None:
        if layers not in (6, 12):
            raise ValueError(f"layers must be 6 or 12 (got {layers})")
        self._file = f"final_structures{layers}.txt"
        given = Path(root or data_dir(f"enas{layers}")).expanduser() / "raw" / self._file
        if options.get("labels") is None and options.get("num_samples") is None:
            if not given.is_file():
                raise MissingData(
                    f"ENAS has no list of architectures of its own: put {self._file} (published with D-VAE, "
                    f"https://github.com/muhanzhang/D-VAE, folder data) at {given}, pass its path as labels=, or pass "
                    "num_samples= for random architectures without labels"
                )
            options["labels"] = given
        super().__init__(f"enas{layers}", root, **options)

    @property
    def raw_file_names(self) -> list[str]:
        """The label file, which need not be there."""
        return [self._file]
