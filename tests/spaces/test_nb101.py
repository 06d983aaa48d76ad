"""NAS-Bench-101: counts, the official hash and the official representatives."""

from __future__ import annotations

import csv
import gzip
from hashlib import md5
from pathlib import Path

import pytest
import torch

from graphnas.errors import InvalidArchitecture
from graphnas.spaces import Architectures, get_space
from graphnas.spaces.nb101 import NB101

C3, C1, MP = "conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3"


@pytest.fixture(scope="module")
def nb101() -> NB101:
    return get_space("nb101")


@pytest.fixture(scope="module")
def published(real_data: Path) -> list[dict[str, str]]:
    with gzip.open(real_data / "nb101_sample.csv.gz", "rt", newline="") as file:
        return list(csv.DictReader(file))


def from_edges(nb101: NB101, edges: str, *interior: str) -> Architectures:
    """A cell from edges such as "01 02 13" and its interior operations."""
    size = len(interior) + 2
    matrix = [[int(f"{row}{column}" in edges.split()) for column in range(size)] for row in range(size)]
    return nb101.build(matrix, ["input", *interior, "output"])


def published_hash(cell: Architectures) -> str:
    """The published definition for one graph, step by step."""
    found = cell.describe(0)
    labels = [-1, *(op - 2 for op in found["ops"][1:-1]), -2]
    before = [[u for u, v in found["edges"] if v == vertex] for vertex in range(len(labels))]
    after = [[v for u, v in found["edges"] if u == vertex] for vertex in range(len(labels))]

    def digest(text: str) -> str:
        return md5(text.encode()).hexdigest()

    hashes = [digest(str((len(after[v]), len(before[v]), label))) for v, label in enumerate(labels)]
    for _ in labels:
        sides = [[sorted(hashes[u] for u in near[v]) for near in (before, after)] for v in range(len(labels))]
        hashes = [digest("".join(ins) + "|" + "".join(outs) + "|" + hashes[v]) for v, (ins, outs) in enumerate(sides)]
    return digest(str(sorted(hashes)))


def test_counts_per_number_of_vertices(nb101: NB101) -> None:
    counts = nb101.enumerate().num_nodes.bincount(minlength=8).tolist()
    assert counts == [0, 0, 1, 6, 84, 2_441, 62_010, 359_082]
    assert sum(counts) == nb101.size == 423_624


@pytest.mark.parametrize(
    ("edges", "interior", "key"),
    [
        ("01 04 05 12 23 26 35 45 56", (C3, MP, C3, C3, C1), "00005c142e6f48ac74fdcf73e3439874"),
        ("01 02 03 05 16 26 34 46 56", (C1, C3, C3, C3, MP), "28cfc7874f6d200472e1a9dcd8650aa0"),
        ("01", (), "043721b9c7fe8c5fad811d47d83132ec"),
        ("01 12", (C3,), "b49ac8c578b4561d79ac7087988f1c61"),
        ("01 03 12 23", (C3, C3), "b5fb4f6193360330b6ff6a52cbf0cad7"),
    ],
)
def test_published_hashes(nb101: NB101, edges: str, interior: tuple[str, ...], key: str) -> None:
    assert nb101.canonical_keys(from_edges(nb101, edges, *interior)) == [key]


def test_pruned_cells_have_the_hash_of_what_remains(nb101: NB101) -> None:
    plain = ["043721b9c7fe8c5fad811d47d83132ec"]
    assert nb101.canonical_keys(from_edges(nb101, "02", C1)) == plain
    assert nb101.canonical_keys(from_edges(nb101, "01 02 03", C3, MP)) == plain
    with pytest.raises(InvalidArchitecture, match="path from input to output"):
        from_edges(nb101, "01", C3)


def test_pruning_may_bring_a_cell_within_the_limits(nb101: NB101) -> None:
    dangling = from_edges(nb101, "01 12 03 24 25 17 13 23 45 46 56", *[C3] * 6)  # 8 vertices, 11 edges
    assert nb101.format(dangling) == [f"010/001/000:{C3}"]
    with pytest.raises(InvalidArchitecture, match=r"2 to 7 vertices \(got 8 vertices\)"):
        from_edges(nb101, "01 12 23 34 45 56 67", *[C3] * 6)


def test_hashes_agree_with_the_definition_in_any_batch(nb101: NB101) -> None:
    archs = Architectures.concat([nb101.enumerate()[:91], nb101.sample(400, torch.Generator().manual_seed(0))])
    keys = nb101.canonical_keys(archs)
    assert keys == [published_hash(arch) for arch in archs]
    order = torch.randperm(len(archs), generator=torch.Generator().manual_seed(1))
    assert nb101.canonical_keys(archs[order]) == [keys[row] for row in order.tolist()]
    assert nb101.canonical_keys(archs[17]) == keys[17:18]


def test_hash_across_chunks(nb101: NB101) -> None:
    archs = nb101.enumerate()[-9000:]
    keys = nb101.canonical_keys(archs)
    assert len(set(keys)) == 9000
    assert keys[-100:] == nb101.canonical_keys(archs[-100:])


@pytest.mark.slow
def test_all_hashes_differ(nb101: NB101) -> None:
    assert len(set(nb101.canonical_keys(nb101.enumerate()))) == nb101.size


def test_published_sample(nb101: NB101, published: list[dict[str, str]]) -> None:
    archs = nb101.parse([f"{row['matrix']}:{row['ops']}" for row in published])
    assert len(archs) == 16_001
    assert archs.num_nodes.tolist() == [int(row["nodes"]) for row in published]
    assert nb101.canonical_keys(archs) == [row["hash"] for row in published]
    assert nb101.cost(archs)["params"].tolist() == [int(row["params"]) for row in published]


def test_published_matrices_are_mostly_the_first_of_their_class(nb101: NB101, published: list[dict[str, str]]) -> None:
    archs = nb101.parse([f"{row['matrix']}:{row['ops']}" for row in published])
    first = nb101.canonical(archs)
    assert first == nb101.enumerate()[nb101.index(archs)]
    share = float(first.equal(archs).double().mean())
    assert 0.97 <= share < 1
