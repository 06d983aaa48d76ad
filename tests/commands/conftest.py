"""What tests of several commands share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from graphnas.bo import converged_gp

BRIEF_STEPS = 20


@pytest.fixture(scope="module")
def brief_gp() -> Iterator[None]:
    """Gaussian processes of a command's measurements end after a few steps instead of when they have converged."""
    usual = converged_gp.fit_kernel

    def brief(kernel: Any, x: Any, y: Any, steps: int | None = None) -> Any:
        return usual(kernel, x, y, min(steps or BRIEF_STEPS, BRIEF_STEPS))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(converged_gp, "fit_kernel", brief)
        yield
