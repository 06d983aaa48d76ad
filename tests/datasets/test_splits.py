"""Splits: disjoint in function, reproducible, saved and loaded."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from graphnas.datasets import Split, split
from graphnas.errors import CorruptFile, MissingData, SpaceMismatch
from graphnas.spaces import Architectures, get_space
from graphnas.spaces.base import SearchSpace


def parts(made: Split) -> list[set[int]]:
    return [set(part.tolist()) for part in (made.train, made.validation, made.test)]


def classes_apart(space: SearchSpace, archs: Architectures, made: Split) -> bool:
    train, validation, test = (
        set(space.functional_keys(archs[part])) for part in (made.train, made.validation, made.test)
    )
    return not (train & validation or train & test or validation & test)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_nb201_parts_share_no_functional_class(cells: Architectures, seed: int) -> None:
    space = get_space("nb201")
    made = split("nb201", cells, (0.5, 0.1, 0.4), seed)
    assert classes_apart(space, cells, made)
    train, validation, test = parts(made)
    assert train | validation | test == set(range(15625))
    assert len(train) + len(validation) + len(test) == 15625
    for part, share in ((train, 0.5), (validation, 0.1), (test, 0.4)):
        assert abs(len(part) - share * 15625) <= 460  # two halves of the largest class
    seen = set(space.functional_keys(cells))
    assert len(seen) == 4930


def test_toy_parts_share_no_functional_class() -> None:
    space = get_space("toy")
    archs = space.enumerate()
    made = split(space, archs, (0.6, 0.2, 0.2), seed=3)
    assert classes_apart(space, archs, made)
    assert sum(map(len, parts(made))) == len(archs)
    assert made.space == "toy"


def test_relabelled_copies_stay_with_their_original() -> None:
    space = get_space("toy")
    sampled = space.sample(500, torch.Generator().manual_seed(0))  # with repetitions
    assert classes_apart(space, sampled, split(space, sampled, (0.5, 0.25, 0.25)))


def test_seeds_repeat_and_differ(cells: Architectures) -> None:
    made = split("nb201", cells, seed=5)
    assert split("nb201", cells, seed=5) == made
    torch.manual_seed(1)
    assert split("nb201", cells, seed=5).fingerprint == made.fingerprint
    others = [split("nb201", cells, seed=seed) for seed in (0, 4, 6, -1)]
    assert len({tuple(other.test.tolist()) for other in [made, *others]}) == 5
    overlap = [len(parts(made)[2] & parts(other)[2]) / len(made.test) for other in others]
    assert max(overlap) < 0.6


def test_a_split_is_the_same_everywhere(cells: Architectures) -> None:
    made = split("nb201", cells, seed=0)
    assert made.test[:8].tolist() == [1877, 1882, 1887, 1892, 1897, 1953, 1958, 1963]
    assert made.fingerprint == "aeb30b30f9bc72a89b0915abf53d4a703613c90629989684d234a048e4dc18bd"


@pytest.mark.parametrize("sizes", [{"fractions": (0.7, 0.1, 0.2)}, {"counts": (300, 51, 777)}])
def test_the_order_of_the_architectures_does_not_matter(cells: Architectures, sizes: dict) -> None:
    order = torch.randperm(15625, generator=torch.Generator().manual_seed(7))
    straight, mixed = split("nb201", cells, seed=2, **sizes), split("nb201", cells[order], seed=2, **sizes)
    for name in ("train", "validation", "test"):
        there, here = getattr(straight, name), order[getattr(mixed, name)]
        assert torch.equal(there, here.sort().values)


def test_counts_are_exact_and_nested(cells: Architectures) -> None:
    space = get_space("nb201")
    sizes = (40, 78, 390, 781)
    made = [split("nb201", cells, seed=1, counts=(size, 100, 7000)) for size in sizes]
    for size, one in zip(sizes, made, strict=True):
        assert [len(part) for part in (one.train, one.validation, one.test)] == [size, 100, 7000]
        assert classes_apart(space, cells, one)
        assert torch.equal(one.test, made[0].test)
        assert torch.equal(one.validation, made[0].validation)
    for small, large in pairwise(made):
        assert parts(small)[0] < parts(large)[0]


def test_parts_may_be_empty_or_leave_rows_out(cells: Architectures) -> None:
    no_validation = split("nb201", cells, (0.9, 0.0, 0.1))
    assert len(no_validation.validation) == 0
    assert len(no_validation.train) + len(no_validation.test) == 15625
    some = split("nb201", cells, (0.01, 0.01, 0.3))
    assert 4000 < len(some.test) < 5400
    assert len(some.train) < 500
    only_test = split("nb201", cells, counts=(0, 0, 10))
    assert [len(part) for part in (only_test.train, only_test.validation, only_test.test)] == [0, 0, 10]
    whole = split("nb201", cells, counts=(0, 0, 15625))
    assert len(whole.test) == 15625


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"fractions": (0.9, 0.1)}, "must be three"),
        ({"fractions": (0.9, 0.1, 0.1)}, "at most 1 together"),
        ({"fractions": (1.1, -0.1, 0.0)}, "not negative"),
        ({"fractions": (0.0, 0.0, 0.0)}, "at most 1 together"),
        ({"counts": (15000, 600, 600)}, "at most 15625 together"),
        ({"counts": (10, -1, 10)}, "not negative"),
        ({"counts": (0.9, 0.05, 0.05)}, "shares go into fractions"),
        ({"counts": (7000, 1000, 7625)}, "do not fit 15625 architectures in 4930 classes that stay together"),
        ({"fractions": (0.5, 0.00001, 0.4)}, "is empty: ask for more"),
    ],
)
def test_impossible_sizes(cells: Architectures, options: dict, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        split("nb201", cells, **options)


def test_nothing_to_split(cells: Architectures) -> None:
    with pytest.raises(ValueError, match="got none"):
        split("nb201", cells[:0])


def test_saving_and_loading(cells: Architectures, tmp_path) -> None:
    made = split("nb201", cells, seed=11)
    path = tmp_path / "deep" / "split.safetensors"
    made.save(path)
    loaded = Split.load(path, cells)
    assert loaded == made
    assert torch.equal(loaded.validation, made.validation)
    assert loaded.fingerprint == made.fingerprint
    assert list(path.parent.iterdir()) == [path]
    assert made != split("nb201", cells, seed=12)
    assert repr(loaded).startswith("Split(train=")


def test_loading_for_other_architectures_is_refused(cells: Architectures, tmp_path) -> None:
    path = tmp_path / "split.safetensors"
    split("nb201", cells, seed=0).save(path)
    for others in (cells[1:], cells[torch.arange(15624, -1, -1)]):
        with pytest.raises(SpaceMismatch, match="other architectures"):
            Split.load(path, others)


def test_damaged_and_foreign_files_are_refused(cells: Architectures, tmp_path) -> None:
    path = tmp_path / "split.safetensors"
    with pytest.raises(MissingData, match="no such file"):
        Split.load(path)
    split("nb201", cells, seed=0).save(path)
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptFile, match="checksum"):
        Split.load(path)
    path.write_bytes(content[:1000])
    with pytest.raises(CorruptFile, match="damaged"):
        Split.load(path)
    path.write_text("{}")
    with pytest.raises(CorruptFile, match="not a file of graphnas"):
        Split.load(path)
