"""Scores of vertex pairs: values and gradients against the unsplit formula."""

from __future__ import annotations

import torch
from torch import Tensor

from graphnas.models.layers.pair_scores import PairScores, pair_scores
from graphnas.testing import seeded


def example(rows: int = 4) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Three sources, five targets of which some are read more than once and one never."""

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=seeded(sum(shape)), dtype=torch.float64).requires_grad_()

    index = torch.randint(0, 4, (3, rows), generator=seeded(1))
    return draw(3, rows, 6), draw(5, 6), index, draw(6)


def test_values_pair_by_pair() -> None:
    sources, targets, index, weight = example()
    logits = pair_scores(sources, targets, index, weight)
    for u in range(3):
        for row in range(4):
            expected = sum(
                weight[f] * max(sources[u, row, f] + targets[index[u, row], f], torch.zeros(())) for f in range(6)
            )
            torch.testing.assert_close(logits[u, row], torch.as_tensor(expected))


def test_gradients() -> None:
    for rows in (4, 1):
        assert torch.autograd.gradcheck(PairScores.apply, example(rows))


def test_a_target_read_twice_collects_both_gradients_and_an_unread_one_none() -> None:
    sources, targets, index, weight = example()
    pair_scores(sources, targets, index, weight).sum().backward()
    expected = torch.zeros(5, 6, dtype=torch.float64)
    for u in range(3):
        for row in range(4):
            target = int(index[u, row])
            expected[target] += weight.detach() * (sources[u, row] + targets[target] > 0)
    assert targets.grad is not None
    torch.testing.assert_close(targets.grad, expected)
    assert not bool(targets.grad[4].any())


def test_inputs_are_left_as_they_were() -> None:
    tensors = example()
    before = [tensor.detach().clone() for tensor in tensors]
    pair_scores(*tensors).sum().backward()
    for tensor, old in zip(tensors, before, strict=True):
        assert torch.equal(tensor.detach(), old)
