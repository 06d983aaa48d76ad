"""The ensemble of perceptrons against its members, and the features they see."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from torch import Tensor

from graphnas import get_space
from graphnas.errors import GraphnasError, InvalidValues
from graphnas.models import MLP, Predictor
from graphnas.models.features import default_path_length, path_count, path_features, raw_features
from graphnas.spaces import Architectures
from graphnas.testing import mixed_batch
from tests.models.predictor_checks import PredictorChecks, make

SMALL = {"ensemble": 3, "layers": 2, "width": 8}
KINDS = [("toy", {}), ("nb101", {"costs": True}), ("nb201", {"features": "path", "path_length": 3})]


class TestContract(PredictorChecks):
    @pytest.fixture(params=KINDS, ids=lambda kind: f"{kind[0]}-{'-'.join(kind[1])}")
    def model(self, request: pytest.FixtureRequest) -> Predictor:
        space, options = request.param
        return make("mlp", space, **SMALL, **options)


def slow_paths(archs: Architectures, num_ops: int, length: int) -> set[int]:
    """Places of the operation sequences of all paths of the only graph of a batch, by walking them."""
    last, kinds, found = int(archs.num_nodes[0]) - 1, num_ops - 2, set()
    walks: list[tuple[int, list[int]]] = [(0, [])]
    while walks:
        vertex, ops = walks.pop()
        for after in archs.adj[0, vertex].nonzero().flatten().tolist():
            if after == last and len(ops) <= length:
                found.add(sum(kinds**place * (op - 2 + 1) for place, op in enumerate(ops)))
            elif after != last:
                walks.append((after, [*ops, int(archs.ops[0, after])]))
    return found


@pytest.mark.parametrize(("name", "length"), [("toy", 3), ("nb101", 5), ("nb101", 3), ("nb201", 3), ("enas6", 2)])
def test_path_features_equal_a_walk(name: str, length: int) -> None:
    space = get_space(name)
    archs = mixed_batch(space, 40)
    features = path_features(space, archs, length)
    assert features.shape == (40, path_count(space, length)) and features.dtype == torch.bool
    for row in range(len(archs)):
        assert set(features[row].nonzero().flatten().tolist()) == slow_paths(archs[row], space.num_ops, length)


def test_published_numbers_of_paths() -> None:
    nb101, nb201 = get_space("nb101"), get_space("nb201")
    assert [path_count(nb101, length) for length in range(6)] == [1, 4, 13, 40, 121, 364]
    assert default_path_length(nb101) == 5 and path_count(nb201, 3) == 1 + 155
    assert path_count(get_space("darts"), default_path_length(get_space("darts"))) <= 4096
    # an op on every vertex instead of every edge: as many codes as architectures
    every = path_features(nb201, nb201.enumerate(), 3)
    assert len(every.unique(dim=0)) == 15625
    assert len(path_features(nb201, nb201.enumerate(), 2).unique(dim=0)) < 15625
    with pytest.raises(InvalidValues, match="path length must be at least 0 \\(got -1\\)"):
        path_features(nb201, nb201.enumerate()[:1], -1)


def test_paths_do_not_change_with_the_order_of_vertices() -> None:
    space = get_space("nb101")
    archs = mixed_batch(space, 60)
    keys, features = space.canonical_keys(archs), path_features(space, archs)
    for one in range(60):
        for other in range(one):
            assert keys[one] != keys[other] or torch.equal(features[one], features[other])


def slow_member(model: MLP, x: Tensor, member: int) -> Tensor:
    """Scores [B] of one network on features [B, F]."""
    for layer in model.layers:
        x = (x @ layer.weight[member] + layer.bias[member]).relu()
    return cast(Tensor, x @ model.out.weight[member] + model.out.bias[member])[:, 0]


def test_members_are_networks_of_their_own() -> None:
    for options in ({}, {"features": "path"}):
        model = cast(MLP, make("mlp", "toy", **options))
        archs = mixed_batch(model.space, 10)
        x = raw_features(model.space, archs) if not options else path_features(model.space, archs)
        with torch.no_grad():
            opinions = torch.stack([slow_member(model, x.float(), member) for member in range(5)])
            assert torch.allclose(model.member_scores(archs), opinions, atol=1e-5)
            assert torch.allclose(model(archs), opinions.mean(0), atol=1e-5)
        assert len(opinions.round(decimals=4).unique(dim=0)) == 5
    assert len(model.layers) == 10 and model.embed_dim == 5 * 20


@pytest.mark.parametrize("options", [{"ensemble": 0}, {"width": 0}, {"features": "vertices"}, {"path_length": -1}])
def test_impossible_options(options: dict[str, object]) -> None:
    with pytest.raises(GraphnasError, match=next(iter(options))):
        make("mlp", "toy", **options)
