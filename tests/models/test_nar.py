"""NAR: published sizes, a plain restatement, and rows that do not see each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from graphnas import create_model, get_space, list_spaces
from graphnas.errors import GraphnasError
from graphnas.models import NAR, load_model, save_model
from graphnas.models.layers.cell_tensors import cell_tensors
from graphnas.testing import mixed_batch, seeded

SMALL = {"hidden_dim": 16, "inner_dim": 24, "layers": 2, "heads": 2, "score_dim": 12, "tier_dim": 10}
NB201 = {"hidden_dim": 128, "inner_dim": 512, "score_dim": 1024, "tier_dim": 256}


def small(space: str = "toy", **options: Any) -> NAR:
    torch.manual_seed(0)
    model = create_model("nar", space, **{**SMALL, **options})
    assert isinstance(model, NAR)
    shape = model.tier_sums.shape
    model.tier_sums.copy_(torch.randn(shape, generator=seeded(1)))
    model.tier_counts.copy_(torch.arange(1.0, 1 + shape[0]))
    return model.eval()


@pytest.mark.parametrize(
    ("space", "options", "total", "parts"),
    [
        ("nb101", {}, 31_057_670, (4_732_928, 6_308_864, 9_971_717, 9_965_569)),
        ("nb201", NB201, 7_869_446, (1_186_816, 1_581_568, 1_017_093, 4_065_281)),
    ],
)
def test_published_parameter_counts(
    space: str, options: dict[str, int], total: int, parts: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.nn.init, "xavier_uniform_", lambda tensor: tensor)  # a second saved
    model = create_model("nar", space, **options)
    assert model.num_parameters == total
    names = ("encoder", "decoder", "tier_head", "score_head")
    assert tuple(sum(p.numel() for p in model.get_submodule(name).parameters()) for name in names) == parts


def plain(model: NAR, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Score and tier logits of one cell [P, d, d], tier after tier, head after head, as the paper tells it."""
    weights, options = dict(model.named_parameters()), model.options

    def norm(x: Tensor, name: str) -> Tensor:
        x = (x - x.mean(1, keepdim=True)) / (x.var(1, correction=0, keepdim=True) + 1e-6).sqrt()
        return x * weights[f"{name}.norm.weight"] + weights[f"{name}.norm.bias"]

    def linear(x: Tensor, name: str) -> Tensor:
        x = x @ weights[f"{name}.weight"].T
        return x + weights[f"{name}.bias"] if f"{name}.bias" in weights else x

    def listen(x: Tensor, heard: Tensor, name: str) -> Tensor:
        parts, width = [], options.hidden_dim // options.heads
        query, key, value = linear(x, f"{name}.query"), linear(heard, f"{name}.key"), linear(heard, f"{name}.value")
        for head in range(options.heads):
            at = slice(head * width, head * width + width)
            parts.append((query[:, at] @ key[:, at].T / width**0.5).softmax(1) @ value[:, at])
        return norm(x + linear(torch.cat(parts, 1), f"{name}.out"), name)

    def feed(x: Tensor, name: str) -> Tensor:
        return norm(x + linear(linear(x, f"{name}.widen").relu(), f"{name}.narrow"), name)

    def enter(x: Tensor, name: str) -> Tensor:
        return norm(x + model.encoder.entry.positions, name)

    memory = enter(linear(cell.flatten(1), "patch"), "encoder.entry")
    for layer in range(options.layers):
        memory = feed(listen(memory, memory, f"encoder.attention.{layer}"), f"encoder.feed.{layer}")
    compared = torch.zeros_like(memory)
    for tier in range(options.tiers):
        z = enter(linear(model.tier_sums[tier] / model.tier_counts[tier], "tier_patch"), "decoder.entry")
        for layer in range(options.layers):
            z = listen(z, z, f"decoder.inner.{layer}")
            z = feed(listen(z, memory, f"decoder.cross.{layer}"), f"decoder.feed.{layer}")
        compared = compared + z
    score = linear(linear(memory.flatten()[None], "score_head.0").relu(), "score_head.2")
    logits = linear(linear(compared.flatten()[None], "tier_head.0").relu(), "tier_head.2")
    return score[0, 0], logits[0] * options.hidden_dim**-0.5


