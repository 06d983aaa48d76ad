"""What every predictor of the zoo promises; a test module subclasses it and supplies the fixtures."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from graphnas import create_model
from graphnas.models import Predictor, load_model, save_model
from graphnas.spaces import OUTPUT, Architectures
from graphnas.testing import mixed_batch, seeded


def make(name: str, space: str, **options: object) -> Predictor:
    """A predictor with fixed initial weights, in evaluation mode."""
    torch.manual_seed(0)
    model = create_model(name, space, **options)
    assert isinstance(model, Predictor)
    return model.eval()


def interior(archs: Architectures) -> Tensor:
    """bool [B, N]: vertices that are neither input nor output nor padding."""
    places = torch.arange(archs.max_nodes)
    return (places > 0) & (places < archs.num_nodes[:, None] - 1)


def other_ops(archs: Architectures, where: Tensor, num_ops: int) -> Architectures:
    """The batch with the next operation of the vocabulary in the places bool [B, N] `where`."""
    kinds = num_ops - OUTPUT - 1
    turned = (archs.ops.long() - OUTPUT) % kinds + OUTPUT + 1
    return Architectures(torch.where(where, turned, archs.ops.long()).to(torch.uint8), archs.adj, archs.num_nodes)


class PredictorChecks:
    """Tests take the fixture `model`, a predictor; its space gives the graphs."""

    tolerance: ClassVar[float] = 1e-5

    @pytest.fixture
    def archs(self, model: Predictor) -> Architectures:
        return mixed_batch(model.space)

    def test_rows_do_not_see_their_batch(self, model: Predictor, archs: Architectures) -> None:
        with torch.no_grad():
            scores, order = model(archs), torch.randperm(len(archs), generator=seeded(1))
            assert scores.shape == (len(archs),)
            assert torch.allclose(scores, torch.cat([model(archs[row]) for row in range(len(archs))]), atol=1e-5)
            assert torch.allclose(scores[order], model(archs[order]), atol=1e-5)

    def test_padding_is_not_seen(self, model: Predictor, archs: Architectures) -> None:
        size = int(archs.num_nodes.min())
        small = archs[archs.num_nodes == size]
        dirty = small.widen(model.space.max_nodes)
        noise = torch.randint(model.space.num_ops, dirty.ops.shape, generator=seeded(0)).to(torch.uint8)
        ops = torch.where(dirty.node_mask, dirty.ops, noise)
        with torch.no_grad():
            expected = model(small)
            assert torch.allclose(model(small.widen(size)), expected, atol=1e-5)
            assert torch.allclose(model(small.widen(model.space.max_nodes + 3)), expected, atol=1e-5)
            assert torch.allclose(model(Architectures(ops, dirty.adj, dirty.num_nodes)), expected, atol=1e-5)

    def test_score_is_that_of_the_code(self, model: Predictor, archs: Architectures) -> None:
        with torch.no_grad():
            codes = model.embed(archs)
            assert codes.shape == (len(archs), model.embed_dim)
            assert torch.allclose(model.score(codes), model(archs), atol=1e-6)
            assert torch.allclose(model.member_scores(archs).mean(0), model(archs), atol=1e-5)
        assert model(archs[:0]).shape == (0,)

    def test_every_weight_learns(self, model: Predictor, archs: Architectures) -> None:
        model.train()
        (model(archs) * torch.linspace(-1, 2, len(archs))).sum().backward()
        moved = {name for name, p in model.named_parameters() if p.grad is not None and bool((p.grad != 0).any())}
        learns = {name for name, p in model.named_parameters() if p.requires_grad and not name.startswith("vae.")}
        assert learns <= moved

    def test_config_and_weights_round_trip(self, model: Predictor, archs: Architectures, tmp_path: Path) -> None:
        again = load_model(save_model(model, tmp_path / "model.safetensors"))
        assert isinstance(again, Predictor) and again.config == model.config
        assert torch.equal(again(archs), model(archs))


class StatesChecks:
    """For those with a state per vertex."""

    def test_hidden_operations_are_not_seen(self, model: Predictor) -> None:
        archs = model.prepare(mixed_batch(model.space))
        hidden = interior(archs) & (torch.rand(archs.ops.shape, generator=seeded(2)) < 0.5)
        changed = other_ops(archs, hidden, model.space.num_ops)
        real = archs.node_mask
        with torch.no_grad():
            states, again = model.vertex_states(archs, hidden), model.vertex_states(changed, hidden)
            shown = model.vertex_states(archs)
        assert not torch.equal(changed.ops, archs.ops)
        assert torch.allclose(states[real], again[real], atol=1e-5)
        assert not torch.allclose(states[hidden], shown[hidden], atol=1e-3)
        with torch.no_grad():
            nothing = model.vertex_states(archs, torch.zeros_like(hidden))
        assert torch.allclose(nothing[real], shown[real], atol=1e-6)
