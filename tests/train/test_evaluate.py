"""Evaluation of a VAE against models whose values are known, hand-made sets, and naive loops."""

from __future__ import annotations

import json
import logging
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn

from graphnas import create_model, get_space
from graphnas.cli import main
from graphnas.commands import evaluate_cli
from graphnas.errors import InvalidValues
from graphnas.models import GraphVAE
from graphnas.models.base import ModelConfig
from graphnas.spaces import Architectures, SearchSpace
from graphnas.testing import mixed_batch
from graphnas.train import VAEConfig, evaluate, vae
from graphnas.train.data import prepare, seeded
from graphnas.train.evaluate import EvaluationConfig, decode_all, encode_all, evaluate_vae, prior, reconstruction
from graphnas.train.vae import load_vae, part

SMALL = EvaluationConfig(num_graphs=20, encodings=2, decodings=3, prior_points=30, prior_codes=50)


class Stub(GraphVAE):
    """Knows a list of graphs: the code of graph i is (i, -i), and a code is decoded to the nearest graph."""

    latent_dim = 2

    def __init__(self, space: SearchSpace, known: Architectures) -> None:
        super().__init__(ModelConfig(), space)
        self.known, self.anchor = known, nn.Parameter(torch.zeros(1))
        self.rows = {key: row for row, key in enumerate(known.index_keys())}

    def encode(self, archs: Architectures) -> tuple[Tensor, Tensor]:
        place = torch.tensor([self.rows[key] for key in archs.index_keys()], dtype=torch.float32)
        return torch.stack([place, -place], 1), torch.zeros(len(archs), 2)

    def loss(self, archs: Architectures, y: Tensor | None = None) -> dict[str, Tensor]:
        return {"total": self.anchor.sum()}

    def decode(
        self, z: Tensor, sample: bool = True, generator: Generator | None = None, mask: bool = True, repeats: int = 1
    ) -> Architectures:
        rows = z[:, 0].round().long().clamp(0, len(self.known) - 1)
        return self.known[rows.repeat_interleave(repeats)]

    def log_prob(self, archs: Architectures, z: Tensor) -> Tensor:
        return -z[:, 0].abs()


class Scripted(Stub):
    """Decodes given lists, whatever the codes: one without and one with the masks."""

    def __init__(self, space: SearchSpace, plain: Architectures, masked: Architectures) -> None:
        super().__init__(space, Architectures.concat([plain, masked]))
        self.lists = {False: plain, True: masked}

    def decode(
        self, z: Tensor, sample: bool = True, generator: Generator | None = None, mask: bool = True, repeats: int = 1
    ) -> Architectures:
        return self.lists[mask]


def cell(space: SearchSpace, edges: list[tuple[int, int]], ops: list[str]) -> Architectures:
    """A graph that need not be valid, of vertices named by their operations."""
    names = ["input", *ops, "output"]
    adj = torch.zeros(1, len(names), len(names), dtype=torch.bool)
    for source, target in edges:
        adj[0, source, target] = True
    types = torch.tensor([[space.vocabulary.index(name) for name in names]], dtype=torch.uint8)
    return Architectures(types, adj, torch.tensor([len(names)]))


def values_of_prior(model: GraphVAE, train: Architectures, points: int) -> dict[str, float]:
    sizes = EvaluationConfig(prior_points=points, decodings=1, prior_codes=2)
    return prior(model, torch.randn(5, 2, generator=seeded(0)), train, sizes)


# -- known values -----------------------------------------------------------------------------------------------------
def test_a_perfect_model_has_perfect_values() -> None:
    space = get_space("toy")
    archs = space.enumerate()
    values = reconstruction(Stub(space, archs), archs[100:140], SMALL)
    shares = {name: values[name] for name in ("reconstruction", "exact", "exact_isomorphic", "exact_unmasked")}
    assert shares == dict.fromkeys(shares, 1.0) and values["reconstruction_ci"] == 0
    assert values["nll"] == pytest.approx(sum(range(100, 140)) / 40)
    assert values["nll_ci"] == pytest.approx(2.0227 * math.sqrt((40**2 - 1) / 12 / 39), rel=1e-3)


