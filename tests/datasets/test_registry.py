"""Datasets by name, and what their import costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import graphnas
from graphnas.datasets import BN8, DARTS, DATASETS, ENAS, NASBench101, NASBench201, Toy, list_datasets, load_dataset
from graphnas.errors import UnknownName
from graphnas.spaces import list_spaces


def test_every_space_has_a_dataset() -> None:
    assert list_datasets() == list_spaces() == ["bn8", "darts", "enas12", "enas6", "nb101", "nb201", "toy"]
    assert list_datasets("nb*") == ["nb101", "nb201"]
    assert graphnas.load_dataset is load_dataset


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("bn8", BN8),
        ("darts", DARTS),
        ("enas6", ENAS),
        ("enas12", ENAS),
        ("nb101", NASBench101),
        ("nb201", NASBench201),
        ("toy", Toy),
    ],
)
def test_names_build_their_class(tmp_path: Path, name: str, kind: type) -> None:
    dataset = load_dataset(name, root=tmp_path, num_samples=4)
    assert type(dataset) is kind
    assert dataset.space.name == name
    assert len(dataset) == 4


def test_unknown_names_and_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'nb201' or 'nb101'"):
        load_dataset("nb20")
    with pytest.raises(TypeError, match="sample"):
        load_dataset("toy", root=tmp_path, samples=4)


def test_own_datasets_can_be_registered(tmp_path: Path) -> None:
    @DATASETS.register("small-toy")
    def small(**options: object) -> Toy:
        return Toy(num_samples=5, **options)

    try:
        assert len(load_dataset("small-toy", root=tmp_path)) == 5
        with pytest.raises(ValueError, match="registered twice"):
            DATASETS.register("small-toy")(small)
    finally:
        del DATASETS._entries["small-toy"]


def test_importing_does_not_load_pyg() -> None:
    code = (
        "import sys; from graphnas.datasets import ArchitectureLoader, split; print('torch_geometric' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


def test_classes_are_listed() -> None:
    assert set(graphnas.datasets.__all__) <= set(dir(graphnas.datasets))
    with pytest.raises(AttributeError, match="Nothing"):
        graphnas.datasets.Nothing  # noqa: B018
