"""`graphnas bo`: what it prints and writes, kills, bad oracles, refusals."""

from __future__ import annotations

import csv
import json
import re
import shutil
import signal
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from graphnas.bo.config import OracleConfig, SearchConfig
from graphnas.cli import main
from graphnas.commands.bo_cli import open_model
from graphnas.models import create_model, save_model
from graphnas.spaces import Architectures
from graphnas.train import fit_predictor, save_predictor
from tests.bo.searches import MODEL, SPACE, score, write_labels

SEARCH, ORACLE = ([one.name for one in fields(kind) if one.name != "oracle"] for kind in (SearchConfig, OracleConfig))
SMALL = ["--space=toy", "--queries=8", "--initial=4", "--batch_size=2"]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def vae(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_model(MODEL, tmp_path_factory.mktemp("vae") / "toy.safetensors"))


def bo(*words: object, method: str = "random") -> int:
    chosen = [] if "--compare" in words else [f"--method={method}"]
    return main(["bo", *SMALL, *chosen, *map(str, words)])


def results(folder: Path) -> dict[str, Any]:
    return {path.name: json.loads(path.read_text()) for path in sorted((folder / "results").glob("*.json"))}


def evaluations(folder: Path, name: str = "random-0") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "journals" / f"{name}.jsonl").read_text().splitlines()]


def test_a_search_in_a_latent_space(vae: str, tmp_path: Path, capsys: Capture) -> None:
    assert bo("--model", vae, "--out", tmp_path, method="latent") == 0
    shown, progress = capsys.readouterr()
    paid = evaluations(tmp_path, "latent-0")
    best = max(paid, key=lambda one: one["value"])
    assert shown.splitlines()[1].split() == [f"{best['value']:.4f}", best["arch"]]
    assert shown.splitlines()[-1] == "8 evaluations, 0 of them failed"
    assert f"{best['value']:.5g}  {best['arch']}" in progress and f"{tmp_path}/reports/latent-0/latent.png" in progress
    assert len({one["arch"] for one in paid}) == 8 == len(paid)
    for one in paid:
        assert one["value"] == float(score(SPACE.parse(one["arch"])))
    assert bo("--model", vae, "--out", tmp_path, method="latent") == 0
    again = capsys.readouterr()
    assert again.out == shown and best["arch"] not in again.err  # nothing is evaluated anew


def test_lower_is_better(tmp_path: Path, capsys: Capture) -> None:
    labels = write_labels(tmp_path / "toy.csv")
    words = ["--labels", labels, "--metric=error", "--test_metric=error", "--oracle.minimise=true", "--queries=40"]
    assert bo(*words, "--out", tmp_path / "out", method="local") == 0
    shown = capsys.readouterr().out.splitlines()
    lowest = min(-one["value"] for one in evaluations(tmp_path / "out", "local-0"))
    assert shown[0].split() == ["error", "architecture"]  # what is reported is the same, and told once
    assert shown[1].split()[0] == f"{lowest:.4f}" and 0 <= lowest < 0.2
    rows = list(csv.DictReader((tmp_path / "out" / "reports" / "local-0" / "evaluations.csv").open()))
    assert min(float(row["error"]) for row in rows) == pytest.approx(lowest)


def test_training_seconds_end_a_search(tmp_path: Path, capsys: Capture) -> None:
    labels = write_labels(tmp_path / "toy.csv")
    words = ["--labels", labels, "--metric=score", "--oracle.seconds_metric=seconds", "--max_seconds=900"]
    assert bo(*words, "--queries=100", "--out", tmp_path / "out") == 0
    spent = [one["seconds"] for one in evaluations(tmp_path / "out")]
    assert sum(spent) >= 900 > sum(spent[:-1])
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"{len(spent)} evaluations, 0 of them failed; {sum(spent):,.0f} s of training"


