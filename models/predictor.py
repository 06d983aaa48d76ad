"""What a performance predictor promises: a code of an architecture and a score on it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphnas.errors import GraphnasError
from graphnas.models.base import GraphModel, ModelConfig
from graphnas.spaces import Architectures, SearchSpace

COST_SCALE = 8.0
"""Decimal orders of magnitude that become 1."""


@dataclass(frozen=True)
class PredictorConfig(ModelConfig):
    """Hyper-parameters of every :class:`Predictor`."""

    costs: bool = False
    """Vertices know their FLOPs and parameters beside their type."""


class Predictor(GraphModel, ABC):
    """A network that scores architectures, higher is better; a row's score is independent of the rest of the batch.

    Subclasses give `embed` and `score`; those with a state per vertex give `vertex_states` too, which is what can be
    pre-trained on hidden operations.

    Attributes:
        embed_dim: D, width of the code.
        head: [B, D] -> [B, 1], where `score` is not overwritten.
        vertex_dim: width of :meth:`vertex_inputs`.
        num_places: P, places that vertices know; 0 in spaces where they have none of their own.
        score_weight: share of the loss on scores in the total where there is an :meth:`auxiliary_loss`.
    """

    inference_batch: int = 256
    embed_dim: int
    head: nn.Module
    score_weight: float = 0.9

    def __init__(self, config: PredictorConfig, space: SearchSpace | str) -> None:
        super().__init__(config, space)
        self.costs, self.num_places = config.costs, self.space.max_nodes if self.space.ordered else 0
        self.vertex_dim = self.space.num_ops + 1 + self.num_places + 2 * config.costs

    @abstractmethod
    def embed(self, archs: Architectures) -> Tensor:
        """Codes of architectures, float [B, D]."""

    def score(self, codes: Tensor) -> Tensor:
        """Scores [B] of codes [B, D], by default those of the module `head`, [B, D] -> [B, 1]."""
        scores: Tensor = self.head(codes).squeeze(1)
        return scores

    def forward(self, archs: Architectures) -> Tensor:
        """Scores of architectures, float [B], in the unit the predictor was trained in."""
        return self.score(self.embed(archs))

    def predict(self, archs: Architectures) -> Tensor:
        """Labels of architectures, float [B], by what was fitted on labels at once.

        Raises:
            GraphnasError: a network, which knows scores only, and shipped without labels not even these.
        """
        name = self.registered_name
        raise GraphnasError(
            f"a {name} network gives scores in a unit of its own, model(archs). Labels are learned by "
            f"fit_predictor({name!r}, archs, y, space), with start_from=NAME from shipped weights, which has predict()"
        )

    def member_scores(self, archs: Architectures) -> Tensor:
        """Scores by each of the K networks that an ensemble is made of, float [K, B]; K = 1 for what is none."""
        return self(archs)[None]

    def auxiliary_loss(self, archs: Architectures) -> Tensor | None:
        """What is minimised beside the loss on scores: a scalar, the mean over graphs, or None."""
        return None

    def vertex_states(self, archs: Architectures, hidden: Tensor | None = None) -> Tensor:
        """States of all vertices of prepared graphs, float [B, N, D'], before they become a code; padding is arbitrary.

        Operations of the vertices bool [B, N] `hidden` are not shown.

        Raises:
            NotImplementedError: the model has no state per vertex.
        """
        raise NotImplementedError(f"{type(self).__name__} has no state per vertex")

    def vertex_inputs(self, archs: Architectures, hidden: Tensor | None = None) -> Tensor:
        """What a vertex is: float [B, N, T + 1 (+ P) (+ 2)], zero where padded.

        The type one-hot, with a last entry for one that is hidden; where vertices have places of their own, the place
        one-hot; and with `costs` the decimal logarithms of 1 + FLOPs and 1 + parameters, the mean over the modules of
        the network, in units of 8; those of hidden vertices are 0.
        """
        dtype, types = next(self.parameters()).dtype, archs.ops.long()
        if hidden is not None:
            types = types.masked_fill(hidden, self.space.num_ops)
        parts = [F.one_hot(types, self.space.num_ops + 1).to(dtype)]
        if self.num_places:
            places = torch.eye(archs.max_nodes, self.num_places, dtype=dtype, device=archs.device)
            parts.append(places.expand(len(archs), -1, -1))
        if self.costs:
            cost = self.space.cost(archs)
            known = 1.0 if hidden is None else ~hidden
            for name in ("vertex_flops", "vertex_params"):
                values = cost[name].to(dtype).mean(1)[:, : archs.max_nodes]
                parts.append((torch.log10(1 + values) / COST_SCALE * known)[..., None])
        return torch.cat(parts, 2) * archs.node_mask[..., None]
