"""Generated graphs and networks of more layers, measured."""

from __future__ import annotations

from pathlib import Path

import torch

from graphnas.bo.generation_study import (
    MODES,
    GenerationSizes,
    generation_table,
    labelled_quality,
    prior_codes,
    quality_table,
    read_generation,
    run_generation,
)
from graphnas.bo.grown_training import TrainingSizes
from graphnas.bo.layer_study import LayerSizes, layer_candidates, score_candidates
from graphnas.bo.size_ranking import part_by_size
from graphnas.models import GraphVAE, create_model
from graphnas.spaces import get_space
from graphnas.tables import load_table
from graphnas.train.predictor_evaluation import Labels, Task, read_labels

SIZES = GenerationSizes(points=40, starts=10, near=60)


def make(name: str, space: str) -> GraphVAE:
    torch.manual_seed(0)
    narrow = {"svge": {"node_dim": 16}, "arch2vec": {"hidden_dim": 16}}[name]
    model = create_model(name, space, latent_dim=6, **narrow)
    assert isinstance(model, GraphVAE)
    return model.eval()


def test_codes_of_the_prior_have_the_spread_of_given_ones() -> None:
    codes = torch.randn(500, 3) * torch.tensor([1.0, 0.1, 5.0]) + torch.tensor([0.0, 3.0, -1.0])
    drawn = prior_codes(codes, 4000, 0)
    assert torch.allclose(drawn.mean(0), codes.mean(0), atol=0.3) and torch.allclose(
        drawn.std(0), codes.std(0), rtol=0.1
    )


def test_generation_is_measured_once_and_a_refusal_is_told(tmp_path: Path) -> None:
    labels = read_labels(Task("toy", "toy"))
    labelled = (part_by_size(labels, 4), load_table("toy"), "score")
    known = get_space("toy_4").enumerate()
    run_generation("svge", 0, make("svge", "toy_4"), labels.space, known, SIZES, tmp_path, labelled)
    path = run_generation("arch2vec", 0, make("arch2vec", "toy_4"), labels.space, known, SIZES, tmp_path)
    before = path.stat().st_mtime_ns
    run_generation("arch2vec", 0, make("arch2vec", "toy_4"), labels.space, known, SIZES, tmp_path)
    assert path.stat().st_mtime_ns == before
    refused, svge = read_generation(tmp_path)
    assert "expected codes [B, 30]" in refused["note"] and refused["values"] == {}
    assert set(svge["values"]) == {*MODES, "quality"}
    assert svge["values"]["masked, larger"]["valid_larger"] == 1.0 == svge["values"]["masked"]["valid"]
    table = generation_table([refused, svge])
    assert len(table) == 2 + 1 + 3 and "expected codes" in table[2]
    assert "svge to toy" in quality_table([refused, svge])[2] and quality_table([refused]) == []


def test_all_generated_have_labels_on_the_toy_space() -> None:
    labels = read_labels(Task("toy", "toy"))
    values = labelled_quality(make("svge", "toy_4"), part_by_size(labels, 4), load_table("toy"), "score", SIZES, 0)
    assert values["best_labelled"] == values["best_distinct"] > 3
    larger = labels.y[labels.archs.num_nodes == 5]
    assert values["all"] == float(larger.mean()) and 0 < values["best"] < 1


def test_networks_of_more_layers_are_decoded_and_scored() -> None:
    six, twelve = get_space("enas6"), get_space("enas12")
    small = six.sample(60, torch.Generator().manual_seed(0))
    y = six.cost(small)["params"].double() + torch.rand(60)
    sizes = LayerSizes(60, 20, 5, 2, TrainingSizes(1, 4, 1))
    vaes = {"svge": make("svge", "enas6"), "arch2vec": make("arch2vec", "enas6")}
    pool = layer_candidates(small, y, vaes, twelve, sizes)
    assert list(pool) == ["random", "decoded by svge"]
    assert all(bool(twelve.is_valid(archs).all()) and len(archs) == 20 for archs in pool.values())
    scores = score_candidates(Labels(six, small, y), vaes, twelve, sizes, pool["random"])
    assert set(scores) == {"gbdt", "blend", "codes of svge", "codes of arch2vec"}
    assert all(len(values) == 20 and bool(values.isfinite().all()) for values in scores.values())
