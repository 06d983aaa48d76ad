"""How good a graph VAE is: reconstruction, likelihood, validity, uniqueness and novelty, all batched."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from graphnas.errors import InvalidValues
from graphnas.metrics import (
    kendall_tau,
    mean_confidence_interval,
    novelty,
    pearson,
    rmse,
    uniqueness,
    uniqueness_half_width,
)
from graphnas.models import GraphModel, GraphVAE, Predictor
from graphnas.spaces import Architectures
from graphnas.train.config import SEEDS, check_range
from graphnas.train.data import random_rows, seeded


@dataclass
class EvaluationConfig:
    """Sizes of the protocol; the defaults are those of the D-VAE and SVGe papers."""

    num_graphs: int = 2000
    """Held-out graphs that are reconstructed."""
    encodings: int = 10
    """Encodings per graph; without noise in the code they are all the posterior mean."""
    decodings: int = 10
    """Decodings per encoding, and per point of the prior."""
    prior_points: int = 1000
    """Points drawn from the prior, scaled to the training codes."""
    prior_codes: int = 20_000
    """Training graphs whose codes give the mean and spread of that prior."""
    seed: int = 0
    """Seed of every draw."""

    def __post_init__(self) -> None:
        check_range(self, 1, "num_graphs", "encodings", "decodings", "prior_points")
        check_range(self, 2, "prior_codes")
        check_range(self, 0, "seed", below=SEEDS)


def encode_all(model: GraphVAE, archs: Architectures, batch_size: int | None = None) -> Tensor:
    """Posterior means of many architectures, float [B, Z] on the CPU, in eval mode."""
    was_training, batch_size = model.training, batch_size or model.inference_batch
    model.eval()
    with torch.no_grad():
        parts = [model.encode(archs[i : i + batch_size])[0].cpu() for i in range(0, len(archs), batch_size)]
    model.train(was_training)
    return torch.cat(parts) if parts else torch.zeros(0, model.latent_dim)


@torch.no_grad()
def codes_of(model: GraphModel, archs: Architectures, batch_size: int | None = None) -> Tensor:
    """Codes of many architectures by a VAE or a predictor with one, float [B, D] on the CPU, in eval mode.

    Raises:
        InvalidValues: a model without codes.
    """
    if isinstance(model, GraphVAE):
        return encode_all(model, archs, batch_size)
    if not isinstance(model, Predictor):
        raise InvalidValues(f"{model.registered_name!r} has no codes: expected a VAE or a predictor")
    model.eval()
    batch_size = batch_size or model.inference_batch
    parts = [model.embed(archs[i : i + batch_size]).cpu() for i in range(0, len(archs), batch_size)]
    return torch.cat(parts) if parts else torch.zeros(0, model.embed_dim)


@torch.no_grad()
def decode_all(
    model: GraphVAE,
    codes: Tensor,
    sample: bool = True,
    generator: Generator | None = None,
    mask: bool = True,
    repeats: int = 1,
    batch_size: int = 4096,
) -> Architectures:
    """Architectures of many codes on the CPU: [B * repeats] rows, those of one code side by side.

    `batch_size` counts draws, so that memory does not grow with `repeats`.
    """
    batch_size = max(1, batch_size // repeats)
    parts = [
        model.decode(codes[i : i + batch_size], sample, generator, mask, repeats).to("cpu")
        for i in range(0, len(codes), batch_size)
    ]
    return Architectures.concat(parts)


def evaluate_vae(
    model: GraphVAE, train: Architectures, test: Architectures, config: EvaluationConfig | None = None
) -> dict[str, float]:
    """The whole metric set of a VAE; shares, except `nll` (nats per graph); NAME_ci is half of a 95 % interval.

    Args:
        model: in any mode; evaluated in eval mode.
        train: every architecture it was trained on: novelty is judged against all of them.
        test: held-out architectures.
        config: sizes.
    """
    config = config or EvaluationConfig()
    was_training = model.training
    model.eval()
    pick = random_rows(torch.arange(len(test)), config.num_graphs, config.seed)
    values = reconstruction(model, test[pick], config)
    reference = train[random_rows(torch.arange(len(train)), config.prior_codes, config.seed)]
    values |= prior(model, encode_all(model, reference), train, config)
    model.train(was_training)
    return values


def reconstruction(model: GraphVAE, graphs: Architectures, config: EvaluationConfig) -> dict[str, float]:
    """Reconstruction of held-out graphs.

    `reconstruction` is the published protocol: the share of encodings x decodings stochastic decodes (default 10 x 10,
    unmasked) that equal the graph index by index. `exact` is the same for the most probable decode under the masks of
    the space, `exact_unmasked` without them, and `exact_isomorphic` up to isomorphism.
    """
    codes = encode_all(model, graphs)
    repeats = config.encodings * config.decodings
    draws = decode_all(model, codes, True, seeded(config.seed), mask=False, repeats=repeats)
    rows = torch.arange(len(graphs)).repeat_interleave(repeats)
    hits = draws.equal(graphs[rows]).view(len(graphs), repeats).float().mean(1)
    interval = mean_confidence_interval(hits)
    best, plain = (decode_all(model, codes, sample=False, mask=mask) for mask in (True, False))
    likelihood = mean_confidence_interval(negative_log_likelihood(model, graphs, codes))
    same_class = model.space.fingerprints(best) == model.space.fingerprints(graphs)
    return {
        "reconstruction": interval.mean,
        "reconstruction_ci": interval.half_width,
        "exact": float(best.equal(graphs).float().mean()),
        "exact_isomorphic": float(same_class.float().mean()),
        "exact_unmasked": float(plain.equal(graphs).float().mean()),
        "nll": likelihood.mean,
        "nll_ci": likelihood.half_width,
    }


@torch.no_grad()
def head_values(model: GraphVAE, archs: Architectures) -> Tensor:
    """The regression head's value of many architectures, float [B] on the CPU, in eval mode."""
    model.eval()
    batch = model.inference_batch
    return torch.cat([model.predict(archs[i : i + batch]).cpu() for i in range(0, len(archs), batch)])


