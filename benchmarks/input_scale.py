"""What larger initial weights of one-hot inputs do: the same recipe, seed and data with input_scale 1 and 8.

    python benchmarks/input_scale.py --space nb201 --out docs/input_scale_nb201.json
    python benchmarks/input_scale.py --space enas6 --max-steps 2000 --validate-every 250 \
        --out docs/input_scale_enas6.json

Values are those of validation: the most probable masked decode, and nats per graph. Test graphs are not looked at.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from graphnas.commands.train_cli import read_options, to_config
from graphnas.train import VAEConfig
from graphnas.train.vae import train_vae


def with_options(config: VAEConfig, scale: float, seed: int, max_steps: int | None, every: int | None) -> VAEConfig:
    """The recipe with another scale, seed, length and interval of validations."""
    fit = replace(
        config.fit,
        seed=seed,
        device="cpu",
        max_steps=max_steps or config.fit.max_steps,
        validate_every=every or config.fit.validate_every,
    )
    return replace(config, model_args={**config.model_args, "input_scale": scale}, fit=fit)


def curve(config: VAEConfig) -> list[dict[str, Any]]:
    """Steps, CPU-minutes, share of exact validation graphs and nats per graph at every validation."""
    with tempfile.TemporaryDirectory() as folder:
        records = train_vae(config, Path(folder) / "run", progress=False).records
    return [
        {
            "step": record["step"],
            "cpu_minutes": round(record["cpu_seconds"] / 60, 3),
            "exact": round(record["validation/exact"], 4),
            "nats": round(record["validation/reconstruction"], 4),
        }
        for record in records
    ]


def table(runs: list[dict[str, Any]]) -> str:
    """Markdown: a line per validation, a pair of columns per run."""
    names = [f"scale {run['scale']:g}, seed {run['seed']}" for run in runs]
    head = ["step", *(f"{name}: {what}" for name in names for what in ("exact", "nats", "CPU-min"))]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for points in zip(*(run["curve"] for run in runs), strict=True):
        cells = [f"{p['exact']:.3f} | {p['nats']:.2f} | {p['cpu_minutes']:.1f}" for p in points]
        lines.append(f"| {points[0]['step']:,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="dvae", help="a VAE with a recipe MODEL_SPACE and the option input_scale")
    parser.add_argument("--space", default="nb201", help="search space")
    parser.add_argument("--scales", type=float, nargs="+", default=[1.0, 8.0], help="factors to compare")
    parser.add_argument("--seeds", type=int, default=1, help="trainings per factor, seeds 0, 1, ...")
    parser.add_argument("--max-steps", type=int, help="instead of the recipe's; its schedule shrinks with them")
    parser.add_argument("--validate-every", type=int, help="instead of the recipe's")
    parser.add_argument("--out", type=Path, help="JSON of all curves")
    options = parser.parse_args()
    torch.set_num_threads(1)
    recipe = to_config(read_options([f"--recipe={options.model}_{options.space}"]))
    runs = []
    for seed in range(options.seeds):
        for scale in options.scales:
            config = with_options(recipe, scale, seed, options.max_steps, options.validate_every)
            runs.append({"scale": scale, "seed": seed, "curve": curve(config)})
    print(table(runs))
    if options.out:
        options.out.write_text(
            json.dumps({"model": options.model, "space": options.space, "runs": runs}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
