"""What a graph generator and its encoder need from a message-passing module."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor, nn

Streams = tuple[Tensor, ...]
"""Vertex states [K, R, D / streams], one tensor per stream; side by side they are the state of width D."""


class Propagation(nn.Module, ABC):
    """`rounds` rounds of message passing over a batch of DAGs, own weights in every round.

    Args:
        dim: width of one stream's state.
        rounds: L.
    """

    streams: ClassVar[int]

    def __init__(self, dim: int, rounds: int) -> None:
        super().__init__()
        self.dim, self.rounds = dim, rounds

    @abstractmethod
    def fold(self, rows: int) -> Any:
        """The weights as `forward` takes them, computed once per batch of about so many graphs."""

    @abstractmethod
    def forward(self, states: Streams, adj: Tensor, folded: Any) -> Streams:
        """States after all rounds; adj [R, K, K] upper triangular, float."""

    @abstractmethod
    def from_types(self, one_hot: Tensor, embedding: Tensor, adj: Tensor) -> Streams:
        """The same from initial states that are embeddings [T, dim] of types [K, R, T], shared by all streams."""
