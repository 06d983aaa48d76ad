"""Decoders that go on past the trained size."""

from __future__ import annotations

import pytest
import torch

from graphnas.bo.extrapolation import around, describe_generated, generate_beyond
from graphnas.errors import InvalidValues, OutsideSpace, SpaceMismatch
from graphnas.models import GraphVAE, create_model
from graphnas.spaces import Architectures, get_space

SMALL = get_space("toy_4")
NARROW = {"node_dim": 16, "hidden_dim": 16, "latent_dim": 6}


def make(name: str, space: str = "toy_4") -> GraphVAE:
    torch.manual_seed(0)
    known = {key: value for key, value in NARROW.items() if key in create_model(name, SMALL).config.to_dict()}
    model = create_model(name, space, **known)
    assert isinstance(model, GraphVAE)
    return model.eval()


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", ["svge", "dgmg", "dvae", "dagnn", "svae", "graphrnn", "dvae_fast"])
@pytest.mark.parametrize("target", ["toy", "toy_6"])
def test_everything_generated_is_valid_and_larger(name: str, target: str) -> None:
    larger, codes = get_space(target), torch.randn(20, 6, generator=seeded())
    graphs = generate_beyond(make(name), larger, codes, seeded(), draws=3, new_places="repeat")
    assert len(graphs) == 60 and bool(larger.is_valid(graphs).all())
    assert int(graphs.num_nodes.min()) >= 5
    again = generate_beyond(make(name), larger, codes, seeded(), draws=3, new_places="repeat")
    assert graphs == again
    assert len(set(larger.canonical_keys(graphs))) > 5


def test_the_most_probable_decode_is_the_same_every_time() -> None:
    codes = torch.randn(5, 6, generator=seeded())
    first = generate_beyond(make("svge"), get_space("toy"), codes, sample=False)
    assert first == generate_beyond(make("svge"), get_space("toy"), codes, sample=False)
    assert bool((first.num_nodes == 5).all())


def test_the_fewest_vertices_may_be_chosen() -> None:
    codes, model = torch.randn(200, 6, generator=seeded()), make("svge")
    free = generate_beyond(model, get_space("toy_6"), codes, seeded(), min_nodes=2)
    assert int(free.num_nodes.min()) < 5
    six = generate_beyond(model, get_space("toy_6"), codes, seeded(), min_nodes=6)
    assert set(six.num_nodes.tolist()) == {6}
    with pytest.raises(OutsideSpace, match="at most 6"):
        generate_beyond(model, get_space("toy_6"), codes, min_nodes=7)


def test_layers_are_added_where_a_space_has_one_size() -> None:
    model, twelve = make("svge", "enas6"), get_space("enas12")
    graphs = generate_beyond(model, twelve, torch.randn(10, 6, generator=seeded()), seeded())
    assert bool(twelve.is_valid(graphs).all()) and set(graphs.num_nodes.tolist()) == {14}
    unmasked = generate_beyond(model, twelve, torch.randn(10, 6, generator=seeded()), seeded(), mask=False)
    assert not bool(twelve.is_valid(unmasked).all())


def test_what_cannot_be_carried_over_is_refused() -> None:
    codes = torch.zeros(2, 6)
    with pytest.raises(SpaceMismatch, match="weights for every place"):
        generate_beyond(make("svae"), get_space("toy"), codes)
    with pytest.raises(SpaceMismatch, match="more than 5 vertices"):
        generate_beyond(make("svge", "toy"), get_space("toy"), codes)
    with pytest.raises(SpaceMismatch, match="operations"):
        generate_beyond(make("svge"), get_space("nb101"), codes)
    with pytest.raises(InvalidValues, match=r"\[B, 6\]"):
        generate_beyond(make("svge"), get_space("toy"), torch.zeros(2, 5))


def test_arch2vec_takes_codes_of_the_larger_space() -> None:
    model = make("arch2vec")
    with pytest.raises(InvalidValues, match=r"\[B, 30\]"):
        generate_beyond(model, get_space("toy"), torch.zeros(2, model.latent_dim))
    graphs = generate_beyond(model, get_space("toy"), torch.randn(9, 30, generator=seeded()), seeded())
    assert bool(get_space("toy").is_valid(graphs).all()) and set(graphs.num_nodes.tolist()) == {5}


def test_shares_of_what_was_generated() -> None:
    toy = get_space("toy")
    whole = toy.enumerate()
    small, large = whole[whole.num_nodes == 4][:2], whole[whole.num_nodes == 5][:2]
    broken = Architectures(large.ops, torch.zeros_like(large.adj), large.num_nodes)
    graphs = Architectures.concat([small, large, large[:1], broken])  # 5 valid of 7, 3 of them larger, 2 classes
    values = describe_generated(toy, graphs, 4, small[:1])
    assert values["valid"] == pytest.approx(5 / 7) and values["valid_larger"] == pytest.approx(3 / 7)
    assert values["larger"] == pytest.approx(3 / 5) and values["unique"] == pytest.approx(2 / 3)
    assert values["novel"] == pytest.approx(4 / 5) and values["distinct"] == 2


def test_codes_around_given_ones() -> None:
    codes = torch.tensor([[0.0, 0.0], [10.0, 0.0]])
    near = around(codes, 50, 0.01, seeded())
    assert near.shape == (50, 2) and float((near[:, 0] % 10).minimum(10 - near[:, 0] % 10).max()) < 0.5
    assert not bool(near[:, 1].any())  # no spread, no noise
    with pytest.raises(InvalidValues, match="at least 2"):
        around(codes[:1], 5, 0.1, seeded())
