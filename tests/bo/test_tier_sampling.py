"""What tiers look like, and draws that respect it; each published fault once."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from graphnas import get_space
from graphnas.bo.tier_sampling import (
    TierSampler,
    Trait,
    bin_edges,
    compare_tiers,
    histogram,
    jensen_shannon,
    normalised,
    traits_of,
)
from graphnas.errors import GraphnasError, InvalidValues
from graphnas.testing import seeded


def trait(keys: list[float], shares: list[float], telling: bool = True) -> Trait:
    return Trait(torch.tensor(keys).double(), torch.tensor(shares).double(), 0.5, telling)


def sampler(best: dict[str, Trait], free: Tensor | None = None, reuse: int = 25) -> TierSampler:
    table = traits_of(get_space("toy"), get_space("toy").enumerate())
    mask = torch.ones(787, dtype=torch.bool) if free is None else free
    ops = trait([0, 1], [0.5, 0.5], telling=False)
    high = {name: trait([1e9], [1.0]) for name in ("flops", "params")} | {"ops": ops}
    return TierSampler(table, mask, high | best, reuse, generator=seeded())


# -- histograms -------------------------------------------------------------------------------------------------------
def test_equal_values_make_one_bin() -> None:
    """The published step of 0 divides by zero."""
    values = torch.tensor([7, 7, 7])
    assert bin_edges(values, 8).tolist() == [7] and histogram(values, bin_edges(values, 8)).tolist() == [3]


def test_every_value_is_counted_once_below_its_edge() -> None:
    values = torch.tensor([0, 1, 24, 25, 26, 99, 100])
    edges = bin_edges(values, 4)
    assert edges.tolist() == [25, 50, 75, 100] and histogram(values, edges).tolist() == [4, 1, 0, 2]


def test_proportions_count_not_totals() -> None:
    """The published divergence of a softmax over counts is 0.92 for equal proportions."""
    few, many = torch.tensor([1.0, 2, 3]), torch.tensor([100.0, 200, 300])
    assert jensen_shannon(normalised(few), normalised(many)) == pytest.approx(0, abs=1e-6)
    apart = jensen_shannon(normalised(torch.tensor([1.0, 0])), normalised(torch.tensor([0.0, 1])))
    assert apart == pytest.approx(1)


def test_distance_is_the_formula() -> None:
    p, q = torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.25, 0.25, 0.5])
    mixed = [(a + b) / 2 for a, b in zip(p.tolist(), q.tolist(), strict=True)]
    bits = [sum(a * math.log2(a / m) for a, m in zip(part.tolist(), mixed, strict=True) if a) for part in (p, q)]
    assert jensen_shannon(p, q) == pytest.approx(math.sqrt(sum(bits) / 2), abs=1e-6)
    assert jensen_shannon(p, q) == pytest.approx(jensen_shannon(q, p))


def test_only_telling_traits_keep_their_distribution() -> None:
    space = get_space("toy")
    archs = space.enumerate()
    traits = traits_of(space, archs)
    tier = (traits.nodes < 5).long() * 4  # the best tier has five vertices, the worst fewer
    best = compare_tiers(traits, tier, (4,), threshold=0.5)
    assert best["nodes"].telling and best["nodes"].shares[-1] == 1
    even = compare_tiers(traits, torch.arange(787) % 5, (3, 4), threshold=0.5)
    assert not even["nodes"].telling
    present = even["nodes"].shares > 0
    assert torch.allclose(even["nodes"].shares[present], torch.tensor(1 / int(present.sum())).double())
    with pytest.raises(InvalidValues, match="tier 3"):
        compare_tiers(traits, tier, (3, 4))


# -- draws ------------------------------------------------------------------------------------------------------------
def test_the_numbers_of_vertices_are_those_that_were_drawn() -> None:
    """Published draws are pruned afterwards: 4 % of those meant to have seven vertices have them."""
    free = torch.ones(787, dtype=torch.bool)
    drawer = sampler({"nodes": trait([4, 5], [0.25, 0.75])}, free)
    draws = drawer.draw(80)
    sizes = drawer.table.nodes[draws.rows]
    assert torch.equal(sizes, draws.wanted_nodes) and draws.resizes == 0
    assert 0.6 < float((sizes == 5).double().mean()) < 0.9


def test_caps_are_never_exceeded_and_nothing_comes_twice() -> None:
    """Published draws keep the last failure, whatever it costs."""
    caps = {"flops": trait([2000, 4000], [0.5, 0.5]), "params": trait([20, 40], [0.5, 0.5])}
    free = torch.rand(787, generator=seeded(1)) < 0.8
    taken = ~free.clone()
    drawer = sampler(caps | {"nodes": trait([5], [1.0])}, free, reuse=7)
    draws = drawer.draw(60)
    costs = torch.stack([drawer.table.flops[draws.rows], drawer.table.params[draws.rows]], 1)
    assert bool((costs <= draws.caps).all())
    assert len(draws.rows.unique()) == 60 and not bool(taken[draws.rows].any())
    assert not bool(drawer.free[draws.rows].any()) and len(draws.caps.unique(dim=0)) > 1


def test_sizes_that_do_not_exist_below_the_caps_are_counted() -> None:
    nodes = trait([2, 5], [0.9, 0.1])
    drawer = sampler({"nodes": nodes})
    draws = drawer.draw(50)  # there is one graph of two vertices
    sizes = drawer.table.nodes[draws.rows]
    assert int((sizes == 2).sum()) == 1 and draws.resizes == int((draws.wanted_nodes != sizes).sum()) > 0


def test_nothing_below_a_cap_is_an_error_or_a_counted_repeat() -> None:
    low = {"flops": trait([-1], [1.0]), "nodes": trait([5], [1.0])}
    with pytest.raises(GraphnasError, match="below any of 100 pairs of caps"):
        sampler(low).draw(1)
    some = {"flops": trait([-1, 1e9], [0.9, 0.1]), "nodes": trait([5], [1.0])}
    draws = sampler(some).draw(10)
    assert len(draws.rows) == 10 and draws.recaps > 0


def test_telling_operations_weigh_the_draw() -> None:
    best = {"nodes": trait([5], [1.0])}
    plain, convs = sampler(best), sampler(best | {"ops": trait([0, 1], [0.9, 0.1])})
    shares = [float(one.table.ops[one.draw(60).rows][:, 0].double().mean()) for one in (plain, convs)]
    assert shares[1] > shares[0] + 0.5


def test_draws_repeat() -> None:
    best = {"nodes": trait([4, 5], [0.5, 0.5])}
    assert torch.equal(sampler(best).draw(30).rows, sampler(best).draw(30).rows)