def test_a_model_that_is_right_for_every_fourth_graph() -> None:
    space = get_space("toy")
    archs = space.enumerate()[:40]
    model = Stub(space, archs)
    wrong = archs[[row if row % 4 == 0 else (row + 1) % 40 for row in range(40)]]
    model.known = wrong
    values = reconstruction(model, archs, SMALL)
    assert values["reconstruction"] == values["exact"] == values["exact_unmasked"] == 0.25
    assert values["exact_isomorphic"] == 0.25
    assert values["reconstruction_ci"] == pytest.approx(2.0227 * math.sqrt(0.25 * 0.75 / 39), rel=1e-3)


def test_evaluation_records_no_gradients() -> None:
    """Released: 100 decodes of every graph with gradients left on."""
    seen: list[bool] = []

    class Watched(Stub):
        def encode(self, archs: Architectures) -> tuple[Tensor, Tensor]:
            seen.append(torch.is_grad_enabled())
            return super().encode(archs)

        def decode(self, z: Tensor, *options: Any) -> Architectures:  # type: ignore[override]
            seen.append(torch.is_grad_enabled())
            return super().decode(z, *options)

        def log_prob(self, archs: Architectures, z: Tensor) -> Tensor:
            seen.append(torch.is_grad_enabled())
            return super().log_prob(archs, z)

    toy = get_space("toy")
    evaluate_vae(Watched(toy, toy.enumerate()), toy.enumerate()[:100], toy.enumerate()[100:130], SMALL)
    assert len(seen) >= 7 and not any(seen)


def test_the_published_protocol_is_unmasked() -> None:
    class Unmasked(Stub):
        """Right without the masks, wrong with them."""

        def decode(
            self,
            z: Tensor,
            sample: bool = True,
            generator: Generator | None = None,
            mask: bool = True,
            repeats: int = 1,
        ) -> Architectures:
            return super().decode(z - float(mask), repeats=repeats)

    archs = get_space("toy").enumerate()
    values = reconstruction(Unmasked(get_space("toy"), archs), archs[10:50], SMALL)
    assert values["reconstruction"] == values["exact_unmasked"] == 1
    assert values["exact"] == values["exact_isomorphic"] == 0


def test_hand_made_prior_samples() -> None:
    toy = get_space("toy")
    chain = cell(toy, [(0, 1), (1, 2)], ["conv"])
    pooled = cell(toy, [(0, 1), (1, 2)], ["pool"])
    short = cell(toy, [(0, 1)], [])
    broken = cell(toy, [(0, 2)], ["conv"])
    assert toy.is_valid(Architectures.concat([chain, pooled, short, broken])).tolist() == [True, True, True, False]
    plain = Architectures.concat([chain, chain, pooled, broken, short])
    masked = Architectures.concat([chain, chain, chain, chain, pooled])
    values = values_of_prior(Scripted(toy, plain, masked), Architectures.concat([chain, short, short]), 5)
    assert values["validity"] == pytest.approx(4 / 5)
    assert values["uniqueness"] == values["uniqueness_isomorphic"] == pytest.approx(3 / 4)
    assert values["novelty"] == values["novelty_isomorphic"] == pytest.approx(1 / 4)
    assert values["validity_masked"] == 1
    assert values["uniqueness_masked"] == values["uniqueness_isomorphic_masked"] == pytest.approx(2 / 5)
    assert values["novelty_masked"] == values["novelty_isomorphic_masked"] == pytest.approx(1 / 5)


