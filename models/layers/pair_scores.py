"""Scores of many vertex pairs from the two halves of an MLP's first layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class PairScores(torch.autograd.Function):
    """logits[u, r] = w . relu(sources[u, r] + targets[index[u, r]]).

    The hidden layer of one source vertex at a time fits the cache and is computed again in the backward pass, so that
    nothing of size v R F is ever stored. Shapes: sources [v, R, F], targets [M, F], index int64 [v, R], weight [F].
    """

    @staticmethod
    def forward(ctx: Any, sources: Tensor, targets: Tensor, index: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(sources, targets, index, weight)
        logits = torch.empty_like(index, dtype=sources.dtype)
        for source, rows, row in zip(sources, index, logits, strict=True):
            torch.mv(targets.index_select(0, rows).add_(source).relu_(), weight, out=row)
        return logits

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        sources, targets, index, weight = ctx.saved_tensors
        d_sources, d_targets = torch.empty_like(sources), torch.zeros_like(targets)
        d_weight = torch.zeros_like(weight)
        for source, rows, row, d_source in zip(sources, index, grad, d_sources, strict=True):
            hidden = targets.index_select(0, rows).add_(source).relu_()
            d_weight.addmv_(hidden.T, row)
            torch.ops.aten.threshold_backward.grad_input(torch.outer(row, weight), hidden, 0, grad_input=d_source)
            d_targets.index_add_(0, rows, d_source)
        return d_sources, d_targets, None, d_weight


def pair_scores(sources: Tensor, targets: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """Logits [v, R], see :class:`PairScores`."""
    logits: Tensor = PairScores.apply(sources, targets, index, weight)
    return logits
