"""What ranks by name: shipped weights with a head, and the errors of names that are nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphnas import get_space
from graphnas.errors import InvalidValues, MissingData
from graphnas.train.rankers import digest_of_ranker, load_ranker, predictions_of, ranking_weights


def test_shipped_heads_rank() -> None:
    assert "svge_nb201-digits" in ranking_weights()
    space, name = get_space("nb201"), "svge_nb201-digits"
    values = predictions_of(load_ranker(name))(space.enumerate()[:5])
    assert values.shape == (5,) and bool(values.isfinite().all())
    assert len(digest_of_ranker(name)) == 16 and digest_of_ranker(name) != digest_of_ranker("svge_nb201")


def test_what_is_no_ranker(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match="no predictor in nosuch: .* that rank are svge_nb201-digits"):
        load_ranker("nosuch")
    with pytest.raises(MissingData, match="no predictor in .*: `graphnas train predictor` makes one"):
        load_ranker(str(tmp_path))
    with pytest.raises(InvalidValues, match="svge_nb201 learned no label"):
        load_ranker("svge_nb201")
