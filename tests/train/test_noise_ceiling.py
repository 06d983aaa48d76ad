"""The ceiling that label noise puts on a ranking."""

from __future__ import annotations

import pytest
import torch

from graphnas.metrics import kendall_tau
from graphnas.spaces import get_space
from graphnas.tables import Table, load_table
from graphnas.testing import seeded
from graphnas.train.noise_ceiling import noise_ceiling


def made(values: torch.Tensor, count: int) -> Table:
    space, runs = get_space("nb201"), tuple(range(values.shape[1]))
    return Table(
        space, space.enumerate()[:count], values.float()[:, None, :, None], ("accuracy",), run_ids=runs
    )  # fmt: skip


def test_repeated_runs_tell_the_noise() -> None:
    """Close to tau between the truth and means of as many runs, which is what the ceiling stands for."""
    truth = torch.rand(3000, generator=seeded(0)).double()

    def measured(seed: int) -> torch.Tensor:
        return truth[:, None] + 0.1 * torch.randn(3000, 3, generator=seeded(seed)).double()

    ceiling = noise_ceiling(made(measured(1), 3000), "accuracy")
    assert ceiling == pytest.approx(kendall_tau(truth, measured(2).mean(1)), abs=0.02)


def test_equal_functions_tell_the_noise_of_single_runs() -> None:
    space = get_space("nb201")
    archs = space.enumerate()[:4000]
    _, group = space.class_ids(archs).unique(return_inverse=True)
    truth = torch.rand(int(group.max()) + 1, generator=seeded(0)).double()[group]
    noise = torch.randn(4000, generator=seeded(1)).double()
    quiet, loud = (noise_ceiling(made((truth + scale * noise)[:, None], 4000), "accuracy") for scale in (0.01, 0.3))
    assert quiet is not None and loud is not None
    assert loud < 0.75 and quiet > 0.9


def test_labels_that_tell_nothing_have_no_ceiling() -> None:
    table = made(torch.rand(40, 1, generator=seeded(0)), 40)
    assert noise_ceiling(table, "accuracy") is None


def test_the_draws_are_seeded() -> None:
    table = load_table("digits201")
    metric = table.default_metric
    assert (
        noise_ceiling(table, metric, seed=1) == noise_ceiling(table, metric, seed=1) != noise_ceiling(table, metric, 2)
    )
