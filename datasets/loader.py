"""Shuffled, sharded, resumable batches of architectures without a Python loop over graphs."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Generator, Tensor

from graphnas.spaces import Architectures

if TYPE_CHECKING:
    from torch_geometric.data import Batch


class ArchitectureBatch(NamedTuple):
    """What one step of training sees.

    Args:
        archs: B architectures.
        y: [B] or [B, targets], None without labels.
        rows: int64 [B], their places in what the loader was given.
    """

    archs: Architectures
    y: Tensor | None
    rows: Tensor


class ArchitectureLoader:
    """Iterates over batches of architectures in an order that only the seed and the epoch decide.

    Step k of all ranks together covers the same graphs as step k of one process with `world_size` times the batch size.
    Every rank makes the same number of steps and no graph is seen twice; where the graphs do not divide evenly among
    the ranks, some last batches hold one graph more than others (and than `batch_size`, if that was full).

    Args:
        archs: all graphs, on the device the batches are wanted on (NAS-Bench-101 takes 25 MB).
        y: labels [n] or [n, targets] of the graphs, moved to the device of `archs`.
        batch_size: graphs per step and rank.
        shuffle: a new order for every epoch; otherwise the order of `archs`.
        seed: of the order; the same on all ranks.
        drop_last: leave out what does not fill a batch on every rank.
        rank: of this process.
        world_size: processes that share the graphs.

    Raises:
        ValueError: sizes that make no batch, a rank outside the world, labels of another length.

    >>> from graphnas import get_space
    >>> loader = ArchitectureLoader(get_space("nb201").enumerate(), batch_size=5000)
    >>> [len(batch.archs) for batch in loader]
    [5000, 5000, 5000, 625]
    """

    def __init__(
        self,
        archs: Architectures,
        y: Tensor | None = None,
        batch_size: int = 128,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if batch_size < 1 or not 0 <= rank < world_size:
            raise ValueError(
                f"expected batch_size >= 1 and 0 <= rank < world_size (got {batch_size}, rank {rank} of {world_size})"
            )
        needed = world_size * (batch_size if drop_last else 1)
        if len(archs) < needed:
            raise ValueError(
                f"world_size {world_size} and batch_size {batch_size} need at least {needed} graphs (got {len(archs)})"
            )
        if y is not None and len(y) != len(archs):
            raise ValueError(f"expected one label per graph (got {len(y)} for {len(archs)})")
        self.archs = archs
        self.y = None if y is None else y.to(archs.device)
        self.batch_size, self.shuffle, self.seed, self.drop_last = batch_size, shuffle, seed, drop_last
        self.rank, self.world_size = rank, world_size
        self.epoch = 0

    def __len__(self) -> int:
        """Batches per epoch, the same on every rank."""
        shared = len(self.archs) // self.world_size
        return shared // self.batch_size if self.drop_last else -(-shared // self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Epoch of the next plain `for batch in loader`; without it every pass has the same order."""
        self.epoch = epoch

    def order(self, epoch: int) -> Tensor:
        """Rows this rank visits in an epoch: int64 on the CPU."""
        size = len(self.archs)
        rows = torch.randperm(size, generator=_generator(self.seed, epoch)) if self.shuffle else torch.arange(size)
        mine = rows[self.rank :: self.world_size]
        return mine[: len(self) * self.batch_size] if self.drop_last else mine

    def _rows(self, epoch: int, start: int) -> Iterator[Tensor]:
        if not 0 <= start <= len(self):
            raise ValueError(f"start must be one of the {len(self)} batches of an epoch or their end (got {start})")
        order = self.order(epoch).to(self.archs.device)
        for step in range(start, len(self)):
            last = step == len(self) - 1
            yield order[step * self.batch_size : None if last else (step + 1) * self.batch_size]

    def iterate(self, epoch: int, start: int = 0) -> Iterator[ArchitectureBatch]:
        """Batches of one epoch from batch `start` on: exactly those an uninterrupted pass would still give.

        Raises:
            ValueError: a start beyond the epoch.
        """
        for rows in self._rows(epoch, start):
            yield ArchitectureBatch(self.archs[rows], None if self.y is None else self.y[rows], rows)

    def __iter__(self) -> Iterator[ArchitectureBatch]:
        return self.iterate(self.epoch)

    def batches_as_pyg(self, num_ops: int, epoch: int | None = None, start: int = 0) -> Iterator[Batch]:
        """The same batches as PyG `Batch` objects, for models written for PyG.

        Args:
            num_ops: columns of the one-hot `x`, `space.num_ops`.
            epoch: the one of :meth:`set_epoch` by default.
            start: first batch.
        """
        for batch in self.iterate(self.epoch if epoch is None else epoch, start):
            yield batch.archs.to_batch(num_ops, batch.y)


def _generator(seed: int, epoch: int) -> Generator:
    """Generator of one epoch; hashing keeps (seed, epoch) pairs apart that a sum would merge."""
    value = int.from_bytes(blake2b(f"{seed}/{epoch}".encode(), digest_size=7).digest(), "little")
    return Generator().manual_seed(value)
