"""The meta neural network of the encodings studies (White et al. 2020, arXiv 2007.04965, and BANANAS, 1910.11858)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, relu

from graphnas.models.features import default_path_length, path_count, path_features, raw_features
from graphnas.models.predictor import Predictor, PredictorConfig
from graphnas.models.zoo import register_model
from graphnas.spaces import Architectures, SearchSpace


@dataclass(frozen=True)
class MLPConfig(PredictorConfig):
    """Hyper-parameters of the meta neural network; the defaults are the published ones."""

    features: Literal["adjacency", "path"] = "adjacency"
    """What an architecture is: its types and edges as bits, or which operation sequences lie on its paths."""
    path_length: int | None = None
    """Most operations of a path that is looked at, for `path`; None looks as far as there are 4,096 paths at most."""
    ensemble: int = 5
    """K, networks that differ in their initial weights; their mean is the score."""
    layers: int = 10
    """Hidden layers."""
    width: int = 20
    """Units of a hidden layer."""

    def __post_init__(self) -> None:
        self.check_counts("ensemble", "layers", "width")
        if self.features not in ("adjacency", "path"):
            raise ValueError(f"features must be adjacency or path (got {self.features!r})")
        if self.path_length is not None and self.path_length < 0:
            raise ValueError(f"path_length must be at least 0 (got {self.path_length})")


class ManyLinear(nn.Module):
    """K linear maps side by side, Glorot weights and zero biases as in Keras.

    Args:
        count: K.
        in_dim: I.
        out_dim: O.
    """

    def __init__(self, count: int, in_dim: int, out_dim: int) -> None:
        super().__init__()
        bound = (6 / (in_dim + out_dim)) ** 0.5
        self.weight = nn.Parameter(torch.empty(count, in_dim, out_dim).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(count, 1, out_dim))

    def forward(self, x: Tensor) -> Tensor:
        """[K, B, I] -> [K, B, O]."""
        return torch.baddbmm(self.bias, x, self.weight)


@register_model("mlp")
class MLP(Predictor):
    """An ensemble of ten-layer perceptrons on fixed features, all members in one batched product.

        x <- relu(x W_k + b_k)   10 times, 20 units,    score = mean over k of the linear output of member k

    Every member has a loss of its own; their spread, see `member_scores`, is the uncertainty BANANAS uses. All see
    the same batches, and differ by their initial weights only (the published ones are shuffled apart too).

    Shapes: features [B, F], codes [B, K * 20] (the last hidden layers side by side), scores [B].

    Paper: https://arxiv.org/abs/2007.04965

    >>> from graphnas import create_model, get_space
    >>> model, toy = create_model("mlp", "toy", features="path"), get_space("toy")
    >>> model.member_scores(toy.enumerate()[:3]).shape
    torch.Size([5, 3])
    """

    config_class = MLPConfig

    def __init__(self, config: MLPConfig, space: SearchSpace | str) -> None:
        super().__init__(config, space)
        self.kind, self.count = config.features, config.ensemble
        self.path_length = default_path_length(self.space) if config.path_length is None else config.path_length
        self.embed_dim = config.ensemble * config.width
        widths = [self.num_features(), *[config.width] * config.layers]
        self.layers = nn.ModuleList(ManyLinear(config.ensemble, *pair) for pair in pairwise(widths))
        self.out = ManyLinear(config.ensemble, config.width, 1)

    def num_features(self) -> int:
        """F, that of the costs of all vertices included."""
        nodes, ops = self.space.max_nodes, self.space.num_ops
        entries = path_count(self.space, self.path_length)
        if self.kind == "adjacency":
            entries = nodes * ops + nodes * (nodes - 1) // 2 + 1
        return entries + 2 * nodes * self.costs

    def features(self, archs: Architectures) -> Tensor:
        """Features of prepared graphs, float [B, F]."""
        dtype = self.out.weight.dtype
        if self.kind == "path":
            found = path_features(self.space, archs, self.path_length).to(dtype)
        else:
            found = raw_features(self.space, archs).to(dtype)
        if not self.costs:
            return found
        costs = self.vertex_inputs(archs)[:, :, -2:].flatten(1)
        return torch.cat([found, pad(costs, (0, 2 * self.space.max_nodes - costs.shape[1]))], 1)

    def embed(self, archs: Architectures) -> Tensor:
        x = self.features(self.prepare(archs)).expand(self.count, -1, -1)
        for layer in self.layers:
            x = relu(layer(x))
        return x.transpose(0, 1).flatten(1)

    def scores_of_all(self, codes: Tensor) -> Tensor:
        """Every member's scores [K, B] of codes [B, D]."""
        opinions: Tensor = self.out(codes.unflatten(1, (self.count, -1)).transpose(0, 1)).squeeze(2)
        return opinions

    def score(self, codes: Tensor) -> Tensor:
        return self.scores_of_all(codes).mean(0)

    def member_scores(self, archs: Architectures) -> Tensor:
        return self.scores_of_all(self.embed(archs))
