"""Graphs per second, on one thread, of everything between a stored dataset and a model.

    python benchmarks/loader.py [--space nb101] [--seconds 2]

Times are processor time, so that other work on the machine disturbs less. The last line is PyG's own `DataLoader` on
the same graphs, for comparison.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch_geometric.loader import DataLoader

from graphnas import get_space, list_spaces
from graphnas.datasets import ArchitectureDataset, ArchitectureLoader
from graphnas.datasets.graphs import enumerable
from graphnas.spaces.packing import pack, unpack
from graphnas.spaces.pyg import to_collated


def rate(work: Callable[[], Iterator[int]], seconds: float) -> float:
    """Graphs per second of processor time, from an iterator of graphs per step, after a first pass over a few steps."""
    for _, _ in zip(range(3), work(), strict=False):
        pass
    graphs, start, steps = 0, time.process_time(), work()
    while time.process_time() - start < seconds:
        count = next(steps, None)
        if count is None:
            steps = work()
            continue
        graphs += count
    return graphs / (time.process_time() - start)


def measurements(dataset: ArchitectureDataset) -> Iterator[tuple[str, str, Callable[[], Iterator[int]], float | None]]:
    """Name, batch size, work and bar of every line."""
    archs, num_ops = dataset.architectures, dataset.space.num_ops
    labels = torch.rand(len(archs))
    packed = pack(archs)
    yield "pack", "all", lambda: iter([len(pack(archs).ops)]), 1e6
    yield "unpack", "all", lambda: iter([len(unpack(packed))]), 1e6
    yield "collate for InMemoryDataset", "all", lambda: iter([len(to_collated(archs, num_ops)[1]["x"]) - 1]), None
    for size in (32, 128, 1024):
        loader = ArchitectureLoader(archs, labels, batch_size=size)
        bars = (5e5, 1e5) if size > 32 else (None, None)
        yield "dense batches", str(size), partial(dense, loader), bars[0]
        yield "PyG batches", str(size), partial(pyg, loader, num_ops), bars[1]
    theirs = DataLoader(dataset[:50_000], batch_size=128, shuffle=True)
    yield "torch_geometric DataLoader", "128", lambda: (batch.num_graphs for batch in theirs), None


def dense(loader: ArchitectureLoader) -> Iterator[int]:
    """Sizes of the dense batches of an epoch."""
    return (len(batch.archs) for batch in loader)


def pyg(loader: ArchitectureLoader, num_ops: int) -> Iterator[int]:
    """Sizes of the PyG batches of an epoch."""
    return (batch.num_graphs for batch in loader.batches_as_pyg(num_ops))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--space", default="nb101", choices=list_spaces(), help="graphs of this search space")
    parser.add_argument("--seconds", type=float, default=2.0, help="processor time per line")
    options = parser.parse_args()
    torch.set_num_threads(1)
    space = get_space(options.space)
    count = None if enumerable(space) else 100_000
    with TemporaryDirectory() as folder:
        for attempt in ("built and stored", "read back"):
            start = time.perf_counter()
            dataset = ArchitectureDataset(space, root=folder, num_samples=count)
            print(f"{len(dataset):,} graphs {attempt} in {time.perf_counter() - start:.2f} s")
        stored = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
        print(f"stored file: {stored / 1e6:.1f} MB")
    print(f"{'what':30} {'batch':>6} {'graphs/s':>12} {'bar':>10}")
    for name, size, work, bar in measurements(dataset):
        print(f"{name:30} {size:>6} {rate(work, options.seconds):12,.0f} {f'{bar:,.0f}' if bar else '-':>10}")


if __name__ == "__main__":
    main()
