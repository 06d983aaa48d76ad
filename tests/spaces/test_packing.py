"""The packed form of architectures."""

from __future__ import annotations

import time

import pytest
import torch

from graphnas.errors import InvalidArchitecture
from graphnas.spaces import Architectures, get_space
from graphnas.spaces.packing import Packed, digest, pack, unpack, unpack_codes


def random_graphs(count: int, width: int, seed: int = 0) -> Architectures:
    generator = torch.Generator().manual_seed(seed)
    num_nodes = torch.randint(1, width + 1, (count,), generator=generator)
    ops = torch.randint(0, 256, (count, width), generator=generator, dtype=torch.uint8)
    adj = torch.rand(count, width, width, generator=generator) < 0.4
    return Architectures(ops, adj.triu(1), num_nodes).clean()


@pytest.mark.parametrize("width", [1, 2, 3, 7, 8, 14, 22])
@pytest.mark.parametrize("count", [0, 1, 5000])
def test_round_trip(width: int, count: int) -> None:
    archs = random_graphs(count, width)
    packed = pack(archs)
    assert packed.edges.shape == (count, -(-width * (width - 1) // 16))
    back = unpack(packed)
    assert back == archs
    assert back.max_nodes == width


def test_bit_order_is_the_official_one() -> None:
    adj = torch.zeros(10, 5, 5, dtype=torch.bool)
    pairs = [(source, target) for target in range(5) for source in range(target)]
    for row, (source, target) in enumerate(pairs):
        adj[row, source, target] = True
        assert row == source + target * (target - 1) // 2
    archs = Architectures(torch.zeros(10, 5, dtype=torch.uint8), adj, torch.full((10,), 5))
    codes = pack(archs).edges.long() @ torch.tensor([1, 256])
    assert codes.tolist() == [1 << row for row in range(10)]
    assert unpack_codes(codes, archs.ops, archs.num_nodes) == archs


@pytest.mark.parametrize(("width", "dtype"), [(7, torch.int32), (8, torch.int32), (8, torch.int64), (11, torch.int64)])
def test_codes(width: int, dtype: torch.dtype) -> None:
    archs = random_graphs(300, width)
    weights = torch.tensor([256**place for place in range(pack(archs).edges.shape[1])])
    codes = (pack(archs).edges.long() * weights).sum(1).to(dtype)
    assert unpack_codes(codes, archs.ops, archs.num_nodes) == archs


def test_codes_are_checked() -> None:
    archs = random_graphs(3, 7)
    with pytest.raises(InvalidArchitecture, match=r"0\.\.2097151 \(got 0\.\.2097152\)"):
        unpack_codes(torch.tensor([0, 1 << 21, 5]), archs.ops, archs.num_nodes)
    with pytest.raises(InvalidArchitecture, match=r"got -1"):
        unpack_codes(torch.tensor([0, -1, 5]), archs.ops, archs.num_nodes)
    with pytest.raises(InvalidArchitecture, match="more than 36 bits"):
        unpack_codes(torch.zeros(3, dtype=torch.int32), archs.widen(9).ops, archs.num_nodes)
    with pytest.raises(InvalidArchitecture, match=r"got torch\.float32"):
        unpack_codes(torch.zeros(3), archs.ops, archs.num_nodes)


def test_padding_is_cleaned_and_backward_edges_are_refused() -> None:
    archs = random_graphs(50, 6)
    dirty = Architectures(archs.ops | ~archs.node_mask, archs.adj | ~archs.node_mask[:, :, None], archs.num_nodes)
    assert all(torch.equal(a, b) for a, b in zip(pack(dirty), pack(archs), strict=True))
    adj = archs.adj.clone()
    adj[:, :2, :2] = torch.tensor([[False, False], [True, False]])
    backward = Architectures(archs.ops, adj, torch.full((50,), 6))
    with pytest.raises(InvalidArchitecture, match="row 0 has an edge from a higher to a lower index"):
        pack(backward)


def test_misshapen_parts_are_refused() -> None:
    packed = pack(random_graphs(4, 7))
    with pytest.raises(InvalidArchitecture, match=r"edges must be uint8 of shape \[4, 3\]"):
        unpack(Packed(packed.ops, packed.edges[:, :2], packed.num_nodes))
    with pytest.raises(InvalidArchitecture, match=r"num_nodes must be uint8"):
        unpack(Packed(packed.ops, packed.edges, packed.num_nodes.long()))


def test_digest_knows_content_and_order_but_not_padding() -> None:
    archs = random_graphs(30, 6)
    assert digest(archs) == digest(archs.widen(9)) == digest(archs[:])
    assert digest(archs) != digest(archs[torch.arange(29, -1, -1)])
    assert digest(archs) != digest(archs[:29])
    adj = archs.adj.clone()
    row = int((archs.num_nodes > 1).nonzero()[0])
    adj[row, 0, 1] ^= True
    assert digest(archs) != digest(Architectures(archs.ops, adj, archs.num_nodes))
    assert len({digest(Architectures.empty(3)), digest(Architectures.empty(7))}) == 1


def test_digest_is_the_same_everywhere() -> None:
    assert (
        digest(get_space("nb201").enumerate()[:100])
        == "052b814730301e937106663fd0223122c6222dddb76e6c1e7f14f32564310bee"
    )


def test_a_million_graphs_a_second() -> None:
    archs = random_graphs(100_000, 7)
    packed = pack(archs)
    best = {"pack": 1e9, "unpack": 1e9}
    for _ in range(3):
        for name, work in (("pack", lambda: pack(archs)), ("unpack", lambda: unpack(packed))):
            start = time.process_time()
            work()
            best[name] = min(best[name], time.process_time() - start)
    assert best["pack"] < 0.1
    assert best["unpack"] < 0.1
