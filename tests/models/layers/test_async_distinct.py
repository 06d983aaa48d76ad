"""States that graphs share are computed once, and are those of every graph on its own."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from graphnas import create_model, get_space
from graphnas.models.layers import async_encoder
from graphnas.models.layers.async_distinct import same_hearing
from graphnas.testing import mixed_batch, seeded

KINDS: list[tuple[str, dict[str, Any]]] = [
    ("dvae", {}),
    ("dvae", {"vertex_ids": False}),
    ("dvae", {"bidirectional": False}),
    ("dvae", {"bayesian_network": True, "bidirectional": False}),
    ("dvae_fast", {}),
    ("dagnn", {"layers": 3}),
    ("dagnn", {"aggregator": "gated"}),
    ("dagnn", {"aggregator": "sum", "vertex_ids": False}),
    ("dagnn", {"aggregator": "max"}),  # no weighted sum, which goes the plain way
]


@pytest.mark.parametrize("space", ["toy", "nb201", "nb101", "enas6", "bn8"])
@pytest.mark.parametrize(("name", "options"), KINDS)
def test_codes_are_those_of_the_plain_way(name: str, options: dict[str, Any], space: str) -> None:
    torch.manual_seed(0)
    model = create_model(name, space, hidden_dim=12, latent_dim=5, **options).double().eval()
    archs = mixed_batch(model.space, 90)
    plain = model.encode(archs)[0].detach()  # with gradients
    with torch.no_grad():
        assert torch.allclose(model.encode(archs)[0], plain, atol=1e-12)


def test_every_state_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, cells = create_model("dvae", "nb201", hidden_dim=8, latent_dim=4).eval(), get_space("nb201").enumerate()
    ran = {"rows": 0}
    whole = async_encoder.propagate_distinct

    def count(*arguments: Any, **options: Any) -> Any:
        found = whole(*arguments, **options)
        ran["rows"] += sum(len(states) for layer in found for states in layer.states)
        return found

    monkeypatch.setattr(async_encoder, "propagate_distinct", count)
    with torch.no_grad():
        model.encode(cells)
    assert 2 * len(cells) < ran["rows"] < 0.2 * 2 * 8 * len(cells)


def test_equal_hearing_is_equal_type_and_equal_states_heard() -> None:
    generator = seeded(0)
    types = torch.randint(3, (400,), generator=generator)
    mask = torch.rand(400, 3, generator=generator) < 0.5
    rows = [torch.randint(2, (400,), generator=generator) for _ in range(3)]
    level = same_hearing(types, mask, rows)
    heard = torch.stack([types, *(torch.where(m, row + 1, 0) for m, row in zip(mask.unbind(1), rows, strict=True))], 1)
    assert len(level.vertex) == len(heard.unique(dim=0))
    assert torch.equal(heard[level.vertex][level.row], heard)
