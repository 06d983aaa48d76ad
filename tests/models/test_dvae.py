"""D-VAE against a slow, plain restatement of its equations, published sizes, and the faults of the released code."""

from __future__ import annotations

import gc
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from graphnas import create_model, get_space, list_spaces
from graphnas.models import DVAE
from graphnas.spaces import INPUT, OUTPUT, Architectures
from graphnas.testing import codes, mixed_batch, seeded
from tests.models.plain_async import (
    Tiny,
    assert_draws_follow_log_prob,
    assert_normalised,
    assert_same_gradients,
    assert_same_results,
    graph_of,
    plain,
    wild,
)


def build(space: Any = "toy", **options: Any) -> DVAE:
    torch.manual_seed(0)
    model = create_model("dvae", space, **{"hidden_dim": 12, "latent_dim": 6, "kl_weight": 0.3, **options})
    assert isinstance(model, DVAE)
    return model.eval()


@pytest.mark.parametrize(("faithful", "count"), [(True, 6_937_969), (False, 6_435_466)])
def test_published_parameter_count(faithful: bool, count: int) -> None:
    """The released count has a map 2H -> H in it that nothing uses: 502,503."""
    assert create_model("dvae", "enas6", faithful=faithful).num_parameters == count


def test_first_loss_is_the_published_one() -> None:
    """34.0 nats per graph: every type one of 8, every edge a coin."""
    torch.manual_seed(0)
    model = create_model("dvae", "enas6").eval()
    with torch.no_grad():
        first = model.loss(get_space("enas6").sample(128, seeded(0)))["reconstruction"]
    assert float(first) == pytest.approx(34.0, abs=0.15)
    assert 7 * math.log(8) + 28 * math.log(2) == pytest.approx(34.0, abs=0.05)


# -- the restatement -------------------------------------------------------------------------------------------------

OPTIONS: list[dict[str, Any]] = [
    {"bidirectional": False},
    {"vertex_ids": False},
    {"bayesian_network": True},
    {"bayesian_network": True, "bidirectional": False},
    {"faithful": True},
]


@pytest.mark.parametrize("space", list_spaces())
def test_agrees_with_plain_restatement(space: str) -> None:
    model = build(space)
    assert_same_results(model, mixed_batch(model.space, 4))
    assert_same_results(wild(model), mixed_batch(model.space, 2, seed=1))


@pytest.mark.parametrize("options", [*OPTIONS, {"decoder_ids": True}], ids=str)
@pytest.mark.parametrize("space", ["nb101", "enas6"])
def test_options_agree_with_plain_restatement(space: str, options: dict[str, Any]) -> None:
    model = wild(build(space, **options))
    assert_same_results(model, mixed_batch(model.space, 4))


@pytest.mark.parametrize("options", [{}, *OPTIONS[:3], {"decoder_ids": True}], ids=str)
def test_gradients_agree_with_plain_restatement(options: dict[str, Any]) -> None:
    model = build("nb101", **options)
    assert_same_gradients(model, mixed_batch(model.space, 4))


@pytest.mark.parametrize(
    "options", [{}, {"vertex_ids": False}, {"decoder_ids": True}, {"bayesian_network": True}], ids=str
)
def test_log_prob_is_normalised(options: dict[str, Any]) -> None:
    assert_normalised(wild(build(Tiny(), **options)))


@pytest.mark.parametrize("options", [{}, {"bayesian_network": True}], ids=str)
def test_draw_frequencies_follow_log_prob(options: dict[str, Any]) -> None:
    assert_draws_follow_log_prob(wild(build(Tiny(), **options)))


