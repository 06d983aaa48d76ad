"""From a code to one architecture: the most common of many decodes."""

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
