"""Bayesian optimisation beyond the trained size: a VAE's decoder goes on, its encoder and a surrogate judge."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from graphnas.bo.codes import REDUCED_DIM, LatentCodes, default_pool
from graphnas.bo.extrapolation import around, generate_beyond
from graphnas.bo.surrogate_search import SurrogateSearch, Targets
from graphnas.bo.surrogates import Posterior
from graphnas.errors import InvalidValues, SpaceMismatch
from graphnas.models import GraphVAE
from graphnas.models.enlarge import enlarge
from graphnas.spaces import Architectures, SearchSpace, get_space
from graphnas.train.evaluate import encode_all

PARENTS = 10
"""Best known architectures around whose codes is decoded."""
SPREAD = 0.5
"""Noise on those codes, in spreads of theirs."""


class BeyondBO(SurrogateSearch):
    """Architectures of a larger space, grown from the codes of the best known ones; higher values are better.

    For every batch the decoder goes on past the trained size (:func:`generate_beyond`) from codes of which one half lie
    around those of the ten best known architectures, larger ones included as they are told, the other half anywhere in
    the box of the trained space. What it makes is valid and larger by construction; the enlarged encoder places it
    beside everything known, and the acquisition of a surrogate on these points chooses. How values are learned from:
    :class:`SurrogateSearch`.

    Args:
        model: a trained VAE.
        larger_space: name or object, with the vocabulary of the model's space.
        archs: N architectures of the model's space that were evaluated.
        values: their values [N], NaN where an evaluation failed; by the oracle that will judge the larger ones.
        acquisition: `mean`, `ucb`, `logei` or `thompson`. Half of what is grown lies outside of all data, where a
            surrogate is unsure of everything: the hope for improvement would choose by that alone.
        seed: of all draws.
        surrogate: `gp`, `rbf`, `deep_kernel`, `svgp` or `legacy`.
        pool: architectures of the model's space whose codes make the box; by default the space, or 50,000 of it.
        candidates: architectures decoded for every batch.
        dim: principal coordinates of the codes that the surrogate sees.
        targets: `normal_scores` or `standardised`.
        new_places: `repeat` lets models with weights for every place go on with those of the last one.

    Raises:
        SpaceMismatch: a space that is not larger, another vocabulary, a model that cannot go on.
        InvalidValues: fewer than two successful evaluations to go on from.

    >>> from graphnas import create_model
    >>> small = get_space("toy_4").enumerate()
    >>> model = create_model("svge", "toy_4", node_dim=16, latent_dim=4)
    >>> search = BeyondBO(model, "toy", small, small.adj.sum((1, 2)).double(), candidates=50)
    >>> search.ask(3).num_nodes.tolist()
    [5, 5, 5]
    """

    codes: LatentCodes

    def __init__(
        self, model: GraphVAE, larger_space: SearchSpace | str, archs: Architectures, values: Tensor,
        acquisition: str = "mean", seed: int = 0, surrogate: str = "gp", pool: Architectures | None = None,
        candidates: int = 1000, dim: int = REDUCED_DIM, targets: Targets = "normal_scores", new_places: str = "refuse",
    ) -> None:  # fmt: skip
        larger, values = get_space(larger_space), torch.as_tensor(values).detach().cpu().double()
        grown = can_go_on(model, larger, new_places)
        if len(values) != len(archs) or int(values.isfinite().sum()) < 2:
            raise InvalidValues(
                f"expected the values of at least 2 evaluated architectures to go on from (got {len(archs)} "
                f"architectures and {int(values.isfinite().sum())} values)"
            )
        pool = default_pool(model.space, seed) if pool is None else pool
        codes = LatentCodes(grown, pool.widen(larger.max_nodes), dim)
        super().__init__(codes, acquisition, seed, surrogate, 0, targets)
        self.model, self.candidates, self.new_places = model, candidates, new_places
        self.base, self.base_values = archs.to("cpu").widen(larger.max_nodes), values
        self.points = codes.place(self.base)

    def known(self) -> tuple[Architectures, Tensor]:
        """What was evaluated in either space, failures with the lowest value of all others."""
        values = torch.cat([self.base_values, self.values])
        low = float(values[~values.isnan()].min())
        return Architectures.concat([self.base, self.archs]), values.nan_to_num(low)

    def grow(self, n: int, generator: Generator) -> Architectures:
        """`n` architectures beyond the trained size, from codes around the best known ones and in the whole box."""
        archs, values = self.known()
        best = encode_all(self.codes.model, archs[values.argsort(descending=True, stable=True)[:PARENTS]]).cpu()
        near = around(best, (n + 1) // 2, SPREAD, generator)
        anywhere = self.codes.restore(self.codes.draw(n // 2, generator))
        codes = torch.cat([near, anywhere])
        return generate_beyond(self.model, self.space, codes, generator, new_places=self.new_places)

    def promising(self, posterior: Posterior, n: int, generator: Generator) -> Architectures:
        """The most promising of what the decoder makes."""
        archs = self.grow(self.candidates, generator)
        archs = archs[self.fresh(archs)]
        if not len(archs):
            return archs
        return archs[self.pick(posterior, self.codes.place(archs), n, generator)]

    def spare(self, n: int, generator: Generator) -> Architectures:
        return self.grow(n, generator)


def can_go_on(model: GraphVAE, larger: SearchSpace, new_places: str = "refuse") -> GraphVAE:
    """The model for a larger space, see :func:`graphnas.models.enlarge.enlarge`.

    Raises:
        SpaceMismatch: a space that is not larger, another vocabulary, or a model whose decoder cannot go on.
    """
    grown = enlarge(model, larger, "repeat")  # first what no setting can help
    if larger.max_nodes == model.space.max_nodes:
        raise SpaceMismatch(
            f"expected a space of more than {model.space.max_nodes} vertices (got {larger.name} with up to "
            f"{larger.max_nodes})"
        )
    if grown.latent_dim != model.latent_dim:
        raise SpaceMismatch(
            f"{model.registered_name} has a code for every vertex: those of {model.space.name} say nothing of further "
            f"vertices, so it cannot go on in {larger.name}"
        )
    return enlarge(model, larger, new_places)
