"""VAEs with a regressor on their posterior mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
import torch

from graphnas import create_model, get_space, list_models
from graphnas.errors import CheckpointMismatch, GraphnasError, InvalidValues
from graphnas.models import EncoderHead, GraphVAE, Predictor, save_model
from graphnas.testing import mixed_batch, tiny_options
from graphnas.train.objectives import ScoreObjective
from graphnas.train.pretrain import start_from
from tests.models.predictor_checks import PredictorChecks, make

SVGE = {"vae": "svge", "vae_args": {"node_dim": 8, "latent_dim": 32}}
KINDS: list[tuple[str, dict[str, Any]]] = [
    ("toy", {**SVGE, "head": "tanh"}),
    ("nb101", {**SVGE, "costs": True, "head": "tanh"}),
    ("nb201", {"vae": "arch2vec", "vae_args": {"hidden_dim": 8, "latent_dim": 2}, "mode": "frozen", "head": "tanh"}),
    ("toy", {"vae": "dagnn", "vae_args": tiny_options("dagnn"), "mode": "finetuned", "head_layers": 1}),
]


class TestContract(PredictorChecks):
    @pytest.fixture(params=KINDS, ids=lambda kind: f"{kind[0]}-{kind[1]['vae']}")
    def model(self, request: pytest.FixtureRequest) -> Predictor:
        space, options = request.param
        return make("encoder", space, **options)


def encoder(space: str = "toy", **options: Any) -> EncoderHead:
    return cast(EncoderHead, make("encoder", space, **{**SVGE, "head": "tanh", **options}))


@pytest.mark.parametrize("name", list_models(kind="vae"))
def test_every_vae_can_be_headed(name: str) -> None:
    model = encoder(vae=name, vae_args=tiny_options(name))
    archs = mixed_batch(model.space, 6)
    losses = ScoreObjective(model.train(), "mse")(archs, torch.arange(6.0))
    losses["total"].backward()
    assert torch.isfinite(losses["total"]) and model.embed_dim == model.vae.latent_dim


def test_code_is_the_posterior_mean() -> None:
    model, with_costs = encoder(), encoder(costs=True)
    archs = mixed_batch(model.space, 6)
    with torch.no_grad():
        assert torch.equal(model.embed(archs), model.vae.encode(archs)[0])
        codes = with_costs.embed(archs)
    assert codes.shape == (6, 34) and len(codes[:, 32:].unique(dim=0)) > 1


def test_total_is_the_share_of_both_losses() -> None:
    archs, y = mixed_batch(get_space("toy"), 6), torch.linspace(-1, 1, 6)
    model = encoder(score_weight=0.7)
    losses = ScoreObjective(model, "mse").eval()(archs, y)
    score, vae = (model(archs) - y).square().mean(), model.vae.loss(archs)["total"]
    assert torch.allclose(losses["total"], 0.3 * vae + 0.7 * score, atol=1e-6)
    for mode in ("finetuned", "frozen"):
        other = encoder(mode=mode)
        losses = ScoreObjective(other, "mse").eval()(archs, y)
        assert set(losses) == {"total"} and torch.allclose(losses["total"], (other(archs) - y).square().mean())


def test_who_learns_in_which_mode() -> None:
    archs = mixed_batch(get_space("toy"), 6)
    for mode, parts in (("joint", "all"), ("finetuned", "encoder"), ("frozen", "head")):
        model = encoder(mode=mode).train()
        ScoreObjective(model, "mse")(archs, torch.arange(6.0))["total"].backward()
        moved = {name for name, p in model.named_parameters() if p.grad is not None and bool((p.grad != 0).any())}
        of_vae = {name for name in moved if name.startswith("vae.")}
        assert moved - of_vae and bool(of_vae) == (parts != "head")
        assert (len(of_vae) == sum(1 for _ in model.vae.parameters())) == (parts == "all")


def test_a_frozen_vae_stays_in_evaluation() -> None:
    model = encoder(vae="arch2vec", vae_args=tiny_options("arch2vec"), mode="frozen")
    objective = ScoreObjective(model, "mse").train()
    assert model.training and not model.vae.training and not any(part.training for part in model.vae.modules())
    before = {name: tensor.clone() for name, tensor in model.vae.state_dict().items()}
    objective(mixed_batch(model.space, 6), torch.arange(6.0))["total"].backward()
    assert all(torch.equal(before[name], tensor) for name, tensor in model.vae.state_dict().items())
    assert model.num_parameters == sum(p.numel() for p in model.head.parameters())


def test_weights_to_start_from(tmp_path: Path) -> None:
    torch.manual_seed(5)
    vae = cast(GraphVAE, create_model("svge", "toy", **SVGE["vae_args"], accuracy_head=True))  # type: ignore[arg-type]
    path = str(save_model(vae, tmp_path / "best.safetensors"))
    archs = mixed_batch(vae.space, 6)
    for where in (path, str(tmp_path)):
        model = encoder()
        assert not torch.allclose(model.embed(archs), vae.encode(archs)[0])
        start_from(model, where)
        assert torch.equal(model.embed(archs), vae.encode(archs)[0])
    again = encoder()
    start_from(again, str(save_model(model, tmp_path / "predictor.safetensors")))
    assert torch.equal(again(archs), model(archs))
    for wrong in (encoder(vae="arch2vec", vae_args={}), encoder("nb101"), encoder(vae_args={"node_dim": 10})):
        with pytest.raises(CheckpointMismatch):
            start_from(wrong, path)
    with pytest.raises(CheckpointMismatch, match="holds 'svge', expected 'gin'"):
        start_from(make("gin", "toy"), path)


def test_impossible_options() -> None:
    with pytest.raises(InvalidValues, match="'gin' is no VAE"):
        encoder(vae="gin", vae_args={})
    for name, value in (("mode", "both"), ("head", "linear"), ("score_weight", 0.0), ("head_dim", 0)):
        with pytest.raises(GraphnasError, match=name):
            encoder(**{name: value})


def test_published_head() -> None:
    """SVGE_acc: 56 -> 28 -> 14 -> 7 -> 1 with relu between."""
    model = cast(EncoderHead, make("encoder", "toy"))
    layers = [module for module in model.head.modules() if isinstance(module, torch.nn.Linear)]
    assert [(one.in_features, one.out_features) for one in layers] == [(56, 28), (28, 14), (14, 7), (7, 1)]
    code = torch.randn(5, 56)
    x = code
    for layer in layers[:-1]:
        x = layer(x).relu()
    assert torch.allclose(model.score(code), layers[-1](x)[:, 0], atol=1e-6)
    assert model.score_weight == 0.9 and model.mode == "joint"
