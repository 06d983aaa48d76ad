"""S-VAE against a slow, plain restatement of its equations, published sizes, and the faults of the released code."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from graphnas import create_model, get_space, list_spaces
from graphnas.errors import SpaceMismatch
from graphnas.models import SVAE
from graphnas.models.layers.rows import RowEncoder, scan
from graphnas.spaces import INPUT, OUTPUT, Architectures
from graphnas.testing import codes, mixed_batch, seeded


def build(space: str = "toy", **options: Any) -> SVAE:
    torch.manual_seed(0)
    model = create_model("svae", space, **{"hidden_dim": 16, "latent_dim": 6, **options})
    assert isinstance(model, SVAE)
    return model.eval()


def test_published_parameter_count() -> None:
    """2.88 M on ENAS."""
    assert create_model("svae", "enas6").num_parameters == 2_882_881


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


def plain_row(ops: list[int], edges: set[tuple[int, int]], v: int, num_types: int, bits: int) -> Tensor:
    row = torch.zeros(num_types + bits)
    row[ops[v] if v < len(ops) else INPUT] = 1
    for u in range(bits):
        row[num_types + u] = float((u, v) in edges)
    return row


def plain_encode(encoder: RowEncoder, ops: list[int], edges: set[tuple[int, int]], end: int) -> tuple[Tensor, Tensor]:
    """Mean and log-variance from the rows 1 to end - 1."""
    bits = encoder.gru.input_size - encoder.num_types
    rows = [plain_row(ops, edges, v, encoder.num_types, bits) for v in range(1, end)]
    state = torch.zeros(encoder.gru.hidden_size)
    for row in rows:
        state = plain_gru(encoder.gru, row, state)
    if encoder.reverse is not None and encoder.join is not None:
        back = torch.zeros_like(state)
        for row in reversed(rows):
            back = plain_gru(encoder.reverse, row, back)
        state = encoder.join(torch.cat([state, back]))
    return encoder.heads.mean(state), encoder.heads.logvar(state)


def plain_decoder(model: SVAE, ops: list[int], edges: set[tuple[int, int]], z: Tensor) -> tuple[Tensor, Tensor]:
    """Training loss and negative log-likelihood of one graph."""
    net, faithful, width = model.decoder, model.decoder.faithful, model.space.max_nodes
    fed = torch.relu(net.start(z))
    state = torch.zeros_like(fed)
    loss = nll = torch.zeros(())
    for v in range(1, width if faithful else len(ops)):
        state = plain_gru(net.gru, fed, state)
        kinds, bits = net.types(state), net.edges(state)
        wrong_type = -kinds.log_softmax(0)[ops[v] if v < len(ops) else INPUT]
        loss = loss + wrong_type
        nll = nll + (wrong_type if v < min(len(ops), width - 1) else 0)
        for u in range(width - 1):
            wrong = softplus(-bits[u] if (u, v) in edges else bits[u])
            loss = loss + (wrong if faithful or u < v else 0)
            nll = nll + (wrong if u < v < len(ops) else 0)
    return loss, nll


@pytest.mark.parametrize("space", list_spaces())
@pytest.mark.parametrize("faithful", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_agrees_with_plain_restatement(space: str, faithful: bool, bidirectional: bool) -> None:
    model = build(space, kl_weight=0.3, faithful=faithful, bidirectional=bidirectional)
    archs = mixed_batch(model.space, 6)
    with torch.no_grad():
        mu, logvar = model.encode(archs)
        losses, scores = model.loss(archs), model.log_prob(archs, mu)
        reconstruction, divergence = [], []
        for row in range(len(archs)):
            graph = archs.describe(row)
            ops, edges = graph["ops"], set(graph["edges"])
            expected = plain_encode(model.encoder, ops, edges, model.space.max_nodes if faithful else len(ops))
            torch.testing.assert_close(mu[row], expected[0], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(logvar[row], expected[1], atol=1e-5, rtol=1e-5)
            loss, nll = plain_decoder(model, ops, edges, mu[row])
            torch.testing.assert_close(-scores[row], nll, atol=1e-5, rtol=1e-5)
            reconstruction.append(loss)
            divergence.append(0.5 * (mu[row] ** 2 + logvar[row].exp() - 1 - logvar[row]).sum())
        torch.testing.assert_close(losses["reconstruction"], torch.stack(reconstruction).mean(), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(losses["kl"], torch.stack(divergence).mean(), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(losses["total"], losses["reconstruction"] + 0.3 * losses["kl"])


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("started", [False, True])
def test_gradients_of_the_packed_gru(shared: bool, started: bool) -> None:
    """Against autograd through torch's cell, on sequences that end at different steps."""
    torch.manual_seed(0)
    cell, active = nn.GRUCell(3, 4).double(), [5, 5, 3, 1]
    x = torch.randn(5 if shared else sum(active), 3, dtype=torch.double, requires_grad=True)
    start = torch.randn(5, 4, dtype=torch.double, requires_grad=started)
    weight = torch.randn(sum(active), 4, dtype=torch.double)
    state, states, begin = start if started else torch.zeros_like(start), [], 0
    for count in active:
        state = cell(x[:count] if shared else x[begin : begin + count], state[:count])
        states.append(state)
        begin += count
    inputs = [x, *cell.parameters(), *([start] if started else [])]
    expected, fast = torch.cat(states), scan(cell, x, start if started else None, active)
    torch.testing.assert_close(fast, expected)
    for one, other in zip(
        torch.autograd.grad((fast * weight).sum(), inputs),
        torch.autograd.grad((expected * weight).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_draw_frequencies_follow_log_prob() -> None:
    model = build()
    z = codes(model, 1)
    drawn = model.decode(z, generator=seeded(0), mask=False, repeats=20_000)
    keys = drawn.index_keys()
    for row in range(0, 5):
        with torch.no_grad():
            expected = float(model.log_prob(drawn[row], z).exp())
        seen = keys.count(keys[row]) / len(keys)
        assert abs(seen - expected) < 5 * math.sqrt(expected * (1 - expected) / len(keys)) + 1e-4


# -- faults of the released code ---------------------------------------------------------------------------------


@pytest.mark.parametrize("bidirectional", [False, True])
def test_codes_do_not_mix_graphs_of_the_batch(bidirectional: bool) -> None:
    model = build("nb101", bidirectional=bidirectional)
    archs = mixed_batch(model.space)
    with torch.no_grad():
        alone = torch.cat([model.encode(archs[row])[0] for row in range(len(archs))])
        torch.testing.assert_close(model.encode(archs)[0], alone, atol=1e-6, rtol=1e-5)


def test_bidirectional_reads_both_ends_alike() -> None:
    """A change of the first row reaches the code through both readers."""
    model = build("nb201", bidirectional=True)
    assert model.encoder.reverse is not None and model.encoder.join is not None
    archs = model.space.sample(8, seeded(0))
    with torch.no_grad():
        model.encoder.join.weight[:, :16] = 0  # the backward state alone
        assert len(model.encode(archs)[0].unique(dim=0)) == len(set(archs.index_keys()))


@pytest.mark.parametrize("faithful", [False, True])
def test_losses_do_not_depend_on_the_largest_graph_of_the_batch(faithful: bool) -> None:
    model = build("nb101", faithful=faithful)
    archs = mixed_batch(model.space)
    small = archs[archs.num_nodes.argmin()[None]]
    with torch.no_grad():
        alone = model.reconstruct(model.prepare(small.widen(int(small.num_nodes.max()))), torch.zeros(1, 6))
        both = Architectures.concat([small, archs[archs.num_nodes.argmax()[None]]])
        together = model.reconstruct(model.prepare(both), torch.zeros(2, 6))
    for one, other in zip(alone, together, strict=True):
        torch.testing.assert_close(one[0], other[0])


def test_what_lies_in_padding_is_ignored() -> None:
    model = build("nb101")
    archs = model.prepare(mixed_batch(model.space))
    dirty = Architectures(archs.ops.masked_fill(~archs.node_mask, 2), archs.adj.clone(), archs.num_nodes)
    for row, size in enumerate(archs.num_nodes.tolist()):
        dirty.adj[row, :, size:] = True
    with torch.no_grad():
        for faithful in (False, True):
            model = build("nb101", faithful=faithful)
            assert torch.equal(model.loss(archs)["total"], model.loss(dirty)["total"])


def test_end_vertex_ignores_its_bits_as_released_only() -> None:
    for faithful in (False, True):
        model = build("nb101", faithful=faithful)
        graphs = model.decode(3 * codes(model, 300), generator=seeded(1), mask=False)
        rows, last = torch.arange(len(graphs)), graphs.num_nodes - 1
        assert bool((graphs.ops[rows, last] == OUTPUT).all())
        before = graphs.adj.clone()
        before[rows, :, last] = False
        inner = torch.arange(graphs.max_nodes) < last[:, None]
        loose = ~before.any(2) & inner
        tied = graphs.adj[rows, :, last] & inner
        assert bool((tied == loose).all()) == faithful


def test_larger_graphs_are_refused() -> None:
    model = build("toy")
    size = model.space.max_nodes + 1
    adj = torch.zeros(1, size, size, dtype=torch.bool)
    archs = Architectures(torch.zeros(1, size, dtype=torch.uint8), adj, torch.tensor([size]))
    with pytest.raises(SpaceMismatch, match=f"2 to {size - 1} vertices"):
        model.encode(archs)


def test_an_empty_batch_has_codes_and_scores() -> None:
    model = build()
    nothing = mixed_batch(model.space)[:0]
    assert model.encode(nothing)[0].shape == (0, 6)
    assert model.log_prob(nothing, torch.zeros(0, 6)).shape == (0,)