def test_only_a_decoder_with_ids_tells_twins_apart() -> None:
    """Published heads: vertices 1 and 2 of a NAS-Bench-201 cell hear the input alone, so that equal types make equal
    states, and the types behind them have one distribution; with indices they have two."""
    space = get_space("nb201")
    twins = space.parse("|none~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|nor_conv_3x3~1|none~2|")
    for ids in (False, True):
        model = wild(build("nb201", decoder_ids=ids))
        z = codes(model, 1)
        likes = []
        for vertex in (2, 3):  # the type behind vertex 1 and the type behind vertex 2, each `none` for once
            changed = Architectures(twins.ops.clone(), twins.adj, twins.num_nodes)
            changed.ops[0, vertex] = changed.ops[0, 2]
            with torch.no_grad():
                likes.append(model.decoder.type_logits(decoder_state(model, changed, z, vertex - 1), vertex))
        assert torch.allclose(*likes, atol=1e-6) != ids


def decoder_state(model: DVAE, archs: Architectures, z: torch.Tensor, vertex: int) -> torch.Tensor:
    """State [1, H] of a vertex of one teacher-forced graph whose only predecessor is the first vertex."""
    stack = model.decoder.fold(model.aggregators)
    one_hot = torch.nn.functional.one_hot(archs.ops.long(), model.space.num_ops).float()
    first = model.decoder.start_states(stack, one_hot[:, 0], z)
    heard = stack.gather(torch.ones(1, 1, 1), [stack.send(first, one_hot[:, 0], 0)])
    return torch.cat(stack.state(one_hot[:, vertex], [layer[:, 0] for layer in heard]), 1)


# -- faults of the released code -------------------------------------------------------------------------------------


def test_padded_vertices_of_short_graphs_add_no_loss() -> None:
    """Released: vertices up to the batch's largest size score edges for every graph."""
    model = wild(build("nb101"))
    small = graph_of([0, 2, 1], [(0, 1), (1, 2)], 7)
    large = get_space("nb101").sample(200, seeded(0))
    large = large[large.num_nodes == 7][:3]
    assert len(large) == 3
    with torch.no_grad():
        alone, mates = model.loss(small)["reconstruction"], model.loss(large)["reconstruction"]
        together = model.loss(Architectures.concat([large[:1], small, large[1:]]))["reconstruction"]
        torch.testing.assert_close(4 * together - 3 * mates, alone, atol=1e-4, rtol=1e-5)
        for width in (3, 12):
            torch.testing.assert_close(model.loss(small.widen(width))["reconstruction"], alone)
        z = codes(model, 1)
        scores = model.log_prob(Architectures.concat([large, small]), z.expand(4, -1))
        torch.testing.assert_close(scores[3:], model.log_prob(small.widen(3), z))
    torch.testing.assert_close(plain(model, small, 0).reconstruction, alone)


