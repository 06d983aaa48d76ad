"""Predictors without a network: ridge, boosted trees, a Gaussian process and their blend, on fixed features."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal, Self, cast

import torch
from torch import Tensor

from graphnas.errors import GraphnasError, InvalidValues
from graphnas.models.features import path_features, place_features, raw_features
from graphnas.models.functional_features import functional_features
from graphnas.models.layers.group_gp import GroupGP
from graphnas.models.layers.normal_scores import NormalScores
from graphnas.models.predictor import Predictor, PredictorConfig
from graphnas.models.zoo import register_model
from graphnas.spaces import Architectures, SearchSpace

FEWEST = 5
PENALTIES = 10.0 ** torch.linspace(-4, 3, 29, dtype=torch.float64)
BLOCK = 8192


@dataclass(frozen=True)
class FeatureConfig(PredictorConfig):
    """Hyper-parameters of every :class:`FeaturePredictor`."""

    features: Literal["auto", "functional", "places", "path", "raw"] = "auto"
    """What an architecture is: what its function looks like, what stands where in two groups (:func:`place_features`),
    which operation sequences its paths have, or its bits. `auto` is `places` in spaces whose vertices have places of
    their own, elsewhere `functional`."""

    def __post_init__(self) -> None:
        known = ("auto", "functional", "places", "path", "raw")
        if self.features not in known:
            raise ValueError(f"features must be {', '.join(known[:-1])} or raw (got {self.features!r})")


class FeaturePredictor(Predictor):
    """A regression on fixed features, fitted at once instead of trained.

    Features come in groups, each standardised on the training rows and without the columns that are constant there.
    Learned are normal scores of the labels, z = Phi^-1((rank - 1/2) / n): what counts is order, and labels of failed
    trainings lie far out. `forward` gives z; `posterior` gives labels. With `costs` there is a group of the decimal
    logarithms of FLOPs and parameters. The same rows, labels and seed give the same predictor.

    Shapes: codes (features) [B, F], scores [B].
    """

    def __init__(self, config: FeatureConfig, space: SearchSpace | str) -> None:
        super().__init__(config, space)
        usual = "places" if self.space.ordered else "functional"
        self.kind, self.embed_dim = usual if config.features == "auto" else config.features, 0
        self.scaling: dict[str, tuple[Tensor, Tensor, Tensor]] | None = None
        self.widening = 1.0

    @property
    def device(self) -> torch.device:
        """The CPU."""
        return torch.device("cpu")

    @abstractmethod
    def fit_scores(self, codes: Tensor, z: Tensor, seed: int) -> None:
        """Learn z [n] from codes float64 [n, F], rows in random order."""

    @abstractmethod
    def score_moments(self, codes: Tensor, with_variance: bool = True) -> tuple[Tensor, Tensor | None]:
        """Mean and, if asked for, variance of z of new observations, [B] each."""

    def left_out_moments(self, codes: Tensor, z: Tensor) -> tuple[Tensor, Tensor] | None:
        """Mean and variance of each training row's z from the others, float64 [n] each; None where it is not known.

        Called after :meth:`fit_scores` with the same rows.
        """
        return None

    def degrees(self) -> int:
        """Numbers that were learned from all labels and that :meth:`left_out_moments` takes for granted."""
        return 0

    def fit(self, archs: Architectures, y: Tensor, seed: int = 0) -> Self:
        """Learn from labelled architectures.

        Args:
            archs: B architectures.
            y: float [B], higher is better, in any unit.
            seed: of the order of the rows and of everything random.

        Raises:
            InvalidValues: fewer than 5 labels, another number of them than of architectures, labels that are not finite
                or all the same.
        """
        if y.ndim != 1 or len(y) != len(archs) or len(y) < FEWEST:
            raise InvalidValues(f"expected a label for each of at least {FEWEST} rows (got {list(y.shape)})")
        self.labels = NormalScores(y)
        order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
        groups = self.groups(archs[order.to(archs.device)])
        self.scaling = {}
        for name, values in groups.items():
            spread = values.double().std(0)
            kept = (spread > 1e-6).nonzero().flatten()
            if len(kept):
                self.scaling[name] = kept, values.double().mean(0)[kept], spread[kept]
        if not self.scaling:
            raise InvalidValues(f"architectures must differ in their {self.kind} features (got {len(y)} that do not)")
        self.embed_dim = sum(len(kept) for kept, _, _ in self.scaling.values())
        codes, z = self._scaled(groups, torch.float64), self.labels.scores[order]
        self.fit_scores(codes, z, seed)
        self.widening = self._widening(codes, z)
        return self

    @torch.no_grad()
    def _widening(self, codes: Tensor, z: Tensor) -> float:
        """Factor on the variance of labels: the mean of ((y_i - m_i) / s_i)^2, m_i and s_i from all rows but i.

        Times n / (n - p), at most 2, for the p numbers that saw row i all the same; never below 1.
        """
        found = self.left_out_moments(codes, z)
        if found is None:
            return 1.0
        mean, std = found[0], found[1].sqrt()
        errors = (self.labels.restore(z) - self.labels.restore(mean)) / self.labels.restore_std(mean, std)
        spare = max(len(z) - self.degrees(), len(z) / 2)
        return max(1.0, float(errors.square().mean()) * len(z) / spare)

    def groups(self, archs: Architectures) -> dict[str, Tensor]:
        """Features before scaling, [B, F] per group."""
        archs = self.prepare(archs)
        if self.kind in ("functional", "places"):
            found = (functional_features if self.kind == "functional" else place_features)(self.space, archs)
        else:
            found = {self.kind: (path_features if self.kind == "path" else raw_features)(self.space, archs).float()}
        if self.costs:
            cost = self.space.cost(archs)
            found["costs"] = torch.stack([torch.log10(1 + cost[name].double()) for name in ("flops", "params")], 1)
        return found

    def _scaled(self, groups: dict[str, Tensor], dtype: torch.dtype) -> Tensor:
        scaling = self._fitted()
        parts = [(groups[name][:, kept].double() - mean) / std for name, (kept, mean, std) in scaling.items()]
        return torch.cat(parts, 1).to(dtype)

    def _fitted(self) -> dict[str, tuple[Tensor, Tensor, Tensor]]:
        if self.scaling is None:
            raise GraphnasError(f"this {type(self).__name__} has learned nothing yet: fit(archs, y) comes first")
        return self.scaling

    def embed(self, archs: Architectures) -> Tensor:
        self._fitted()
        return self._scaled(self.groups(archs), torch.float32)

    def score(self, codes: Tensor) -> Tensor:
        return self.score_moments(codes, with_variance=False)[0]

    @torch.no_grad()
    def predict(self, archs: Architectures) -> Tensor:
        """Labels, float64 [B] in the unit of the labels it was fitted on."""
        starts = range(0, len(archs), BLOCK)
        found = [self(archs[start : start + BLOCK]).double() for start in starts]
        return self.labels.restore(torch.cat([torch.zeros(0, dtype=torch.float64), *found]))

    @torch.no_grad()
    def predict_std(self, archs: Architectures) -> Tensor:
        """Standard deviations of the labels of new observations, float64 [B], widened by what was left out."""
        found = [torch.zeros(0, dtype=torch.float64)]
        for start in range(0, len(archs), BLOCK):
            mean, variance = self.score_moments(self.embed(archs[start : start + BLOCK]))
            found.append(self.labels.restore_std(mean.double(), cast(Tensor, variance).double().sqrt()))
        return torch.cat(found) * self.widening**0.5


@register_model("ridge")
class Ridge(FeaturePredictor):
    """Bayesian linear regression: z = w . x + noise, w ~ N(0, a / F), noise ~ N(0, a p).

    The penalty p is the one of 29 between 1e-4 and 1e3 with the largest marginal likelihood, a its maximum given p. In
    terms of the Gram matrix K = X X^T / F: mean k (K + p)^-1 z, variance a (x . x / F - k (K + p)^-1 k^T + p).

    >>> from graphnas import create_model, get_space
    >>> toy = get_space("toy")
    >>> archs = toy.enumerate()[:80]
    >>> create_model("ridge", toy).fit(archs, torch.arange(80.0)).predict(archs[:3]).shape
    torch.Size([3])
    """

    config_class = FeatureConfig

    def fit_scores(self, codes: Tensor, z: Tensor, seed: int) -> None:
        count, width = codes.shape
        u, sizes, vt = torch.linalg.svd(codes, full_matrices=False)  # r = min(n, F) directions; K is 0 in all others
        shrunk = sizes.square()[:, None] / width + PENALTIES  # [r, P]
        rotated = u.T @ z
        outside = (z.square().sum() - rotated.square().sum()).clamp(min=0)
        amplitudes = ((rotated.square()[:, None] / shrunk).sum(0) + outside / PENALTIES) / count
        evidence = -count * amplitudes.log() - shrunk.log().sum(0) - (count - len(sizes)) * PENALTIES.log()
        best = int(evidence.argmax())
        self.penalty, self.amplitude = float(PENALTIES[best]), float(amplitudes[best])
        self.weights = vt.T @ (sizes / shrunk[:, best] / width * rotated)
        self.shrink = (vt.T * (sizes.square() / shrunk[:, best])) @ vt / width**2  # [F, F]

    def score_moments(self, codes: Tensor, with_variance: bool = True) -> tuple[Tensor, Tensor | None]:
        codes = codes.double()
        mean = codes @ self.weights
        if not with_variance:
            return mean, None
        spread = codes.square().sum(1) / codes.shape[1] - ((codes @ self.shrink) * codes).sum(1)
        return mean, self.amplitude * (spread.clamp(min=0) + self.penalty)


@dataclass(frozen=True)
class GPConfig(FeatureConfig):
    """Hyper-parameters of the Gaussian process."""

    most_points: int = 1000
    """Labels at most, drawn at random, from which the kernel's hyper-parameters are found; the posterior takes all."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.most_points < FEWEST:
            raise ValueError(f"most_points must be at least {FEWEST} (got {self.most_points})")


@register_model("gp")
class GaussianProcess(FeaturePredictor):
    """Exact Gaussian process on groups of features, see :class:`graphnas.models.layers.group_gp.GroupGP`."""

    config_class = GPConfig

    def __init__(self, config: GPConfig, space: SearchSpace | str) -> None:
        super().__init__(config, space)
        self.most_points = config.most_points

    def fit_scores(self, codes: Tensor, z: Tensor, seed: int) -> None:
        widths = [len(kept) for kept, _, _ in self._fitted().values()]
        self.process = GroupGP(widths, self.most_points).fit(codes, z)

    def score_moments(self, codes: Tensor, with_variance: bool = True) -> tuple[Tensor, Tensor | None]:
        return self.process.mean(codes), self.process.variance(codes) if with_variance else None

    def left_out_moments(self, codes: Tensor, z: Tensor) -> tuple[Tensor, Tensor] | None:
        return self.process.left_out(z)

    def degrees(self) -> int:
        return len(self.process.hyper)
