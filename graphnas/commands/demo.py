"""`graphnas demo`: the whole path on NAS-Bench-101 and on the embedded labels, with no download."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from graphnas.checkpoint import write_text
from graphnas.commands.demo_predictor import predictor_config, train_predictor
from graphnas.commands.parsing import (
    UsageError,
    make_parser,
    parse,
    print_table,
    print_values,
    stderr,
    use_threads,
    write_json,
)
from graphnas.models import GraphVAE
from graphnas.plot import grid_of_architectures, latent_map, learning_curves, reconstruction_grid
from graphnas.run_folder import RunFolder
from graphnas.train.config import DataConfig, FitConfig, VAEConfig
from graphnas.train.data import Prepared, prepare, random_rows, seeded
from graphnas.train.evaluate import EvaluationConfig, decode_all, encode_all, evaluate_vae
from graphnas.train.vae import load_vae, train_vae

DESCRIPTION = """The whole path on real input in minutes, with no download: enumerate the 423,624 cells of
NAS-Bench-101, train SVGE on them, evaluate it on held-out cells, draw reconstructed and sampled cells and a map of the
latent space, train a performance predictor on the embedded benchmark of NAS-Bench-201 cells, and write one report.
Training is not converged after these few minutes; `graphnas train vae --recipe
svge_nb101` goes on."""

MODEL = {"node_dim": 128, "noise_scale": 1.0, "edge_loss": "sum", "encoder_rounds": 4}
STEPS, QUICK_STEPS = 2600, 60


class Clock:
    """Seconds every stage took, told on stderr as they pass."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage."""
        stderr(f"{name} ...")
        begin = time.monotonic()
        yield
        self.stages[name] = time.monotonic() - begin


def run(command: str, arguments: Sequence[str]) -> None:
    """Run all stages and print the values of the evaluation."""
    parser = make_parser("demo", DESCRIPTION)
    parser.add_argument("--out", type=str, default="runs/demo", help="folder of the run and its report")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights, data order and draws")
    parser.add_argument("--device", type=str, default="cpu", help="torch device")
    parser.add_argument("--threads", type=int, default=1, help="threads of the CPU to use")
    parser.add_argument("--quick", action="store_true", help="the toy space instead, in seconds")
    options = parse(parser, arguments)
    use_threads(options.threads)
    out = fresh_folder(Path(options.out))
    config = demo_config(options.seed, options.device, options.quick)
    stderr(f"run folder: {out}")
    clock = Clock()
    with clock.stage(f"enumerating {config.data.space}"):
        data = prepare(config.data)
    with clock.stage(f"training SVGE on {len(data.split.train):,} cells"):
        train_vae(config, out)
    model = load_vae(out)
    with clock.stage("evaluating on held-out cells"):
        sizes = EvaluationConfig(num_graphs=1000, prior_points=200, seed=options.seed)
        train, test = data.archs[data.split.train], data.archs[data.split.test]
        values = evaluate_vae(model, train, test, sizes)
    write_json(out / "evaluation.json", values)
    with clock.stage("drawing"):
        figures = draw(model, data, out, options.seed)
    predictor = predictor_config("toy" if options.quick else "nb201", options.seed, options.device, options.quick)
    with clock.stage(f"training a performance predictor on {predictor.data.labels}"):
        scores = train_predictor(predictor, out / "predictor")
    write_json(out / "predictor.json", scores)
    text = report(model, data, values, figures, clock.stages) + predictor_report(predictor, scores)
    write_text(out / "report.md", text)
    print_values(values)
    print()
    print_table([{"predictor": name, **score} for name, score in scores.items()])
    stderr(f"report: {out / 'report.md'}")


def fresh_folder(folder: Path) -> Path:
    """`folder`, or the first of folder-2, folder-3, ... that holds no run yet."""
    candidates = [folder, *(folder.with_name(f"{folder.name}-{number}") for number in range(2, 1000))]
    for candidate in candidates:
        if not candidate.exists():
            return candidate
    raise UsageError(f"{folder} and its 998 successors exist: clear some of them")


