"""Contract tests that every model of the zoo, ours or a user's, must pass.

Subclass in a test module and supply the fixtures::

    class TestMyModel(VAEContract):
        @pytest.fixture
        def model(self): return create_model("mine", "toy", **tiny_options("mine"))
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from graphnas.models import GraphVAE, create_model, load_model, save_model
from graphnas.models.zoo import MODELS
from graphnas.spaces import Architectures, SearchSpace

SMALL = {"node_dim": 16, "hidden_dim": 16, "latent_dim": 6, "graph_dim": 16}
"""Sizes that `tiny_options` gives to the config fields of these names."""
ALONE = 5
"""Rows of a mixed batch, at most, that are looked at on their own too."""


def tiny_options(name: str) -> dict[str, int]:
    """Overrides that make a model of the zoo small enough for a test."""
    known = {field.name for field in fields(MODELS[name].config_class)}
    return {key: value for key, value in SMALL.items() if key in known}


def seeded(seed: int = 0) -> torch.Generator:
    """A generator of its own, so that tests do not depend on their order."""
    return torch.Generator().manual_seed(seed)


def mixed_batch(space: SearchSpace, count: int = 12, seed: int = 0) -> Architectures:
    """Random architectures of the space, the smallest and the largest sizes it has among them."""
    pool = space.sample(max(50, 4 * count), seeded(seed))
    order = pool.num_nodes.argsort(stable=True)
    ends = torch.cat([order[: count // 2], order[-(count - count // 2) :]])
    return pool[ends[torch.randperm(len(ends), generator=seeded(seed))]]


class VAEContract:
    """What a :class:`graphnas.models.GraphVAE` promises; tests take the fixtures `model` and `archs`."""

    tolerance = 2e-5

    def test_shapes(self, model: GraphVAE, archs: Architectures) -> None:
        mu, logvar = model.eval().encode(archs)
        assert mu.shape == logvar.shape == (len(archs), model.latent_dim)
        assert model.log_prob(archs, mu).shape == (len(archs),)
        assert model.encode(archs[:1])[0].shape == (1, model.latent_dim)

    def test_loss_is_finite_and_reaches_every_parameter(self, model: GraphVAE, archs: Architectures) -> None:
        losses = model.train().loss(archs, torch.linspace(0, 1, len(archs)))
        assert all(torch.isfinite(value) and value.dim() == 0 for value in losses.values())
        losses["total"].backward()
        idle = [name for name, p in model.named_parameters() if p.grad is None or not bool((p.grad != 0).any())]
        assert idle == []

    def test_trains_under_autocast(self, model: GraphVAE, archs: Architectures) -> None:
        with torch.autocast("cpu", torch.bfloat16):
            total = model.train().loss(archs)["total"]
        total.backward()
        assert all(bool(torch.isfinite(p.grad).all()) for p in model.parameters() if p.grad is not None)
        with torch.no_grad():
            full = model.eval().loss(archs)["total"]
            with torch.autocast("cpu", torch.bfloat16):
                assert torch.allclose(model.loss(archs)["total"].float(), full, rtol=0.05)

    def test_decodes_under_autocast(self, model: GraphVAE, archs: Architectures) -> None:
        model.eval()
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            z = model.encode(archs)[0]
            assert bool(torch.isfinite(model.log_prob(archs, z)).all())
            for sample in (True, False):
                drawn = model.decode(z.to(torch.bfloat16), sample=sample, generator=seeded(7), repeats=2)
                assert bool(model.space.is_valid(drawn).all())
                assert len(model.decode(z, sample=sample, generator=seeded(7), mask=False)) == len(z)

    def test_rows_do_not_see_their_batch(self, model: GraphVAE, archs: Architectures) -> None:
        model.eval()
        order = torch.randperm(len(archs), generator=seeded(1))
        with torch.no_grad():
            mu, logvar = model.encode(archs)
            alone = min(ALONE, len(archs))
            singles = [model.encode(archs[row]) for row in range(alone)]
            assert torch.allclose(mu[:alone], torch.cat([one[0] for one in singles]), atol=self.tolerance)
            assert torch.allclose(logvar[:alone], torch.cat([one[1] for one in singles]), atol=self.tolerance)
            few, whole, shuffled = model.loss(archs[:alone]), model.loss(archs), model.loss(archs[order])
            parts = [model.loss(archs[row]) for row in range(alone)]
            for name, value in whole.items():
                mean = torch.stack([part[name] for part in parts]).mean()
                assert torch.allclose(few[name], mean, atol=self.tolerance, rtol=1e-5), name
                assert torch.allclose(value, shuffled[name], atol=self.tolerance, rtol=1e-5), name
            scores = model.log_prob(archs, mu)
            assert torch.allclose(scores[order], model.log_prob(archs[order], mu[order]), atol=1e-4)

    def test_decodes_do_not_see_their_batch(self, model: GraphVAE, archs: Architectures) -> None:
        z = codes(model.eval(), len(archs))
        best = model.decode(z, sample=False)
        singles = [model.decode(z[row : row + 1], sample=False) for row in range(min(ALONE, len(z)))]
        assert best[:ALONE] == Architectures.concat(singles)
        for repeats in (1, 3):
            drawn = model.decode(z, generator=seeded(3), repeats=repeats)
            assert len(drawn) == repeats * len(z)
            assert drawn[: 4 * repeats] == model.decode(z[:4], generator=seeded(3), repeats=repeats)

    def test_no_architecture_has_no_code(self, model: GraphVAE, archs: Architectures) -> None:
        assert model.eval()(archs[:0]).shape == (0, model.latent_dim)

    def test_seeded_draws_repeat(self, model: GraphVAE) -> None:
        z = codes(model.eval(), 20)
        assert model.decode(z, generator=seeded(5)) == model.decode(z, generator=seeded(5))
        assert model.decode(z, generator=seeded(5)) != model.decode(z, generator=seeded(6))

    def test_masked_decodes_are_valid(self, model: GraphVAE) -> None:
        z = 3 * codes(model.eval(), 100)
        for sample in (True, False):
            assert bool(model.space.is_valid(model.decode(z, sample=sample, generator=seeded(7), mask=True)).all())
        plain = model.decode(z, generator=seeded(7), mask=False)
        assert len(plain) == len(z) and bool((plain.num_nodes <= model.space.max_nodes).all())

    def test_decode_of_nothing(self, model: GraphVAE) -> None:
        assert len(model.decode(torch.zeros(0, model.latent_dim))) == 0

    def test_config_and_weights_round_trip(self, model: GraphVAE, archs: Architectures, tmp_path: Any) -> None:
        model.eval()
        again = load_model(save_model(model, tmp_path / "model.safetensors"))
        assert isinstance(again, GraphVAE) and again.config == model.config
        assert torch.equal(again.encode(archs)[0], model.encode(archs)[0])
        rebuilt = create_model(model.registered_name, model.space, **model.config.to_dict())
        assert {name: value.shape for name, value in rebuilt.state_dict().items()} == {
            name: value.shape for name, value in model.state_dict().items()
        }

    def test_evaluation_is_deterministic(self, model: GraphVAE, archs: Architectures) -> None:
        model.eval()
        assert torch.equal(model.loss(archs)["total"], model.loss(archs)["total"])


def codes(model: GraphVAE, count: int, seed: int = 2) -> Tensor:
    """Standard normal codes for a model."""
    return torch.randn(count, model.latent_dim, generator=seeded(seed))
