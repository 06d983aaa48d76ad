"""Plain restatement of D-VAE, DAGNN and the GCN VAE: one graph, one vertex, one edge at a time, nothing precomputed.

Only weights are read from the models. Slow, and shared by their tests.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from graphnas.models.dvae import AsyncVAE
from graphnas.models.layers.aggregate import Attention, GatedMessages, Pool
from graphnas.spaces import OUTPUT, Architectures
from graphnas.spaces.dag import DagSpace
from graphnas.testing import codes, seeded

Edges = set[tuple[int, int]]


class Plain(NamedTuple):
    """Results for one graph with z = mu: posterior [Z] twice, training loss without and with KL, -log p(graph | mu)."""

    mu: Tensor
    logvar: Tensor
    reconstruction: Tensor
    kl: Tensor
    nll: Tensor


def unit(index: int, length: int, like: Tensor) -> Tensor:
    """One-hot row; of length 0 where there is nothing to say."""
    row = torch.zeros(length, dtype=like.dtype)
    if length:
        row[index] = 1
    return row


def gather(aggregator: nn.Module, senders: list[int], states: list[Tensor], ops: list[int], like: Tensor) -> Tensor:
    """What the final states of some vertices amount to; zero for nobody."""
    if not senders:
        return torch.zeros_like(like)
    if isinstance(aggregator, GatedMessages):
        total = torch.zeros_like(like)
        for u in senders:
            sent = unit(ops[u], aggregator.in_dim, like) if aggregator.from_types else states[u]
            sent = torch.cat([sent, unit(u, aggregator.gate.in_features - len(sent), like)])
            total = total + torch.sigmoid(aggregator.gate(sent)) * aggregator.mapper(sent)
        return total
    if isinstance(aggregator, Attention):
        ids = aggregator.key.in_features - len(like)
        scores = [aggregator.key(torch.cat([states[u], unit(u, ids, like)]))[0] for u in senders]
        parts = [score.exp() for score in scores]
        return torch.stack([part * states[u] for part, u in zip(parts, senders, strict=True)]).sum(0) / sum(parts)
    assert isinstance(aggregator, Pool)
    total = states[senders[0]]
    for u in senders[1:]:
        total = torch.maximum(total, states[u]) if aggregator.largest else total + states[u]
    return total


def vertex_state(cells: Any, kind: int, hidden: list[Tensor]) -> list[Tensor]:
    """States of a vertex in every layer from its type and what it gathered in every layer."""
    below, layers = unit(kind, cells[0].input_size, hidden[0]), []
    for cell, own in zip(cells, hidden, strict=True):
        below = cell(below[None], own[None])[0]
        layers.append(below)
    return layers


def stream(cells: Any, aggregators: Any, ops: list[int], edges: Edges, against: bool = False) -> list[list[Tensor]]:
    """States by layer and vertex, along the edges or against them."""
    like = cells[0].bias_hh[: cells[0].hidden_size]
    states: list[list[Tensor]] = [[like] * len(ops) for _ in cells]
    heard = {(v, u) for u, v in edges} if against else edges
    for v in reversed(range(len(ops))) if against else range(len(ops)):
        senders = [u for u in range(len(ops)) if (u, v) in heard]
        hidden = [gather(part, senders, layer, ops, like) for part, layer in zip(aggregators, states, strict=True)]
        for layer, state in zip(states, vertex_state(cells, ops[v], hidden), strict=True):
            layer[v] = state
    return states


def encode_async(model: AsyncVAE, ops: list[int], edges: Edges, sums: bool) -> Tensor:
    """Graph state of D-VAE and DAGNN; `sums` reads the vertices between the ends instead of the ends."""
    net: Any = model.encoder
    read = []
    for layer in stream(net.cells, net.aggregators, ops, edges):
        read.append(sum(layer[1:-1], torch.zeros_like(layer[0])) if sums else layer[-1])
    if net.back_cells is not None:
        for layer in stream(net.back_cells, net.back_aggregators, ops, edges, against=True):
            read.append(sum(layer[1:-1], torch.zeros_like(layer[0])) if sums else layer[0])
    joined = torch.cat(read)
    return net.merge(joined) if len(read) > 1 else joined


def encode_gcn(model: AsyncVAE, ops: list[int], edges: Edges) -> Tensor:
    """Graph state of the GCN VAE."""
    net: Any = model.encoder
    settings, like = model.config.to_dict(), net.levels[0].weight
    ids = model.space.max_nodes if settings["vertex_ids"] else 0
    states = [torch.cat([unit(op, model.space.num_ops, like), unit(v, ids, like)]) for v, op in enumerate(ops)]
    directions = [edges, {(v, u) for u, v in edges}][: 1 + settings["both_directions"]]
    for level in net.levels:
        new = []
        for v, state in enumerate(states):
            parts = []
            for arcs in directions:
                arrive = sum(target == v for _, target in arcs)
                mixed = state / (arrive + 1)
                for u in range(len(ops)):
                    if (u, v) in arcs:
                        leave = sum(source == u for source, _ in arcs)
                        mixed = mixed + states[u] / ((leave + 1) * (arrive + 1)) ** 0.5
                parts.append(mixed)
            new.append(torch.relu(level(torch.cat(parts))))
        states = new
    return sum(states[1:-1], torch.zeros_like(states[0]))


def decode_losses(
    model: AsyncVAE, ops: list[int], edges: Edges, z: Tensor, sums: bool, sees_start: bool
) -> tuple[Tensor, Tensor]:
    """Training loss and negative log-likelihood of one graph; `sums` reads all states so far for the next type."""
    net, aggregators = model.decoder, model.aggregators
    start = torch.tanh(net.start(z))
    states = [[layer] for layer in vertex_state(net.cells, ops[0], [start for _ in net.cells])]  # by layer and vertex
    loss = nll = torch.zeros((), dtype=z.dtype)

    def joined(v: int) -> Tensor:
        return torch.cat([layer[v] for layer in states])

    def while_accepting(v: int, accepted: list[int]) -> list[Tensor]:
        hidden = [gather(part, accepted, layer, ops, start) for part, layer in zip(aggregators, states, strict=True)]
        return vertex_state(net.cells, ops[v], hidden)

    for v in range(1, len(ops)):
        graph = torch.stack([joined(u) for u in range(v)]).sum(0) if sums else joined(v - 1)
        hidden = net.type_hidden(graph) + (0 if net.type_ids is None else net.type_ids.weight[v])
        wrong = -net.type_out(torch.relu(hidden)).log_softmax(0)[ops[v]]
        loss = loss + wrong
        nll = nll + (0 if v == model.space.max_nodes - 1 else wrong)
        accepted: list[int] = []
        for u in range(v - 1, -1, -1):
            pair = [joined(u), torch.cat(while_accepting(v, accepted)), *([joined(0)] if sees_start else [])]
            hidden = net.edge_hidden(torch.cat(pair))
            if net.edge_ids is not None:
                ids = net.edge_ids.weight.unflatten(1, (2, -1))
                hidden = hidden + ids[u, 0] + ids[v, 1]
            logit = net.edge_out(torch.relu(hidden))[0]
            wrong = softplus(-logit if (u, v) in edges else logit)
            loss, nll = loss + wrong, nll + wrong
            if (u, v) in edges:
                accepted.append(u)
        for layer, state in zip(states, while_accepting(v, accepted), strict=True):
            layer.append(state)
    return loss, nll


def plain(model: AsyncVAE, archs: Architectures, row: int) -> Plain:
    """Everything about one graph of a batch."""
    graph, settings = archs.describe(row), model.config.to_dict()
    ops, edges = graph["ops"], set(graph["edges"])
    network, gcn = settings.get("bayesian_network", False), model.registered_name == "gcn_vae"
    state = encode_gcn(model, ops, edges) if gcn else encode_async(model, ops, edges, sums=network)
    mu, logvar = model.heads.mean(state), model.heads.logvar(state)
    loss, nll = decode_losses(model, ops, edges, mu, sums=gcn or network, sees_start=network)
    return Plain(mu, logvar, loss, 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(), nll)


def assert_same_results(model: AsyncVAE, archs: Architectures) -> None:
    """`encode`, `loss` and `log_prob` of a batch are those of the restatement."""
    close, width = torch.testing.assert_close, model.latent_settings.kl_weight
    with torch.no_grad():
        expected = [plain(model, archs, row) for row in range(len(archs))]
        mu, logvar = model.encode(archs)
        close(mu, torch.stack([one.mu for one in expected]), atol=1e-5, rtol=1e-5)
        close(logvar, torch.stack([one.logvar for one in expected]), atol=1e-5, rtol=1e-5)
        losses = model.loss(archs)
        reconstruction = torch.stack([one.reconstruction for one in expected]).mean()
        kl = torch.stack([one.kl for one in expected]).mean()
        close(losses["reconstruction"], reconstruction, atol=1e-5, rtol=1e-5)
        close(losses["kl"], kl, atol=1e-5, rtol=1e-5)
        close(losses["total"], reconstruction + width * kl, atol=1e-5, rtol=1e-5)
        close(-model.log_prob(archs, mu), torch.stack([one.nll for one in expected]), atol=1e-4, rtol=1e-5)


def assert_same_gradients(model: AsyncVAE, archs: Architectures) -> None:
    """In double precision, every parameter has the gradient that autograd finds in the restatement."""
    model.double().eval()
    names, parameters = zip(*model.named_parameters(), strict=True)
    with torch.no_grad():
        for number, parameter in enumerate(parameters):
            parameter.copy_(0.4 * torch.randn(parameter.shape, generator=seeded(number), dtype=torch.float64))
    expected = [plain(model, archs, row) for row in range(len(archs))]
    weight = model.latent_settings.kl_weight
    total = torch.stack([one.reconstruction + weight * one.kl for one in expected]).mean()
    slow = torch.autograd.grad(total, parameters)
    fast = torch.autograd.grad(model.loss(archs)["total"], parameters)
    for name, ours, theirs in zip(names, fast, slow, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-7, msg=lambda text, name=name: f"{name}: {text}")


def graph_of(ops: list[int], edges: list[tuple[int, int]], width: int) -> Architectures:
    """A batch of one."""
    op_row, adj = torch.zeros(1, width, dtype=torch.uint8), torch.zeros(1, width, width, dtype=torch.bool)
    op_row[0, : len(ops)] = torch.tensor(ops, dtype=torch.uint8)
    for u, v in edges:
        adj[0, u, v] = True
    return Architectures(op_row, adj, torch.tensor([len(ops)]))


def wild(model: AsyncVAE, factor: float = 6.0) -> AsyncVAE:
    """The model with a louder decoder, whose choices are far from a coin and depend on what came before."""
    with torch.no_grad():
        for layer in (model.decoder.start, model.decoder.type_out, model.decoder.edge_hidden, model.decoder.edge_out):
            layer.weight.mul_(factor)
    return model


# -- a distribution that can be summed -------------------------------------------------------------------------------


class Tiny(DagSpace):
    """DAGs of at most four vertices."""

    name, vocabulary, max_nodes, max_edges, size = "tiny", ("input", "output", "op"), 4, 6, 0

    def canonical_keys(self, archs: Architectures) -> list[str]:
        return [key.hex() for key in archs.index_keys()]

    def cost(self, archs: Architectures) -> dict[str, Tensor]:
        return {"params": archs.num_nodes}


def every_outcome(space: Tiny) -> Architectures:
    """All that unmasked decoding can produce: any types, the output once and last, any edges."""
    done: list[tuple[list[int], list[tuple[int, int]]]] = []
    growing: list[tuple[list[int], list[tuple[int, int]]]] = [([0], [])]
    for v in range(1, space.max_nodes):
        longer = []
        for ops, edges in growing:
            for kind in [OUTPUT] if v == space.max_nodes - 1 else range(space.num_ops):
                for bits in range(2**v):
                    new = [*ops, kind], edges + [(u, v) for u in range(v) if bits >> u & 1]
                    (done if kind == OUTPUT else longer).append(new)
        growing = longer
    return Architectures.concat([graph_of(ops, edges, space.max_nodes) for ops, edges in done])


def assert_normalised(model: AsyncVAE) -> None:
    """Probabilities of all outcomes sum to 1, for several codes."""
    outcomes = every_outcome(Tiny())
    assert len(outcomes) == 2 + 2 * 2 * (4 + 2 * 4 * 8)
    for z in codes(model, 3):
        with torch.no_grad():
            total = model.log_prob(outcomes, z.expand(len(outcomes), -1)).double().exp().sum()
        assert float(total) == pytest.approx(1, abs=1e-5)


def assert_draws_follow_log_prob(model: AsyncVAE, count: int = 20_000) -> None:
    """Every outcome of unmasked decoding is as frequent as `log_prob` says, within five standard errors."""
    outcomes, z = every_outcome(Tiny()), codes(model, 1)
    number = {key: row for row, key in enumerate(outcomes.index_keys())}
    drawn = model.decode(z, generator=seeded(0), mask=False, repeats=count)
    seen = torch.bincount(torch.tensor([number[key] for key in drawn.index_keys()]), minlength=len(outcomes))
    with torch.no_grad():
        expected = model.log_prob(outcomes, z.expand(len(outcomes), -1)).double().exp()
    error = (expected * (1 - expected) / count).sqrt()
    assert bool(((seen / count - expected).abs() < 5 * error + 2 / count).all())
    assert float(expected.max()) > 0.03  # far from even: an outcome that is not would be noticed