def test_a_front_under_a_limit(tmp_path: Path, capsys: Capture) -> None:
    words = ["--cost=params", "--max_params=30", "--queries=14", "--out", tmp_path]
    assert bo(*words, method="raw_gp") == 0
    archs = SPACE.parse([one["arch"] for one in evaluations(tmp_path, "raw_gp-0")])
    costs, values = SPACE.cost(archs)["params"], score(archs)
    assert len(archs) == 14 and int(costs.max()) <= 30
    own = tmp_path / "reports" / "raw_gp-0"
    front = list(csv.DictReader((own / "front.csv").open()))
    for row in front:
        better = (values >= float(row["score"])) & (costs <= int(row["network_params"]))
        assert int((better & ((values > float(row["score"])) | (costs < int(row["network_params"])))).sum()) == 0
    assert (own / "front.png").is_file() and list(front[0]) == ["network_params", "score", "architecture"]
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:-1]] == [
        row["network_params"] for row in front
    ]


def test_a_front_with_a_test_metric(tmp_path: Path, capsys: Capture) -> None:
    labels = write_labels(tmp_path / "toy.csv")
    words = ["--labels", labels, "--metric=score", "--test_metric=error", "--cost=params", "--queries=14"]
    assert bo(*words, "--out", tmp_path / "out", method="raw_gp") == 0
    shown = [line.split() for line in capsys.readouterr().out.splitlines()[:-1]]
    assert shown[0] == ["network_params", "score", "error", "architecture"]
    tests = {one["arch"]: one["test"] for one in evaluations(tmp_path / "out", "raw_gp-0")}
    assert all(float(test) == pytest.approx(tests[arch], abs=1e-4) for _, _, test, arch in shown[1:])
    assert "error" in next(csv.DictReader((tmp_path / "out" / "reports" / "raw_gp-0" / "front.csv").open()))


def test_labels_of_a_part_are_snapped_to_and_counted(tmp_path: Path, capsys: Capture) -> None:
    labels = write_labels(tmp_path / "some.csv", SPACE.enumerate()[::20])
    assert bo("--labels", labels, "--metric=score", "--out", tmp_path / "out", method="evolution") == 0
    count = results(tmp_path / "out")["evolution-0.json"]["values"]["snapped"]
    assert f"; {count} answered with the nearest labelled architecture" in capsys.readouterr().out and count


def test_recipes_and_quick(tmp_path: Path, capsys: Capture) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("space: toy\nstart: 600\nqueries: 100\nbatch_size: 50\nmethod: raw_gp\ninitial: 6\n")
    words = ["bo", "--recipe", str(recipe), "--quick", "--queries", "7", "--method=random", "--out"]
    assert main([*words, str(tmp_path / "out")]) == 0
    shared = json.loads((tmp_path / "out" / "search.json").read_text())
    assert {name: shared[name] for name in ("queries", "start", "batch_size", "initial", "pool_size")} == {
        "queries": 7, "start": 0, "batch_size": 5, "initial": 5, "pool_size": 500,
    }  # fmt: skip
    assert len(evaluations(tmp_path / "out")) == 7
    capsys.readouterr()


COMPARE = ["--compare", "--seeds=3", "--methods", "random", "local"]


def test_a_comparison(tmp_path: Path, capsys: Capture) -> None:
    assert bo(*COMPARE, "--out", tmp_path / "one") == 0
    shown = capsys.readouterr().out
    text, fence, settings = (tmp_path / "one" / "comparison.md").read_text().partition("```json")
    assert shown.strip() == text.strip() and fence and '"queries": 8' in settings
    names = [f"{name}-{seed}.json" for name in ("local", "random") for seed in range(3)]
    assert list(results(tmp_path / "one")) == names
    assert shown.splitlines()[0] == "| method | seeds | after 1 | after 3 | after 5 | after 8 | t-test p | Wilcoxon p |"
    rows = list(csv.DictReader((tmp_path / "one" / "curves.csv").open()))
    assert len(rows) == 2 * 3 * 8 and (tmp_path / "one" / "curves.png").is_file()


