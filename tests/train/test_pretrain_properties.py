"""What predictors learn without labels: the properties themselves, that codes come to carry them, and fine-tuning."""

from __future__ import annotations

import itertools

import pytest
import torch

from graphnas import create_model, get_space
from graphnas.models import Predictor
from graphnas.spaces import OUTPUT, Architectures
from graphnas.train.pretrain_properties import count_paths, learn_properties, properties


@pytest.fixture
def model() -> Predictor:
    torch.manual_seed(0)
    model = create_model("gin", "toy", hidden_dim=32)
    assert isinstance(model, Predictor)
    return model


def walks(archs: Architectures, row: int) -> list[tuple[int, ...]]:
    """Every path from first to last vertex, one subset of inner vertices at a time."""
    last, adj = int(archs.num_nodes[row]) - 1, archs.adj[row]
    inner = range(1, last)
    subsets = (it for size in range(last) for it in itertools.combinations(inner, size))
    paths = ((0, *subset, last) for subset in subsets)
    return [path for path in paths if all(bool(adj[u, v]) for u, v in itertools.pairwise(path))]


@pytest.mark.parametrize("space", ["toy", "nb101", "enas6"])
def test_properties_against_plain_counts(space: str) -> None:
    archs = get_space(space).sample(20, torch.Generator().manual_seed(0))
    predictor = create_model("gin", space)
    assert isinstance(predictor, Predictor)
    found = properties(predictor, archs)
    for row in range(len(archs)):
        paths = walks(archs, row)
        assert float(count_paths(archs)[row]) == len(paths)
        assert float(found["depth"][row]) == max(len(path) - 1 for path in paths)
        names = [get_space(space).vocabulary[i] for i in archs.ops[row, : archs.num_nodes[row]].tolist()]
        for name in get_space(space).vocabulary[OUTPUT + 1 :]:
            assert float(found[name][row]) == names.count(name)
    cost = get_space(space).cost(archs)["params"].double()
    torch.testing.assert_close(found["params"], torch.log10(1 + cost))


def test_a_code_learns_them(model: Predictor) -> None:
    archs = get_space("toy").enumerate()
    order = torch.randperm(len(archs), generator=torch.Generator().manual_seed(0))
    test, train = archs[order[:100]], archs[order[100:]]
    objective, seconds = learn_properties(model, train, test, 300, seed=0)
    values = objective.correlations(test)
    assert seconds > 0 and values["r_mean"] > 0.8 and set(values) == {"r_mean", *(f"r_{it}" for it in objective.names)}
    untrained = create_model("gin", "toy", hidden_dim=32)
    assert isinstance(untrained, Predictor)
    objective.model = untrained
    assert objective.correlations(test)["r_mean"] < values["r_mean"] - 0.2
