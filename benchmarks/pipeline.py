"""Memory of the whole NAS-Bench-101 pipeline and time of its evaluation.

    python benchmarks/pipeline.py

Enumerates, splits, trains the model at published sizes for some steps, evaluates the whole metric set on 2,000 held-out
graphs (100 decodes each, 10,000 prior decodes with and without masks), and prints the peak resident memory and the wall
and CPU seconds of each stage. The model is barely trained: that is the slow case of decoding, since no two draws agree.
`--run` evaluates a finished run instead.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from graphnas.train.config import DataConfig, FitConfig, VAEConfig
from graphnas.train.data import prepare
from graphnas.train.evaluate import evaluate_vae
from graphnas.train.vae import load_vae, train_vae


@contextmanager
def stage(name: str) -> Iterator[None]:
    wall, cpu = time.monotonic(), time.process_time()
    yield
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"| {name} | {time.monotonic() - wall:.1f} | {time.process_time() - cpu:.1f} | {peak:.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200, help="training steps at published sizes")
    parser.add_argument("--run", type=Path, help="evaluate this finished NAS-Bench-101 run")
    options = parser.parse_args()
    print("| stage | wall s | CPU s | peak resident GiB |\n|---|---|---|---|")
    with stage("enumerate, split"):
        data = prepare(DataConfig(space="nb101"))
    with tempfile.TemporaryDirectory() as folder:
        run = options.run or Path(folder) / "run"
        if options.run is None:
            fit = FitConfig(max_steps=options.steps, validate_every=options.steps, warmup_steps=20)
            with stage(f"train {options.steps} steps at published sizes"):
                train_vae(VAEConfig(fit=fit), run, progress=False)
        model = load_vae(run)
        with stage("evaluate on 2,000 held-out graphs"):
            values = evaluate_vae(model, data.archs[data.split.train], data.archs[data.split.test])
    print("\n" + ", ".join(f"{name} {value:.4f}" for name, value in values.items()))


if __name__ == "__main__":
    main()
