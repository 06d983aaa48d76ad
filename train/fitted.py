"""Fitted predictors: networks whose mean predicts, or a regression, and the labels they learned from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from graphnas.errors import GraphnasError
from graphnas.models import FeaturePredictor, Predictor
from graphnas.spaces import Architectures, SearchSpace
from graphnas.train.objectives import member_scores_all
from graphnas.train.predictor_config import PredictorSettings


class Line(NamedTuple):
    """From scores to the labels' unit: slope * score + offset."""

    slope: float
    offset: float

    @staticmethod
    def through(scores: Tensor, y: Tensor) -> Line:
        """Least squares, never falling: a score that misleads on these labels still ranks others."""
        center = scores - scores.mean()
        spread = float(center.square().sum())
        slope = max(0.0, float((center * (y - y.mean())).sum()) / spread) if spread > 0 else 0.0
        slope = slope or float(y.std()) / max(float(scores.std()), 1e-12)
        return Line(slope, float(y.mean() - slope * scores.mean()))

    def __call__(self, scores: Tensor) -> Tensor:
        return self.slope * scores.double() + self.offset


@dataclass
class Member:
    """One trained network and how its scores become labels."""

    network: Predictor
    line: Line
    error: float
    """Root mean squared error on the labels kept aside, in their unit; NaN where none were."""


class FittedPredictor:
    """The mean of trained networks; knows architectures of one space.

    Args:
        name: of the model.
        space: the space.
        settings: how it was fitted.
        members: the networks.
        archs: B architectures it learned from.
        y: their labels, float64 [B].
    """

    def __init__(
        self, name: str, space: SearchSpace, settings: PredictorSettings, members: list[Member],
        archs: Architectures, y: Tensor,
    ) -> None:  # fmt: skip
        self.name, self.space, self.settings, self.members = name, space, settings, members
        self.archs, self.y = archs, y

    def predict(self, archs: Architectures) -> Tensor:
        """Labels of architectures, float64 [B] in the unit of the labels it was fitted on.

        Raises:
            InvalidArchitecture: what is no architecture of the space.
        """
        return self._all(archs).mean(0)

    def predict_std(self, archs: Architectures) -> Tensor:
        """Standard deviations float64 [B]: the members' disagreement and their mean error on labels kept aside.

        Raises:
            GraphnasError: a single member without labels kept aside, which knows nothing about its errors.
            InvalidArchitecture: what is no architecture of the space.
        """
        errors = torch.tensor([member.error for member in self.members], dtype=torch.float64)
        known, opinions = errors[~errors.isnan()], self._all(archs)
        if len(opinions) == 1 and not len(known):
            raise GraphnasError(
                "one network without labels kept aside has no uncertainty: fit with members=5 and validation=0.2"
            )
        spread = opinions.var(0, correction=1) if len(opinions) > 1 else torch.zeros(len(archs)).double()
        return (spread + (known.square().mean() if len(known) else 0.0)).sqrt()

    def _all(self, archs: Architectures) -> Tensor:
        """Every opinion, float64 [K, B]: one per member, or those of all its networks where it is an ensemble."""
        self.space.check(archs)
        return torch.cat([member.line(member_scores_all(member.network, archs)) for member in self.members])


class FittedFeatures(FittedPredictor):
    """A regression on fixed features. It has no members: its labels and its seed are all that makes it again.

    Args:
        name: of the model.
        space: the space.
        settings: how it was fitted; only `model_args` count.
        model: the regression.
        archs: B architectures it learned from.
        y: their labels, float64 [B].
        seed: it was fitted with.
    """

    def __init__(
        self, name: str, space: SearchSpace, settings: PredictorSettings, model: FeaturePredictor,
        archs: Architectures, y: Tensor, seed: int,
    ) -> None:  # fmt: skip
        super().__init__(name, space, settings, [], archs, y)
        self.model, self.seed = model, seed

    def predict(self, archs: Architectures) -> Tensor:
        self.space.check(archs)
        return self.model.predict(archs)

    def predict_std(self, archs: Architectures) -> Tensor:
        """Standard deviations of the labels of new observations, float64 [B]."""
        self.space.check(archs)
        return self.model.predict_std(archs)
