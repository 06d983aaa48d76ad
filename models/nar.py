"""NAR: the Neural Architecture Ranker (Guo et al., ACM MM 2022, arXiv 2201.12725)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from graphnas.models.layers.attention import Encoder, SharedDecoder
from graphnas.models.layers.cell_tensors import cell_tensors
from graphnas.models.predictor import Predictor, PredictorConfig
from graphnas.models.zoo import register_model
from graphnas.spaces import Architectures, SearchSpace


@dataclass(frozen=True)
class NARConfig(PredictorConfig):
    """Hyper-parameters of NAR; the defaults are the ones published for NAS-Bench-101."""

    costs: bool = True
    """Cells are shown with FLOPs and parameters; False leaves the operations alone, which is not NAR any more."""
    raw_costs: bool = False
    """Costs as plain counts, not in units of the space: published for NAS-Bench-201, where they drown the rest."""
    dataset: str | None = None
    """Data set whose network is priced, where the space knows several."""
    hidden_dim: int = 256
    """D, width of a token; 128 was published for NAS-Bench-201."""
    inner_dim: int = 1024
    """Width inside the feed-forward parts; 512 on NAS-Bench-201."""
    layers: int = 6
    """Of the encoder, and of the decoder."""
    heads: int = 4
    """H, attention heads."""
    dropout: float = 0.1
    """Everywhere in encoder and decoder."""
    score_dim: int = 2048
    """Hidden width of the score head; 1024 on NAS-Bench-201."""
    tier_dim: int = 2048
    """Hidden width of the tier head; 256 on NAS-Bench-201."""
    tiers: int = 5
    """K, quality tiers of equal size."""
    memory: float = 0.9
    """What one training batch leaves of the tier statistics before it."""
    faithful: bool = False
    """Tier statistics as published: plain sums that start from nothing in every epoch and every validation."""

    def __post_init__(self) -> None:
        self.check_counts("hidden_dim", "inner_dim", "layers", "heads", "score_dim", "tier_dim")
        if self.hidden_dim % self.heads:
            raise ValueError(f"hidden_dim must be a multiple of heads (got {self.hidden_dim} and {self.heads})")
        if self.tiers < 2:
            raise ValueError(f"tiers must be at least 2 (got {self.tiers})")
        for name in ("dropout", "memory"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 0 and below 1 (got {getattr(self, name)})")


@register_model("nar")
class NAR(Predictor):
    """Neural Architecture Ranker: a transformer over the costs of the modules, with tiers and a relative score.

    One token per matrix of the cell (types, FLOPs and parameters per module, see `layers.cell_tensors`); the encoder E
    reads them, the decoder compares what it read with every tier, whose embedding T_k is the mean code of its members:

        m = E(W x),   z_k = D(U T_k, m),   tier logits = MLP(sum_k z_k) / sqrt(D),   score = MLP(m)

    trained on tier cross-entropy + lambda * pairwise logistic loss (`graphnas.train.nar`).

    Shapes: cell tensors [B, P, d, d] with P = 1 + 2 M, memory m [B, P, D], codes [B, P D], tier logits [B, K], best
    tier first, scores [B]. With the published sizes NAS-Bench-101 has 31,057,670 parameters, NAS-Bench-201 7,869,446.

    Differences from the released code, where the mathematics of a row given its tier embeddings is the same:

    - one decoder pass for all tiers; in training its first self-attention has one dropout mask for the batch;
    - tier embeddings are buffers, saved with the weights: decayed means over training batches instead of sums that
      restart from zero every epoch, and the first batch is compared with its own means instead of five equal zeros;
    - evaluation never changes them, so a row's logits do not depend on other rows, and no true tier of a validation
      architecture reaches the logits of a later one (`faithful=True` brings the published statistics back);
    - costs are scaled on NAS-Bench-201 too (`raw_costs=True` for plain counts);
    - scores do not need the decoder, which is not run for them.

    Paper: https://arxiv.org/abs/2201.12725

    >>> from graphnas import create_model, get_space
    >>> nar, toy = create_model("nar", "toy", hidden_dim=16, layers=1).eval(), get_space("toy").enumerate()[:3]
    >>> nar(toy).shape, nar.tiers(toy).shape
    (torch.Size([3]), torch.Size([3, 5]))
    """

    config_class = NARConfig
    tier_sums: Tensor
    tier_counts: Tensor

    def __init__(self, config: NARConfig, space: SearchSpace | str) -> None:
        super().__init__(config, space)
        self.options, dim = config, config.hidden_dim
        layout = self.space.cell_layout
        self.tokens = 1 + 2 * layout.modules * config.costs
        self.embed_dim = self.tokens * dim
        sizes = (self.tokens, dim, config.inner_dim, config.layers, config.heads, config.dropout)
        self.patch, self.tier_patch = nn.Linear(layout.width**2, dim), nn.Linear(dim, dim)
        self.encoder, self.decoder = Encoder(*sizes), SharedDecoder(*sizes)
        self.score_head = nn.Sequential(
            nn.Linear(self.embed_dim, config.score_dim), nn.ReLU(), nn.Linear(config.score_dim, 1)
        )
        self.tier_head = nn.Sequential(
            nn.Linear(self.embed_dim, config.tier_dim, bias=False), nn.ReLU(), nn.Linear(config.tier_dim, config.tiers)
        )
        self.register_buffer("tier_sums", torch.zeros(config.tiers, self.tokens, dim))
        self.register_buffer("tier_counts", torch.zeros(config.tiers))
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    # -- scores -------------------------------------------------------------------------------------------------
    def read(self, archs: Architectures) -> Tensor:
        """What the encoder makes of architectures, the memory of the decoder: float [B, P, D]."""
        archs, options = self.prepare(archs), self.options
        cells = cell_tensors(self.space, archs, options.raw_costs, options.dataset, options.costs)
        return cast(Tensor, self.encoder(self.patch(cells.flatten(2).to(self.patch.weight.dtype))))

    def embed(self, archs: Architectures) -> Tensor:
        return self.read(archs).flatten(1)

    def score(self, codes: Tensor) -> Tensor:
        scores: Tensor = self.score_head(codes).squeeze(1)
        return scores

    # -- tiers --------------------------------------------------------------------------------------------------
    def tiers(self, archs: Architectures) -> Tensor:
        """Tier logits of architectures, float [B, K], best tier first."""
        return self.tier_logits(self.read(archs))

    def tier_logits(self, memory: Tensor) -> Tensor:
        """Tier logits [B, K] of what the encoder made, [B, P, D]."""
        means = self.tier_sums / self.tier_counts.clamp_min(1e-30)[:, None, None]  # a tier without members is 0
        compared = self.decoder(self.tier_patch(means.to(memory.dtype)), memory).sum(1)
        logits: Tensor = self.tier_head(compared.flatten(1))
        return logits / math.sqrt(self.options.hidden_dim)

    @torch.no_grad()
    def reset_tiers(self) -> None:
        """Forget the members of all tiers."""
        self.tier_sums.zero_()
        self.tier_counts.zero_()

    @torch.no_grad()
    def update_tiers(self, memory: Tensor, tier: Tensor, keep: float = 1.0) -> None:
        """Enter members [B, P, D] of the tiers int64 [B]; what is known already counts `keep` times as much as before.

        A tier that gets no member keeps its mean, whatever `keep`.
        """
        memory = memory.detach().to(self.tier_sums.dtype)
        self.tier_sums.mul_(keep).index_add_(0, tier, memory)
        self.tier_counts.mul_(keep).index_add_(0, tier, torch.ones_like(tier, dtype=self.tier_counts.dtype))