def test_bayesian_networks_are_counted_by_their_structure() -> None:
    """Released: uniqueness of Bayesian networks was counted by the text of ENAS cells."""
    bn8 = get_space("bn8")

    def network(order: list[int], last: list[int]) -> Architectures:
        """Variables in that order; only the last has parents."""
        rows = [[kind, *[0] * place] for place, kind in enumerate(order)]
        return bn8.parse([str([*rows[:-1], [order[-1], *last]])])

    empty = Architectures.concat(
        [network([0, 1, 2, 3, 4, 5, 6, 7], 7 * [0]), network([1, 0, 2, 3, 4, 5, 6, 7], 7 * [0])]
    )
    other = network([0, 1, 2, 3, 4, 5, 6, 7], [1, *6 * [0]])
    assert empty[0] != empty[1]
    drawn = Architectures.concat([empty, other, other])
    values = values_of_prior(Scripted(bn8, drawn, drawn), empty[:1], 4)
    assert values["validity"] == 1 and values["uniqueness"] == 3 / 4 and values["uniqueness_isomorphic"] == 2 / 4
    assert values["novelty"] == 3 / 4 and values["novelty_isomorphic"] == 2 / 4


def test_isomorphic_columns_see_relabelled_cells() -> None:
    nb101 = get_space("nb101")
    conv, pool = nb101.vocabulary[2], nb101.vocabulary[4]
    edges = [(0, 1), (0, 2), (1, 3), (2, 3)]
    one, other = cell(nb101, edges, [conv, pool]), cell(nb101, edges, [pool, conv])
    assert nb101.canonical_keys(one) == nb101.canonical_keys(other) and one != other
    third = cell(nb101, edges, [conv, conv])
    plain = Architectures.concat([one, other, third, third])
    values = values_of_prior(Scripted(nb101, plain, plain), Architectures.concat([other]), 4)
    assert values["uniqueness"] == 3 / 4 and values["uniqueness_isomorphic"] == 2 / 4
    assert values["novelty"] == 3 / 4 and values["novelty_isomorphic"] == 2 / 4
    model = Stub(nb101, Architectures.concat([one, third]))
    model.known = Architectures.concat([other, third])
    values = reconstruction(model, Architectures.concat([one, third]), SMALL)
    assert values["exact"] == 0.5 and values["exact_isomorphic"] == 1.0


def test_nothing_valid_is_undefined_not_zero() -> None:
    toy = get_space("toy")
    broken, chain = cell(toy, [(0, 2)], ["conv"]), cell(toy, [(0, 1)], [])
    values = values_of_prior(Scripted(toy, Architectures.concat([broken, broken]), chain[[0, 0]]), chain, 2)
    assert values["validity"] == 0
    assert all(
        math.isnan(values[f"{name}{suffix}"]) for name in ("uniqueness", "novelty") for suffix in ("", "_isomorphic")
    )
    assert values["novelty_masked"] == 0


# -- a real model -----------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def model(finished_run: Path) -> GraphVAE:
    return load_vae(finished_run)


@pytest.fixture(scope="module")
def small_graphs() -> Architectures:
    """Graphs of two and three vertices, which even an early model decodes now and then."""
    toy = get_space("toy").enumerate()
    return toy[toy.num_nodes <= 3]


def test_repeats_equal_a_loop_of_single_decodes_in_distribution(model: GraphVAE, small_graphs: Architectures) -> None:
    rounds, generator = 250, seeded(5)
    sizes = EvaluationConfig(encodings=rounds, decodings=2, seed=1)
    share = reconstruction(model, small_graphs, sizes)["reconstruction"]
    codes = encode_all(model, small_graphs)
    hits = [model.decode(codes, True, generator, mask=False).equal(small_graphs) for _ in range(rounds)]
    naive = torch.stack(hits).float()
    assert 0.01 < float(naive.mean()) < 0.99
    variance = float((naive.mean(0) * (1 - naive.mean(0))).mean()) / len(small_graphs)
    spread = math.sqrt(variance * (1 / rounds + 1 / (2 * rounds)))
    assert abs(share - float(naive.mean())) < 4 * spread


