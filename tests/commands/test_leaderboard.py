"""`graphnas leaderboard vae`: entries, resuming, report, refusals."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from jsonargparse import Namespace

from graphnas.bo.board_report import COLUMNS, as_csv, cell, markdown, summarise
from graphnas.bo.vae_board import read_results
from graphnas.cli import main
from graphnas.commands.leaderboard_cli import plan
from graphnas.commands.train_cli import read_options, to_config
from graphnas.errors import GraphnasError
from graphnas.spaces import get_space
from graphnas.testing import seeded

pytestmark = pytest.mark.usefixtures("brief_gp")

WORDS = ["leaderboard", "vae", "--models", "arch2vec", "--spaces", "nb201", "--seeds", "1", "--quick"]


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("board")
    assert main([*WORDS, "--num_graphs", "nb201=600", "--out", str(folder)]) == 0
    return folder


def test_everything_is_measured(board: Path) -> None:
    entry = json.loads((board / "results" / "arch2vec_nb201_0.json").read_text())
    assert entry["steps"] == 60 and entry["cpu_minutes"] > 0 and entry["parameters"] > 10_000
    assert {column.key for column in COLUMNS} - set(entry["values"]) == {"exact_labelled"}
    assert entry["values"]["validity_masked"] == 1.0
    raw = json.loads((board / "results" / "raw_nb201.json").read_text())
    assert [row["features"] for row in raw["rows"]] == ["mean", "ridge", "ridge + pairs", "gradient boosting"]
    assert raw["test"] < raw["train"] <= 500


def test_labels_of_other_graphs_than_the_run_s(tmp_path: Path) -> None:
    """An ENAS file's rows are split on their own, limited by --max_labels, and reconstructed too."""
    space, rows = get_space("enas6"), tmp_path / "enas.txt"
    graphs = space.sample(100, seeded(0))
    rows.write_text("".join(f"{text}, {0.7 + row / 1000}\n" for row, text in enumerate(space.format(graphs))))
    words = ["--spaces", "enas6", "--labels", f"enas6={rows}", "--max_labels", "enas6=50", "--num_graphs", "enas6=300"]
    assert main([*WORDS, *words, "--out", str(tmp_path)]) == 0
    entries, (raw,) = read_results(tmp_path)
    assert 0 <= entries[0]["values"]["exact_labelled"] <= 1 and entries[0]["values"]["legacy_rmse"] > 0
    assert raw["train"] == 50 and 0 < raw["test"] < 20


def test_report_is_written_in_three_forms(board: Path) -> None:
    text = (board / "leaderboard.md").read_text()
    assert "### nb201" in text and "| arch2vec | 1 |" in text and "gradient boosting" in text
    lines = list(csv.DictReader((board / "leaderboard.csv").read_text().splitlines()))
    assert len(lines) == 1 and lines[0]["model"] == "arch2vec" and float(lines[0]["legacy_rmse"]) > 0
    assert (board / "leaderboard_nb201.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_finished_is_not_done_again(board: Path) -> None:
    path = board / "results" / "arch2vec_nb201_0.json"
    before = path.read_bytes(), path.stat().st_mtime_ns
    assert main([*WORDS, "--num_graphs", "nb201=600", "--out", str(board)]) == 0
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_results_of_another_profile_are_not_taken(board: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*WORDS, "--num_graphs", "nb201=700", "--out", str(board)]) == 2
    error = capsys.readouterr().err
    assert "was made with another recipe, labels or profile (data.num_graphs was 600, is now 700)" in error


