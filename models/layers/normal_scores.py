"""Labels as normal scores: their ranks on a Gaussian scale, and the way back."""

from __future__ import annotations

import torch
from torch import Tensor

from graphnas.errors import InvalidValues


class NormalScores:
    """A rising map between labels and z-values, piecewise linear through the training labels.

    The label of rank r among n (equal labels share their mean rank) has z = Phi^-1((r - 1/2) / n). Beyond the outermost
    labels the map goes on with the slope of the whole, (y_max - y_min) / (z_max - z_min).

    Args:
        y: float [n], all training labels.

    Raises:
        InvalidValues: labels that are not finite or all the same.
    """

    def __init__(self, y: Tensor) -> None:
        y = y.detach().cpu().double()
        if not bool(y.isfinite().all()):
            raise InvalidValues("labels must be finite")
        self.labels, self.inverse, counts = y.unique(return_inverse=True, return_counts=True)
        if len(self.labels) < 2:
            raise InvalidValues(f"labels must differ (got {len(y)} of one value)")
        middle = counts.cumsum(0) - (counts.double() - 1) / 2  # mean rank, from 1
        self.z = torch.special.ndtri((middle - 0.5) / len(y))
        self.slope = (self.labels[-1] - self.labels[0]) / (self.z[-1] - self.z[0])

    @property
    def scores(self) -> Tensor:
        """z of the training labels, float64 [n]."""
        return self.z[self.inverse]

    def restore(self, z: Tensor) -> Tensor:
        """Labels of z-values, float64 [...]."""
        z = z.double()
        inside = z.clamp(self.z[0], self.z[-1])
        right = torch.searchsorted(self.z, inside).clamp(1, len(self.z) - 1)
        left = right - 1
        share = (inside - self.z[left]) / (self.z[right] - self.z[left])
        return self.labels[left] + share * (self.labels[right] - self.labels[left]) + self.slope * (z - inside)

    def restore_std(self, z: Tensor, std: Tensor) -> Tensor:
        """Standard deviations of labels from those of z-values: half the width of the label interval z -+ std."""
        return (self.restore(z + std) - self.restore(z - std)) / 2
