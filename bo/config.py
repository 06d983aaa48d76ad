"""What a search is told: dataclasses from which the command line and the recipes come."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Literal

from graphnas.bo.codes import POOL_LIMIT, REDUCED_DIM
from graphnas.bo.latent_bo import Proposal
from graphnas.bo.surrogate_search import Targets
from graphnas.errors import InvalidValues
from graphnas.train.config import check_range

Cost = Literal["params", "flops"]

ONLY_FOR = {
    "labels": ("table", "boosted"),
    "metric": ("table", "boosted"),
    "test_metric": ("table",),
    "seconds_metric": ("table",),
    "minimise": ("table", "boosted", "predictor"),
    "predictor": ("predictor",),
    "epochs": ("train",),
}
"""Settings that only some kinds of oracle read; elsewhere they are refused instead of ignored."""
WITHOUT_COST = ("acquisition", "surrogate", "proposal", "targets", "incumbent")
"""Settings of searches for one objective."""


@dataclass
class OracleConfig:
    """What an evaluation is."""

    kind: Literal["table", "boosted", "predictor", "train"] = "table"
    """Measured labels, gradient boosting on all labels, a fitted predictor, or a real training."""
    labels: str | None = None
    """Table name or file; the built-in one of the space if not given."""
    metric: str | None = None
    """What is searched for; the table's default if not given."""
    test_metric: str | None = None
    """What is reported of the best by `metric`, and never searched for."""
    seconds_metric: str | None = None
    """What an evaluation costs in simulated training seconds."""
    minimise: bool = False
    """Whether lower values are better, of `metric` and of `test_metric`."""
    predictor: str | None = None
    """Run folder of `graphnas train predictor`, or the name of shipped weights with a regression head."""
    dataset: str = "digits"
    """Images of real trainings."""
    epochs: int | None = None
    """Epochs of real trainings; those of the recipe for the images if not given."""

    def __post_init__(self) -> None:
        for name, kinds in ONLY_FOR.items():
            if getattr(self, name) not in (None, False) and self.kind not in kinds:
                raise InvalidValues(
                    f"oracle.{name} has no meaning for oracle.kind {self.kind}, only for {' and '.join(kinds)}"
                )
        if self.epochs is not None:
            check_range(self, 1, "epochs")

    @property
    def label(self) -> str:
        """What the curves show."""
        if self.kind == "train":
            return f"test accuracy on {self.dataset}"
        if self.kind == "predictor":
            return "prediction"
        return f"boosted {self.metric or 'value'}" if self.kind == "boosted" else self.test_metric or self.value_label

    @property
    def value_label(self) -> str:
        """What is searched for."""
        if self.kind == "train":
            return f"validation accuracy on {self.dataset}"
        return self.metric or "value" if self.kind == "table" else self.label

    @property
    def sign(self) -> float:
        """By which the values of a search, of which higher ones are better, are those of the metric."""
        return -1.0 if self.minimise else 1.0


@dataclass
class SearchConfig:
    """One search."""

    space: str = "nb201"
    """Search space."""
    model: str | None = None
    """Run folder of `graphnas train vae`, a .safetensors file, or the name of shipped weights such as svge_nb201, or of
    a model with such weights for the space; what searches in a latent space need."""
    method: str = "latent"
    """latent, latent_random, raw_gp, evolution, local or random."""
    oracle: OracleConfig = field(default_factory=OracleConfig)
    """What an evaluation is."""
    queries: int = 150
    """Most evaluations."""
    max_seconds: float | None = None
    """Simulated training seconds after which nothing more is evaluated."""
    batch_size: int = 5
    """Architectures chosen at a time by methods with a model; the others choose one by one."""
    start: int = 0
    """Random architectures of the pool whose values are known beforehand; they are not counted as evaluations."""
    initial: int = 10
    """Random architectures before the first choice, those of the start included."""
    acquisition: str = "logei"
    """logei, ucb, thompson or mean."""
    surrogate: str = "gp"
    """gp, rbf, deep_kernel, svgp or legacy."""
    proposal: Proposal = "codes"
    """codes: choose among those of a pool; mutants: of a pool and of mutants of the best known; box: decode the best
    points of the box around all codes; trust_region: of a box around the best that grows and shrinks as it succeeds."""
    targets: Targets = "normal_scores"
    """What the surrogate learns."""
    incumbent: Literal["observed", "box"] = "observed"
    """What improvement is measured against: the highest mean at observed points, or in the whole box."""
    dim: int = REDUCED_DIM
    """Principal coordinates of the codes that the surrogate sees."""
    draws: int = 20
    """Decodes per point, of which the most common counts."""
    density: Literal["box", "normal"] = "box"
    """How latent_random draws points."""
    pool_size: int = POOL_LIMIT
    """Most architectures in the pool."""
    cost: Cost | None = None
    """Second objective, to be kept low: parameters or FLOPs of the whole network, as the space counts them (not of a
    smaller one that is trained on digits); the result is then a Pareto front."""
    max_params: float | None = None
    """Only architectures whose whole network has at most so many parameters, such as 500000."""
    max_flops: float | None = None
    """Only architectures whose whole network takes at most so many FLOPs for an image, such as 1e8."""
    seed: int = 0
    """Of all draws."""

    def __post_init__(self) -> None:
        check_range(self, 1, "queries", "batch_size", "initial", "dim", "draws")
        check_range(self, 2, "pool_size")
        check_range(self, 0, "seed", "start")
        for name in ("max_seconds", "max_params", "max_flops"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise InvalidValues(f"{name} must be positive (got {value})")
        self.check_contradictions()

    def check_contradictions(self) -> None:
        """Refuse settings that would be ignored.

        Raises:
            InvalidValues: naming the first.
        """
        kind = self.oracle.kind
        if self.max_seconds is not None and kind != "train" and self.oracle.seconds_metric is None:
            raise InvalidValues("max_seconds needs to know what an evaluation costs: pass --oracle.seconds_metric NAME")
        if self.start and kind == "train":
            raise InvalidValues("start has no meaning for oracle.kind train: no value is known before it is paid for")
        if self.cost is None:
            return
        usual = {one.name: one.default for one in fields(self)}
        for name in WITHOUT_COST:
            if getattr(self, name) != usual[name]:
                raise InvalidValues(f"{name} has no meaning with cost, whose searches choose their own: leave it out")
