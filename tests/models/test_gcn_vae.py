"""The GCN VAE against a slow, plain restatement of its equations, and the faults of the released code."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from graphnas import create_model, get_space, list_spaces
from graphnas.models import GCNVAE, GCNVAEConfig
from graphnas.spaces import Architectures
from graphnas.testing import mixed_batch, seeded
from tests.models.plain_async import (
    Tiny,
    assert_draws_follow_log_prob,
    assert_normalised,
    assert_same_gradients,
    assert_same_results,
    graph_of,
    wild,
)


def build(space: Any = "toy", **options: Any) -> GCNVAE:
    torch.manual_seed(0)
    model = create_model("gcn_vae", space, **{"hidden_dim": 12, "latent_dim": 6, "kl_weight": 0.3, **options})
    assert isinstance(model, GCNVAE)
    return model.eval()


def test_first_loss_is_the_published_one() -> None:
    torch.manual_seed(0)
    model = create_model("gcn_vae", "enas6").eval()
    with torch.no_grad():
        first = model.loss(get_space("enas6").sample(128, seeded(0)))["reconstruction"]
    assert float(first) == pytest.approx(34.0, abs=0.15)


# -- the restatement -------------------------------------------------------------------------------------------------

OPTIONS: list[dict[str, Any]] = [
    {"decoder_ids": True},
    {"both_directions": True, "vertex_ids": True},
    {"both_directions": True},
    {"vertex_ids": True, "levels": 1},
    {"levels": 4},
]


@pytest.mark.parametrize("space", list_spaces())
def test_agrees_with_plain_restatement(space: str) -> None:
    model = wild(build(space))
    assert_same_results(model, mixed_batch(model.space, 2 if space == "darts" else 4))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("space", ["nb101", "enas6"])
def test_options_agree_with_plain_restatement(space: str, options: dict[str, Any]) -> None:
    model = wild(build(space, **options))
    assert_same_results(model, mixed_batch(model.space, 4))


@pytest.mark.parametrize("options", [{}, OPTIONS[0]], ids=str)
def test_gradients_agree_with_plain_restatement(options: dict[str, Any]) -> None:
    model = build("nb101", **options)
    assert_same_gradients(model, mixed_batch(model.space, 4))


def test_log_prob_is_normalised() -> None:
    assert_normalised(wild(build(Tiny())))


def test_draw_frequencies_follow_log_prob() -> None:
    assert_draws_follow_log_prob(wild(build(Tiny())))


# -- faults of the released code: a level overwrites states while it reads them ---------------------------------------


def chain(second: int, sixth: int) -> Architectures:
    """input, x, conv, conv, conv, y, output: one after the other, with two shortcuts."""
    edges = [(k, k + 1) for k in range(6)] + [(0, 3), (2, 4)]
    return graph_of([0, second, 2, 2, 2, sixth, 1], edges, 7)


@pytest.mark.parametrize("levels", [2, 3, 4])
def test_levels_are_simultaneous_a_level_carries_one_step(levels: int) -> None:
    """Vertex 1 is three steps from vertex 5 (1, 2, 4, 5): with two levels the shares of the two in the sum of states do
    not interact, with three they do. Levels that run through the vertices in order carry any distance."""
    model = build("nb101", levels=levels).double()
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=seeded(levels), dtype=torch.float64))
        mu = model.encode(Architectures.concat([chain(x, y) for x in (2, 3) for y in (2, 3)]))[0]
    together = float((mu[0] - mu[1] - mu[2] + mu[3]).abs().max())
    assert (together < 1e-12) == (levels < 3)


def permuted(arch: Architectures, places: list[int]) -> Architectures:
    """The graph with vertex v moved to places[v]; edges may then run backwards."""
    graph = arch.describe(0)
    ops = [0] * len(places)
    for v, place in enumerate(places):
        ops[place] = graph["ops"][v]
    return graph_of(ops, [(places[u], places[v]) for u, v in graph["edges"]], arch.max_nodes)


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("places", [[0, 2, 1, 3, 4, 5, 6], [0, 5, 4, 3, 2, 1, 6], [0, 3, 1, 5, 2, 4, 6]], ids=str)
def test_levels_are_simultaneous_the_order_of_vertices_does_not_matter(places: list[int], both: bool) -> None:
    """Any order will do, topological or not, as nothing is visited in order."""
    edges = [(0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 5), (5, 6), (0, 6)]
    arch = graph_of([0, 2, 3, 4, 2, 3, 1], edges, 7)
    model = build("nb101", both_directions=both)
    with torch.no_grad():
        here, there = (torch.cat(model.encode(each), 1) for each in (arch, permuted(arch, places)))
        torch.testing.assert_close(here, there)
        knowing = build("nb101", both_directions=both, vertex_ids=True)
        here, there = (torch.cat(knowing.encode(each), 1) for each in (arch, permuted(arch, places)))
    assert float((here - there).abs().max()) > 1e-4


def test_degrees_are_those_of_the_graph_not_of_the_padding() -> None:
    model = build("nb101")
    small, mates = graph_of([0, 2, 1], [(0, 1), (1, 2)], 3), mixed_batch(get_space("nb101"), 4)

    def code(archs: Architectures) -> Tensor:
        return torch.cat(model.encode(archs), 1).detach()

    for batch in (small.widen(12), Architectures.concat([small, mates])):
        torch.testing.assert_close(code(batch)[0], code(small)[0])


@pytest.mark.parametrize("options", [{"levels": 0}, {"both_directions": True, "hidden_dim": 13}])
def test_impossible_settings_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|even"):
        GCNVAEConfig(**options)
