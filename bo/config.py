"""What a search is told: dataclasses from which the command line and the recipes come."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from graphnas.bo.codes import POOL_LIMIT, REDUCED_DIM
from graphnas.bo.latent_bo import Proposal
from graphnas.bo.surrogate_search import Targets
from graphnas.errors import InvalidValues
from graphnas.train.config import check_range

Cost = Literal["params", "flops"]


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
    """Whether lower values are better."""
    predictor: str | None = None
    """Run folder of `graphnas train predictor`."""
    dataset: str = "digits"
    """Images of real trainings."""
    epochs: int | None = None
    """Epochs of real trainings; those of the recipe for the images if not given."""


@dataclass
class SearchConfig:
    """One search."""

    space: str = "nb201"
    """Search space."""
    model: str | None = None
    """Run folder of `graphnas train vae`, a .safetensors file, or the name of a model with shipped weights; what
    searches in a latent space need."""
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
    """Choose among the codes of a pool, or decode points of the box or of a trust region."""
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
    """Second objective, to be kept low; the result is then a Pareto front."""
    max_params: float | None = None
    """Only architectures with at most so many parameters."""
    max_flops: float | None = None
    """Only architectures with at most so many FLOPs."""
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


@dataclass
class BeyondConfig:
    """How a search goes on beyond the space that its model was trained on."""

    beyond: str | None = None
    """Larger search space, such as nb101_8, in which architectures are proposed when the search is done."""
    beyond_queries: int | None = None
    """How many of --queries are kept for them; a third if not given."""
    candidates: int = 1000
    """Architectures that are decoded beyond for every batch, to choose from."""
    beyond_acquisition: str = "mean"
    """What chooses among them: mean, ucb, logei or thompson. Outside of all data a surrogate is unsure of everything,
    and the hope for improvement would choose by that alone."""
    new_places: Literal["refuse", "repeat"] = "refuse"
    """What models with weights for every place of a graph do: refuse, or repeat those of the last one."""

    def __post_init__(self) -> None:
        check_range(self, 2, "candidates")
        if self.beyond_queries is not None:
            check_range(self, 1, "beyond_queries")

    def share(self, queries: int) -> int:
        """Evaluations of the larger space, of so many in all.

        Raises:
            InvalidValues: fewer than two would be left for the trained space.
        """
        kept = max(1, queries // 3) if self.beyond_queries is None else self.beyond_queries
        if queries - kept < 2:
            raise InvalidValues(f"beyond_queries must leave at least 2 of {queries} queries to the search (got {kept})")
        return kept
