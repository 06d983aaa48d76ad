"""`graphnas train predictor`, `evaluate predictor`, `predict` and `leaderboard predictor`."""

from __future__ import annotations

import contextlib
import csv
import gzip
import json
from pathlib import Path

import pytest
import torch

from graphnas.cli import main
from graphnas.spaces import get_space
from graphnas.testing import seeded
from graphnas.train.predictor_files import load_predictor

TRAIN = ["train", "predictor", "--space", "nb201", "--labels", "digits201", "--model", "gin", "--num_labels", "60"]


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("predictor") / "one"
    assert main([*TRAIN, "--epochs", "20", "--members", "2", "--validation", "0.2", "--out", str(folder)]) == 0
    return folder


def test_options_go_over_the_recipe(predictor: Path) -> None:
    content = json.loads((predictor / "predictor.json").read_text())
    settings = content["settings"]
    assert settings["epochs"] == 20 and settings["members"] == 2  # said here
    assert settings["loss"] == "mse" and settings["learning_rate"] == 0.005  # said by the recipe
    assert -1 <= content["held_out"]["kendall"] <= 1


def test_evaluation_leaves_out_what_was_learned(predictor: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "predictor", str(predictor)]) == 0
    assert "kendall" in capsys.readouterr().out
    result = json.loads((predictor / "evaluation.json").read_text())
    assert result["labels"] == "digits201" and 4000 < result["count"] <= 4870
    assert (predictor / "predicted.png").read_bytes().startswith(b"\x89PNG")


