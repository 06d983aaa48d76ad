"""What a vertex hears from its predecessors: messages, and how a set of them becomes one vector.

A message depends on its sender's final state alone, so it is computed once per vertex; a set of senders is a mask.
Aggregators are folded once per batch (`fold`) into plain tensors with the methods `message` and `combine`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad


class Message(NamedTuple):
    """What one vertex of R graphs sends: values [R, H], and scores [R] where the aggregator weighs senders."""

    values: Tensor
    scores: Tensor | None = None

    def pick(self, rows: Tensor | slice) -> Message:
        """The messages of some rows."""
        return Message(self.values[rows], None if self.scores is None else self.scores[rows])


def stack(messages: list[Message]) -> Message:
    """Messages of v vertices side by side: values [R, v, H], scores [R, v]."""
    scores = [message.scores for message in messages if message.scores is not None]
    return Message(torch.stack([message.values for message in messages], 1), torch.stack(scores, 1) if scores else None)


def append(messages: Message, new: Message) -> Message:
    """Messages of v vertices side by side and those of the next one."""
    values = torch.cat([messages.values, new.values[:, None]], 1)
    if messages.scores is None or new.scores is None:
        return Message(values)
    return Message(values, torch.cat([messages.scores, new.scores[:, None]], 1))


class Folded(ABC):
    """An aggregator with its weights ready for one batch."""

    @abstractmethod
    def message(self, state: Tensor, one_hot: Tensor, vertex: int) -> Message:
        """Message of the vertex number `vertex` from its state [R, H] and type [R, T]."""

    linear: ClassVar[bool] = True
    """Whether the aggregate is the sum of values by the weights of :meth:`weigh`."""

    def weigh(self, mask: Tensor, scores: Tensor | None) -> Tensor:
        """Weights [R, K, v] of what is heard: float mask [R, K, v], scores [R, v] where senders have them."""
        return mask

    def combine(self, mask: Tensor, messages: Message) -> Tensor:
        """Aggregate of K sets of senders: float mask [R, K, v], stacked messages -> [R, K, H]; zero for no sender."""
        return torch.bmm(self.weigh(mask, messages.scores), messages.values)


class Aggregator(nn.Module, ABC):
    """How a vertex gathers what its predecessors send."""

    @abstractmethod
    def fold(self) -> Folded:
        """The weights for one batch; differentiable."""


@dataclass
class _FoldedGate(Folded):
    weight: Tensor  # [2H, I], gate above mapper
    bias: Tensor  # [N or 1, 2H], per vertex index
    from_types: bool

    def message(self, state: Tensor, one_hot: Tensor, vertex: int) -> Message:
        bias = self.bias[min(vertex, len(self.bias) - 1)]
        both = linear(one_hot if self.from_types else state, self.weight, bias)
        gate, value = both.chunk(2, 1)
        return Message(gate.sigmoid() * value)


class GatedMessages(Aggregator):
    """D-VAE's gated sum: m_u = sigmoid(G [h_u ; e_u] + b) * M [h_u ; e_u], summed over senders.

    Args:
        in_dim: width of what is sent: H, or T with `from_types`.
        hidden_dim: H.
        num_ids: N, length of the one-hot vertex index e_u; 0 leaves it out.
        from_types: send the type instead of the state (the Bayesian-network variant).
    """

    def __init__(self, in_dim: int, hidden_dim: int, num_ids: int, from_types: bool = False) -> None:
        super().__init__()
        self.in_dim, self.from_types = in_dim, from_types
        self.gate = nn.Linear(in_dim + num_ids, hidden_dim)
        self.mapper = nn.Linear(in_dim + num_ids, hidden_dim, bias=False)

    def fold(self) -> Folded:
        weight = torch.cat([self.gate.weight, self.mapper.weight])
        bias = torch.cat([self.gate.bias, torch.zeros_like(self.gate.bias)])
        ids = weight[:, self.in_dim :].T
        return _FoldedGate(weight[:, : self.in_dim], ids + bias if len(ids) else bias[None], self.from_types)


@dataclass
class _FoldedAttention(Folded):
    key: Tensor  # [H]
    ids: Tensor  # [N or 1]

    def message(self, state: Tensor, one_hot: Tensor, vertex: int) -> Message:
        return Message(state, state @ self.key + self.ids[min(vertex, len(self.ids) - 1)])

    def weigh(self, mask: Tensor, scores: Tensor | None) -> Tensor:
        assert scores is not None
        heard = mask.any(2, keepdim=True)
        logits = torch.where(heard, scores[:, None].masked_fill(mask == 0, -torch.inf), 0.0)
        return logits.softmax(2) * heard  # a set of no sender gives zero, not NaN


class Attention(Aggregator):
    """DAGNN's attention: a_v = sum_u softmax_u(k . [h_u ; e_u]) h_u.

    The published score is linear in query and key, w . [q_v ; k_u] + b: the query's part and b are the same for all
    senders of a vertex and cancel in the softmax, so there is no weight for them.

    Args:
        hidden_dim: H.
        num_ids: N, length of the one-hot vertex index e_u; 0 leaves it out.
    """

    def __init__(self, hidden_dim: int, num_ids: int) -> None:
        super().__init__()
        self.hidden_dim = hidden_dim
        self.key = nn.Linear(hidden_dim + num_ids, 1, bias=False)

    def fold(self) -> Folded:
        weight = self.key.weight[0]
        ids = weight[self.hidden_dim :]
        return _FoldedAttention(weight[: self.hidden_dim], ids if len(ids) else weight.new_zeros(1))


@dataclass
class _FoldedSum(Folded):
    def message(self, state: Tensor, one_hot: Tensor, vertex: int) -> Message:
        return Message(state)


@dataclass
class _FoldedMaximum(_FoldedSum):
    linear: ClassVar[bool] = False

    def combine(self, mask: Tensor, messages: Message) -> Tensor:
        heard = mask.bool()[..., None]  # [R, K, v, 1]
        values = messages.values[:, None].masked_fill(~heard, -torch.inf).amax(2)
        return torch.where(heard.any(2), values, 0.0)


class Pool(Aggregator):
    """Sum or elementwise maximum of the senders' states; no weights."""

    def __init__(self, largest: bool) -> None:
        super().__init__()
        self.largest = largest

    def fold(self) -> Folded:
        return _FoldedMaximum() if self.largest else _FoldedSum()


def with_one(features: Tensor) -> Tensor:
    """Features with a column of ones, the input of a bias: [R, I + 1]."""
    return pad(features, (0, 1), value=1.0)
