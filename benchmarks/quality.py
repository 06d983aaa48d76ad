"""How reconstruction grows with CPU-minutes, from a finished run, and its figure on held-out graphs.

    graphnas train vae --recipe svge_nb101 --out runs/svge_nb101 --threads 1
    python benchmarks/quality.py runs/svge_nb101 --out docs

Validation chose the weights; the test part is looked at here, once.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from graphnas.bo.decoding import posterior_decode
from graphnas.models import SVGE, GraphVAE
from graphnas.models.layers.union import union
from graphnas.plot import learning_curves
from graphnas.run_folder import RunFolder
from graphnas.spaces import Architectures
from graphnas.train.data import prepare, random_rows, seeded
from graphnas.train.evaluate import EvaluationConfig, encode_all, evaluate_vae
from graphnas.train.vae import load_vae, read_vae_config


def other_decodes(model: GraphVAE, graphs: Architectures) -> dict[str, float]:
    """Exact reconstruction by other ways to decode the same codes, to tell what each part gains."""
    codes = encode_all(model, graphs)
    values = {"exact_posterior": share(posterior_decode(model, codes, 20, seeded(0)), graphs)}
    if isinstance(model, SVGE):
        forward, mirrored = model.decode_directions(codes, sample=False)
        values["exact_forward"] = share(forward, graphs)
        values["exact_union"] = share(union(forward, mirrored, model.space), graphs)
    return values


def share(decoded: Architectures, graphs: Architectures) -> float:
    return float(decoded.equal(graphs).float().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--num-graphs", type=int, default=5000, help="held-out graphs")
    parser.add_argument(
        "--out", type=Path, default=Path("docs"), help="folder of the curve (PNG) and the figures (JSON)"
    )
    parser.add_argument("--name", help="of both files, without suffix (default quality_MODEL_SPACE)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    config, records = read_vae_config(options.run), RunFolder(options.run).read_records()
    data, model = prepare(config.data), load_vae(options.run)
    sizes = EvaluationConfig(num_graphs=options.num_graphs)
    values = evaluate_vae(model, data.archs[data.split.train], data.archs[data.split.test], sizes)
    test = data.archs[random_rows(data.split.test, sizes.num_graphs, sizes.seed)]
    values |= other_decodes(model, test)
    name = options.name or f"quality_{config.model}_{config.data.space}"
    curve = [
        {
            "CPU-minutes": record["cpu_seconds"] / 60,
            "share / exact": record["validation/exact"],
            "nats per graph / reconstruction": record["validation/reconstruction"],
        }
        for record in records
    ]
    learning_curves(curve, options.out / f"{name}.png", x="CPU-minutes", title=f"{config.model} on {config.data.space}")
    content = {
        "cpu_minutes": records[-1]["cpu_seconds"] / 60,
        "steps": records[-1]["step"],
        "held_out_graphs": min(options.num_graphs, len(data.split.test)),
        "test": values,
        "curve": [{key: round(value, 5) for key, value in point.items()} for point in curve],
    }
    (options.out / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
    print(f"{content['cpu_minutes']:.1f} CPU-minutes, {content['steps']} steps")
    for key, value in values.items():
        print(f"{key:<30} {value:.4f}")


if __name__ == "__main__":
    main()
