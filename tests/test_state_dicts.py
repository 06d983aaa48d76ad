"""Cards of pretrained weights: found, listed, and refused when damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from graphnas import state_dicts
from graphnas.errors import CorruptFile, MissingData, UnknownName

CARD = {
    "config": {"name": "svge", "latent_dim": 32},
    "space": "toy",
    "vocabulary_hash": "0" * 64,
    "data_hash": "1" * 64,
    "recipe": "svge_toy.yaml",
    "command": "graphnas train vae",
    "versions": {"graphnas": "0.1.0"},
    "seed": 0,
    "metrics": {"test/accuracy": 1.0},
    "sha256": "2" * 64,
    "licence": "MIT",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(state_dicts, "_folder", lambda: tmp_path)
    return tmp_path


def test_lists_and_finds(folder: Path) -> None:
    for name in ("b", "a"):
        (folder / f"{name}.json").write_text(json.dumps(CARD))
        (folder / f"{name}.safetensors").write_bytes(b"weights")
    assert state_dicts.list_pretrained() == [{"name": "a", **CARD}, {"name": "b", **CARD}]
    assert state_dicts.find("b") == folder / "b.safetensors"


def test_unknown_name_lists_the_close_ones(folder: Path) -> None:
    (folder / "svge_toy.json").write_text(json.dumps(CARD))
    with pytest.raises(UnknownName, match="'svge_toi': did you mean 'svge_toy'"):
        state_dicts.find("svge_toi")
    with pytest.raises(UnknownName, match="unknown pretrained model"):
        state_dicts.find("../svge_toy")


def test_card_without_weights(folder: Path) -> None:
    (folder / "svge_toy.json").write_text(json.dumps(CARD))
    with pytest.raises(MissingData, match=r"svge_toy\.safetensors"):
        state_dicts.find("svge_toy")


@pytest.mark.parametrize("field", sorted(CARD))
def test_card_without_a_field(folder: Path, field: str) -> None:
    (folder / "bad.json").write_text(json.dumps({key: value for key, value in CARD.items() if key != field}))
    with pytest.raises(CorruptFile, match=f"none for {field}"):
        state_dicts.list_pretrained()


@pytest.mark.parametrize("text", ["{", "[]", "\x00"])
def test_damaged_card(folder: Path, text: str) -> None:
    (folder / "bad.json").write_text(text)
    with pytest.raises(CorruptFile, match=r"bad\.json"):
        state_dicts.list_pretrained()


def test_shipped_cards_are_complete_and_have_weights() -> None:
    cards = state_dicts.list_pretrained()
    assert len({card["name"] for card in cards}) == len(cards)
    for card in cards:
        assert state_dicts.find(card["name"]).stat().st_size > 0


def test_readme_names_every_field() -> None:
    text = (Path(__file__).resolve().parents[1] / "state_dicts" / "README.md").read_text()
    assert all(f"| `{field}` |" in text for field in state_dicts.CARD_FIELDS)
