"""From a code to one architecture: the most common of many decodes, or the one whose posterior fits the code best."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from graphnas.models import GraphVAE
from graphnas.spaces import Architectures
from graphnas.train.evaluate import decode_all


class CommonDecodes(NamedTuple):
    """What many decodes of B codes agree on.

    Shapes: archs [B], the most common valid architecture (the first draw where none is valid); votes int64 [B], draws
    that gave it (0 where none is valid); valid int64 [B], draws that were valid.
    """

    archs: Architectures
    votes: Tensor
    valid: Tensor


def most_common_decode(
    model: GraphVAE, codes: Tensor, draws: int = 500, generator: Generator | None = None, mask: bool = True
) -> CommonDecodes:
    """The mode, up to isomorphism, of `draws` stochastic decodes of every code; of equals the one drawn first.

    Args:
        model: decoder and space.
        codes: float [B, Z].
        draws: decodes per code, 500 in the D-VAE and SVGe protocols.
        generator: of the draws.
        mask: decode under the masks of the space, so that every draw is valid.
    """
    graphs = decode_all(model, codes, True, generator, mask, repeats=draws)
    valid = model.space.is_valid(graphs)
    rows = valid.nonzero().flatten()
    classes = model.space.fingerprints(graphs[rows]).numpy()
    owners = (rows // draws).numpy()
    pairs, first, counts = np.unique(np.stack([owners, classes], 1), axis=0, return_index=True, return_counts=True)
    best = np.lexsort((first, -counts, pairs[:, 0]))  # per code: most votes, then drawn first
    codes_seen, place = np.unique(pairs[best, 0], return_index=True)
    winners = best[place]
    chosen, votes = torch.arange(len(codes)) * draws, torch.zeros(len(codes), dtype=torch.int64)
    chosen[codes_seen] = rows[first[winners]]
    votes[codes_seen] = torch.from_numpy(counts[winners])
    return CommonDecodes(graphs[chosen], votes, valid.view(len(codes), draws).sum(1))


@torch.no_grad()
def posterior_decode(
    model: GraphVAE, codes: Tensor, draws: int = 20, generator: Generator | None = None
) -> Architectures:
    """The candidate whose posterior makes each code most likely: argmax over G of log q(z | G), B rows.

    Candidates are the most probable decode and `draws` stochastic ones. Under a uniform prior over architectures the
    best decoder of a given encoder is p(G | z) ~ q(z | G): the trained decoder only proposes here, the encoder decides.

    Args:
        model: any graph VAE.
        codes: float [B, Z].
        draws: stochastic candidates per code.
        generator: of the draws.
    """
    best = decode_all(model, codes, sample=False)
    score = log_posterior(model, best, codes)
    drawn = decode_all(model, codes, True, generator, repeats=draws)
    for draw in range(draws):
        other = drawn[torch.arange(len(codes)) * draws + draw]
        rows = (~other.equal(best)).nonzero().flatten()
        if len(rows) == 0:
            continue
        value = log_posterior(model, other[rows], codes[rows])
        better = value > score[rows]
        score[rows[better]] = value[better]
        best = best.replaced(rows[better], other)
    return best


def log_posterior(model: GraphVAE, archs: Architectures, codes: Tensor, batch_size: int = 1024) -> Tensor:
    """log q(z | G) up to a constant, float [B] on the CPU."""
    parts = []
    for start in range(0, len(archs), batch_size):
        mu, logvar = (part.cpu() for part in model.encode(archs[start : start + batch_size]))
        offset = codes[start : start + batch_size].cpu() - mu
        parts.append(-0.5 * (offset.square() * (-logvar).exp() + logvar).sum(1))
    return torch.cat(parts) if parts else torch.zeros(0)
