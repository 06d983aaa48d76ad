"""ENAS: the user's file, or random architectures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from graphnas.datasets import ENAS
from graphnas.errors import MissingData
from graphnas.spaces import get_space


def write_rows(path: Path, layers: int, count: int = 30) -> list[float]:
    """A label file with `count` rows, the second repeated at the end; the accuracies without it."""
    space = get_space(f"enas{layers}")
    texts = space.format(space.sample(count, torch.Generator().manual_seed(1)))
    accuracies = [round(0.7 + 0.0002 * row, 4) for row in range(count)]
    path.parent.mkdir(parents=True)
    lines = [f"{text}, {accuracy}" for text, accuracy in zip(texts, accuracies, strict=True)]
    path.write_text("\n".join([*lines, lines[1]]) + "\n")
    return accuracies


@pytest.mark.parametrize("layers", [6, 12])
def test_the_file_in_raw_gives_graphs_and_labels(tmp_path: Path, layers: int, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "raw" / f"final_structures{layers}.txt"
    accuracies = write_rows(path, layers)
    dataset = ENAS(layers, root=tmp_path)
    assert len(dataset) == 30
    assert "dropped 1 duplicates of 31 rows" in caplog.text
    assert dataset.y.tolist() == pytest.approx(accuracies)
    assert dataset.raw_paths == [str(path)]
    named = ENAS(layers, root=tmp_path / "elsewhere", labels=path)
    assert named.architectures == dataset.architectures


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "raw" / "final_structures6.txt"
    write_rows(path, 6)
    assert len(ENAS(root=tmp_path)) == 30
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:20]))
    assert len(ENAS(root=tmp_path)) == 20


def test_without_a_file_the_way_out_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"put final_structures6\.txt .* at .*raw.* num_samples="):
        ENAS(root=tmp_path)
    assert not any(tmp_path.iterdir())
    with pytest.raises(ValueError, match=r"6 or 12 \(got 8\)"):
        ENAS(8, root=tmp_path, num_samples=5)


def test_the_real_file(real_data: Path, tmp_path: Path) -> None:
    dataset = ENAS(root=tmp_path, labels=real_data / "enas_macro6.txt.gz")
    assert len(dataset) == 18_015  # of 18,018 rows
    assert 0.70 < float(dataset.y.min()) < float(dataset.y.max()) < 0.76
