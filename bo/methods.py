"""Searches by name, made from one config: what is compared shares space, pool, codes and budget."""

from __future__ import annotations

from collections.abc import Callable

from graphnas.bo.acquisition import ACQUISITIONS
from graphnas.bo.baselines import LocalSearch, RandomSearch, RegularisedEvolution
from graphnas.bo.config import SearchConfig
from graphnas.bo.latent_bo import LatentBO, LatentRandom
from graphnas.bo.pareto import ParetoBO, ParetoEvolution
from graphnas.bo.pool_bo import PoolBO
from graphnas.bo.searcher import Searcher
from graphnas.bo.setting import Setting
from graphnas.bo.surrogates import SURROGATES
from graphnas.registry import Registry

METHODS: Registry[Callable[[Setting, int], Searcher]] = Registry("search method")
"""(setting, seed) -> search."""
WITH_SURROGATE = ("latent", "raw_gp")
"""Methods that read what :data:`graphnas.bo.config.WITHOUT_COST` names."""


def check_names(config: SearchConfig) -> None:
    """Refuse names that nothing is registered for, even where the method would not use them.

    Raises:
        UnknownName: of an acquisition or a surrogate.
    """
    ACQUISITIONS[config.acquisition]
    SURROGATES[config.surrogate]


def make_searcher(setting: Setting, method: str, seed: int) -> Searcher:
    """A search that keeps to the limits of the setting.

    Raises:
        UnknownName: an unknown method, acquisition or surrogate.
        InvalidValues: a search in a latent space without a model.
    """
    check_names(setting.config)
    searcher = METHODS[method](setting, seed).resorting_to(setting.pool)
    return searcher.within(setting.allowed) if setting.limits else searcher


@METHODS.register("latent")
def latent(setting: Setting, seed: int) -> Searcher:
    """Bayesian optimisation on the codes of a VAE."""
    config, codes = setting.config, setting.latent
    if config.cost is not None:
        return ParetoBO(codes, config.cost, seed, config.initial)
    return LatentBO(
        codes.model, codes.space, config.acquisition, seed, config.surrogate, config.proposal, initial=config.initial,
        draws=config.draws, codes=codes, targets=config.targets, incumbent=config.incumbent,
    )  # fmt: skip


@METHODS.register("raw_gp")
def raw_gp(setting: Setting, seed: int) -> Searcher:
    """The same on the entries of the architectures."""
    config = setting.config
    if config.cost is not None:
        return ParetoBO(setting.raw, config.cost, seed, config.initial)
    return PoolBO(setting.raw, config.acquisition, seed, config.surrogate, config.initial, config.targets)


@METHODS.register("latent_random")
def latent_random(setting: Setting, seed: int) -> Searcher:
    """Decodes of random points of the latent space."""
    return LatentRandom(setting.latent, seed, setting.config.density, setting.config.draws)


@METHODS.register("evolution")
def evolution(setting: Setting, seed: int) -> Searcher:
    """Regularised evolution."""
    config = setting.config
    if config.cost is not None:
        return ParetoEvolution(config.space, config.cost, seed, config.initial)
    return RegularisedEvolution(config.space, seed, config.initial)


@METHODS.register("local")
def local(setting: Setting, seed: int) -> Searcher:
    """Local search."""
    return LocalSearch(setting.config.space, seed, setting.config.initial)


@METHODS.register("random")
def random(setting: Setting, seed: int) -> Searcher:
    """Uniform draws from the pool."""
    return RandomSearch(setting.config.space, seed, setting.pool)
