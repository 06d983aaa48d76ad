"""Scores and costs of a network."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from graphnas.networks import Images, build_network, evaluation, list_networks
from graphnas.networks.defaults import DEFAULTS
from graphnas.networks.evaluation import evaluate
from graphnas.networks.images import ImageData, ImageSplit, load_images
from graphnas.spaces import get_space


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return load_images("digits")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_scores_are_means_over_all_images(digits: ImageData, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).to(dtype)
    score = evaluate(network, digits.test, digits, dtype)
    assert score is not None
    logits = network(digits.normalise(digits.test.images, dtype))
    assert score.accuracy == (logits.argmax(1) == digits.test.labels).double().mean().item()
    assert score.loss == pytest.approx(cross_entropy(logits, digits.test.labels).item(), rel=1e-6)


def test_an_empty_part_has_no_score(digits: ImageData) -> None:
    nothing = ImageSplit(digits.test.images[:0], digits.test.labels[:0])
    assert evaluate(nn.Linear(1, 1), nothing, digits) is None


def test_evaluation_changes_nothing(digits: ImageData) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(), nn.Flatten(), nn.Linear(64, 10)).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state = torch.get_rng_state()
    assert evaluate(network, digits.test, digits) == evaluate(network, digits.test, digits)
    assert network.training and torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    broken = replace(digits, test=ImageSplit(digits.test.images, digits.test.labels))
    with torch.no_grad():
        network[3].bias.fill_(math.nan)
    score = evaluate(network.eval(), broken.test, broken)
    assert score is not None and math.isnan(score.loss) and not network.training


@pytest.mark.parametrize("space", list_networks())
def test_flops_are_those_of_what_runs(space: str, count_flops: Callable[..., Counter[str]]) -> None:
    """Beside a count of the operations torch dispatches, for which no layer is looked at."""
    found = get_space(space)
    images = Images(size=8)
    for arch in found.sample(3, torch.Generator().manual_seed(1)):
        network = build_network(space, arch, images, **DEFAULTS[space].small).train()
        flops = evaluation.count_flops(network, torch.zeros(4, 3, 8, 8))
        assert network.training and not any(module._forward_hooks for module in network.modules())
        seen = count_flops(network.to("meta"), images)
        bias = images.num_classes if network.classifier.bias is not None else 0  # type: ignore[union-attr]
        assert flops == seen["convolution"] + seen["linear"] - bias


def test_flops_of_a_grouped_convolution() -> None:
    class Grouped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv2d(4, 8, 3, groups=2, bias=False), nn.Linear(8, 3)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.head(self.conv(images).mean((2, 3)))

    flops = evaluation.count_flops(Grouped(), torch.zeros(1, 4, 7, 6))  # type: ignore[arg-type]
    assert flops == 2 * (5 * 4 * 8 * 2 * 9 + 8 * 3)
