"""The short trainings of the demo."""

from __future__ import annotations

from graphnas.train.config import FitConfig


def short_fit(
    steps: int, batch_size: int, learning_rate: float, validations: int, warmup_steps: int, seed: int, device: str
) -> FitConfig:
    """A training of a few minutes, or seconds, that is validated so many times on its way."""
    return FitConfig(
        max_steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        beta2=0.99,
        validate_every=max(1, steps // validations),
        warmup_steps=min(warmup_steps, steps // 4),
        seed=seed,
        device=device,
    )
