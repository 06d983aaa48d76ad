"""What is learned: a module that owns the model and turns a batch into losses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from graphnas.errors import InvalidValues
from graphnas.metrics import kendall_tau
from graphnas.models import GraphModel, GraphVAE, Predictor
from graphnas.registry import Registry
from graphnas.spaces import Architectures
from graphnas.train.losses import LOSSES


class Objective(nn.Module, ABC):
    """Losses of a model on a batch; the loop minimises `total` and knows nothing else.

    Attributes:
        monitor: name of the validation value that chooses `best`; smaller is better.
    """

    monitor: str = "total"
    model: GraphModel

    @abstractmethod
    def forward(self, archs: Architectures, y: Tensor | None = None) -> dict[str, Tensor]:
        """Scalars, means over the batch, `total` among them."""

    @torch.no_grad()
    def validate(self, archs: Architectures, y: Tensor | None = None) -> dict[str, float]:
        """Values on held-out graphs, in eval mode, independent of the batch size used inside."""
        self.eval()
        sums: dict[str, float] = {}
        for start in range(0, len(archs), 512):
            rows = slice(start, start + 512)
            part = archs[rows]
            for name, value in self(part, None if y is None else y[rows]).items():
                sums[name] = sums.get(name, 0.0) + float(value) * len(part)
        self.train()
        return {name: value / len(archs) for name, value in sums.items()}


class OnTensors(nn.Module):
    """An objective called with tensors, which Fabric can convert to its precision; it fails on `Architectures`."""

    def __init__(self, objective: Objective) -> None:
        super().__init__()
        self.objective = objective

    def forward(self, ops: Tensor, adj: Tensor, num_nodes: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = self.objective(Architectures(ops, adj, num_nodes), y)
        return losses


class VAEObjective(Objective):
    """The evidence bound of a :class:`GraphVAE`, with its regression part where targets are given.

    Args:
        model: the VAE.
        probe: held-out graphs whose arg-max reconstruction is reported as `exact` at every validation.
    """

    def __init__(self, model: GraphVAE, probe: int = 1000) -> None:
        super().__init__()
        self.model: GraphVAE = model
        self.probe = probe

    def forward(self, archs: Architectures, y: Tensor | None = None) -> dict[str, Tensor]:
        return self.model.loss(archs, y)

    @torch.no_grad()
    def validate(self, archs: Architectures, y: Tensor | None = None) -> dict[str, float]:
        values = super().validate(archs, y)
        self.eval()
        part = archs[: self.probe]
        decoded = self.model.decode(self.model.encode(part)[0], sample=False)
        values["exact"] = float(decoded.to("cpu").equal(part).float().mean())
        self.train()
        return values


class ScoreObjective(Objective):
    """A loss between a predictor's scores and standardised labels, averaged over the members of an ensemble.

    With w the model's `score_weight`, total = (1 - w) auxiliary + w loss where the model has an auxiliary loss.

    `validate` looks at all held-out graphs at once, since pairs and lists are no means over graphs, and adds Kendall's
    tau-b, which is NaN where labels or scores do not vary.

    Args:
        model: the predictor.
        loss: name in `graphnas.train.losses.LOSSES`.
    """

    def __init__(self, model: Predictor, loss: str = "hinge") -> None:
        super().__init__()
        self.model: Predictor = model
        self.loss = LOSSES[loss]

    def forward(self, archs: Architectures, y: Tensor | None = None) -> dict[str, Tensor]:
        if y is None:
            raise InvalidValues("a predictor learns from labels: none were given")
        opinions = self.model.member_scores(archs)
        loss = torch.stack([self.loss(scores, y) for scores in opinions]).mean()
        auxiliary = self.model.auxiliary_loss(archs)
        if auxiliary is None:
            return {"total": loss}
        share = self.model.score_weight
        return {"total": (1 - share) * auxiliary + share * loss, "score": loss, "auxiliary": auxiliary}

    @torch.no_grad()
    def validate(self, archs: Architectures, y: Tensor | None = None) -> dict[str, float]:
        if y is None:
            raise InvalidValues("a predictor is judged by labels: none were given")
        self.eval()
        scores = score_all(self.model, archs)
        self.train()
        return {"total": float(self.loss(scores, y)), "kendall": kendall_tau(scores, y)}


OBJECTIVES: Registry[Callable[..., Objective]] = Registry("objective")
"""Makers of what a predictor minimises: (model, loss, all training labels float [B], batch size, **arguments)."""


@OBJECTIVES.register("score")
def score_objective(model: Predictor, loss: str, y: Tensor, batch_size: int) -> Objective:
    """The :class:`ScoreObjective`, which needs neither labels nor batch size."""
    return ScoreObjective(model, loss)


@torch.no_grad()
def score_all(model: Predictor, archs: Architectures, batch_size: int | None = None) -> Tensor:
    """Scores of many architectures, float [B] on the CPU, in the mode the model is in."""
    return member_scores_all(model, archs, batch_size).mean(0)


@torch.no_grad()
def member_scores_all(model: Predictor, archs: Architectures, batch_size: int | None = None) -> Tensor:
    """Scores of many architectures by every network of an ensemble, float [K, B], otherwise like :func:`score_all`."""
    if not len(archs):
        return torch.zeros(1, 0)
    batch_size = batch_size or model.inference_batch
    starts = range(0, len(archs), batch_size)
    return torch.cat([model.member_scores(archs[start : start + batch_size]).cpu() for start in starts], 1)