def test_repeats_have_the_distribution_of_every_graph(model: GraphVAE, small_graphs: Architectures) -> None:
    """Chi-square of the decoded graphs of one code, in one call with repeats against single decodes."""
    code = encode_all(model, small_graphs[:1])
    count = 400
    together = decode_all(model, code, True, seeded(1), repeats=count)
    alone = model.decode(code.repeat(count, 1), True, seeded(2))
    keys, both = together.index_keys(), alone.index_keys()
    kinds = sorted({key for key in keys if keys.count(key) + both.count(key) >= 16})
    table = torch.tensor([[sample.count(kind) for kind in kinds] for sample in (keys, both)], dtype=torch.float64)
    table = torch.cat([table, count - table.sum(1, keepdim=True)], 1)
    expected = table.sum(0) / 2
    chi_square = float(((table - expected).square() / expected.clamp(min=1)).sum())
    assert len(kinds) >= 3 and chi_square < len(kinds) + 5 * math.sqrt(2 * len(kinds))


def test_masked_samples_are_always_valid(model: GraphVAE) -> None:
    toy = model.space.enumerate()
    values = evaluate_vae(model, toy[:400], toy[400:], SMALL)
    assert values["validity_masked"] == 1.0 and values["validity"] < 1
    plain = ["validity", "uniqueness", "uniqueness_isomorphic", "novelty", "novelty_isomorphic"]
    names = ["reconstruction", "reconstruction_ci", "exact", "exact_isomorphic", "exact_unmasked", "nll", "nll_ci"]
    masked = [*(f"{name}_masked" for name in plain), "uniqueness_masked_ci"]
    assert sorted(values) == sorted([*names, *plain, "uniqueness_ci", *masked])
    assert all(0 <= value <= 1 for name, value in values.items() if name[:3] != "nll") and values["nll"] > 0


@pytest.mark.parametrize("space", ["nb101", "nb201", "enas6"])
def test_untrained_models_of_other_spaces(space: str) -> None:
    torch.manual_seed(0)
    untrained = create_model("svge", space, node_dim=8, latent_dim=4)
    archs = mixed_batch(get_space(space), 40)
    assert isinstance(untrained, GraphVAE)
    values = evaluate_vae(untrained, archs[:30], archs[30:], SMALL)
    assert values["validity_masked"] == 1.0 and math.isfinite(values["nll"])


def test_batches_do_not_show(model: GraphVAE) -> None:
    archs = model.space.enumerate()[:50]
    codes = encode_all(model, archs)
    assert torch.allclose(encode_all(model, archs, batch_size=7), codes, atol=1e-5)
    for mask in (True, False):
        whole = decode_all(model, codes, True, seeded(3), mask, repeats=3)
        assert whole == decode_all(model, codes, True, seeded(3), mask, repeats=3, batch_size=7)
        assert decode_all(model, codes, False, mask=mask) == decode_all(model, codes, False, mask=mask, batch_size=7)
    nll = evaluate.negative_log_likelihood(model, archs, codes)
    again = evaluate.negative_log_likelihood(model, archs, codes, batch_size=7)
    assert nll.shape == (50,) and torch.allclose(again, nll, rtol=1e-4)
    assert len(encode_all(model, archs[:0])) == 0


def test_seed_decides_and_nothing_else_does(model: GraphVAE) -> None:
    toy = model.space.enumerate()
    first = evaluate_vae(model, toy[:400], toy[400:], SMALL)
    torch.manual_seed(99)
    model.train()
    state = torch.get_rng_state()
    assert evaluate_vae(model, toy[:400], toy[400:], SMALL) == first
    assert model.training and torch.equal(torch.get_rng_state(), state)
    model.eval()
    other = evaluate_vae(model, toy[:400], toy[400:], EvaluationConfig(**{**vars(SMALL), "seed": 1}))
    assert other != first


@pytest.mark.parametrize(
    "sizes",
    [{"num_graphs": 0}, {"encodings": 0}, {"decodings": -1}, {"prior_points": 0}, {"prior_codes": 1}, {"seed": -1}],
)
def test_impossible_sizes_are_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(InvalidValues, match=f"{next(iter(sizes))} must be at least"):
        EvaluationConfig(**sizes)


