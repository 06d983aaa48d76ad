"""Losses of scores against labels: regression, pairs, lists; one registry, chosen by name."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import kl_div, logsigmoid, mse_loss, relu, softplus

from graphnas.registry import Registry

Loss = Callable[[Tensor, Tensor], Tensor]

LOSSES: Registry[Loss] = Registry("loss")
"""Scores [B] (higher is better) and standardised labels [B] -> a scalar, the mean over graphs or pairs."""

MARGIN = 0.1


def pairs(y: Tensor) -> tuple[Tensor, Tensor]:
    """All pairs of different labels: int64 [P] of the better and of the worse one."""
    better, worse = (y[:, None] > y).nonzero(as_tuple=True)
    return better, worse


@LOSSES.register("mse")
def squared_error(scores: Tensor, y: Tensor) -> Tensor:
    """Mean squared error."""
    return mse_loss(scores, y)


@LOSSES.register("mae")
def absolute_error(scores: Tensor, y: Tensor) -> Tensor:
    """Mean absolute error, the loss of BRP-NAS and of the encodings study."""
    return (scores - y).abs().mean()


@LOSSES.register("hinge")
def pairwise_hinge(scores: Tensor, y: Tensor) -> Tensor:
    """max(0, 0.1 - (s_i - s_j)) over the pairs with y_i > y_j (GATES, FLAN); 0 where all labels agree."""
    better, worse = pairs(y)
    return relu(MARGIN - scores[better] + scores[worse]).sum() / max(1, len(better))


@LOSSES.register("logistic")
def pairwise_logistic(scores: Tensor, y: Tensor) -> Tensor:
    """softplus(-(s_i - s_j)) over the pairs with y_i > y_j (ReNAS, NAR), without overflow."""
    better, worse = pairs(y)
    return softplus(scores[worse] - scores[better]).sum() / max(1, len(better))


@LOSSES.register("soft_pairs")
def soft_pairs(scores: Tensor, y: Tensor) -> Tensor:
    """KL(softmax([y_i, y_j]) || softmax([s_i, s_j])) over all pairs i < j (BRP-NAS)."""
    first, second = torch.triu_indices(len(y), len(y), offset=1, device=y.device)
    gap, target = scores[first] - scores[second], (y[first] - y[second]).sigmoid()
    logs = torch.stack([logsigmoid(gap), logsigmoid(-gap)])
    return kl_div(logs, torch.stack([target, 1 - target]), reduction="sum") / max(1, len(first))


@LOSSES.register("listmle")
def listmle(scores: Tensor, y: Tensor) -> Tensor:
    """-log of the Plackett-Luce probability of the order by label, per graph (Xia et al. 2008)."""
    ordered = scores[y.argsort(descending=True, stable=True)]
    return (ordered.flip(0).logcumsumexp(0).flip(0) - ordered).mean()
