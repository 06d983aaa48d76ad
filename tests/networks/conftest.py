"""Helpers of the tests of networks: counting without data, and what every network has to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from graphnas.networks import Images, Network
from graphnas.networks.images import IMAGES, ImageData, ImageSplit


class Operations(TorchDispatchMode):
    """Counts what runs inside it per image, without data: FLOPs by kind, 2 per multiply-accumulate of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.flops: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name == "convolution":
            self.flops["convolution"] += 2 * args[1].numel() * out[0, 0].numel()
        elif name in ("addmm", "mm"):
            weight = args[-1]
            self.flops["linear"] += 2 * weight.numel() + (weight.shape[1] if name == "addmm" else 0)
        elif name == "add":
            self.flops["addition"] += out.numel()
        elif name == "max_pool2d_with_indices":
            self.flops["pooling"] += args[1][0] * args[1][1] * out[0].numel()
        elif name == "mean":
            self.flops["pooling"] += args[0].numel()
        return out


@pytest.fixture
def count_flops() -> Callable[[nn.Module, Images], Counter[str]]:
    """FLOPs by kind of one image through a network on the meta device."""

    def count(network: nn.Module, images: Images) -> Counter[str]:
        network.eval()
        with Operations() as seen, torch.no_grad():
            network(torch.empty(1, images.channels, images.size, images.size, device="meta"))
        return seen.flops

    return count


@pytest.fixture
def check_network() -> Callable[..., list[str]]:
    """Runs a network forwards and backwards; returns the parameters without a gradient."""

    def check(network: Network, images: Images, batch: int = 4) -> list[str]:
        x = torch.randn(batch, images.channels, images.size, images.size, generator=torch.Generator().manual_seed(1))
        logits, extra = network.train().forward_auxiliary(x)
        assert logits.shape == (batch, images.num_classes) and torch.isfinite(logits).all()
        outputs: list[Tensor] = [logits] if extra is None else [logits, extra]
        torch.stack([out.square().mean() for out in outputs]).sum().backward()
        gradients = {name: weight.grad for name, weight in network.named_parameters()}
        assert all(torch.isfinite(gradient).all() for gradient in gradients.values() if gradient is not None)
        assert network.eval()(x[:1]).shape == (1, images.num_classes)
        assert torch.allclose(network(x)[:1], network(x[:1]), atol=1e-5)
        return [name for name, gradient in gradients.items() if gradient is None]

    return check


@pytest.fixture
def noise_images(monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a data set of 12 + 6 + 5 random colour images of 32x32 pixels in three classes."""

    def load(root: Path | None = None, train: int = 12, validation: int = 6, size: int = 32) -> ImageData:
        draws = torch.Generator().manual_seed(0)
        parts = [
            ImageSplit(
                torch.randint(256, (number, 3, size, size), dtype=torch.uint8, generator=draws),
                torch.randint(3, (number,), generator=draws),
            )
            for number in (train, validation, 5)
        ]
        return ImageData("noise", *parts, num_classes=3, scale=255.0, mean=(0.5,) * 3, std=(0.3,) * 3)

    monkeypatch.setitem(IMAGES._entries, "noise", load)
    return "noise"
