"""Two independent streams of message passing, one along the edges and one against them."""

from __future__ import annotations

from typing import NamedTuple, cast

from torch import Tensor, nn

from graphnas.models.layers.gru import FoldedGRU, MessageGRU, Wiring, gru_first_round, gru_round, wire
from graphnas.models.layers.propagation import Propagation, Streams


class Folded(NamedTuple):
    """Folded weights of every round of both streams."""

    along: list[FoldedGRU]
    against: list[FoldedGRU]


class TwoWayGRU(Propagation):
    """`rounds` synchronous rounds per stream, own weights in every round.

    Args:
        dim: D, width of one stream's state; a vertex has 2D in all.
        rounds: L.
    """

    streams = 2

    def __init__(self, dim: int, rounds: int) -> None:
        super().__init__(dim, rounds)
        self.along = nn.ModuleList(MessageGRU(dim) for _ in range(rounds))
        self.against = nn.ModuleList(MessageGRU(dim) for _ in range(rounds))

    def fold(self, rows: int) -> Folded:
        """Weights with the message maps folded in, once per batch."""
        along, against = (cast(list[MessageGRU], list(layers)) for layers in (self.along, self.against))
        return Folded([layer.fold() for layer in along], [layer.fold() for layer in against])

    def forward(self, states: Streams, adj: Tensor, folded: Folded) -> Streams:
        return run_streams(states, wire(adj), folded)

    def from_types(self, one_hot: Tensor, embedding: Tensor, adj: Tensor) -> Streams:
        wiring, folded = wire(adj), self.fold(len(adj))
        along = gru_first_round(one_hot, embedding, wiring[0], folded.along[0])
        against = gru_first_round(one_hot, embedding, wiring[1], folded.against[0])
        return run_streams((along, against), wiring, Folded(folded.along[1:], folded.against[1:]))


def run_streams(states: Streams, wiring: tuple[Wiring, Wiring], folded: Folded) -> Streams:
    """The two streams [K, R, D] after all rounds."""
    along, against = states
    for one, other in zip(folded.along, folded.against, strict=True):
        along, against = gru_round(along, wiring[0], one), gru_round(against, wiring[1], other)
    return along, against
