"""The two large enumerable benchmarks at full size."""

from __future__ import annotations

import time
from pathlib import Path

import torch

from graphnas.datasets import NASBench101, NASBench201
from graphnas.spaces import Architectures


def test_all_of_nasbench101(tmp_path: Path) -> None:
    NASBench101(tmp_path)
    start = time.process_time()
    dataset = NASBench101(tmp_path)
    assert time.process_time() - start < 2
    (stored,) = (tmp_path / "processed").iterdir()
    assert stored.stat().st_size < 6_000_000
    sizes = dataset.architectures.num_nodes
    assert torch.bincount(sizes).tolist() == [0, 0, 1, 6, 84, 2_441, 62_010, 359_082]
    assert round(float(sizes.double().mean()), 2) == 6.84
    assert round(float(dataset.architectures.num_edges.double().mean()), 2) == 8.73
    assert Architectures.from_data(dataset[400_000]) == dataset.architectures[400_000]
    start = time.process_time()
    made = dataset.split((0.9, 0.05, 0.05), seed=0)
    assert time.process_time() - start < 3
    assert [len(part) for part in (made.train, made.validation, made.test)] == [381_262, 21_181, 21_181]
    assert len(torch.cat([made.train, made.validation, made.test]).unique()) == 423_624


def test_all_of_nasbench201(tmp_path: Path) -> None:
    dataset = NASBench201(tmp_path)
    assert len(dataset) == 15_625
    assert set(dataset.architectures.num_edges.tolist()) == {10}
    assert dataset.num_node_features == 7


def test_real_labels_of_nasbench201(real_data: Path, tmp_path: Path) -> None:
    dataset = NASBench201(tmp_path, labels=real_data / "nb201_accuracies.csv.gz", metric="cifar10_test_200")
    assert not bool(dataset.y.isnan().any())
    assert round(float(dataset.y.max()), 4) == 94.3733


def test_real_labels_of_nasbench101(real_data: Path, tmp_path: Path) -> None:
    dataset = NASBench101(
        tmp_path, labels=real_data / "nb101_sample.csv.gz", metric="val_acc_108", drop_unlabelled=True
    )
    assert len(dataset) == 16_001
    assert 0.09 < float(dataset.y.min()) < float(dataset.y.max()) < 0.96