def test_a_file_is_ranked(predictor: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = get_space("nb201")
    texts = space.format(space.sample(7, seeded(0)))
    lines, table, out = tmp_path / "a.txt", tmp_path / "a.csv", tmp_path / "ranked.csv"
    lines.write_text("\n".join(texts) + "\n\n")
    with table.open("w", newline="") as stream:
        csv.writer(stream).writerows([["name", "architecture"], *(["x", text] for text in texts)])
    found = []
    for source in (lines, table):
        assert main(["predict", str(predictor), str(source), "--out", str(out)]) == 0
        found.append(list(csv.DictReader(out.read_text().splitlines())))
    assert found[0] == found[1] and sorted(row["arch"] for row in found[0]) == sorted(texts)
    scores = [float(row["prediction"]) for row in found[0]]
    assert scores == sorted(scores, reverse=True) and all(float(row["std"]) > 0 for row in found[0])
    assert capsys.readouterr().out.count("|") > 7


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("net,score", "line 1 is the header of a CSV without a column of architectures: name it arch (or architecture"),
        ("arch;score", "line 1 is the header of a CSV with semicolons between the cells: save it with commas"),
    ],
)
def test_a_header_is_told_from_an_architecture(
    header: str, message: str, predictor: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{header}\n{GOOD},1\n")
    assert main(["predict", str(predictor), str(path), "--out", str(tmp_path / "r.csv")]) == 2
    assert message in capsys.readouterr().err


def test_what_is_read_is_not_written_over(predictor: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archs = tmp_path / "archs.txt"
    archs.write_text("\n".join(get_space("toy").format(get_space("toy").sample(3))))
    before = archs.read_text()
    assert main(["predict", str(predictor), str(archs), "--out", str(tmp_path / "." / "archs.txt")]) == 2
    assert "is the file that is read" in capsys.readouterr().err and archs.read_text() == before


def test_a_whole_space_is_ranked(predictor: Path, tmp_path: Path) -> None:
    assert main(["predict", str(predictor), "all", "--out", str(tmp_path / "r.csv")]) == 0
    assert len((tmp_path / "r.csv").read_text().splitlines()) == 15_626


GOOD, BAD = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", "|none~0|+|none~0|nix~1|+|none~0|none~1|none~2|"
OTHER = "|skip_connect~0|+|none~0|none~1|+|none~0|none~1|none~2|"


def cells(*values: str) -> str:
    space = get_space("nb201")
    texts = space.format(space.enumerate()[::311][: len(values)])
    return "arch,score\n" + "".join(f"{text},{value}\n" for text, value in zip(texts, values, strict=True))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"arch,score\n{GOOD},1\n{BAD},2\n", "line 3 is not in nb201"),
        (f"arch,score\n{GOOD},1\n{OTHER},0\n{GOOD},2\n", "lines 2 and 4 give other"),
        (f"arch,score\n{GOOD},1\n{OTHER},high\n", "line 3: score is a number or empty"),
        (f"arch,score\n{GOOD},1\n{OTHER},inf\n", "line 3: score is a finite number or empty (got 'inf')"),
        (f"arch,score\n{GOOD},1\n{OTHER},1e400\n", "line 3: score is a finite number"),
        (f"arch,score,score\n{GOOD},1,2\n", "line 1 has two columns 'score'"),
        (f"arch,score\n{GOOD},1,2\n", "line 2 has 3 cells where the header has 2"),
        (cells(*["nan"] * 8), "has no value of score"),
        (cells(*"11111111"), "labels must differ"),
        (cells(*"123"), "at least 5"),
        (f"arch\n{GOOD}\n", "no column of numbers beside the architectures"),
        ("", "a .csv"),
    ],
)
def test_bad_labels_are_one_line_and_leave_nothing(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "my.csv", tmp_path / "out"
    path.write_text(text)
    words = ["train", "predictor", "--labels", str(path), "--space", "nb201", "--model", "gin", "--held_out", "0"]
    assert main([*words, "--quick", "--out", str(out)]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert message in error[-1] and not out.exists()


def test_bytes_that_are_no_text_are_one_line_and_leave_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "my.csv", tmp_path / "out"
    for content in (b"\x89PNG\r\n\x1a\n\xff", b"\0" * 900, gzip.compress(cells(*"12345678").encode())[:60]):
        path.write_bytes(content)
        assert main(["train", "predictor", "--labels", str(path), "--space", "nb201", "--out", str(out)]) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1 and not out.exists()


def test_too_few_labels_beside_those_kept_aside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "my.csv", tmp_path / "out"
    path.write_text(cells(*"123456"))
    words = ["train", "predictor", "--labels", str(path), "--space", "nb201", "--out", str(out)]
    assert main(words) == 2
    assert "6 labels leave 4 to learn from beside 2 to judge on" in capsys.readouterr().err and not out.exists()
    path.write_text(cells(*"1111112"))
    assert main([*words, "--held_out", "0"]) == 0
    assert "judged on" not in capsys.readouterr().err


def test_figures_say_what_they_rest_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "my.csv", tmp_path / "out"
    path.write_text(cells(*map(str, range(40))))
    words = ["train", "predictor", "--labels", str(path), "--space", "nb201", "--model", "ridge", "--out", str(out)]
    assert main(words) == 0
    printed = capsys.readouterr()
    count = json.loads((out / "predictor.json").read_text())["judged_on"]
    assert 8 <= count < 20 and f"judged_on {count}" in " ".join(printed.out.split())
    assert f"judged on {count} labels only: these figures are rough" in printed.err


def test_repeated_trainings_are_learned_by_their_mean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "my.csv", tmp_path / "out"
    path.write_text(cells(*map(str, range(20))) + cells(*map(str, range(2, 22))).partition("\n")[2])
    words = ["train", "predictor", "--labels", str(path), "--space", "nb201", "--held_out", "0", "--model", "ridge"]
    assert main([*words, "--out", str(out)]) == 2
    assert "lines 2 and 22 give other" in capsys.readouterr().err
    assert main([*words, "--repeats", "runs", "--out", str(out)]) == 0
    assert load_predictor(out).y.tolist() == [value + 1 for value in range(20)]
    assert main(["evaluate", "predictor", str(out)]) == 2  # reads the same labels in the same way
    assert "0 labels beside those the predictor learned from" in capsys.readouterr().err
    assert main([*words[:2], "--labels", "digits201", "--repeats", "runs", "--out", str(tmp_path / "b")]) == 2
    assert "digits201 is no CSV" in capsys.readouterr().err


def test_rows_without_a_label_are_left_out_and_named_by_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, out = tmp_path / "my.csv", tmp_path / "out"
    path.write_text(cells("1", "nan", "3", "4", "5", "6", "", *["7"] * 9, *["nan"] * 5))
    words = ["train", "predictor", "--labels", str(path), "--space", "nb201", "--held_out", "0", "--model", "ridge"]
    assert main([*words, "--out", str(out)]) == 0
    assert f"{path}: no score in lines 3, 8, 18, 19, 20 and 2 more: left out" in caplog.text
    assert len(load_predictor(out).y) == 14


def test_a_spreadsheet_of_the_user_becomes_a_ranking(tmp_path: Path) -> None:
    """The default model on a file with a byte order mark and other line ends; it loads and knows its uncertainty."""
    space = get_space("nb201")
    archs = space.sample(40, seeded(0))
    rows = [f"{text},{count}" for count, text in enumerate(dict.fromkeys(space.format(archs)))]
    path, out = tmp_path / "my.csv", tmp_path / "out"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(["arch,score", *rows, ""]).encode())
    assert main(["train", "predictor", "--labels", str(path), "--space", "nb201", "--out", str(out)]) == 0
    assert json.loads((out / "predictor.json").read_text())["model"] == "blend"
    assert main(["predict", str(out), str(path), "--out", str(tmp_path / "r.csv")]) == 0
    found = list(csv.DictReader((tmp_path / "r.csv").read_text().splitlines()))
    fitted = load_predictor(out)
    places = space.parse([row["arch"] for row in found])
    assert len(found) == len(rows) and [float(row["std"]) for row in found] == pytest.approx(
        fitted.predict_std(places).tolist(), rel=1e-4
    )
    assert [float(row["prediction"]) for row in found] == pytest.approx(fitted.predict(places).tolist(), rel=1e-4)


def test_a_place_that_cannot_be_written_is_found_before_the_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphnas.commands.predictor_cli.fit_predictor", lambda *args, **options: pytest.fail("fitted"))
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        assert main([*TRAIN, "--out", str(out)]) == 2
        assert "is no folder that can be written to" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert main([*TRAIN, "--out", str(tmp_path / "new")]) == 2
    assert not (tmp_path / "new").exists()


def test_an_interrupted_save_is_no_predictor_and_can_be_repeated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    words = [*TRAIN, "--held_out", "0", "--epochs", "1", "--members", "1", "--validation", "0", "--out", str(tmp_path)]
    with monkeypatch.context() as patch:
        patch.setattr("graphnas.train.predictor_files.write_text", stop)
        assert main(words) == 130
    assert main(["predict", str(tmp_path), "all", "--out", str(tmp_path / "r.csv")]) == 2
    assert "no predictor in" in capsys.readouterr().err and not (tmp_path / "r.csv").exists()
    assert main(words) == 0
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}