@pytest.mark.slow
def test_processes_of_a_comparison_change_nothing(tmp_path: Path, capsys: Capture) -> None:
    for jobs in (1, 2):
        assert bo(*COMPARE, f"--jobs={jobs}", "--out", tmp_path / str(jobs)) == 0
    assert results(tmp_path / "1") == results(tmp_path / "2")
    assert (tmp_path / "1" / "comparison.md").read_text() == (tmp_path / "2" / "comparison.md").read_text()
    capsys.readouterr()
    assert bo(*COMPARE, "--jobs=2", "--metric=nix", "--out", tmp_path / "3") == 2
    hint = "labels with other metrics are passed by --labels FILE"
    assert capsys.readouterr().err == f"graphnas: unknown metric 'nix': known are score; {hint}\n"
    assert not (tmp_path / "3").exists()


def test_without_a_model_the_rest_is_compared(tmp_path: Path, capsys: Capture) -> None:
    assert main(["bo", *SMALL, "--compare", "--quick", "--queries=4", "--initial=4", "--out", str(tmp_path)]) == 0
    assert "latent, latent_random left out" in capsys.readouterr().err
    assert len(results(tmp_path)) == 2 * 4  # --quick means two seeds


KILLED = """
import os, signal
import graphnas.bo.comparison as comparison
import graphnas.bo.search as search
from graphnas.bo.oracles import TableOracle
from graphnas.cli import main

def die(*ignored):
    os.kill(os.getpid(), signal.SIGKILL)

def paid(oracle, arch, evaluate=TableOracle.__call__):
    with open({paid!r}, "a") as stream:
        stream.write(oracle.space.format(arch)[0] + "\\n")
    return evaluate(oracle, arch)

def count(path):
    return len(path.read_bytes().splitlines()) if path.exists() else 0

TableOracle.__call__ = paid
append, evaluate, write_result = search.append, search.evaluate, comparison.write_result
{moment}
main({words!r})
"""

MOMENTS = {
    "in an evaluation": "TableOracle.__call__ = die",
    "in a line": """
def cut(path, evaluation):
    if count(path) == 2:
        with path.open("a") as stream:
            stream.write('{"arch": "0111')
        die()
    append(path, evaluation)
search.append = cut""",
    "behind a line": """
def behind(path, evaluation):
    append(path, evaluation)
    if count(path) == 6:
        die()
search.append = behind""",
    "before the result": "comparison.write_result = die",
}


