"""Architectures as trainable convolutional networks."""

from __future__ import annotations

from graphnas.networks.base import NETWORKS, Images, Network, build_network

from graphnas.networks import darts, enas, nb101, nb201, toy  # isort: skip  # noqa: F401  (register themselves)

__all__ = ["NETWORKS", "Images", "Network", "build_network", "list_networks"]


def list_networks() -> list[str]:
    """Search spaces `build_network` knows a network of."""
    return NETWORKS.names()
