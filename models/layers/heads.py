"""Heads on a code."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn


class HalvingMLP(nn.Module):
    """Regressor whose widths halve: Z -> Z/2 -> Z/4 ... -> 1 with relu between, linear output [B].

    Args:
        in_dim: Z.
        layers: linear layers, the last one included.
    """

    def __init__(self, in_dim: int, layers: int) -> None:
        super().__init__()
        widths = [max(1, in_dim >> level) for level in range(layers)]
        pairs = zip(widths, [*widths[1:], 1], strict=True)
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairs)

    def forward(self, code: Tensor) -> Tensor:
        """Codes [B, Z] -> [B]."""
        for layer in list(self.layers)[:-1]:
            code = torch.relu(layer(code))
        return cast(Tensor, self.layers[-1](code)).squeeze(-1)


def masked_mse(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared error over the targets that are not NaN; 0 when there is none."""
    known = ~target.isnan()
    error = torch.where(known, prediction - target.nan_to_num(), 0.0)
    return error.square().sum() / known.sum().clamp_min(1)