# -- the command ------------------------------------------------------------------------------------------------------
FEW = ["--num_graphs=5", "--encodings=1", "--decodings=2", "--prior_points=20", "--prior_codes=50"]


def test_command_writes_what_it_prints(
    finished_run: Path, make_config: Callable[..., VAEConfig], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "vae", str(finished_run), f"--out={tmp_path}", *FEW, "--seed=3"]) == 0
    content = json.loads((tmp_path / "evaluation-test.json").read_text())
    sizes = EvaluationConfig(num_graphs=5, encodings=1, decodings=2, prior_points=20, prior_codes=50, seed=3)
    data = prepare(make_config().data)
    train, test = data.archs[data.split.train], data.archs[data.split.test]
    assert content == {
        "part": "test",
        "sizes": vars(sizes),
        "values": evaluate_vae(load_vae(finished_run), train, test, sizes),
    }
    printed = dict(line.split() for line in capsys.readouterr().out.splitlines())
    assert printed == {name: f"{value:.4f}" for name, value in content["values"].items()}


def test_command_on_the_validation_part(finished_run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished_run, tmp_path / "run"))
    assert main(["evaluate", "vae", str(folder), "--part=validation", "--quick", *FEW]) == 0
    assert (folder / "evaluation-validation.json").is_file() and not (folder / "evaluation-test.json").exists()


def test_undefined_values_are_null(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(evaluate_cli, "evaluate_vae", lambda *_: {"validity": 0.0, "novelty": math.nan})
    assert main(["evaluate", "vae", str(finished_run), f"--out={tmp_path}"]) == 0
    text = (tmp_path / "evaluation-test.json").read_text()
    assert json.loads(text)["values"] == {"validity": 0.0, "novelty": None} and "NaN" not in text
    assert "nan" in capsys.readouterr().out


def test_novelty_is_judged_against_what_was_trained_on(
    make_config: Callable[..., VAEConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Architectures] = {}
    fit, judge = vae.fit, evaluate_vae

    def watch_fit(objective: Any, train: Any, *rest: Any) -> Any:
        seen["trained on"] = train.archs
        return fit(objective, train, *rest)

    def watch_evaluation(model: GraphVAE, train: Architectures, test: Architectures, sizes: Any) -> dict[str, float]:
        seen["known"], seen["test"] = train, test
        return judge(model, train, test, sizes)

    monkeypatch.setattr(vae, "fit", watch_fit)
    monkeypatch.setattr(evaluate_cli, "evaluate_vae", watch_evaluation)
    config = make_config(max_steps=2, validate_every=2)
    vae.train_vae(config, tmp_path, progress=False)
    assert main(["evaluate", "vae", str(tmp_path), *FEW]) == 0
    assert seen["known"].index_keys() == seen["trained on"].index_keys()
    known = set(get_space("toy").canonical_keys(seen["known"]))
    assert not known & set(get_space("toy").canonical_keys(seen["test"]))
    assert seen["test"] == part(prepare(config.data), "test").archs


def test_evaluation_is_quiet_about_itself(finished_run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert main(["evaluate", "vae", str(finished_run), f"--out={tmp_path}", *FEW]) == 0
    assert not caplog.records


def test_the_regression_head_is_judged_on_held_out_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`evaluate vae` tells RMSE and correlations where a head was trained; labels here are the toy score."""
    words = (
        "train vae --quick --quiet --space toy --data.labels toy --model_args.accuracy_head true --fit.batch_size 32"
    )
    assert main([*words.split(), "--out", str(tmp_path / "run")]) == 0
    assert main(["evaluate", "vae", str(tmp_path / "run"), "--quick"]) == 0
    values = json.loads((tmp_path / "run" / "evaluation-test.json").read_text())["values"]
    assert 0 < values["prediction_rmse"] < 1 and "prediction_kendall" in values  # null where the head is constant
    assert "prediction_pearson" in capsys.readouterr().out