def test_rows_keep_their_codes_when_short_graphs_finish_first() -> None:
    """Released: states are looked up by the row among all graphs after the finished ones were taken out."""
    model, archs = wild(build("nb101")), mixed_batch(get_space("nb101"), 8)
    assert archs.num_nodes.unique().numel() > 1
    with torch.no_grad():
        z = codes(model, 8)
        together = model.log_prob(archs, z)
        single = torch.cat([model.log_prob(archs[row], z[row : row + 1]) for row in range(8)])
    torch.testing.assert_close(together, single, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("sample", [True, False])
def test_masked_decoding_never_draws_the_start_type(sample: bool) -> None:
    for space in ("nb101", "enas6", "toy"):
        model = build(space)
        with torch.no_grad():
            model.decoder.type_out.bias[INPUT] = 20
        z = codes(model, 50)
        drawn = model.decode(z, sample=sample, generator=seeded(0))
        later = drawn.node_mask.clone()
        later[:, 0] = False
        assert not bool((drawn.ops[later] == INPUT).any())
        assert bool(model.space.is_valid(drawn).all())
        free = model.decode(z, sample=sample, generator=seeded(0), mask=False)
        assert bool((free.ops[:, 1] == INPUT).all())


def isomorphic_pair() -> Architectures:
    """One NAS-Bench-101 cell in two topological orders."""
    first = graph_of([0, 2, 3, 4, 1], [(0, 1), (0, 2), (1, 3), (2, 4), (3, 4), (0, 4)], 7)
    second = graph_of([0, 3, 2, 4, 1], [(0, 1), (0, 2), (2, 3), (1, 4), (3, 4), (0, 4)], 7)
    assert get_space("nb101").fingerprints(first) == get_space("nb101").fingerprints(second)
    return Architectures.concat([first, second])


def test_codes_of_isomorphic_graphs_agree_without_vertex_ids_only() -> None:
    pair = isomorphic_pair()
    for options in ({"vertex_ids": False}, {"bayesian_network": True}):
        mu, logvar = build("nb101", **options).encode(pair)
        torch.testing.assert_close(mu[0], mu[1])
        torch.testing.assert_close(logvar[0], logvar[1])
    mu, _ = build("nb101").encode(pair)
    assert float((mu[0] - mu[1]).detach().abs().max()) > 1e-3


def living_tensors() -> int:
    gc.collect()
    return sum(type(thing) is Tensor for thing in gc.get_objects())


@pytest.mark.parametrize("name", ["dvae", "dagnn", "gcn_vae"])
def test_hidden_states_are_not_kept_between_batches(name: str) -> None:
    """Released: states live on as attributes of the graphs."""
    model = create_model(name, "nb101", hidden_dim=12, latent_dim=6)
    archs = mixed_batch(model.space, 4)
    model.loss(archs)["total"].backward()  # gradients exist from now on
    attributes = [set(vars(module)) for module in model.modules()]
    before = living_tensors()
    for _ in range(2):
        model.loss(archs)["total"].backward()
        model.encode(archs)
        model.decode(codes(model, 3))
    assert living_tensors() == before
    assert [set(vars(module)) for module in model.modules()] == attributes
    for module in model.modules():
        held = [value for key, value in vars(module).items() if key not in ("_parameters", "_buffers", "_modules")]
        assert not any(isinstance(value, (Tensor, Architectures)) for value in held)


def loose_ends_only(archs: Architectures) -> Tensor:
    """bool [B]: the output hears exactly the vertices that send to no vertex before it."""
    right = []
    for row in range(len(archs)):
        graph = archs.describe(row)
        last, edges = len(graph["ops"]) - 1, graph["edges"]
        loose = {u for u in range(last) if not any(source == u and v < last for source, v in edges)}
        right.append({u for u, v in edges if v == last} == loose)
    return torch.tensor(right)


def test_faithful_unmasked_decoding_ties_exactly_the_loose_ends_to_the_output() -> None:
    for space in ("nb101", "enas6"):
        for sample in (True, False):
            model = wild(build(space, faithful=True))
            drawn = model.decode(codes(model, 300), sample=sample, generator=seeded(1), mask=False)
            assert bool((drawn.ops[torch.arange(300), drawn.num_nodes - 1] == OUTPUT).all())
            assert bool(loose_ends_only(drawn).all())
        model = wild(build(space))
        assert not bool(loose_ends_only(model.decode(codes(model, 300), generator=seeded(1), mask=False)).all())


def test_batch_mates_do_not_enter_codes() -> None:
    """Released: the two directions of a batch are joined by a reshape that mixes its graphs."""
    model, archs = build("enas6"), mixed_batch(get_space("enas6"), 6)
    with torch.no_grad():
        together = torch.cat(model.encode(archs), 1)
        single = torch.cat([torch.cat(model.encode(archs[row]), 1) for row in range(6)])
    torch.testing.assert_close(together, single, atol=1e-6, rtol=1e-5)


def test_noise_scale_is_what_the_config_says() -> None:
    """Released: a factor 0.01 on the noise that the KL term does not see, nowhere said."""
    archs = mixed_batch(get_space("toy"), 4)
    assert create_model("dvae", "toy").config.to_dict()["noise_scale"] == 0.01
    still = build().loss(archs)["reconstruction"].detach()
    for scale, moves in ((0.0, False), (0.01, True), (1.0, True)):
        model = build(noise_scale=scale).train()
        moved = (model.loss(archs)["reconstruction"].detach() - still).abs()
        assert bool(moved > 0) == moves