def demo_config(seed: int, device: str, quick: bool) -> VAEConfig:
    """The training run of the demo."""
    steps = QUICK_STEPS if quick else STEPS
    fit = FitConfig(
        max_steps=steps,
        batch_size=64,
        learning_rate=2e-3,
        beta2=0.99,
        validate_every=max(1, steps // 13),
        warmup_steps=min(200, steps // 4),
        seed=seed,
        device=device,
    )
    if quick:
        fit.batch_size = 32
        return VAEConfig("svge", {"node_dim": 32, "latent_dim": 8}, DataConfig(space="toy"), fit)
    return VAEConfig("svge", MODEL, DataConfig(space="nb101"), fit)


def draw(model: GraphVAE, data: Prepared, out: Path, seed: int) -> dict[str, Path]:
    """All figures of the report."""
    vocabulary = data.space.vocabulary
    held_out = data.archs[random_rows(data.split.test, 9, seed)]
    decoded = decode_all(model, encode_all(model, held_out), sample=False)
    some = data.archs[random_rows(data.split.train, 20_000, seed)]
    codes = encode_all(model, some)
    points = torch.randn(15, codes.shape[1], generator=seeded(seed)) * codes.std(0) + codes.mean(0)
    sampled = decode_all(model, points, generator=seeded(seed))
    known = set(data.space.fingerprints(data.archs[data.split.train]).tolist())
    titles = ["new" if key not in known else "known" for key in data.space.fingerprints(sampled).tolist()]
    params = data.space.cost(some)["params"].double().log10()
    records = RunFolder(out).read_records()
    return {
        "Held-out cells and what the decoder makes of their codes": reconstruction_grid(
            held_out, decoded, vocabulary, out / "reconstructions.png"
        ),
        "Cells decoded from random points of the latent space": grid_of_architectures(
            sampled, vocabulary, out / "samples.png", titles
        ),
        "Latent space, first two principal components, coloured by size": latent_map(
            codes, out / "latent.png", params, "log10 parameters"
        ),
        "Training": learning_curves(
            records, out / "training.png", x="step", metrics=["train/total", "validation/total", "validation/exact"]
        ),
    }


def report(
    model: GraphVAE, data: Prepared, values: dict[str, float], figures: dict[str, Path], seconds: dict[str, float]
) -> str:
    """The report as Markdown."""
    sizes = ", ".join(f"{len(getattr(data.split, part)):,} {part}" for part in ("train", "validation", "test"))
    lines = [
        f"# SVGE on {data.space.name}",
        "",
        f"{len(data.archs):,} cells ({sizes}; disjoint up to isomorphism). {model.num_parameters:,} parameters: "
        f"`{json.dumps(model.config.to_dict())}`.",
        "",
        *table("metric on held-out cells", values, "{:.4f}"),
        *table("stage", seconds, "{:.1f} s"),
    ]
    for title, path in figures.items():
        lines += [f"## {title}", "", f"![{title}]({path.name})", ""]
    return "\n".join(lines)


def predictor_report(config: VAEConfig, scores: dict[str, dict[str, float]]) -> str:
    """The part of the report on the performance predictor."""
    lines = [
        f"## Performance predictor on {config.data.labels}",
        "",
        f"{config.data.space}, a quarter of the architectures each to choose and to test; rank correlations with the "
        "measured accuracy of the latter.",
        "",
        "| predictor | Kendall tau | Spearman rho |",
        "|---|---|---|",
        *(f"| {name} | {score['kendall']:.3f} | {score['spearman']:.3f} |" for name, score in scores.items()),
        "",
        "![Predicted against measured](predictor/predicted.png)",
        "",
    ]
    return "\n".join(lines)


def table(heading: str, values: dict[str, Any], form: str) -> list[str]:
    """Lines of a two-column Markdown table."""
    rows = [f"| {name} | {form.format(value)} |" for name, value in values.items()]
    return [f"| {heading} | |", "|---|---|", *rows, ""]
