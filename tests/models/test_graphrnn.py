"""GraphRNN against a slow, plain restatement of its equations, published sizes, and the faults of the released code."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from graphnas import create_model, get_space, list_spaces
from graphnas.models import GraphRNN
from graphnas.spaces import INPUT, OUTPUT
from graphnas.testing import codes, mixed_batch, seeded


def build(space: str = "toy", **options: Any) -> GraphRNN:
    torch.manual_seed(0)
    model = create_model("graphrnn", space, **{"hidden_dim": 16, "latent_dim": 6, **options})
    assert isinstance(model, GraphRNN)
    return model.eval()


def test_published_parameter_count() -> None:
    """3.16 M on ENAS as released, of which S-VAE's edge head (H -> H -> 7) is never used."""
    unused = 501 * 501 + 501 + 501 * 7 + 7
    count = create_model("graphrnn", "enas6").num_parameters
    assert (count, count + unused) == (2_906_923, 3_161_939)


def test_first_loss_is_the_published_one() -> None:
    """Every choice is a coin at first: 48.6 to 48.9 nats with all bits of every row, 7 ln 8 + 28 ln 2 without."""
    archs = get_space("enas6").sample(64, seeded(0))
    for faithful, bits in ((True, 49), (False, 28)):
        with torch.no_grad():
            first = build("enas6", faithful=faithful, hidden_dim=501, latent_dim=56).loss(archs)["reconstruction"]
        assert float(first) == pytest.approx(7 * math.log(8) + bits * math.log(2), abs=1)


# -- an independent restatement: one graph, one vertex, one bit at a time --------------------------------------------


def plain_gru(cell: nn.GRUCell, x: Tensor, h: Tensor) -> Tensor:
    """torch's own cell on one row."""
    return cell(x[None], h[None])[0]


def plain_decoder(model: GraphRNN, ops: list[int], edges: set[tuple[int, int]], z: Tensor) -> tuple[Tensor, Tensor]:
    """Training loss and negative log-likelihood of one graph."""
    net, width, num_types = model.decoder, model.space.max_nodes, model.space.num_ops
    state, row = torch.relu(net.start(z)), torch.zeros(num_types + width - 1)
    loss = nll = torch.zeros(())
    for v in range(1, width if net.faithful else len(ops)):
        state = plain_gru(net.gru, row, state)
        kind = ops[v] if v < len(ops) else INPUT
        wrong_type = -net.types(state).log_softmax(0)[kind]
        loss = loss + wrong_type
        nll = nll + (wrong_type if v < min(len(ops), width - 1) else 0)
        inner, bit = state, torch.zeros(1)
        sources = list(range(v - 1, -1, -1)) + (list(range(v, width - 1)) if net.faithful else [])
        for u in sources:
            inner = plain_gru(net.edge_gru, bit, inner)
            logit = net.edges(inner)[0]
            wrong = softplus(-logit if (u, v) in edges else logit)
            loss = loss + wrong
            nll = nll + (wrong if u < v < len(ops) else 0)
            bit = torch.tensor([float((u, v) in edges)])
        row = torch.zeros(num_types + width - 1)
        row[kind] = 1
        for u in range(v):
            row[num_types + u] = float((u, v) in edges)
    return loss, nll


def plain_encode(model: GraphRNN, ops: list[int], edges: set[tuple[int, int]]) -> tuple[Tensor, Tensor]:
    net, width, num_types = model.encoder, model.space.max_nodes, model.space.num_ops
    state = torch.zeros(net.gru.hidden_size)
    for v in range(1, width if net.padded else len(ops)):
        row = torch.zeros(num_types + width - 1)
        row[ops[v] if v < len(ops) else INPUT] = 1
        for u in range(v):
            row[num_types + u] = float((u, v) in edges)
        state = plain_gru(net.gru, row, state)
    return net.heads.mean(state), net.heads.logvar(state)


