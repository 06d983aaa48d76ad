"""Fast D-VAE against the plain restatements of the two models it is made of."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from graphnas import create_model, list_spaces
from graphnas.models import FastDVAE
from graphnas.testing import mixed_batch
from tests.models.plain_async import encode_async
from tests.models.test_svae import plain_decoder


def build(space: str, **options: Any) -> FastDVAE:
    torch.manual_seed(0)
    model = create_model("dvae_fast", space, **{"hidden_dim": 12, "latent_dim": 6, **options})
    assert isinstance(model, FastDVAE)
    return model.eval()


@pytest.mark.parametrize("space", list_spaces())
@pytest.mark.parametrize("options", [{}, {"bidirectional": False, "vertex_ids": False}, {"faithful": True}], ids=str)
def test_agrees_with_plain_restatement(space: str, options: dict[str, Any]) -> None:
    model = build(space, **options)
    archs = mixed_batch(model.space, 4)
    with torch.no_grad():
        mu, logvar = model.encode(archs)
        loss, scores = model.loss(archs)["reconstruction"], model.log_prob(archs, mu)
        expected = []
        for row in range(len(archs)):
            graph = archs.describe(row)
            state = encode_async(model, graph["ops"], set(graph["edges"]), sums=False)  # type: ignore[arg-type]
            torch.testing.assert_close(mu[row], model.heads.mean(state), atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(logvar[row], model.heads.logvar(state), atol=1e-5, rtol=1e-5)
            wrong, nll = plain_decoder(model, graph["ops"], set(graph["edges"]), mu[row])  # type: ignore[arg-type]
            torch.testing.assert_close(-scores[row], nll, atol=1e-4, rtol=1e-5)
            expected.append(wrong)
    torch.testing.assert_close(loss, torch.stack(expected).mean(), atol=1e-5, rtol=1e-5)


def test_parameter_count() -> None:
    """D-VAE's encoder and heads, 3,115,831, and S-VAE's decoder, 2,048,103."""
    assert create_model("dvae_fast", "enas6").num_parameters == 3_115_831 + 2_048_103
