"""What a vertex is told of itself."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from graphnas.spaces import Architectures
from graphnas.testing import mixed_batch
from tests.models.predictor_checks import interior, make


@pytest.mark.parametrize("costs", [False, True])
@pytest.mark.parametrize("space", ["enas6", "enas12", "nb101", "nb201"])
def test_types_places_and_costs_side_by_side(space: str, costs: bool) -> None:
    model = make("gates", space, costs=costs)
    archs = mixed_batch(model.space)
    x, types = model.vertex_inputs(archs), model.space.num_ops + 1
    width = types + model.num_places + 2 * costs
    assert x.shape == (*archs.ops.shape, model.vertex_dim) and model.vertex_dim == width
    assert torch.equal(x[..., :types].argmax(2)[archs.node_mask], archs.ops.long()[archs.node_mask])
    assert bool((x[~archs.node_mask] == 0).all())
    assert model.num_places == (model.space.max_nodes if space.startswith("enas") else 0)
    if model.num_places:  # all architectures of these spaces have all vertices
        assert torch.equal(x[0, :, types : types + model.num_places], torch.eye(model.space.max_nodes))
        hidden = model.vertex_inputs(archs, interior(archs))
        assert torch.equal(hidden[..., types : types + model.num_places], x[..., types : types + model.num_places])


@pytest.mark.parametrize("name", ["gates", "ta_gates", "flan", "gcn", "gin", "transformer"])
def test_graph_networks_hear_of_places(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make(name, "enas6")
    archs, first = mixed_batch(model.space), model.space.num_ops + 1
    told = model.vertex_inputs

    def shifted(archs: Architectures, hidden: Tensor | None = None) -> Tensor:
        x = told(archs, hidden)
        places = x[..., first : first + model.num_places].roll(1, 2)
        return torch.cat([x[..., :first], places, x[..., first + model.num_places :]], 2)

    with torch.no_grad():
        before = model(archs)
        monkeypatch.setattr(model, "vertex_inputs", shifted)
        assert not torch.allclose(model(archs), before, atol=1e-5)
