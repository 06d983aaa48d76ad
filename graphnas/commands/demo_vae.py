"""The first chapter of the demo: a VAE of all NAS-Bench-101 cells, evaluated and drawn."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from graphnas.commands.demo_text import table
from graphnas.commands.demo_training import short_fit
from graphnas.models import GraphVAE
from graphnas.plot import grid_of_architectures, latent_map, learning_curves, reconstruction_grid
from graphnas.run_folder import RunFolder
from graphnas.train.config import DataConfig, VAEConfig
from graphnas.train.data import Prepared, random_rows, seeded
from graphnas.train.evaluate import decode_all, encode_all

MODEL = {"node_dim": 128, "noise_scale": 1.0, "edge_loss": "sum", "encoder_rounds": 4}
STEPS, QUICK_STEPS = 2600, 60


def demo_config(seed: int, device: str, quick: bool) -> VAEConfig:
    """The training run of the demo."""
    steps = QUICK_STEPS if quick else STEPS
    fit = short_fit(steps, 32 if quick else 64, 2e-3, 13, 200, seed, device)
    if quick:
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


def vae_chapter(model: GraphVAE, data: Prepared, values: dict[str, float], figures: dict[str, Path]) -> list[str]:
    """Lines of the report on the VAE."""
    sizes = ", ".join(f"{len(getattr(data.split, part)):,} {part}" for part in ("train", "validation", "test"))
    lines = [
        f"## 1. SVGE on {data.space.name}",
        "",
        f"{len(data.archs):,} cells ({sizes}; disjoint up to isomorphism). {model.num_parameters:,} parameters: "
        f"`{json.dumps(model.config.to_dict())}`.",
        "",
        *table("metric on held-out cells", values, "{:.4f}"),
    ]
    for title, path in figures.items():
        lines += [f"### {title}", "", f"![{title}]({path.name})", ""]
    return lines
