"""Boosted trees on fixed features, and their blend with a Gaussian process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from graphnas.models.raw import FeatureConfig, FeaturePredictor, GaussianProcess, GPConfig
from graphnas.models.zoo import register_model
from graphnas.spaces import SearchSpace


@dataclass(frozen=True)
class TreeOptions:
    """What grows boosted trees; fields of the configs that have some."""

    ensemble: int = 5
    """Members; each leaves out one of so many parts of the labels."""
    trees: int = 300
    """Trees of a member."""
    depth: int = 4
    """Splits between root and leaf, at most."""
    learning_rate: float = 0.05
    """Share of a tree's correction that is taken."""
    columns: float = 0.2
    """Share of the features looked at in a split."""
    rows: float = 0.6
    """Share of the labels a tree sees."""

    def check(self) -> None:
        """Raises ValueError for numbers that grow no trees."""
        if self.ensemble < 2:
            raise ValueError(f"ensemble must be at least 2 (got {self.ensemble})")
        for name in ("trees", "depth"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1 (got {getattr(self, name)})")
        for name in ("learning_rate", "columns", "rows"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must be above 0 and at most 1 (got {getattr(self, name)})")


@dataclass(frozen=True)
class BoostingConfig(FeatureConfig, TreeOptions):
    """Hyper-parameters of the boosted trees."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check()


@dataclass(frozen=True)
class BlendConfig(GPConfig, TreeOptions):
    """Hyper-parameters of the blend."""

    gp_share: float = 0.6
    """Weight of the Gaussian process; the trees have the rest."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check()
        if not 0 <= self.gp_share <= 1:
            raise ValueError(f"gp_share must be between 0 and 1 (got {self.gp_share})")


@register_model("gbdt")
class Boosting(FeaturePredictor):
    """Gradient-boosted regression trees (Friedman 2001): the mean of members that leave out a part of the labels each.

    The variance is the members' disagreement plus the mean squared error on what they left out.
    """

    config_class = BoostingConfig

    def __init__(self, config: BoostingConfig | BlendConfig, space: SearchSpace | str) -> None:
        super().__init__(config, space)
        self.options: TreeOptions = config

    def fit_scores(self, codes: Tensor, z: Tensor, seed: int) -> None:
        from sklearn.ensemble import GradientBoostingRegressor

        options, x, y = self.options, codes.float().numpy(), z.numpy()
        self.members, self.left_out = [], torch.zeros(len(y), dtype=torch.float64)
        for number in range(options.ensemble):
            kept = np.arange(len(y)) % options.ensemble == number
            member = GradientBoostingRegressor(
                n_estimators=options.trees, max_depth=options.depth, learning_rate=options.learning_rate,
                max_features=options.columns, subsample=options.rows, min_samples_leaf=3,
                random_state=(seed * 1000 + number) % 2**32,
            ).fit(x[~kept], y[~kept])  # fmt: skip
            self.members.append(member)
            self.left_out[torch.from_numpy(kept)] = torch.from_numpy(member.predict(x[kept]))
        self.error = float((self.left_out - z).square().mean())

    def score_moments(self, codes: Tensor, with_variance: bool = True) -> tuple[Tensor, Tensor | None]:
        x = codes.float().numpy()
        if not len(x):
            return codes[:, 0], codes[:, 0]
        opinions = torch.from_numpy(np.stack([member.predict(x) for member in self.members]))
        return opinions.mean(0), opinions.var(0, correction=1) + self.error if with_variance else None

    def left_out_moments(self, codes: Tensor, z: Tensor) -> tuple[Tensor, Tensor] | None:
        """From the one member that did not see the row; the members' disagreement is that of all."""
        variance = cast(Tensor, self.score_moments(codes)[1]).double()
        return self.left_out, variance


@register_model("blend")
class Blend(FeaturePredictor):
    """The `gp` and the `gbdt` of the same features, a mixture with the weights w and 1 - w.

        mean = w m_1 + (1 - w) m_2,   variance = w v_1 + (1 - w) v_2 + w (1 - w) (m_1 - m_2)^2

    Trees find the thresholds that a stationary kernel smoothes over; the kernel has the better order between them.
    """

    config_class = BlendConfig

    def __init__(self, config: BlendConfig, space: SearchSpace | str) -> None:
        super().__init__(config, space)
        self.share = config.gp_share
        self.process, self.trees = GaussianProcess(config, space), Boosting(config, space)

    def fit_scores(self, codes: Tensor, z: Tensor, seed: int) -> None:
        self.process.scaling = self.scaling
        for part in (self.process, self.trees):
            part.fit_scores(codes, z, seed)

    def score_moments(self, codes: Tensor, with_variance: bool = True) -> tuple[Tensor, Tensor | None]:
        one, other = (part.score_moments(codes, with_variance) for part in (self.process, self.trees))
        if not with_variance:
            return self.share * one[0].double() + (1 - self.share) * other[0], None
        return self._mixture(cast("tuple[Tensor, Tensor]", one), cast("tuple[Tensor, Tensor]", other))

    def left_out_moments(self, codes: Tensor, z: Tensor) -> tuple[Tensor, Tensor] | None:
        one, other = (part.left_out_moments(codes, z) for part in (self.process, self.trees))
        return self._mixture(cast("tuple[Tensor, Tensor]", one), cast("tuple[Tensor, Tensor]", other))

    def degrees(self) -> int:
        return self.process.degrees()

    def _mixture(self, one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Mean and variance of a mixture of two distributions, given theirs."""
        share, (first, second) = self.share, (one[0].double(), other[0])
        variance = share * one[1].double() + (1 - share) * other[1]
        return share * first + (1 - share) * second, variance + share * (1 - share) * (first - second).square()
