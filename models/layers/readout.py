"""Graph readouts."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GatedSum(nn.Module):
    """`count` readouts of a graph at once: sum over vertices of sigmoid(a h + a0) (F h + f0), a scalar gate each.

    Args:
        in_dim: width of a vertex state.
        out_dim: width of one readout.
        count: independent readouts computed by one product.
    """

    def __init__(self, in_dim: int, out_dim: int, count: int = 1) -> None:
        super().__init__()
        self.out_dim, self.count = out_dim, count
        self.values = nn.Linear(in_dim, out_dim * count)
        self.gates = nn.Linear(in_dim, count)

    def forward(self, state: Tensor, mask: Tensor | None = None) -> Tensor:
        """States [K, R, D] of K vertices, optional mask [K, R] -> [R, count, out_dim]."""
        return self.pool(self.project(state), mask)

    def project(self, state: Tensor) -> Tensor:
        """Values and gate logits side by side, [..., count * out_dim + count]."""
        weight = torch.cat([self.values.weight, self.gates.weight])
        bias = torch.cat([self.values.bias, self.gates.bias])
        return nn.functional.linear(state, weight, bias)

    def pool(self, projected: Tensor, mask: Tensor | None = None) -> Tensor:
        """Gated sum over the first axis of :meth:`project`'s result."""
        width = self.out_dim * self.count
        gate = projected[..., width:].sigmoid()
        if mask is not None:
            gate = gate * mask[..., None]
        values = projected[..., :width].unflatten(-1, (self.count, self.out_dim))
        return torch.einsum("krc,krcd->rcd", gate, values)