def prediction(model: GraphVAE, archs: Architectures, y: Tensor) -> dict[str, float]:
    """How well the regression head foretells labels [B] of held-out graphs, in the labels' unit."""
    foretold = head_values(model, archs)
    return {
        "prediction_rmse": rmse(foretold, y),
        "prediction_pearson": pearson(foretold, y),
        "prediction_kendall": kendall_tau(foretold, y),
    }


@torch.no_grad()
def negative_log_likelihood(model: GraphVAE, graphs: Architectures, codes: Tensor, batch_size: int = 512) -> Tensor:
    """-log p(graph | code) of every graph, nats: [B] on the CPU."""
    parts = [
        model.log_prob(graphs[i : i + batch_size], codes[i : i + batch_size]).cpu()
        for i in range(0, len(graphs), batch_size)
    ]
    return -torch.cat(parts)


def prior(model: GraphVAE, codes: Tensor, train: Architectures, config: EvaluationConfig) -> dict[str, float]:
    """Decodes of points drawn from N(0, I) scaled per dimension to the training codes.

    For the plain and the masked decoder: `validity`; and among the valid `uniqueness` and `novelty` (against all of
    `train`), counted index by index as published and, with the suffix `_isomorphic`, by class. `uniqueness_ci` is half
    of a 95 % interval over points.
    """
    noise = torch.randn(config.prior_points, codes.shape[1], generator=seeded(config.seed))
    points = noise * codes.std(0) + codes.mean(0)
    known_rows, known_classes = set(train.index_keys()), set(model.space.fingerprints(train).tolist())
    point = torch.arange(config.prior_points).repeat_interleave(config.decodings)
    values: dict[str, float] = {}
    for suffix, mask in (("", False), ("_masked", True)):
        graphs = decode_all(model, points, True, seeded(config.seed + 1), mask, config.decodings)
        valid = model.space.is_valid(graphs)
        kept = graphs[valid]
        rows, classes = kept.index_keys(), model.space.fingerprints(kept).tolist()
        values |= {
            f"validity{suffix}": float(valid.float().mean()),
            f"uniqueness{suffix}": uniqueness(rows),
            f"uniqueness{suffix}_ci": uniqueness_half_width(rows, point[valid].tolist()),
            f"uniqueness_isomorphic{suffix}": uniqueness(classes),
            f"novelty{suffix}": novelty(rows, known_rows),
            f"novelty_isomorphic{suffix}": novelty(classes, known_classes),
        }
    return values
