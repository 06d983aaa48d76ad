"""Searches that go on beyond the space their model was trained on."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from graphnas import load_table
from graphnas.bo.beyond import BeyondBO
from graphnas.bo.beyond_config import BeyondConfig
from graphnas.bo.beyond_oracle import judge_beyond
from graphnas.bo.beyond_report import beyond_summary, write_beyond_report
from graphnas.bo.beyond_run import run_beyond
from graphnas.bo.config import OracleConfig, SearchConfig
from graphnas.bo.oracles import TableOracle
from graphnas.bo.search import read_journal, run_search
from graphnas.bo.surrogates import Posterior
from graphnas.errors import InvalidArchitecture, InvalidValues, MissingData, SpaceMismatch
from graphnas.models import GraphVAE, create_model
from graphnas.spaces import get_space
from graphnas.tables import within

SMALL, TOY = get_space("toy_4"), get_space("toy")
TABLE = load_table("toy")
CONFIG = SearchConfig("toy_4", queries=18, initial=4, batch_size=3, oracle=OracleConfig(labels="toy"))
BEYOND = BeyondConfig("toy", beyond_queries=8, candidates=60)
BEYOND_HALF = BeyondConfig("toy", beyond_queries=30, candidates=60)


def make(name: str = "svge", space: str = "toy_4") -> GraphVAE:
    torch.manual_seed(0)
    narrow = {"node_dim": 16, "hidden_dim": 16, "latent_dim": 6}
    known = {key: value for key, value in narrow.items() if key in create_model(name, SMALL).config.to_dict()}
    model = create_model(name, space, **known)
    assert isinstance(model, GraphVAE)
    return model.eval()


MODEL = make()
BASE = SMALL.enumerate()
VALUES = TABLE.query(BASE.widen(5), "score").double()


def searcher(seed: int = 0, **options: object) -> BeyondBO:
    return BeyondBO(MODEL, TOY, BASE, VALUES, seed=seed, candidates=60, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("acquisition", ["mean", "logei", "thompson"])
def test_what_is_asked_for_is_valid_larger_and_new(acquisition: str) -> None:
    search = searcher(acquisition=acquisition)
    history = run_search(search, TableOracle(TABLE), 20, 4)
    archs = TOY.parse([one.arch for one in history.evaluations])
    assert bool(TOY.is_valid(archs).all()) and set(archs.num_nodes.tolist()) == {5}
    assert len(set(TOY.canonical_keys(archs))) == 20 and not any(one.error for one in history.evaluations)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_it_climbs_whatever_the_sign(sign: float) -> None:
    """What the surrogate chooses is better than what the decoder makes of the same codes."""
    search = BeyondBO(make("dgmg"), TOY, BASE, sign * VALUES, candidates=100)
    grown = search.grow(400, torch.Generator().manual_seed(0))
    drawn = sign * TABLE.query(grown[search.fresh(grown)], "score").double()
    while len(search.values) < 25:
        archs = search.ask(5)
        search.tell(archs, sign * TABLE.query(archs, "score").double())
    assert float(search.values[5:].mean() - drawn.mean()) > 0.4 * float(drawn.std())


def test_small_and_large_are_learned_from_together() -> None:
    search = searcher()
    archs = search.ask(2)
    search.tell(archs, torch.tensor([5.0, torch.nan]))
    known, values = search.known()
    assert len(known) == len(BASE) + 2 == len(search.points)
    assert float(values[-2]) == 5.0 and float(values[-1]) == float(VALUES.min())
    assert search.best()[1] == 5.0
    expected, deviation = search.expected(search.points[-2:])
    assert float(expected[0]) > float(VALUES.mean()) and bool((deviation >= 0).all())


def test_one_fit_between_two_tellings() -> None:
    search, fits = searcher(), []
    usual = search.fit

    def counted(x: Tensor, y: Tensor, seed: int) -> Posterior:
        fits.append(len(x))
        return usual(x, y, seed)

    search.fit = counted
    first = search.ask(2)
    search.ask(1)
    search.expected(search.points[:2])
    assert fits == [len(BASE)]
    search.tell(first, torch.tensor([0.1, 0.2]))
    search.expected(search.points[:2])
    assert fits == [len(BASE), len(BASE) + 2]


def test_places_of_the_trained_space_stay() -> None:
    """The enlarged encoder gives small architectures the codes they had."""
    codes = searcher().codes
    assert torch.allclose(codes.codes, MODEL(BASE).detach(), atol=1e-5)


def test_layers_are_added_to_networks_of_one_size() -> None:
    model, six = make("svge", "enas6"), get_space("enas6")
    archs = six.sample(12, torch.Generator().manual_seed(0))
    search = BeyondBO(model, "enas12", archs, archs.adj.sum((1, 2)).double(), candidates=20, pool=archs)
    asked = search.ask(3)
    assert bool(get_space("enas12").is_valid(asked).all()) and len(asked) == 3


def test_what_cannot_go_on_is_refused() -> None:
    for name, space, message in (
        ("svge", "toy_3", "at least 4 vertices"),
        ("svge", "toy_4", "more than 4 vertices"),
        ("svge", "nb101_8", "the operations of toy_4"),
        ("arch2vec", "toy", "a code for every vertex"),
        ("svae", "toy", "weights for every place.*--new_places repeat"),
    ):
        with pytest.raises(SpaceMismatch, match=message):
            BeyondBO(make(name), space, BASE, VALUES)
    with pytest.raises(InvalidValues, match="at least 2 evaluated"):
        BeyondBO(MODEL, TOY, BASE[:2], torch.tensor([1.0, math.nan]))
    assert len(BeyondBO(make("svae"), TOY, BASE, VALUES, candidates=40, new_places="repeat").ask(2)) == 2


def test_part_of_a_table() -> None:
    small = within(TABLE, SMALL)
    assert len(small) == len(BASE) and small.space.name == "toy_4"
    assert torch.equal(small.query(BASE, "score"), VALUES.float())
    for space in ("toy", "nb101_4"):
        with pytest.raises(SpaceMismatch, match="operations with fewer than 5 vertices"):
            within(TABLE, get_space(space))


def test_who_can_judge(tmp_path: Path) -> None:
    judge = judge_beyond(TOY, SMALL, OracleConfig())
    assert judge.oracle is not None and judge.known is not None and judge.oracle(TOY.sample(1)).error == ""
    assert judge_beyond(TOY, SMALL, OracleConfig(kind="train", epochs=1)).oracle is not None
    assert judge_beyond(TOY, SMALL, OracleConfig(kind="boosted")).oracle is not None
    assert judge_beyond(get_space("toy_6"), TOY, OracleConfig()).reason == "toy is not about toy_6"
    with pytest.raises(MissingData, match="neither nb101_6 nor nb101 has built-in labels"):
        judge_beyond(get_space("nb101"), get_space("nb101_6"), OracleConfig())
    enas = tmp_path / "enas.txt"
    space = get_space("enas6")
    enas.write_text("".join(f"{text}, 0.5\n" for text in space.format(space.sample(3))))
    assert "is not about enas12" in judge_beyond(get_space("enas12"), space, OracleConfig(labels=str(enas))).reason
    enas.write_text("[[0]], 0.5\n")
    with pytest.raises(InvalidArchitecture, match="line 1"):
        judge_beyond(get_space("enas12"), space, OracleConfig(labels=str(enas)))
    labels = tmp_path / "small.csv"
    lines = [f'"{text}",{value}' for text, value in zip(SMALL.format(BASE), VALUES.tolist(), strict=True)]
    labels.write_text("\n".join(["arch,score", *lines]) + "\n")
    judge = judge_beyond(TOY, SMALL, OracleConfig(labels=str(labels)))
    assert judge.oracle is None and "no label of more than 4 vertices" in judge.reason


def test_one_budget_for_both_spaces_and_resuming(tmp_path: Path) -> None:
    paid: list[str] = []
    found = run_beyond(CONFIG, BEYOND, MODEL, tmp_path, lambda one: paid.append(one.arch))
    assert (len(found.inside.evaluations), len(found.outside.evaluations), len(paid)) == (10, 8, 18)
    journal = found.folder / "journal.jsonl"
    assert read_journal(journal) == found.outside.evaluations
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:4]))
    again = run_beyond(CONFIG, BEYOND, MODEL, tmp_path, lambda one: paid.append(one.arch))
    assert again.outside == found.outside and len(paid) == 18 + 4
    paths = {path.name: path for path in write_beyond_report(found)}
    assert set(paths) == {"candidates.csv", "evaluations.csv", "best.png"}
    with paths["candidates.csv"].open() as stream:
        rows = list(csv.DictReader(stream))
    expected = [float(row["expected"]) for row in rows]
    assert expected == sorted(expected, reverse=True)
    values = {row["architecture"]: float(row["score"]) for row in rows if row["score"]}
    assert values == {one.arch: one.value for one in found.outside.evaluations}
    keys = TOY.canonical_keys(TOY.parse([row["architecture"] for row in rows]))
    assert len(set(keys)) == len(keys) > 8
    assert "toy_4: best" in beyond_summary(found) and "toy: best" in beyond_summary(found)


def test_limits_hold_beyond_too(tmp_path: Path) -> None:
    most = float(TOY.cost(TOY.enumerate())["params"].float().quantile(0.3))
    found = run_beyond(replace(CONFIG, max_params=most), BEYOND, MODEL, tmp_path)
    archs = TOY.parse([one.arch for one in found.outside.evaluations])
    assert len(archs) == 8 and int(TOY.cost(archs)["params"].max()) <= most
    assert int(TOY.cost(found.ranking.archs)["params"].max()) <= most


def test_seconds_are_shared_too(tmp_path: Path) -> None:
    metric = "score"  # as good as any: the search only adds it up
    one = float(VALUES.mean())
    oracle = OracleConfig(labels="toy", seconds_metric=metric)
    found = run_beyond(replace(CONFIG, queries=60, max_seconds=18 * one, oracle=oracle), BEYOND_HALF, MODEL, tmp_path)
    assert 9 * one <= found.inside.seconds < 9 * one + float(VALUES.max())
    assert found.inside.seconds + found.outside.seconds >= 18 * one and len(found.outside.evaluations) < 30


def test_without_a_judge_all_is_spent_inside(tmp_path: Path) -> None:
    config = SearchConfig("toy", queries=12, initial=4, pool_size=200)
    found = run_beyond(config, BeyondConfig("toy_6", candidates=30), make("svge", "toy"), tmp_path)
    assert len(found.inside.evaluations) == 12 and not found.outside.evaluations
    assert "nothing evaluated, ranked by expectation only (toy is not about toy_6)" in beyond_summary(found)
    assert {path.name for path in write_beyond_report(found)} == {"candidates.csv", "best.png"}


def test_the_budget_is_shared() -> None:
    assert BeyondConfig("toy").share(30) == 10 and BeyondConfig("toy", beyond_queries=5).share(7) == 5
    with pytest.raises(InvalidValues, match="at least 2 of 6 queries"):
        BeyondConfig("toy", beyond_queries=5).share(6)
    with pytest.raises(InvalidValues, match="candidates must be at least 2"):
        BeyondConfig("toy", candidates=1)
