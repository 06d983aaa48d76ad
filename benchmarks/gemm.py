"""The yardstick of the speed benchmarks: what one thread multiplies, now."""

from __future__ import annotations

import time

import torch


def gemm_rate(repeats: int = 60) -> float:
    """GFLOP/s of one float32 product on this thread, now."""
    a, b = torch.randn(896, 250), torch.randn(250, 375)
    torch.mm(a, b)
    begin = time.process_time()
    for _ in range(repeats):
        torch.mm(a, b)
    return repeats * 2 * 896 * 250 * 375 / (time.process_time() - begin) / 1e9
