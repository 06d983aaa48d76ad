"""From good points to a maximum nearby."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

STEPS = 50


def climb(promise: Callable[[Tensor], Tensor], start: Tensor, low: Tensor, high: Tensor, steps: int = STEPS) -> Tensor:
    """The points [B, D] that L-BFGS-B reaches from `start` between `low` and `high` [D]; none is worse than its start.

    Args:
        promise: differentiable function of points [B, D] -> [B], each of its own point alone.
        start: float64 [B, D].
        low: lowest corner.
        high: highest corner.
        steps: most iterations.
    """
    from botorch.generation.gen import gen_candidates_scipy

    found, value = gen_candidates_scipy(
        start[:, None],
        lambda x: promise(x[:, 0]),  # type: ignore[arg-type]  # all that is asked of it is to be called
        lower_bounds=low,
        upper_bounds=high,
        options={"maxiter": steps, "with_grad": True},
    )
    with torch.no_grad():
        better = value.detach() > promise(start)
    return torch.where(better[:, None], found[:, 0].detach(), start)
