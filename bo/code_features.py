"""Regressions on the codes of a trained VAE, in every other respect those on raw features they stand beside."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from graphnas.errors import UnknownName
from graphnas.models import FeatureConfig, FeaturePredictor, GaussianProcess, GPConfig, GraphVAE, Ridge
from graphnas.models.arch2vec import Arch2Vec
from graphnas.spaces import Architectures
from graphnas.train.evaluate import encode_all

BLOCK = 1024
Head = Literal["ridge", "gp"]


@torch.no_grad()
def codes_of(model: GraphVAE, archs: Architectures) -> Tensor:
    """What a VAE says about architectures, float [B, Z] on the CPU: the posterior mean.

    A model with a code for every vertex (arch2vec) gives their published mean instead, whose width knows no size.
    """
    if not isinstance(model, Arch2Vec):
        return encode_all(model, archs)
    starts = range(0, len(archs), BLOCK)
    parts = [model.eval().embed(archs[start : start + BLOCK]).cpu() for start in starts]
    return torch.cat(parts) if parts else torch.zeros(0, model.settings.latent_dim)


class CodeRidge(Ridge):
    """:class:`Ridge` on codes; the VAE keeps its weights."""

    def __init__(self, vae: GraphVAE) -> None:
        super().__init__(FeatureConfig(), vae.space)
        self.vae = vae

    def groups(self, archs: Architectures) -> dict[str, Tensor]:
        return {"codes": codes_of(self.vae, archs)}


class CodeGP(GaussianProcess):
    """:class:`GaussianProcess` on codes; the VAE keeps its weights."""

    def __init__(self, vae: GraphVAE) -> None:
        super().__init__(GPConfig(), vae.space)
        self.vae = vae

    def groups(self, archs: Architectures) -> dict[str, Tensor]:
        return {"codes": codes_of(self.vae, archs)}


def code_predictor(vae: GraphVAE, head: Head) -> FeaturePredictor:
    """A regression on the codes of a VAE, not fitted yet.

    Raises:
        UnknownName: another head than `ridge` and `gp`.
    """
    heads: dict[str, type[CodeRidge] | type[CodeGP]] = {"ridge": CodeRidge, "gp": CodeGP}
    if head not in heads:
        raise UnknownName("head on codes", head, heads)
    return heads[head](vae)