@pytest.mark.parametrize("compare", [False, True], ids=["one search", "comparison"])
def test_killed_at_any_moment_it_goes_on_as_if_it_had_not_been(
    compare: bool, start: Callable[..., Any], tmp_path: Path, capsys: Capture
) -> None:
    words = ["bo", *SMALL, "--threads=1"]
    words += ["--compare", "--methods", "raw_gp", "evolution", "--seeds=1"] if compare else ["--method=raw_gp"]
    assert main([*words, "--out", str(tmp_path / "whole")]) == 0
    cut, paid = tmp_path / "cut", tmp_path / "paid"
    for name, moment in MOMENTS.items():
        source = KILLED.format(moment=moment, words=[*words, "--out", str(cut)], paid=str(paid))
        child = start(source)
        assert child.wait() == -signal.SIGKILL, (name, child.err.read_text())
        assert not results(cut)
    assert main([*words, "--out", str(cut)]) == 0
    assert results(cut) == results(tmp_path / "whole")
    name = "comparison.md" if compare else "reports/raw_gp-0/evaluations.csv"
    assert (cut / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    first = [one["arch"] for one in evaluations(cut, "raw_gp-0")]
    assert paid.read_text().split() == [*first[:3], *first[2:]]  # the third again, whose line was cut
    capsys.readouterr()


class Bad:
    """A predictor that fails in a different way each time, then answers."""

    space = SPACE

    def __init__(self, always: bool) -> None:
        self.count, self.always = 0, always

    def predict(self, archs: Architectures) -> Tensor:
        self.count += 1
        if self.always or self.count == 1:
            raise RuntimeError("no memory")
        return {2: torch.tensor([torch.nan]), 3: torch.zeros(0), 4: torch.ones(1, 2)}.get(self.count, score(archs))


PREDICT = ["--oracle.kind=predictor", "--oracle.predictor=mine"]


def test_bad_oracles_are_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("graphnas.bo.setting.load_ranker", lambda path: Bad(False))
    assert bo(*PREDICT, "--out", tmp_path) == 0
    shown, progress = capsys.readouterr()
    assert "8 evaluations, 4 of them failed, the first because of: RuntimeError: no memory" in shown
    assert "failed: RuntimeError: no memory" in caplog.text and progress.count("failed: ") == 3
    paid = evaluations(tmp_path)
    assert [bool(one["error"]) for one in paid] == [True] * 4 + [False] * 4
    assert "finite" in paid[1]["error"] and [one["value"] for one in paid[:4]] == [None] * 4


def test_stopping_at_the_first_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr("graphnas.bo.setting.load_ranker", lambda path: Bad(False))
    assert bo(*PREDICT, "--stop_on_error", "--out", tmp_path) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("graphnas: evaluation 1 of ") and last.endswith("failed: RuntimeError: no memory")
    assert len(evaluations(tmp_path)) == 1 and not (tmp_path / "results").exists()
    assert bo(*PREDICT, "--out", tmp_path) == 0
    assert len(evaluations(tmp_path)) == 8


def test_nothing_but_failures_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr("graphnas.bo.setting.load_ranker", lambda path: Bad(True))
    assert bo(*PREDICT, "--out", tmp_path) == 2
    shown, progress = capsys.readouterr()
    assert "8 evaluations, 8 of them failed" in shown
    assert progress.splitlines()[-1] == (
        "graphnas: no evaluation has succeeded, the first failed because of: RuntimeError: no memory"
    )
    assert len(evaluations(tmp_path)) == 8


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--method=nix"], "unknown search method 'nix': known are evolution"),
        (["--compare", "--methods", "random", "nix"], "unknown search method 'nix'"),
        (["--compare", "--methods", "random", "latent"], "no latent space for latent without a model: pass --model"),
        (["--compare", "--seeds=0"], "--seeds must be at least 1"),
        (["--compare", "--jobs=0"], "--jobs must be at least 1"),
        (["--threads=0"], "--threads must be at least 1"),
        (
            ["--metric=nix"],
            "unknown metric 'nix': known are score; labels with other metrics are passed by --labels FILE",
        ),
        (["--test_metric=nix"], "unknown metric 'nix'"),
        (["--space=nowhere"], "unknown search space 'nowhere': known are"),
        (["--space=enas6"], "enas6 has no built-in labels: pass --oracle.labels FILE"),
        (["--labels=nowhere.csv"], "nowhere.csv"),
        (["--labels=digits201"], "nb201"),
        (["--model=runs/nowhere"], "no model file at runs/nowhere"),
        (["--model=nowhere.safetensors"], "no model file at nowhere.safetensors"),
        (["--model=nowhere"], "unknown model 'nowhere'"),
        (["--method=latent"], "needs a trained model: pass --model RUN"),
        (["--method=raw_gp", "--acquisition=nix"], "unknown acquisition 'nix'"),
        (["--method=local", "--acquisition=nix"], "unknown acquisition 'nix'"),
        ([*COMPARE, "--surrogate=nix"], "unknown surrogate 'nix'"),
        (["--method=raw_gp", "--surrogate=nix"], "unknown surrogate 'nix'"),
        (["--cost=weight"], "--cost: expected params or flops (got weight) (see `graphnas bo --help`)"),
        (["--proposal=sphere"], "--proposal: expected codes, mutants, box or trust_region (got sphere)"),
        (["--queries=0"], "queries must be at least 1"),
        (["--queries=many"], "--queries: expected a whole number (got many)"),
        (["--queries=788"], "788 queries are more than the 787 architectures of toy"),
        (["--max_params=0"], "max_params must be positive"),
        (["--max_params=9", "--queries=300"], "more than the 297 architectures of toy to choose from with params <= 9"),
        (["--max_seconds=5"], "pass --oracle.seconds_metric"),
        (["--cost=params", "--acquisition=ucb"], "acquisition has no meaning with cost"),
        (["--oracle.kind=train", "--metric=score"], "oracle.metric has no meaning for oracle.kind train"),
        (["--oracle.kind=train", "--start=3"], "no value is known before it is paid for"),
        (["--oracle.kind=train", "--oracle.dataset=nix"], "unknown image data set 'nix'"),
        (["--oracle.kind=predictor"], "--oracle.predictor RUN"),
        (["--oracle.kind=predictor", "--oracle.predictor=nowhere"], "nowhere"),
        (["--recipe=nix"], "unknown recipe 'nix': known are enas6, enas6_published"),
        (["--recipe=nix.yaml"], "no recipe file nix.yaml"),
        (["--candidates=30"], "candidates has no meaning without a larger space: pass --beyond SPACE"),
        (["--nonsense=1"], "nonsense"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert bo(*words, "--out=out") == 2
    shown, error = capsys.readouterr()
    assert message in error and error.count("\n") == 1 and error.startswith("graphnas: ") and not shown
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["svge", "svge_enas6"])
def test_shipped_weights_by_their_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("svge_enas6").mkdir()  # a folder of that name is ./svge_enas6
    model = open_model(SearchConfig("enas6", name))
    assert model is not None and (model.registered_name, model.space.name) == ("svge", "enas6")
    shipped = create_model("svge", "enas6", pretrained=True)
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), shipped.parameters(), strict=True))


