"""The ENAS macro child network: size, plain forward pass, unread reductions and the auxiliary head."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from graphnas.errors import InvalidValues
from graphnas.networks import Images, build_network
from graphnas.networks.enas import ENASNetwork, build, build_operation
from graphnas.spaces import Architectures, get_space
from graphnas.spaces.enas import ENAS, OPS

ROW = "[[1], [4, 0], [5, 0, 0], [0, 1, 1, 1], [2, 1, 1, 1, 1], [3, 0, 0, 0, 0, 1]]"


def space_of(name: str) -> ENAS:
    space = get_space(name)
    assert isinstance(space, ENAS)
    return space


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def inputs_of(arch: Architectures) -> list[list[int]]:
    """Sources of every layer, read from the tensors."""
    return [arch.adj[0, :, vertex].nonzero().flatten().tolist() for vertex in range(1, int(arch.num_nodes) - 1)]


def unread(arch: Architectures) -> list[tuple[int, int]]:
    """Cut and vertex of the reductions whose map no later layer reads."""
    inputs = inputs_of(arch)
    cuts = (len(inputs) // 3, 2 * len(inputs) // 3)
    later = {cut: {source for sources in inputs[cut:] for source in sources} for cut in cuts}
    return [(cut, vertex) for cut in cuts for vertex in range(cut + 1) if vertex not in later[cut]]


# -- size ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("name", "filters"), [("enas6", 36), ("enas6", 8), ("enas12", 36), ("enas12", 1)])
def test_cost_of_random_rows(name: str, filters: int, count_flops: Callable[..., Counter[str]]) -> None:
    space = space_of(name)
    archs = space.sample(5, seeded())
    cost = space.cost(archs, filters)
    for row, arch in enumerate(archs):
        with torch.device("meta"):
            network = build(space, arch, Images(), channels=filters)
        assert network.num_parameters == int(cost["params"][row])
        found = count_flops(network, Images())
        skipped = sum(
            2 * 2 * (filters << stage) ** 2 * (16 >> stage) ** 2
            for cut, _ in unread(arch)
            for stage in (network.cuts.index(cut),)
        )
        assert found["convolution"] + found["linear"] + skipped == int(cost["flops"][row])


def test_all_skips_compute_all_that_is_priced(count_flops: Callable[..., Counter[str]]) -> None:
    space = space_of("enas6")
    arch = space.parse(str([[layer % 6] + [1] * layer for layer in range(6)]))
    with torch.device("meta"):
        network = build(space, arch, Images())
    found = count_flops(network, Images())
    assert found["convolution"] + found["linear"] == int(space.cost(arch)["flops"])


# -- the forward pass ---------------------------------------------------------------------------------------------
def plain(network: ENASNetwork, arch: Architectures, images: Tensor) -> Tensor:
    """Layer by layer, with every map reduced whether somebody reads it or not."""
    maps, inputs = [network.stem(images)], inputs_of(arch)
    for layer, sources in enumerate(inputs):
        block = network.layers[layer]
        joined = torch.cat([maps[source] for source in sources], 1)
        joined = block.squeeze(joined) if len(sources) > 1 else joined
        maps.append(block.operation(block.entry(joined)))
        if layer + 1 in (len(inputs) // 3, 2 * len(inputs) // 3):
            maps = [network.reductions[f"{layer + 1}_{vertex}"](part) for vertex, part in enumerate(maps)]
    return network.classifier(maps[-1].mean((2, 3)))


@pytest.mark.parametrize("name", ["enas6", "enas12"])
def test_forward_agrees_with_plain_loops(name: str) -> None:
    torch.manual_seed(0)
    space, images = space_of(name), torch.randn(2, 3, 8, 8)
    for arch in space.sample(4, seeded(1)):
        network = build_network(space, arch, Images(size=8), channels=2)
        assert isinstance(network, ENASNetwork)
        network.train()(images)
        network.eval()
        assert torch.allclose(network(images), plain(network, arch, images), atol=1e-6)


def test_only_reductions_nobody_reads_have_no_gradient(check_network: Callable[..., list[str]]) -> None:
    images = Images(channels=1, size=8, num_classes=3)
    for name in ("enas6", "enas12"):
        space = space_of(name)
        for arch in space.sample(3, seeded(2)):
            idle = check_network(build_network(space, arch, images, channels=3), images)
            assert {entry.rsplit(".", 2)[0] for entry in idle} == {
                f"reductions.{cut}_{vertex}" for cut, vertex in unread(arch)
            }
    chain = space_of("enas6").parse(str([[0] + [0] * layer for layer in range(6)]))
    assert len(unread(chain)) == 2 + 4
    full = space_of("enas6").parse(str([[0] + [1] * layer for layer in range(6)]))
    assert check_network(build_network("enas6", full, images, channels=2), images, batch=1) == []


def test_operations() -> None:
    ones = torch.ones(2, 4, 5, 5)
    for op in OPS:
        out = build_operation(op, 4)(-ones)
        wanted = (
            -ones if "pool" in op else torch.zeros_like(ones)
        )  # poolings leave out the border, the others have a ReLU
        assert torch.equal(out, wanted), op
        assert op not in OPS[:4] or f"kernel_size=({op[-1]}, {op[-1]})" in repr(build_operation(op, 4))


@pytest.mark.parametrize("images", [Images(), Images(size=15)])
def test_small_networks_run(images: Images, check_network: Callable[..., list[str]]) -> None:
    check_network(build_network("enas6", ROW, images, channels=2), images)


def test_classifier_has_no_bias() -> None:
    network = build_network("enas6", ROW, channels=2)
    assert isinstance(network, ENASNetwork) and network.classifier.bias is None


# -- the auxiliary head -------------------------------------------------------------------------------------------
def test_the_auxiliary_head_reads_the_first_layer_of_the_last_stage(check_network: Callable[..., list[str]]) -> None:
    torch.manual_seed(0)
    network = build_network("enas6", ROW, channels=2, auxiliary=True)
    torch.manual_seed(0)
    without = build_network("enas6", ROW, channels=2)
    assert isinstance(network, ENASNetwork) and network.auxiliary_head is not None and network.auxiliary
    seen = {}
    network.layers[4].register_forward_hook(lambda module, inputs, out: seen.update(layer=out))
    network.auxiliary_head.register_forward_hook(lambda module, inputs, out: seen.update(head=inputs[0]))
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(network(images), without(images)) and "head" not in seen
    extra = network.forward_auxiliary(images)[1]
    assert extra is not None and extra.shape == (2, 10)
    assert seen["layer"] is seen["head"] and seen["head"].shape == (2, 8, 8, 8)
    assert network.num_parameters == without.num_parameters
    assert all("reductions" in name for name in check_network(network, Images()))


@pytest.mark.parametrize(
    ("images", "options", "reason"),
    [
        (Images(), {"filters": 8}, "unknown options of a network: filters; known are channels, auxiliary"),
        (Images(), {"channels": 0}, "expected channels of a network to be positive"),
        (Images(size=2), {}, "halves its maps 2 times needs images of at least 4x4"),
        (Images(size=16), {"auxiliary": True}, r"maps of at least 8x8 pixels at its place \(got 4x4\)"),
    ],
)
def test_impossible_options(images: Images, options: dict[str, object], reason: str) -> None:
    with pytest.raises(InvalidValues, match=reason):
        build_network("enas6", ROW, images, **options)
