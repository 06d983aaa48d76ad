"""Plain restatement of GATES, TA-GATES and FLAN: one graph, one vertex, one edge at a time, nothing precomputed.

Only weights are read from the models. Slow, and shared by their tests.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import leaky_relu

from graphnas.models import Predictor, create_model
from graphnas.models.layers.flow import FlowAttention, GraphAttention, GraphFlow
from graphnas.spaces import OUTPUT, Architectures, SearchSpace, get_space
from graphnas.testing import mixed_batch, seeded
from tests.models.plain_async import graph_of

Edges = set[tuple[int, int]]
TINY = {"op_dim": 5, "node_dim": 4, "hidden_dim": 6, "layer_dim": 8, "layers": 2, "head_dim": 7}
"""Options that make a model small."""


def flow_layer(layer: GraphFlow, x: list[Tensor], edges: Edges, gates: list[Tensor]) -> list[Tensor]:
    """New states of all vertices."""
    matrix, out = layer.weight.weight, []
    for v in range(len(x)):
        total = matrix @ x[v] + layer.bias
        for u in range(len(x)):
            if (u, v) in edges:
                total = total + gates[u if layer.by_sender else v] * (matrix @ x[u])
        out.append(total)
    return out


def attention_layer(layer: GraphAttention, x: list[Tensor], edges: Edges, gates: list[Tensor]) -> list[Tensor]:
    """New states of all vertices; who hears nobody gets nothing, unless the layer is faithful."""
    values, out = [layer.weight.weight @ state for state in x], []
    for v in range(len(x)):
        total, parts = torch.zeros_like(values[0]), {}
        for u in range(len(x)):
            logit = leaky_relu(layer.compare.weight[0] @ (values[u] * values[v]))
            if (u, v) in edges:
                parts[u] = logit.exp()
            elif layer.faithful:
                parts[u] = torch.ones(())
        for u, part in parts.items():
            share = part / torch.stack(list(parts.values())).sum()
            total = total + share * (gates[u] if layer.by_sender else 1.0) * values[u]
        out.append(layer.norm(total if layer.by_sender else gates[v] * total))
    return out


def stack_states(stack: Any, x: list[Tensor], edges: Edges, ops: list[Tensor], unhindered: list[bool]) -> list[Tensor]:
    """States after all layers."""
    gates = [
        torch.ones_like(stack.gates(op)) if free else stack.gates(op).sigmoid()
        for op, free in zip(ops, unhindered, strict=True)
    ]
    place = 0
    for number, layer in enumerate(stack.layers):
        x = [state.relu() for state in x] if number else x
        mine = [gate[place : place + layer.gate_dim] for gate in gates]
        place += layer.gate_dim
        if isinstance(layer, FlowAttention):
            half = layer.flow.gate_dim
            first = flow_layer(layer.flow, x, edges, [gate[:half] for gate in mine])
            second = attention_layer(layer.attention, x, edges, [gate[half:] for gate in mine])
            x = [(a + b) / 2 for a, b in zip(first, second, strict=True)]
        else:
            x = flow_layer(layer, x, edges, mine)
    return x


def without(edges: Edges, gone: set[int]) -> Edges:
    """The edges that touch none of these vertices."""
    return {(u, v) for u, v in edges if u not in gone and v not in gone}


def dead_ends(count: int, edges: Edges) -> set[int]:
    """Vertices between the ends that no path from the first to the last visits."""
    ahead, behind = {0}, {count - 1}
    for v in range(count):
        ahead |= {v} if any((u, v) in edges for u in ahead) else set()
    for u in reversed(range(count)):
        behind |= {u} if any((u, v) in edges for v in behind) else set()
    return set(range(1, count - 1)) - (ahead & behind)


def plain_states(
    model: Any, archs: Architectures, row: int, hidden: Set[int] = frozenset()
) -> tuple[list[Tensor], set[int]]:
    """States of the vertices of one graph, padding among them if attention is faithful, and those taken out."""
    graph, config, space = archs.describe(row), model.config, model.space
    names = [None if v in hidden else space.vocabulary[op] for v, op in enumerate(graph["ops"])]
    edges, count = set(graph["edges"]), len(names)
    gone = {v for v, name in enumerate(names) if name in config.closed_ops}
    edges = without(edges, gone)
    if config.live_only:
        gone |= dead_ends(count, edges)
        edges = without(edges, gone)
    inputs = model.vertex_inputs(archs[row], torch.tensor([[v in hidden for v in range(archs.max_nodes)]]))[0]
    unhindered = [name in config.open_ops or (v == 0 and config.flow == "edge") for v, name in enumerate(names)]
    padding = archs.max_nodes - count if getattr(config, "faithful", False) else 0
    ops = [model.op_embedding.weight @ inputs[v] for v in range(count + padding)]
    unhindered += [False] * padding
    x = [model.start(model.other_embedding if v else model.input_embedding) for v in range(len(ops))]
    y = stack_states(model.stack, x, edges, ops, unhindered)
    for _ in range(getattr(config, "steps", 1) - 1):
        turned = model.turn(y[count - 1])
        back = [turned if v == count - 1 else torch.zeros_like(turned) for v in range(len(ops))]
        back = stack_states(model.back, back, {(v, u) for u, v in edges}, ops, unhindered)
        ops = [op + 0.1 * model.update(torch.cat([op, a, b])) for op, a, b in zip(ops, y, back, strict=True)]
        y = stack_states(model.stack, x, edges, ops, unhindered)
    return y[:count], gone


def plain_code(model: Any, archs: Architectures, row: int) -> Tensor:
    """Code of one graph."""
    states, gone = plain_states(model, archs, row)
    if model.config.readout == "output":
        return states[-1]
    kept = [state for v, state in enumerate(states) if v and v not in gone]
    total = torch.stack(kept).sum(0)
    return total / (len(kept) if model.config.readout == "mean" else model.space.max_nodes - 1)


def loud(name: str, space: SearchSpace | str, **options: Any) -> Predictor:
    """A tiny model with larger random weights everywhere, the embedding that starts at zero included."""
    model = create_model(name, space, **TINY | options).eval()
    assert isinstance(model, Predictor)
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=seeded(number)))
    return model


def assert_same_results(name: str, space: str, **options: Any) -> None:
    """Codes, vertex states and scores of a batch are those of the restatement, operations hidden or not."""
    model = loud(name, space, **options)
    archs = model.prepare(mixed_batch(get_space(space), 4))
    hidden = (torch.rand(archs.ops.shape, generator=seeded(1)) < 0.4) & (archs.ops > OUTPUT)
    with torch.no_grad():
        codes, states, covered = model.embed(archs), model.vertex_states(archs), model.vertex_states(archs, hidden)
        for row in range(len(archs)):
            plain = plain_code(model, archs, row)
            torch.testing.assert_close(codes[row], plain, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(model(archs)[row], model.score(plain[None])[0], atol=1e-5, rtol=1e-5)
            size = int(archs.num_nodes[row])
            for got, unseen in ((states, set[int]()), (covered, set(hidden[row].nonzero().flatten().tolist()))):
                expected, _ = plain_states(model, archs, row, unseen)
                torch.testing.assert_close(got[row, :size], torch.stack(expected), atol=1e-5, rtol=1e-5)


def assert_closed_vertices_are_absent(name: str, **options: Any) -> None:
    """A cell's code is that of the cell without the vertices of a closed operation."""
    space = get_space("nb101")
    model = loud(name, space, closed_ops=["maxpool3x3"], **options)
    cell = graph_of([0, 2, 4, 3, 1], [(0, 1), (0, 2), (1, 3), (2, 3), (2, 4), (3, 4)], 7)
    pruned = graph_of([0, 2, 3, 1], [(0, 1), (1, 2), (2, 3)], 7)
    with torch.no_grad():
        torch.testing.assert_close(model.embed(cell), model.embed(pruned), atol=1e-5, rtol=1e-5)
        assert not torch.allclose(loud(name, space, **options).embed(cell), model.embed(cell), atol=1e-2)