def test_evaluation_on_labels_that_rank_nothing(
    predictor: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (predictor / "evaluation.json").unlink(missing_ok=True)
    path = tmp_path / "my.csv"
    for values, message in [
        (["5"] * 40, "ranks nothing"),
        (["1", "inf"], "line 3: score is a finite number"),
        (["1"], "labels beside those the predictor learned from, expected at least 2"),
    ]:
        path.write_text(cells(*values))
        assert main(["evaluate", "predictor", str(predictor), "--labels", str(path)]) == 2
        assert message in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (predictor / "evaluation.json").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["predict", "nowhere", "all"], "no predictor in nowhere"),
        (["evaluate", "predictor", "nowhere"], "no predictor in nowhere"),
        (["train", "predictor", "--model", "gins"], "gin"),
        (["train", "predictor", "--held_out", "1"], "held_out"),
        (["train", "predictor", "--space", "darts"], "no labels of darts"),
        (["train", "predictor", "--model", "gates", "--loss", "hunge"], "hinge"),
        (["leaderboard", "predictor", "--models", "nothing"], "no predictor is called nothing"),
        (["leaderboard", "predictor", "--labels", "nb201"], "expected SPACE=VALUE"),
        (["leaderboard", "predictor", "--sizes", "40", "-4"], "sizes must be at least 5 (got -4)"),
        (["leaderboard", "predictor", "--test_size", "1"], "test_size must be at least 2 (got 1)"),
        (["leaderboard", "predictor", "--report"], "no finished fit"),
        (["leaderboard", "predictor", "--report", "--sizes", "40", "78"], "no finished fit"),
    ],
)
def test_bad_input_is_one_line(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert message in capsys.readouterr().err.strip().splitlines()[-1]


def test_unknown_architectures_to_rank_are_named(
    predictor: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.txt"
    path.write_text(f"{GOOD}\n\n{BAD}\n")
    assert main(["predict", str(predictor), str(path), "--out", str(tmp_path / "r.csv")]) == 2
    assert "line 3 is not in nb201" in capsys.readouterr().err and not (tmp_path / "r.csv").exists()


def test_leaderboard_goes_on_where_it_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["leaderboard", "predictor", "--spaces", "nb201", "--models", "gin", "ridge", "svae", "--quick"]
    assert main([*words, "--seeds", "1", "--out", str(tmp_path)]) == 0
    first = {path: path.stat().st_mtime_ns for path in (tmp_path / "results").glob("*.json")}
    assert len(first) == 3  # a VAE that is named is an encoder with a head
    assert main([*words, "--seeds", "2", "--out", str(tmp_path)]) == 0
    assert all(path.stat().st_mtime_ns == when for path, when in first.items())
    text = (tmp_path / "predictors.md").read_text()
    assert "| gin |" in text and "| ridge |" in text and "| svae |" in text and "label noise alone" in text
    assert len((tmp_path / "predictors.csv").read_text().splitlines()) == 7
    assert (
        main(
            [
                *words[:2],
                "--spaces=toy",
                "--labels=toy=toy",
                "--models=ridge",
                "--quick",
                "--report",
                "--out",
                str(tmp_path),
            ]
        )
        == 0
    )
    assert "label noise alone" in (tmp_path / "predictors.md").read_text()  # of the task of earlier commands
    assert next(tmp_path.glob("*.png")).read_bytes().startswith(b"\x89PNG")
    capsys.readouterr()
    damaged = next(iter(first))
    damaged.write_text("{")
    assert main([*words, "--report", "--out", str(tmp_path)]) == 2
    assert "is damaged" in capsys.readouterr().err


def test_a_leaderboard_without_a_ranking_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "my.csv", tmp_path / "board"
    path.write_text(cells(*(str(number % 7) for number in range(20))))
    words = ["leaderboard", "predictor", "--spaces", "nb201", "--labels", f"nb201={path}", "--models", "ridge"]
    assert main([*words, "--sizes", "9", "--seeds", "1", "--test_size", "5", "--out", str(out)]) == 0
    (result,) = (out / "results").glob("*.json")
    content = json.loads(result.read_text())
    content["values"]["kendall"] = None  # what a test part of equal labels gives
    result.write_text(json.dumps(content))
    assert main([*words, "--report", "--out", str(out)]) == 0
    assert "No ranking" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model=ridge", "--members=3"], "ridge is no network and does not train: --members has no meaning"),
        (["--model=gp", "--device=foo"], "device must be auto"),
        (["--model=ridge", "--seed=-1"], "seed must be at least 0 and below"),
        (["--model=gates", "--held_out=0", f"--seed={10**12}"], "seed must be at least 0 and below"),
        (["--model=gates", "--objective_args={a: 1}"], "objective 'score' takes"),
    ],
)
def test_options_without_meaning_are_refused(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "my.csv", tmp_path / "out"
    path.write_text(cells(*(str(number) for number in range(20))))
    assert main(["train", "predictor", "--labels", str(path), "--out", str(out), *words]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1] and not out.exists()


def test_help_shows_the_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    shown = {}
    for words in (["--model", "nar"], ["--model=gates"], []):
        with contextlib.suppress(SystemExit):
            main(["train", "predictor", *words, "--help"])
        shown["".join(words)] = " ".join(capsys.readouterr().out.split())
    with contextlib.suppress(SystemExit):
        main(["train", "predictor", "--model=nar", "--variant=published", "--help"])
    assert " ".join(capsys.readouterr().out.split()) != shown["--modelnar"]
    assert main(["train", "predictor", "--model=gin", "--variant=published"]) == 2
    assert "unknown recipe 'gin_nb201_published'" in capsys.readouterr().err
    assert "default: tiers" in shown["--modelnar"] and "default: tiers" not in shown["--model=gates"]
    assert shown["--model=gates"] != shown[""]


def test_a_fitted_predictor_is_a_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "my.csv"
    path.write_text(cells(*(str(number) for number in range(20))))
    words = ["train", "predictor", "--labels", str(path), "--model=gin", "--epochs=1", "--held_out=0"]
    assert main([*words, "--out", str(tmp_path / "first")]) == 0
    start = [f"--start_from={tmp_path / 'first'}", "--learning_rate=1e-12"]
    assert main([*words, *start, "--out", str(tmp_path / "second")]) == 0
    first, second = (load_predictor(str(tmp_path / name)).members[0].network for name in ("first", "second"))
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_a_leaderboard_knows_labels_by_what_they_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["leaderboard", "predictor", "--models=ridge", "--sizes=9", "--seeds=1", "--test_size=5"]
    words += [f"--out={tmp_path / 'board'}"]
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "my.csv").write_text(cells(*(str(number) for number in range(20))))
        assert main([*words, f"--labels=nb201={tmp_path / place / 'my.csv'}"]) == 0
    assert "was there" in capsys.readouterr().err
    (tmp_path / "two" / "my.csv").write_text(cells(*(str(-number) for number in range(20))))
    assert main([*words, f"--labels=nb201={tmp_path / 'two' / 'my.csv'}"]) == 2
    assert "labels_digest was" in capsys.readouterr().err
    assert main([*words, "--spaces=nb101", f"--labels=nb201={tmp_path / 'two' / 'my.csv'}"]) == 2
    assert "--labels names nb201, which is not among --spaces nb101" in capsys.readouterr().err
    assert main([*words[:2], "--models=ridge", "--sizes=9999", f"--out={tmp_path / 'b'}"]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "b").exists()


def test_labels_that_are_gone_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my.csv").write_text(cells(*(str(number) for number in range(20))))
    monkeypatch.chdir(tmp_path)
    assert main(["train", "predictor", "--labels=my.csv", "--model=ridge", "--held_out=0", "--out=one"]) == 0
    (tmp_path / "my.csv").unlink()
    capsys.readouterr()
    assert main(["evaluate", "predictor", "one"]) == 2
    assert "one learned from my.csv, which is not here: pass --labels FILE" in capsys.readouterr().err
