"""The mode of decodes is the mode."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from graphnas import create_model, get_space
from graphnas.bo.decoding import log_posterior, most_common_decode, posterior_decode
from graphnas.models import SVGE
from graphnas.testing import codes, seeded
from graphnas.train.evaluate import decode_all


@pytest.fixture
def model() -> SVGE:
    torch.manual_seed(0)
    model = create_model("svge", "toy", node_dim=16, latent_dim=6)
    assert isinstance(model, SVGE)
    with torch.no_grad():
        model.decoder.type_out.weight.mul_(4)
        model.decoder.edge_out.weight.mul_(4)
    return model.eval()


@pytest.mark.parametrize("mask", [True, False])
def test_equals_counting_by_hand(model: SVGE, mask: bool) -> None:
    z = codes(model, 30)
    found = most_common_decode(model, z, 40, seeded(1), mask)
    graphs = decode_all(model, z, True, seeded(1), mask, repeats=40)
    firsts = 0
    for row in range(len(z)):
        part = graphs[row * 40 : (row + 1) * 40]
        part = part[model.space.is_valid(part)]
        votes = Counter(model.space.canonical_keys(part))
        assert int(found.valid[row]) == len(part)
        assert int(found.votes[row]) == max(votes.values(), default=0)
        if votes:
            (key,) = model.space.canonical_keys(found.archs[row])
            assert votes[key] == max(votes.values())
            firsts += key == model.space.canonical_keys(part[0])[0]
    assert firsts < len(z)  # the first valid draw, which released codes return, is not always the mode


def test_no_valid_draw_is_told(model: SVGE) -> None:
    with torch.no_grad():
        model.decoder.type_out.bias[0] += 50  # only inputs
    found = most_common_decode(model, codes(model, 3), 5, seeded(0), mask=False)
    assert found.votes.tolist() == found.valid.tolist() == [0, 0, 0]
    assert not bool(get_space("toy").is_valid(found.archs).any())


def test_the_posterior_decides_among_candidates(model: SVGE) -> None:
    """The encoder mends errors of a half-trained decoder: it knows which candidate has the code that was asked for."""
    archs = model.space.sample(64, seeded(5))
    optimizer = torch.optim.Adam(model.train().parameters(), 3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        model.loss(archs)["total"].backward()
        optimizer.step()
    with torch.no_grad():
        z = model.eval().encode(archs)[0]
    plain, chosen = model.decode(z, sample=False), posterior_decode(model, z, 30, seeded(0))
    assert bool(model.space.is_valid(chosen).all())
    right = [int(graphs.equal(archs).sum()) for graphs in (plain, chosen)]
    assert right[1] > right[0]
    assert bool((log_posterior(model, chosen, z) >= log_posterior(model, plain, z)).all())


def test_posterior_decode_of_nothing(model: SVGE) -> None:
    assert len(posterior_decode(model, torch.zeros(0, model.latent_dim))) == 0