@pytest.mark.parametrize("space", ["toy", "nb201"])
def test_one_decoder_pass_is_one_decoder_per_tier(space: str) -> None:
    model = small(space)
    archs = mixed_batch(model.space, 5)
    with torch.no_grad():
        scores, logits = model(archs), model.tiers(archs)
        for row, cell in enumerate(cell_tensors(model.space, archs)):
            score, tiers = plain(model, cell)
            assert torch.allclose(scores[row], score, atol=1e-5) and torch.allclose(logits[row], tiers, atol=1e-5)


@pytest.mark.parametrize("space", list_spaces())
def test_every_space(space: str) -> None:
    model = small(space)
    archs = mixed_batch(model.space, 4)
    layout = model.space.cell_layout
    with torch.no_grad():
        assert model.read(archs).shape == (4, 1 + 2 * layout.modules, 16)
        assert model.embed(archs).shape == (4, model.embed_dim)
        assert model(archs).shape == (4,) and model.tiers(archs).shape == (4, 5)
        assert model(archs[:0]).shape == (0,)


def test_rows_do_not_see_their_batch_and_evaluation_changes_nothing() -> None:
    model = small()
    archs = mixed_batch(model.space, 12)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        scores, logits = model(archs), model.tiers(archs)
        order = torch.randperm(12, generator=seeded(2))
        assert torch.allclose(model.tiers(archs[order]), logits[order], atol=1e-6)
        for row in range(12):
            assert torch.allclose(model(archs[row]), scores[row], atol=1e-5)
            assert torch.allclose(model.tiers(archs[row])[0], logits[row], atol=1e-5)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_tier_statistics() -> None:
    model = small()
    model.reset_tiers()
    memory = torch.arange(4.0)[:, None, None].expand(-1, model.tokens, 16)
    model.update_tiers(memory, torch.tensor([0, 0, 2, 0]))
    assert model.tier_counts.tolist() == [3, 0, 1, 0, 0]
    means = (model.tier_sums / model.tier_counts.clamp_min(1)[:, None, None])[:, 0, 0]
    assert means.tolist() == pytest.approx([4 / 3, 0, 2, 0, 0])
    model.update_tiers(memory[3:], torch.tensor([0]), keep=0.5)
    counts, means = model.tier_counts.tolist(), model.tier_sums[:, 0, 0] / model.tier_counts
    assert counts == [2.5, 0, 0.5, 0, 0] and float(means[0]) == pytest.approx(2) and float(means[2]) == 2
    with torch.no_grad():
        assert bool(torch.isfinite(model.tiers(model.space.enumerate()[:3])).all())  # with empty tiers


def test_weights_and_tiers_round_trip(tmp_path: Path) -> None:
    model = small()
    archs = mixed_batch(model.space, 5)
    again = load_model(save_model(model, tmp_path / "nar.safetensors"))
    assert isinstance(again, NAR) and torch.equal(again.tiers(archs), model.tiers(archs))


def test_autocast_and_double() -> None:
    model, archs = small(), mixed_batch(get_space("toy"), 5)
    with torch.no_grad():
        full = model(archs)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.allclose(model(archs).float(), full, atol=0.1)
        assert torch.allclose(model.double()(archs).float(), full, atol=1e-4)


@pytest.mark.parametrize(
    "options", [{"heads": 3}, {"layers": 0}, {"tiers": 1}, {"dropout": 1.0}, {"memory": -0.1}, {"hidden_dim": 0}]
)
def test_impossible_configs_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(GraphnasError, match=next(iter(options))):
        create_model("nar", "toy", **options)
