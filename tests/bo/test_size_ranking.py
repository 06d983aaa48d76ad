"""Ranking larger architectures from labels of smaller ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from graphnas.bo.code_features import code_predictor, codes_of
from graphnas.bo.ranking_study import RankingStudy, Row, ranking_rows, ranking_table, read_rows, run_row
from graphnas.bo.size_ranking import (
    RankingSizes,
    SizeParts,
    encoder_note,
    part_by_size,
    predictor_note,
    rank_by_codes,
    rank_by_cost,
    rank_by_predictor,
)
from graphnas.bo.small_vaes import small_config
from graphnas.errors import GraphnasError, InvalidValues, UnknownName
from graphnas.metrics import kendall_tau
from graphnas.models import GraphVAE, create_model
from graphnas.spaces import get_space
from graphnas.train.predictor_evaluation import Labels, Task, read_labels

SMALL = get_space("toy_4")


@pytest.fixture(scope="module")
def parts() -> SizeParts:
    return part_by_size(read_labels(Task("toy", "toy")), 4)


def narrow(name: str = "svge", **options: object) -> GraphVAE:
    torch.manual_seed(0)
    model = create_model(name, SMALL, latent_dim=8, **options)
    assert isinstance(model, GraphVAE)
    return model.eval()


def test_parts_are_by_size_and_nothing_larger_is_fitted_on(parts: SizeParts) -> None:
    assert int(parts.small.num_nodes.max()) == 4 and set(parts.larger.num_nodes.tolist()) == {5}
    assert len(parts.small_y) + len(parts.larger_y) == 787
    drawn = parts.drawn(20, 1)
    assert len(drawn.small_y) == 20 and drawn.larger is parts.larger
    assert drawn.small == parts.drawn(20, 1).small != parts.drawn(20, 2).small
    inside = parts.inside(30, 0)
    assert len(inside.small_y) == 30 and set(inside.small.num_nodes.tolist()) == {5}
    keys = set(get_space("toy").fingerprints(inside.larger).tolist())
    assert not keys & set(get_space("toy").fingerprints(inside.small).tolist())


def test_too_few_labels_on_a_side_are_refused(parts: SizeParts) -> None:
    labels = Labels(parts.space, parts.larger, parts.larger_y)
    with pytest.raises(InvalidValues, match="got 0 and 744"):
        part_by_size(labels, 4)


def test_labels_of_larger_ones_do_not_reach_the_fit(parts: SizeParts) -> None:
    """Scores are the same whatever the larger labels are: only the measure changes."""
    other = parts._replace(larger_y=-parts.larger_y)
    for rank in (
        lambda p: rank_by_predictor(p, "ridge", 0, RankingSizes()),
        lambda p: rank_by_codes(p, narrow(node_dim=16), "ridge", 0),
    ):
        assert rank(parts)["kendall"] == pytest.approx(-rank(other)["kendall"])


def test_raw_features_extrapolate_on_the_toy_space(parts: SizeParts) -> None:
    assert rank_by_predictor(parts, "ridge", 0, RankingSizes())["kendall"] > 0.3
    cost = rank_by_cost(parts, "params")
    flat = rank_by_cost(parts, "mean")
    expected = kendall_tau(parts.space.cost(parts.larger)["params"].double(), parts.larger_y)
    assert cost["kendall"] == pytest.approx(expected) and flat["kendall"] != flat["kendall"]


def test_codes_are_means_over_vertices_where_every_vertex_has_one() -> None:
    model = create_model("arch2vec", SMALL, latent_dim=5, hidden_dim=8)
    assert isinstance(model, GraphVAE)
    assert codes_of(model, SMALL.enumerate()).shape == (SMALL.size, 5)
    assert codes_of(narrow(node_dim=16), SMALL.enumerate()).shape == (SMALL.size, 8)
    with pytest.raises(UnknownName, match="ridge"):
        code_predictor(narrow(node_dim=16), "forest")  # type: ignore[arg-type]


def test_notes_name_the_weights_that_count_places() -> None:
    larger = get_space("toy")
    assert encoder_note(narrow(node_dim=16), larger) == ""
    assert "encoder.gru.weight_ih" in encoder_note(narrow("svae", hidden_dim=8), larger)
    assert predictor_note("transformer", SMALL, larger) == "weights per place: places.weight"
    assert predictor_note("gates", SMALL, larger) == "" == predictor_note("ridge", SMALL, larger)


def test_small_configs_leave_indices_out() -> None:
    config = small_config("dvae", "nb101_6", "nb101", 3, 400)
    assert config.model_args["vertex_ids"] is False and config.data.space == "nb101_6"
    assert (config.fit.max_steps, config.fit.seed, config.fit.warmup_steps) == (400, 3, 40)
    assert "vertex_ids" not in small_config("dvae+places", "nb101_6", "nb101", 0, 10).model_args
    assert "vertex_ids" not in small_config("svge", "nb101_6", "nb101", 0, 10).model_args


def test_rows_are_measured_once_and_settings_are_not_mixed(tmp_path: Path, parts: SizeParts) -> None:
    study = RankingStudy(tmp_path, "toy_4", vae_steps=4, sizes=RankingSizes(40, 4))
    for row in (Row("raw", "ridge"), Row("label", "mean"), Row("inside", "ridge")):
        for seed in (0, 1):
            run_row(row, seed, parts, study)
    path = tmp_path / "results" / "ranking_raw_ridge_0.json"
    before = path.stat().st_mtime_ns
    run_row(Row("raw", "ridge"), 0, parts, study)
    assert path.stat().st_mtime_ns == before
    with pytest.raises(GraphnasError, match="other"):
        run_row(Row("raw", "ridge"), 0, parts, RankingStudy(tmp_path, "toy_4", sizes=RankingSizes(30, 4)))
    table = ranking_table(read_rows(tmp_path))
    assert len(table) == 5 and "ridge on larger cells" in table[2] and "mean of the labels | – |" in table[-1]


def test_all_rows_have_names_of_their_own() -> None:
    rows = ranking_rows(["svge", "dvae", "dvae+places"], ["gates"])
    assert len({row.file for row in rows}) == len({row.title for row in rows}) == len(rows) == 15
