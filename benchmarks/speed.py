"""Speed of the zoo: graphs per CPU-second on one thread, beside what the arithmetic allows.

    python benchmarks/speed.py --model svge --space nb101 --out docs/speed.json

Absolute times on shared machines wander, so every figure comes with the rate that `torch.mm` reached in the same run
(float32, 896 x 250 by 250 x 375, interleaved with the measurements) and the share of it: FLOPs per graph (counted by
torch's flop counter on the same call) times graphs per second, over that rate. Pointwise work counts as zero FLOPs.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from gemm import gemm_rate  # beside this file
from torch.utils.flop_counter import FlopCounterMode

from graphnas import create_model, get_space, list_models
from graphnas.models import GraphVAE
from graphnas.spaces import Architectures
from graphnas.spaces.packing import pack, unpack

BATCH = 128
OPTIONAL = (("share_of_limit", ".0%"), ("mean_vertices", ".2f"))
Measured = dict[str, float | None]


def addmm_flops(self_shape: list[int], a: list[int], b: list[int], *_: object, **__: object) -> int:
    """Of an in-place addmm, which torch's counter does not know."""
    return 2 * a[0] * a[1] * b[1]


def measure(work: Callable[[int], object], graphs: int, calls: int) -> Measured:
    """Graphs per CPU-second of `work(call)`, the GEMM rate around it, and FLOPs per graph."""
    work(0)
    with FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addmm_: addmm_flops}) as counter:
        work(1)
    rates, spent = [gemm_rate()], 0.0
    for call in range(calls):
        begin = time.process_time()
        work(call)
        spent += time.process_time() - begin
        if call % max(1, calls // 4) == 0:
            rates.append(gemm_rate(20))
    speed, gemm = graphs * calls / spent, sum(rates) / len(rates)
    flops = counter.get_total_flops() / graphs / 1e9
    share = speed * flops / gemm if flops else None
    return {"graphs_per_cpu_second": speed, "gflop_per_graph": flops, "gemm_gflops": gemm, "share_of_limit": share}


def vae_speed(model: GraphVAE, archs: Architectures, calls: int) -> dict[str, Measured]:
    """Training step, encoding and decoding of random batches of real architectures."""
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    batches = [archs[i * BATCH : (i + 1) * BATCH] for i in range(len(archs) // BATCH)]

    def train(call: int) -> None:
        optimizer.zero_grad()
        model.loss(batches[call % len(batches)])["total"].backward()
        optimizer.step()

    model.train()
    for call in range(30):  # a little training, so that decoded graphs have realistic sizes
        train(call)
    results = {"train": measure(train, BATCH, calls)}
    model.eval()
    with torch.no_grad():
        results["encode"] = measure(lambda call: model.encode(batches[call % len(batches)]), BATCH, 4 * calls)
        mu = torch.cat([model.encode(batch)[0] for batch in batches[:8]])
        points = torch.randn(64, BATCH, mu.shape[1], generator=torch.Generator().manual_seed(0)) * mu.std(0) + mu.mean(
            0
        )
        for name, mask in (("decode", True), ("decode, no mask", False)):
            results[name] = measure(lambda call, mask=mask: model.decode(points[call % 64], mask=mask), BATCH, calls)
        drawn = model.decode(points[0])
    for name in results:
        results[name]["mean_vertices"] = float((drawn if "decode" in name else archs).num_nodes.float().mean())
    return results


def building_speed(archs: Architectures) -> Measured:
    """From the compact stored form (bit masks and op bytes) to dense tensors that a model can train on."""
    packed = pack(archs)
    return measure(lambda call: unpack(packed), len(archs), 5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="*", help="pattern of VAE names")
    parser.add_argument("--space", default="nb101")
    parser.add_argument("--calls", type=int, default=24, help="timed training steps; other work in proportion")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    space = get_space(options.space)
    archs = space.enumerate() if space.size < 1e6 else space.sample(20_000, torch.Generator().manual_seed(0))
    archs = archs[torch.randperm(len(archs), generator=torch.Generator().manual_seed(0))]
    results = {"dataset building": {"build": building_speed(archs)}}
    for name in list_models(options.model, kind="vae"):
        model = create_model(name, space)
        assert isinstance(model, GraphVAE)
        results[name] = vae_speed(model, archs[: 64 * BATCH], options.calls)
    print(f"{space.name}, batch {BATCH}, published sizes, one thread\n")
    print("| model | work | graphs / CPU-s | GFLOP / graph | GEMM GFLOP/s | share of limit | mean vertices |")
    print("|---|---|---|---|---|---|---|")
    for name, rows in results.items():
        for work, row in rows.items():
            cells = [
                f"{row['graphs_per_cpu_second']:,.0f}",
                f"{row['gflop_per_graph']:.4f}",
                f"{row['gemm_gflops']:.0f}",
            ]
            cells += [f"{row[key]:{form}}" if row.get(key) else "" for key, form in OPTIONAL]
            print(f"| {name} | {work} | {' | '.join(cells)} |")
    if options.out:
        known = json.loads(options.out.read_text()) if options.out.exists() else {}
        if known.get("space", space.name) != space.name:
            raise SystemExit(f"{options.out} is about {known['space']}: name another file for {space.name}")
        merged = {**known.get("results", {}), **results}  # models of earlier runs stay
        content = {"space": space.name, "batch": BATCH, "calls": options.calls, "results": merged}
        options.out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