def test_shipped_weights_of_another_space_or_kind(tmp_path: Path, capsys: Capture) -> None:
    for name, message in (
        ("svge_enas6", "the model is about enas6, the search about toy"),
        ("svge_toy", "unknown model 'svge_toy'"),
    ):
        assert bo(f"--model={name}", "--out", tmp_path / "out", method="latent") == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1 and not (tmp_path / "out").exists()


def test_models_and_limits_that_do_not_fit(vae: str, tmp_path: Path, capsys: Capture) -> None:
    large = SPACE.enumerate()[SPACE.cost(SPACE.enumerate())["params"] > 20]
    labels = write_labels(tmp_path / "large.csv", large)
    for words, message in (
        (["--space=nb201", "--model", vae, "--method=latent"], "the model is about toy, the search about nb201"),
        (["--labels", labels, "--metric=score", "--max_params=20"], f"none of {len(large)} architectures of toy has"),
        (["--labels", labels, "--metric=score", "--max_params=20", *COMPARE], f"none of {len(large)} architectures"),
    ):
        assert bo(*words, "--out", tmp_path / "out") == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1 and not (tmp_path / "out").exists()


def test_a_finished_search_is_extended_and_a_second_seed_has_files_of_its_own(tmp_path: Path, capsys: Capture) -> None:
    assert bo("--out", tmp_path) == 0 == bo("--out", tmp_path, "--seed=1")
    before = evaluations(tmp_path)
    assert bo("--out", tmp_path, "--queries=12") == 0
    assert "12 evaluations, 0 of them failed" in capsys.readouterr().out
    assert evaluations(tmp_path)[:8] == before and len(evaluations(tmp_path)) == 12
    reports = {path.name: path / "evaluations.csv" for path in (tmp_path / "reports").iterdir()}
    assert {name: len(list(csv.DictReader(path.open()))) for name, path in reports.items()} == {
        "random-0": 12, "random-1": 8,
    }  # fmt: skip
    assert bo("--out", tmp_path) == 2
    assert "holds a search with a larger budget (queries 12, now 8)" in capsys.readouterr().err


