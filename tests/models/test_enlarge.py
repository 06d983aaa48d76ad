"""Trained models for larger spaces."""

from __future__ import annotations

import pytest
import torch

from graphnas.errors import InvalidValues, SpaceMismatch
from graphnas.models import GraphVAE, Predictor, create_model, list_models
from graphnas.models.enlarge import enlarge, size_bound
from graphnas.spaces import get_space

SMALL, LARGE = get_space("toy_4"), get_space("toy")
NARROW = {"node_dim": 16, "hidden_dim": 16, "latent_dim": 6}


def make(name: str, **options: object) -> GraphVAE:
    torch.manual_seed(0)
    known = {key: value for key, value in NARROW.items() if key in create_model(name, SMALL).config.to_dict()}
    model = create_model(name, SMALL, **known, **options)
    assert isinstance(model, GraphVAE)
    return model.eval()


@pytest.mark.parametrize("name", list_models(kind="vae"))
def test_small_graphs_keep_their_codes(name: str) -> None:
    model = make(name)
    archs = SMALL.enumerate()
    for places in ("repeat", "refuse"):
        try:
            grown = enlarge(model, LARGE, places)
        except SpaceMismatch as error:
            assert size_bound(model, LARGE) and ("repeat" in str(error) or "repeated" in str(error))
            continue
        old, new = model.encode(archs)[0], grown.encode(archs)[0]
        assert torch.allclose(new[:, : old.shape[1]], old, atol=1e-5)
        assert not bool(new[:, old.shape[1] :].any())
        assert grown.space is LARGE and model.space is SMALL


@pytest.mark.parametrize("name", ["svge", "dgmg", "arch2vec"])
def test_message_passing_knows_no_size(name: str) -> None:
    model = make(name)
    assert not size_bound(model, LARGE)
    grown = enlarge(model, LARGE)
    larger = LARGE.enumerate()[LARGE.enumerate().num_nodes == 5][:20]
    codes = grown.encode(larger)[0]
    assert bool(codes.isfinite().all()) and len(codes.unique(dim=0)) > 10


def test_places_are_named_and_repeated() -> None:
    model = make("svae")
    bound = size_bound(model, LARGE)
    assert "encoder.gru.weight_ih" in bound.encoder and "decoder.edges.2.weight" in bound.rest
    with pytest.raises(SpaceMismatch, match="encoder.gru.weight_ih"):
        enlarge(model, LARGE)
    weight = enlarge(model, LARGE, "repeat").encoder.gru.weight_ih
    assert torch.equal(weight[:, -1], weight[:, -2]) and weight.shape[1] == model.encoder.gru.weight_ih.shape[1] + 1


def test_what_the_decoder_alone_reads_is_told_apart() -> None:
    """The messages of D-VAE's encoder serve its decoder too; those of a graph convolution's are the decoder's."""
    gate = "encoder.aggregators.0.gate.weight"
    assert gate in size_bound(make("gcn_vae"), LARGE).rest
    told = size_bound(make("dvae"), LARGE)
    assert gate in told.encoder and not told.rest


def test_the_global_generator_is_left_alone() -> None:
    model = make("svge")
    before = torch.random.get_rng_state()
    enlarge(model, LARGE)
    assert torch.equal(before, torch.random.get_rng_state())


def test_predictors_grow_too() -> None:
    model = create_model("gates", SMALL).eval()
    assert isinstance(model, Predictor)
    assert bool(enlarge(model, LARGE)(LARGE.enumerate()[-5:]).isfinite().all())


def test_other_spaces_are_refused() -> None:
    model = make("svge")
    with pytest.raises(SpaceMismatch, match="operations"):
        enlarge(model, get_space("nb101"))
    with pytest.raises(SpaceMismatch, match="at least 4"):
        enlarge(model, get_space("toy_3"))
    with pytest.raises(InvalidValues, match="refuse or repeat"):
        enlarge(model, LARGE, "zero")
