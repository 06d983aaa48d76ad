"""Flow and attention layers: who is heard, and how loud."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from graphnas.models.layers.flow import FlowAttention, FlowStack, GraphAttention, GraphFlow, Hearing, short_softmax
from graphnas.testing import seeded


def chain() -> Tensor:
    """bool [1, 4, 4], receivers by senders: 0 -> 1 -> 2, 0 -> 2, and a vertex that has no edge."""
    hear = torch.zeros(1, 4, 4, dtype=torch.bool)
    hear[0, 1, 0] = hear[0, 2, 1] = hear[0, 2, 0] = True
    return hear


def states(width: int = 3) -> Tensor:
    return torch.randn(1, 4, width, generator=seeded(0))


def test_short_softmax_is_softmax() -> None:
    logits = (100 * torch.randn(5, 4, 8, generator=seeded(0), dtype=torch.float64)).requires_grad_()
    with torch.no_grad():
        logits[0, 0, :] = logits[1, 1, 3:] = torch.finfo(torch.float64).min
    weights = torch.arange(160.0).view_as(logits)
    found, expected = short_softmax(logits), logits.softmax(2)
    torch.testing.assert_close(found, expected)
    (one,), (other,) = (torch.autograd.grad((part * weights).sum(), logits) for part in (found, expected))
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize("by_sender", [False, True])
def test_shut_gates_leave_the_own_state(by_sender: bool) -> None:
    layer, x = GraphFlow(3, 5, by_sender), states()
    y = layer(x, Hearing.of(chain(), x), torch.zeros(1, 4, 5))
    torch.testing.assert_close(y, layer.weight(x) + layer.bias)


def test_attention_is_a_mean_over_the_heard() -> None:
    """Released FLAN multiplies logits by the adjacency matrix, so that everyone else is heard with exp(0)."""
    x, hear = states(5), chain()
    mended, released = GraphAttention(5, 5), GraphAttention(5, 5, faithful=True)
    released.load_state_dict(mended.state_dict())
    values = mended.weight(x)
    weights = mended.attention(values, Hearing.of(hear, x))
    assert bool((weights[~hear] == 0).all())
    torch.testing.assert_close(weights.sum(2), torch.tensor([[0.0, 1.0, 1.0, 0.0]]))
    leaked = released.attention(values, Hearing.of(hear, x))
    torch.testing.assert_close(leaked.sum(2), torch.ones(1, 4))
    assert bool((leaked[~hear] > 0.01).all())
    ratio = (weights[0, 2, 0] / weights[0, 2, 1], leaked[0, 2, 0] / leaked[0, 2, 1])
    torch.testing.assert_close(*ratio)


def test_attention_without_neighbours_is_finite() -> None:
    layer, x = GraphAttention(3, 5), states().requires_grad_()
    y = layer(x, Hearing.of(torch.zeros(1, 4, 4, dtype=torch.bool), x), torch.ones(1, 4, 5))
    torch.testing.assert_close(y, layer.norm.bias.expand(1, 4, 5))
    (grad,) = torch.autograd.grad(y.sum(), x)
    assert bool((grad == 0).all())


def test_reversed_hearing() -> None:
    hear = Hearing.of(chain(), states())
    other, expected = hear.reversed(), Hearing.of(chain().transpose(1, 2), states())
    assert torch.equal(other.weights, expected.weights) and torch.equal(other.barred, expected.barred)


@pytest.mark.parametrize("at_once", [True, False])
def test_gates_of_a_stack(at_once: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphnas.models.layers.flow.AT_ONCE", 36 if at_once else 35)
    stack = FlowStack([3, 4, 5], 2, GraphFlow)
    ops = torch.randn(1, 4, 2, generator=seeded(1))
    free = torch.tensor([[False, True, False, False]])
    gates = list(stack.open(ops, free))
    assert [gate.shape for gate in gates] == [(1, 4, 4), (1, 4, 5)]
    both = torch.cat(gates, 2)
    assert bool((both[0, 1] == 1).all())
    torch.testing.assert_close(both[0, 2], stack.gates(ops[0, 2]).sigmoid())
    assert stack(states(), Hearing.of(chain(), ops), gates).shape == (1, 4, 5)
    types = torch.tensor([[2, 1, 1, 0]])
    looked_up = torch.cat(list(stack.open(ops[0], free[0], types)), 2)
    torch.testing.assert_close(looked_up[0], both[0, types[0]])


def test_states_that_all_graphs_share_need_no_copies() -> None:
    x, hear = states()[:1], Hearing.of(torch.cat([chain(), ~chain()]), states())
    gate = torch.rand(2, 4, 10, generator=seeded(2))
    for by_sender in (False, True):
        layer = FlowAttention(GraphFlow(3, 5, by_sender), GraphAttention(3, 5, by_sender))
        torch.testing.assert_close(layer(x, hear, gate), layer(x.expand(2, -1, -1), hear, gate))