def test_a_comparison_is_extended_and_leaves_out_what_was_not(tmp_path: Path, capsys: Capture) -> None:
    assert bo(*COMPARE, "--out", tmp_path) == 0
    assert bo("--compare", "--seeds=3", "--methods", "random", "--queries=12", "--out", tmp_path) == 0
    shown, progress = capsys.readouterr()
    assert "3 searches of a smaller budget" in progress and "| local | 3" in shown.split("| after 12 |")[0]
    assert "| local | 3" not in shown.split("| after 12 |")[1]


@pytest.mark.parametrize("words", [[], COMPARE], ids=["one search", "comparison"])
def test_the_folder_of_another_search_stays_as_it_is(words: list[str], tmp_path: Path, capsys: Capture) -> None:
    assert bo(*words, "--out", tmp_path) == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert bo(*words, "--queries=9", "--metric=score", "--out", tmp_path) == 2
    error = capsys.readouterr().err
    assert "(oracle.metric None, now score): choose another --out" in error and error.count("\n") == 1
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_help_explains_every_option(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        main(["bo", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for words in ("Simulated training seconds after which", "--stop_on_error", "nothing is paid for twice"):
        assert words in text
    options = text.split("options:")[1]
    for name in (*SEARCH, *(f"oracle.{name}" for name in ORACLE)):
        assert re.search(rf"--{name} [A-Z{{][^(]*[a-z]{{3}}", options), f"--{name} is not explained"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--methods", "random"], "--methods has no meaning without --compare"),
        (["--seeds=2"], "--seeds has no meaning without --compare"),
        (["--method=random", "--acquisition=ucb"], "--acquisition has no meaning for --method random, which has no"),
        (["--compare", "--method=random"], "--method has no meaning with --compare, where --methods says which"),
        (["--compare", "--seed", "5"], "--seed has no meaning with --compare"),
        (["--metric=a", "--oracle.metric=b"], "--metric is short for --oracle.metric"),
        (["--model=svge_nb20", "--space=nb201"], "unknown model 'svge_nb20': did you mean 'svge_nb201'"),
    ],
)
def test_options_that_would_not_be_read(words: list[str], message: str, tmp_path: Path, capsys: Capture) -> None:
    assert main(["bo", *words, f"--out={tmp_path / 'out'}"]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_search_that_never_chose_says_so(tmp_path: Path, capsys: Capture) -> None:
    assert bo("--initial=8", "--out", tmp_path, method="raw_gp") == 0
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.endswith("; all of them random, before the first choice of raw_gp (--initial 8)")
    assert bo("--initial=7", "--out", tmp_path / "chosen", method="raw_gp") == 0
    assert "random" not in capsys.readouterr().out.splitlines()[-1]


def test_progress_goes_on_from_what_was_found(tmp_path: Path, capsys: Capture) -> None:
    assert bo("--queries=30", "--out", tmp_path) == 0
    best = max(one["value"] for one in evaluations(tmp_path))
    capsys.readouterr()
    assert bo("--queries=36", "--out", tmp_path) == 0
    told = [float(line.split()[0]) for line in capsys.readouterr().err.splitlines() if re.match(r"[0-9.]+  ", line)]
    assert all(value > best for value in told)


def test_another_predictor_is_another_search(tmp_path: Path, capsys: Capture) -> None:
    words = ["--oracle.kind=predictor", f"--oracle.predictor={tmp_path / 'run'}", "--out", tmp_path / "out"]
    archs = SPACE.enumerate()[::9]
    for scale in (1.0, -1.0):
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        save_predictor(fit_predictor("ridge", archs, scale * score(archs), SPACE), tmp_path / "run")
        assert bo(*words, f"--queries={8 + (scale < 0)}") == 2 * (scale < 0)
    assert "by other labels, or another predictor, of the same name" in capsys.readouterr().err
