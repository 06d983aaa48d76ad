"""Speed of the predictors on one thread, in CPU-seconds, beside the GEMM rate of the same run.

    python benchmarks/predictor_speed.py --out docs/speed_predictors.json

Predictors have the sizes of their recipes. Measured are

* pairs: training steps of BRP-NAS's GCN on NAS-Bench-201 with the loss on all pairs of a batch of 32 or 64 labels, each
  graph run once; n (n - 1) ordered pairs a step, as the released code counts them, which runs both graphs of a pair;
* rank: scores of all NAS-Bench-201 cells, and of a tenth of the NAS-Bench-101 cells, drawn at random, times ten; D-VAE
  and DAGNN, which compute once what neighbours share, score all of them in the order of the space;
* encode: NAR's tensors of all NAS-Bench-101 cells;
* fit: `fit_predictor` on 390 labels of random NAS-Bench-201 and NAS-Bench-101 cells. The labels are parameter counts:
  how long a fit takes hangs on the number of labels alone.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Callable
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any

import torch
from gemm import gemm_rate  # beside this file

from graphnas import create_model, get_space, list_models
from graphnas.models import FeaturePredictor, Predictor
from graphnas.models.layers.cell_tensors import cell_tensors
from graphnas.models.zoo import MODELS
from graphnas.spaces import Architectures, SearchSpace
from graphnas.train.objectives import ScoreObjective, score_all
from graphnas.train.predictor import fit_predictor
from graphnas.train.predictor_config import read_settings

SPACES = ("nb201", "nb101")
SHARE = 10
IN_ORDER = ("dvae", "dagnn")
LABELS = 390
RELEASED_PAIRS = 261
BARS = {"rank nb201": 3.0, "rank nb101": 90.0, "encode nb101": 20.0, "fit nb201": 180.0, "fit nb101": 180.0}
"""CPU-seconds that each kind of work may take."""
VAES = ("svge", "dvae", "arch2vec", "dagnn")
Row = dict[str, Any]


def timed(work: Callable[[], object], scale: float = 1.0) -> Row:
    """CPU-seconds of one call, and the GEMM rate before and after it."""
    before, begin = gemm_rate(), time.process_time()
    work()
    seconds = time.process_time() - begin
    return {"cpu_seconds": scale * seconds, "gemm_gflops": (before + gemm_rate()) / 2}


def network(name: str, space: SearchSpace) -> Predictor:
    """A network with the sizes of its recipe, in evaluation mode."""
    options = read_settings(name, space.name).model_args
    if name in VAES:
        name, options = "encoder", {"vae": name, **options}
    model = create_model(name, space, **options)
    assert isinstance(model, Predictor)
    return model.eval()


def pairs(size: int, steps: int = 30) -> Row:
    """Ordered pairs per CPU-second of training steps, and graphs."""
    space = get_space("nb201")
    archs, options = space.enumerate(), read_settings("gcn", "nb201").model_args
    objective = ScoreObjective(create_model("gcn", space, **options), "soft_pairs")  # type: ignore[arg-type]
    optimizer = torch.optim.AdamW(objective.parameters(), 3.5e-4, weight_decay=5e-4)
    batches = torch.randint(len(archs), (steps, size), generator=torch.Generator().manual_seed(0))

    def train(count: int = steps) -> None:
        for rows in batches[:count]:
            optimizer.zero_grad()
            objective(archs[rows], rows / len(archs))["total"].backward()
            optimizer.step()

    train(3)
    row = timed(train)
    graphs = steps * size / row.pop("cpu_seconds")
    return {"pairs_per_cpu_second": graphs * (size - 1), "graphs_per_cpu_second": graphs, **row}


def rank(name: str, space: SearchSpace, archs: Architectures, scale: int) -> Row:
    """Scores of architectures by an untrained network."""
    model = network(name, space)
    score_all(model, archs[:600])
    return timed(lambda: score_all(model, archs), scale)


def encode() -> Row:
    """NAR's tensors of all NAS-Bench-101 cells."""
    space = get_space("nb101")
    archs = space.enumerate()
    return timed(lambda: [cell_tensors(space, archs[rows]) for rows in torch.arange(len(archs)).split(50_000)])


def fit(name: str, space: SearchSpace, archs: Architectures) -> Row:
    """A fit to 390 labels."""
    y = torch.log(1 + space.cost(archs[:LABELS])["params"].double())
    return timed(lambda: fit_predictor(name, archs[:LABELS], y, space, device="cpu"))


def plan(pattern: str, work: str) -> list[tuple[str, Callable[[], Row]]]:
    """What is measured, by name."""
    jobs: list[tuple[str, Callable[[], Row]]] = []
    names = [name for name in (*list_models(kind="predictor"), *VAES) if name != "encoder" and fnmatch(name, pattern)]
    networks = [name for name in names if name in VAES or not issubclass(MODELS[name], FeaturePredictor)]
    if fnmatch("gcn", pattern):
        jobs += [(f"pairs nb201 gcn, batch {size}", lambda size=size: pairs(size)) for size in (32, 64)]  # type: ignore[misc]
    if fnmatch("nar", pattern):
        jobs.append(("encode nb101 nar", encode))
    for place in SPACES:
        space = get_space(place)
        whole = space.enumerate()
        archs = whole[torch.randperm(len(whole), generator=torch.Generator().manual_seed(0))]
        scale = SHARE if place == "nb101" else 1
        part = archs[: len(archs) // scale]
        for name in networks:
            those, times = (whole, 1) if name in IN_ORDER else (part, scale)
            jobs.append((f"rank {place} {name}", partial(rank, name, space, those, times)))
        jobs += [(f"fit {place} {name}", lambda n=name, s=space, a=archs: fit(n, s, a)) for name in names]  # type: ignore[misc]
    return [job for job in jobs if fnmatch(job[0].split()[0], work)]


def bar_of(name: str) -> float | None:
    """The limit in CPU-seconds, where there is one."""
    return BARS.get(" ".join(name.split()[:2]))


def line(name: str, row: Row) -> str:
    """A row of the table."""
    if "pairs_per_cpu_second" in row:
        figure = f"{row['pairs_per_cpu_second']:,.0f} pairs/s ({row['graphs_per_cpu_second']:,.0f} graphs/s)"
        return f"| {name} | {figure} | {10 * RELEASED_PAIRS:,} pairs/s | {row['gemm_gflops']:.0f} |"
    bar = bar_of(name)
    return (
        f"| {name} | {row['cpu_seconds']:.2f} s | {'–' if bar is None else f'{bar:.0f} s'} | {row['gemm_gflops']:.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="*", help="pattern of names")
    parser.add_argument("--work", default="*", help="pairs, encode, rank, fit or a pattern")
    parser.add_argument("--out", type=Path, help="JSON file to write; rows of earlier runs stay")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    logging.disable(logging.INFO)
    print("| work | measured | bar | GEMM GFLOP/s |\n|---|---|---|---|")
    for name, job in plan(options.model, options.work):
        row = job()
        print(line(name, row), flush=True)
        if options.out:
            known = json.loads(options.out.read_text()) if options.out.exists() else {}
            options.out.write_text(json.dumps(dict(sorted({**known, name: row}.items())), indent=1) + "\n")


if __name__ == "__main__":
    main()
