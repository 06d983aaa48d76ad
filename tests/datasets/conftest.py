"""Fixtures for datasets."""

from __future__ import annotations

import pytest
import torch

from graphnas.spaces import Architectures, get_space


@pytest.fixture(scope="session")
def cells() -> Architectures:
    """All 15,625 NB201 cells."""
    return get_space("nb201").enumerate()


@pytest.fixture(scope="session")
def random_cells() -> Architectures:
    """1,000 graphs of 1 to 7 vertices in no particular space."""
    generator = torch.Generator().manual_seed(0)
    num_nodes = torch.randint(1, 8, (1000,), generator=generator)
    ops = torch.randint(0, 5, (1000, 7), generator=generator, dtype=torch.uint8)
    adj = (torch.rand(1000, 7, 7, generator=generator) < 0.4).triu(1)
    return Architectures(ops, adj, num_nodes).clean()
