"""What the plain restatements of the released models share: layers by published name, one graph at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from graphnas.spaces import Architectures, SearchSpace


class Graph(NamedTuple):
    """Types in the published order, and edges (source, target)."""

    types: list[int]
    edges: set[tuple[int, int]]


def graphs_of(archs: Architectures, space: SearchSpace, published: Sequence[str]) -> list[Graph]:
    """The architectures as the released code sees them."""
    found = []
    for row in range(len(archs)):
        seen = archs.describe(row)
        found.append(Graph([published.index(space.vocabulary[op]) for op in seen["ops"]], set(seen["edges"])))
    return found


class Plain:
    """Layers of a state dict by name, in double precision."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        self.w = {name: tensor.double() for name, tensor in state.items()}

    def linear(self, name: str, x: Tensor) -> Tensor:
        y = self.w[f"{name}.weight"] @ x
        return y + self.w[f"{name}.bias"] if f"{name}.bias" in self.w else y

    def gru(self, name: str, x: Tensor, h: Tensor) -> Tensor:
        """Gates in the order reset, update, new."""
        inputs = (self.w[f"{name}.weight_ih"] @ x + self.w[f"{name}.bias_ih"]).chunk(3)
        hidden = (self.w[f"{name}.weight_hh"] @ h + self.w[f"{name}.bias_hh"]).chunk(3)
        reset, update = torch.sigmoid(inputs[0] + hidden[0]), torch.sigmoid(inputs[1] + hidden[1])
        new = torch.tanh(inputs[2] + reset * hidden[2])
        return (1 - update) * new + update * h

    def norm(self, name: str, x: Tensor) -> Tensor:
        """Batch normalisation with stored statistics."""
        spread = (self.w[f"{name}.running_var"] + 1e-5).sqrt()
        return (x - self.w[f"{name}.running_mean"]) / spread * self.w[f"{name}.weight"] + self.w[f"{name}.bias"]


def unit(index: int, length: int) -> Tensor:
    """One-hot row."""
    row = torch.zeros(length, dtype=torch.float64)
    row[index] = 1
    return row


def bce(logit: Tensor, true: bool) -> Tensor:
    """Negative log-likelihood of a coin."""
    return torch.nn.functional.softplus(-logit if true else logit)


def gaussian_kl(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL to the standard normal, summed."""
    return -0.5 * (1 + logvar - mu**2 - logvar.exp()).sum()
