"""Many NAS-Bench-201 networks trained together as one batched computation."""

from graphnas.networks.stacked.network import StackedNB201
from graphnas.networks.stacked.training import Counts, train_stacked

__all__ = ["Counts", "StackedNB201", "train_stacked"]
