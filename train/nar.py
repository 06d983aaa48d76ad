"""How NAR learns: in which tier an architecture is, and which of two is better (Guo et al. 2022, arXiv 2201.12725)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from graphnas.errors import InvalidValues
from graphnas.metrics import kendall_tau
from graphnas.models import NAR, Predictor
from graphnas.spaces import Architectures
from graphnas.train.losses import LOSSES
from graphnas.train.objectives import OBJECTIVES, Objective

BATCH = 256  # graphs compared with all tiers at once outside training


def tier_borders(y: Tensor, tiers: int) -> Tensor:
    """The lowest label of every tier but the last, float [K - 1], descending.

    Tiers are of floor(B / K) labels each, the best first, and the last has the rest.

    Raises:
        InvalidValues: fewer labels than tiers.
    """
    if len(y) < tiers:
        raise InvalidValues(f"expected at least one label per tier, {tiers} (got {len(y)})")
    last = torch.arange(1, tiers, device=y.device) * (len(y) // tiers) - 1
    return y.sort(descending=True).values[last]


def tiers_of(y: Tensor, borders: Tensor) -> Tensor:
    """The tier of every label, int64 [B], 0 is best; equal labels are in the same tier, the better one at a border."""
    return (y[:, None] < borders).sum(1)


class TierObjective(Objective):
    """Tier cross-entropy + balance * loss of the scores, with the tiers of the training labels.

    With y the labels, t(y) their tiers, z the tier logits and r the scores, for the logistic loss

        total = mean_i -log softmax(z_i)_t(y_i)  +  balance * mean over y_i > y_j of softplus(r_j - r_i)

    The published normaliser counts pairs of equal labels as a constant log 2; here they are left out. The tiers of
    validation labels are those of the training labels, and learning ends with the tier statistics that training left;
    with `faithful` models both statistics restart as published, from true validation tiers as well, so that `tier`,
    `accuracy` and `total` of a validation are too good.

    Args:
        model: NAR.
        y: float [B], all training labels.
        loss: of the scores, in `graphnas.train.losses`.
        balance: weight of that loss; 9 was published for NAS-Bench-101 and 1 for NAS-Bench-201.
        epoch: steps of an epoch, for `faithful`.
    """

    model: NAR
    borders: Tensor
    steps: Tensor

    def __init__(self, model: NAR, y: Tensor, loss: str = "logistic", balance: float = 1.0, epoch: int = 1) -> None:
        super().__init__()
        if balance < 0 or epoch < 1:
            raise InvalidValues(f"expected balance >= 0 and epoch >= 1 (got {balance} and {epoch})")
        self.model, self.loss, self.balance, self.epoch = model, LOSSES[loss], balance, epoch
        self.register_buffer("borders", tier_borders(y, model.options.tiers))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, archs: Architectures, y: Tensor | None = None) -> dict[str, Tensor]:
        tier, memory = tiers_of(checked(y), self.borders), self.model.read(archs)
        if self.training:
            self._before(memory, tier)
        logits, scores = self.model.tier_logits(memory), self.model.score(memory.flatten(1))
        if self.training:
            self._after(memory, tier)
        return self._losses(scores, logits, checked(y), tier)

    def _losses(self, scores: Tensor, logits: Tensor, y: Tensor, tier: Tensor) -> dict[str, Tensor]:
        """Scalars of scores [B], logits [B, K], labels [B] and their tiers [B]."""
        tiers, ranks = cross_entropy(logits, tier), self.loss(scores, y)
        accuracy = (logits.argmax(1) == tier).float().mean()
        return {"total": tiers + self.balance * ranks, "tier": tiers, "rank": ranks, "accuracy": accuracy}

    def _before(self, memory: Tensor, tier: Tensor) -> None:
        """Something to compare the first batch with, or the published fresh start of an epoch."""
        if self.model.options.faithful:
            if int(self.steps) % self.epoch == 0:
                self.model.reset_tiers()
        elif int(self.steps) == 0:
            self.model.update_tiers(memory, tier)
        self.steps += 1

    def _after(self, memory: Tensor, tier: Tensor) -> None:
        """Enter the batch; the first one is in already where it was compared with itself."""
        if self.model.options.faithful:
            self.model.update_tiers(memory, tier)
        elif int(self.steps) > 1:
            self.model.update_tiers(memory, tier, self.model.options.memory)

    @torch.no_grad()
    def validate(self, archs: Architectures, y: Tensor | None = None) -> dict[str, float]:
        """Losses, tier accuracy and Kendall's tau-b (NaN where it is not defined) of all held-out graphs at once."""
        y = checked(y).to(self.borders.device)
        kept = {name: value.clone() for name, value in self.model.named_buffers() if name.startswith("tier_")}
        faithful, parts = self.model.options.faithful, []
        self.eval()
        if faithful:
            self.model.reset_tiers()
        for rows in torch.arange(len(archs), device=archs.device).split(BATCH):
            memory = self.model.read(archs[rows])
            parts.append((self.model.score(memory.flatten(1)), self.model.tier_logits(memory)))
            if faithful:  # the published leak: later rows are compared with the true tiers of earlier ones
                self.model.update_tiers(memory, tiers_of(y[rows.to(y.device)], self.borders))
        scores, logits = (torch.cat(part) for part in zip(*parts, strict=True))
        for name, value in kept.items():
            self.model.get_buffer(name).copy_(value)
        self.train()
        losses = self._losses(scores, logits, y, tiers_of(y, self.borders))
        return {name: float(value) for name, value in losses.items()} | {"kendall": kendall_tau(scores, y)}


def checked(y: Tensor | None) -> Tensor:
    """The labels.

    Raises:
        InvalidValues: there are none.
    """
    if y is None:
        raise InvalidValues("NAR learns from labels: none were given")
    return y


@OBJECTIVES.register("tiers")
def tier_objective(model: Predictor, loss: str, y: Tensor, batch_size: int, balance: float = 1.0) -> Objective:
    """The :class:`TierObjective` of NAR."""
    if not isinstance(model, NAR):
        raise InvalidValues(f"the objective 'tiers' needs a model with tiers, nar (got {model.registered_name!r})")
    return TierObjective(model, y, loss, balance, max(1, len(y) // batch_size))
