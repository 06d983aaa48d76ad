"""Networks next to each other in one tensor compute what each computes alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from graphnas.networks import Images, build_network
from graphnas.networks.nb201 import NB201Network
from graphnas.networks.stacked import StackedNB201
from graphnas.spaces import get_space

SEED = 5
ALL_CONV, ALL_NONE = (f"|{op}~0|+|{op}~0|{op}~1|+|{op}~0|{op}~1|{op}~2|" for op in ("nor_conv_3x3", "none"))
DEAD_END = "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"
KINDS = pytest.mark.parametrize(("reduction", "cells"), [("pool", 1), ("pool", 2), ("residual", 1), ("residual", 2)])


def make_networks(reduction: str, cells: int) -> list[NB201Network]:
    """Random cells, one of convolutions, one without a path and one with dead edges; no two weights are the same."""
    space = get_space("nb201")
    texts = [*space.format(space.sample(6, torch.Generator().manual_seed(SEED))), ALL_CONV, ALL_NONE, DEAD_END]
    networks: list[NB201Network] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        for text in texts:
            network: Any = build_network(space, text, Images(1, 8), channels=3, cells=cells, reduction=reduction)
            for norm in (part for part in network.modules() if isinstance(part, torch.nn.BatchNorm2d)):
                for value in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
                    torch.nn.init.uniform_(value, 0.5, 1.5)
            networks.append(network.double())
    return networks


def layers(model: Any, networks: Sequence[Any]) -> Iterator[tuple[Any, list[Any]]]:
    """Every stacked layer with those it was made of."""
    yield model.stem, [network.stem[0] for network in networks]
    yield model.stem_norm, [network.stem[1] for network in networks]
    yield model.last, [network.last[0] for network in networks]
    for number, reduction in enumerate(model.reductions):
        blocks = [network.reductions[number] for network in networks]
        yield reduction.shortcut, [block.shortcut[1] for block in blocks]
        for name in ("first", "second") if reduction.residual else ():
            yield getattr(reduction, name), [getattr(block, name)[1] for block in blocks]
            yield getattr(reduction, f"{name}_norm"), [getattr(block, name)[2] for block in blocks]
    for stage, cells in enumerate(model.stages):
        for number, cell in enumerate(cells):
            for (source, op), edges in cell.edges.items():
                if f"{op}_{source}" in cell.convs:
                    singles = [
                        networks[row].stages[stage][number].edges[f"{source}{target}"]
                        for target, rows in edges.targets
                        for row in rows.tolist()
                    ]
                    yield cell.convs[f"{op}_{source}"], [single[1] for single in singles]
                    yield cell.norms[f"{op}_{source}"], [single[2] for single in singles]


def close(found: Tensor, expected: Sequence[Tensor]) -> bool:
    wanted = torch.stack(list(expected))
    return torch.allclose(found.reshape(wanted.shape), wanted, rtol=1e-9, atol=1e-11)


def gradients(parameters: Sequence[Any]) -> list[Tensor]:
    """Those of parameters that nothing reaches are zero."""
    return [torch.zeros_like(value) if value.grad is None else value.grad for value in parameters]


def draw_images(seed: int) -> Tensor:
    return torch.randn(7, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@KINDS
def test_evaluation(reduction: str, cells: int) -> None:
    networks, images = make_networks(reduction, cells), draw_images(0)
    logits = StackedNB201(networks).eval()(images)
    assert logits.shape == (len(networks), 10, 7)
    assert close(logits.transpose(1, 2), [network.eval()(images) for network in networks])


@KINDS
def test_training(reduction: str, cells: int) -> None:
    """Logits, gradients of every layer and running statistics, over two steps."""
    networks = make_networks(reduction, cells)
    model: Any = StackedNB201(networks).train()
    labels = torch.arange(7)
    for step in range(2):
        images = draw_images(1 + step)
        logits = model(images)
        singles = [network.train()(images) for network in networks]
        assert close(logits.transpose(1, 2), singles)
        (cross_entropy(logits, labels.expand(len(model), -1), reduction="sum") / len(labels)).backward()
        for single in singles:
            cross_entropy(single, labels).backward()
    assert close(model.weight.grad, gradients([network.classifier.weight for network in networks]))
    assert close(model.bias.grad, gradients([network.classifier.bias for network in networks]))
    seen = 0
    for layer, parts in layers(model, networks):
        seen += len(list(layer.parameters()))
        for name, value in layer.named_parameters():
            assert close(*map_gradients(value, [getattr(part, name) for part in parts]))
        for name, buffer in layer.named_buffers():
            assert close(buffer, [getattr(part, name) for part in parts])
    assert seen + 2 == len(list(model.parameters()))
    assert model.stem.weight.grad[6].abs().sum() > 0 == model.stem.weight.grad[7].abs().sum()


def map_gradients(stacked: Any, parts: Sequence[Any]) -> tuple[Tensor, list[Tensor]]:
    return gradients([stacked])[0], gradients(parts)


def test_weights_are_copied() -> None:
    networks = make_networks("pool", 1)
    model = StackedNB201(networks)
    before = [value.clone() for network in networks for value in network.state_dict().values()]
    with torch.no_grad():
        for value in model.parameters():
            value.zero_()
    model.train()(draw_images(0))
    assert all(
        torch.equal(one, two)
        for one, two in zip(before, (v for network in networks for v in network.state_dict().values()), strict=True)
    )


def test_one_network_alone_and_others_beside_it() -> None:
    networks, images = make_networks("residual", 1), draw_images(3)
    together = StackedNB201(networks).eval()(images)
    for row, network in enumerate(networks):
        assert torch.allclose(StackedNB201([network]).eval()(images)[0], together[row], rtol=1e-10, atol=1e-12)