@pytest.mark.parametrize("space", list_spaces())
@pytest.mark.parametrize("faithful", [False, True])
def test_agrees_with_plain_restatement(space: str, faithful: bool) -> None:
    model = build(space, kl_weight=0.3, faithful=faithful)
    archs = mixed_batch(model.space, 4)
    with torch.no_grad():
        mu, logvar = model.encode(archs)
        losses, scores = model.loss(archs), model.log_prob(archs, mu)
        reconstruction, divergence = [], []
        for row in range(len(archs)):
            graph = archs.describe(row)
            ops, edges = graph["ops"], set(graph["edges"])
            expected = plain_encode(model, ops, edges)
            torch.testing.assert_close(mu[row], expected[0], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(logvar[row], expected[1], atol=1e-5, rtol=1e-5)
            loss, nll = plain_decoder(model, ops, edges, mu[row])
            torch.testing.assert_close(-scores[row], nll, atol=1e-5, rtol=1e-5)
            reconstruction.append(loss)
            divergence.append(0.5 * (mu[row] ** 2 + logvar[row].exp() - 1 - logvar[row]).sum())
        torch.testing.assert_close(losses["reconstruction"], torch.stack(reconstruction).mean(), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(losses["kl"], torch.stack(divergence).mean(), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(losses["total"], losses["reconstruction"] + 0.3 * losses["kl"])


def test_draw_frequencies_follow_log_prob() -> None:
    model = build()
    z = codes(model, 1)
    drawn = model.decode(z, generator=seeded(0), mask=False, repeats=20_000)
    keys = drawn.index_keys()
    for row in range(5):
        with torch.no_grad():
            expected = float(model.log_prob(drawn[row], z).exp())
        seen = keys.count(keys[row]) / len(keys)
        assert abs(seen - expected) < 5 * math.sqrt(expected * (1 - expected) / len(keys)) + 1e-4


# -- faults of the released code ---------------------------------------------------------------------------------


@pytest.mark.parametrize("faithful", [False, True])
@pytest.mark.parametrize("mask", [False, True])
def test_decoding_does_not_raise(faithful: bool, mask: bool) -> None:
    """The released decoder compares an array with a tensor and stops; wild codes reach every corner of ours."""
    for space in ("nb101", "toy", "enas6"):
        model = build(space, faithful=faithful)
        graphs = model.decode(5 * codes(model, 200), generator=seeded(4), mask=mask)
        assert len(graphs) == 200 and bool((graphs.num_nodes >= 2).all())
        assert not bool(torch.tril(graphs.adj).any())


def test_end_vertex_ignores_its_bits_as_released_only() -> None:
    for faithful in (False, True):
        model = build("nb101", faithful=faithful)
        graphs = model.decode(3 * codes(model, 300), generator=seeded(1), mask=False)
        rows, last = torch.arange(len(graphs)), graphs.num_nodes - 1
        assert bool((graphs.ops[rows, last] == OUTPUT).all())
        before = graphs.adj.clone()
        before[rows, :, last] = False
        inner = torch.arange(graphs.max_nodes) < last[:, None]
        tied = graphs.adj[rows, :, last] & inner
        assert bool((tied == (~before.any(2) & inner)).all()) == faithful


@pytest.mark.parametrize("options", [{}, {"bidirectional": True}])
def test_codes_do_not_mix_graphs_of_the_batch(options: dict[str, bool]) -> None:
    model = build("nb101", **options)
    archs = mixed_batch(model.space)
    with torch.no_grad():
        alone = torch.cat([model.encode(archs[row])[0] for row in range(len(archs))])
        torch.testing.assert_close(model.encode(archs)[0], alone, atol=1e-6, rtol=1e-5)
        scores = torch.cat([model.log_prob(archs[row], alone[row : row + 1]) for row in range(len(archs))])
        torch.testing.assert_close(model.log_prob(archs, alone), scores, atol=1e-5, rtol=1e-5)


def test_an_empty_batch_has_codes_and_scores() -> None:
    model = build()
    nothing = mixed_batch(model.space)[:0]
    assert model.encode(nothing)[0].shape == (0, 6)
    assert model.log_prob(nothing, torch.zeros(0, 6)).shape == (0,)