def test_a_run_that_was_cut_off_goes_on(board: Path) -> None:
    """The result is made again from the finished run, with the same numbers: training is not repeated."""
    path = board / "results" / "arch2vec_nb201_0.json"
    before, steps = json.loads(path.read_text()), (board / "runs" / "arch2vec_nb201_0" / "metrics.jsonl").read_bytes()
    path.unlink()
    assert main([*WORDS, "--num_graphs", "nb201=600", "--out", str(board)]) == 0
    assert json.loads(path.read_text())["values"] == pytest.approx(before["values"], nan_ok=True)
    assert (board / "runs" / "arch2vec_nb201_0" / "metrics.jsonl").read_bytes() == steps


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--models", "nothing"], "no VAE is called nothing"),
        (["--models", "svge", "--spaces", "toy", "--variant", "gpu"], "unknown recipe 'svge_toy_gpu'"),
        (["--spaces", "nb2001"], "nb2001"),
        (["--labels", "nb201"], "expected SPACE=VALUE"),
        (["--seeds", "0"], "seeds must be at least 1"),
        (["--num_graphs", "nb201=many"], "whole number"),
        (["--max_labels", "nb201=0"], "whole number"),
        (["--labels", "enas6=rows.txt"], "--labels is about enas6, which is not among --spaces nb201"),
        (["--max_steps", "enas6=70"], "--max_steps is about enas6"),
        (["--models", "arch2vec", "--seeds", "1", "--num_graphs", "nb201=30"], "do not fill one batch"),
    ],
)
def test_bad_input_is_one_line(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["leaderboard", "vae", "--quick", *words, "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error and len(error.splitlines()) == 1


def test_plan_takes_counts_by_space() -> None:
    """Seeds outermost; a space without a count keeps its recipe's."""
    options = Namespace(
        models=["arch2vec"], spaces=["nb201", "enas6"], seeds=2, quick=False,
        num_graphs=["nb201=500"], max_steps=["enas6=70"], variant="",
    )  # fmt: skip
    plans = [(one.fit.seed, one.data.space, one.data.num_graphs, one.fit.max_steps) for one in plan(options)]
    steps = to_config(read_options(["--recipe=arch2vec_nb201"])).fit.max_steps
    assert plans == [row for seed in (0, 1) for row in [(seed, "nb201", 500, steps), (seed, "enas6", None, 70)]]


def test_a_space_without_recipes_is_trained_as_the_usual_one(capsys: pytest.CaptureFixture[str]) -> None:
    words = {"seeds": 2, "num_graphs": [], "variant": "", "quick": True}
    options = Namespace(models=["svge", "svae"], spaces=["toy"], max_steps=["toy=7"], **words)
    configs = plan(options)
    assert capsys.readouterr().err == "no recipe for toy, trained as on nb201: svge, svae\n"
    usual = to_config(read_options(["--recipe=svge_nb201"]))
    assert [one.data.space for one in configs] == ["toy"] * 4
    assert configs[0].model_args == usual.model_args and configs[0].fit.batch_size == usual.fit.batch_size
    assert configs[0].fit.max_steps == 7  # `quick` is about what nobody gave


def test_nothing_to_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leaderboard", "vae", "--report", "--models", "arch2vec", "--out", str(tmp_path)]) == 2
    assert "no finished entry" in capsys.readouterr().err


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "broken.json").write_text("{")
    with pytest.raises(GraphnasError, match=r"broken\.json is damaged"):
        read_results(tmp_path)


@pytest.mark.parametrize("name", ["arch2vec_nb201_0", "raw_nb201"])
def test_results_that_lack_something_are_damaged(
    name: str, board: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By hand or by an older version: one line says which file to delete."""
    whole = json.loads((board / "results" / f"{name}.json").read_text())
    path = tmp_path / "results" / f"{name}.json"
    path.parent.mkdir()
    needed = {"space", "train", "test", "rows"} if "rows" in whole else {"model", "space", "parameters", "values"}
    broken: list[Any] = [{key: whole[key] for key in whole if key != lost} for lost in needed]
    broken += [{**whole, "rows" if "rows" in whole else "values": 3}, [], None]
    broken += [{**whole, "rows": [{"features": "mean"}]}, {**whole, "values": {"exact": "many"}, "rows": [3]}]
    for content in broken:
        path.write_text(json.dumps(content))
        assert main(["leaderboard", "vae", "--report", "--out", str(tmp_path)]) == 2
        error = capsys.readouterr().err
        assert error == f"graphnas: {path} is damaged: delete it and run the same command again\n"


def test_a_run_without_its_metrics_file_is_measured(board: Path) -> None:
    """The cost of training comes with the checkpoint."""
    path, metrics = board / "results" / "arch2vec_nb201_0.json", board / "runs" / "arch2vec_nb201_0" / "metrics.jsonl"
    before, content = json.loads(path.read_text()), metrics.read_bytes()
    path.unlink()
    metrics.write_text("{broken")
    assert main([*WORDS, "--num_graphs", "nb201=600", "--out", str(board)]) == 0
    assert json.loads(path.read_text())["cpu_minutes"] == before["cpu_minutes"]
    metrics.write_bytes(content)


def made(model: str, seed: int, exact: float, rmse: float | None) -> dict[str, Any]:
    values = {"exact": exact, "legacy_rmse": rmse}
    cost = {"cpu_minutes": 2.0, "minutes_to_99": 1.0 if exact > 0.99 else None, "minutes_to_99.9": None}
    head = {"model": model, "space": "toy", "seed": seed, "parameters": 10, "steps": 5}
    return {**head, **cost, "made": {"run": {"fit": {"max_steps": 5, "seed": seed}}}, "values": values}


def test_summary_orders_by_rmse_and_counts_the_seeds_that_have_a_value() -> None:
    entries = [made("a", 0, 0.995, 0.5), made("a", 1, 0.5, 0.7), made("b", 0, 0.2, 0.1)]
    first, second = summarise(entries)
    assert (first.model, second.model, second.seeds) == ("b", "a", 2)
    assert second.values["minutes_to_99"] == [1.0]
    text = markdown([first, second], [])
    assert "1.0 (1 of 2)" in text and "to 99.9 %" not in text
    assert cell([0.5], COLUMNS[0], 1) == "50.00" and cell([], COLUMNS[0], 1) == "–"
    assert cell([0.4, 0.6], COLUMNS[0], 2).startswith("50.00 ± 127.06")  # t of 1 degree of freedom x sd / sqrt(2)
    assert len(as_csv(entries).splitlines()) == 4


def test_seeds_of_different_recipes_have_no_common_mean() -> None:
    entries = [made("a", 0, 0.995, 0.5), made("a", 1, 0.5, 0.7)]
    entries[1]["made"]["run"]["fit"]["max_steps"] = 6
    with pytest.raises(GraphnasError, match="a on toy: seeds 0, 1 were made with different recipes"):
        summarise(entries)


def test_an_option_that_did_not_exist_yet_is_no_other_recipe() -> None:
    entries = [made("a", 0, 0.995, 0.5), made("a", 1, 0.5, 0.7)]
    entries[1]["made"]["run"]["fit"]["new"] = None
    assert summarise(entries)[0].seeds == 2


def test_a_variant_names_other_recipes_and_keeps_their_device() -> None:
    words = {"models": ["svge"], "spaces": ["nb101"], "seeds": 1, "num_graphs": [], "max_steps": [], "quick": False}
    (config,) = plan(Namespace(**words, variant="gpu"))
    assert config.fit.device == "cuda" and config.fit.batch_size == 1024 and config.data.num_graphs is None
    (config,) = plan(Namespace(**words, variant=""))
    assert config.fit.device == "cpu" and config.fit.batch_size == 64
