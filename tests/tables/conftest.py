"""Builders of small files in the exact official formats."""

from __future__ import annotations

import base64
import bz2
import json
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

STRINGS = {  # three entries of the official list, with their official FLOPs and parameters in millions
    0: "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
    11: "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|none~0|nor_conv_3x3~1|avg_pool_3x3~2|",
    284: "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|none~0|nor_conv_1x1~1|none~2|",
}
COSTS = {0: (15.64737, 0.129306), 11: (113.95137, 0.802426), 284: (11.71521, 0.101306)}
SETS = {
    "cifar10-valid": ("x-valid", "ori-test"),
    "cifar10": ("ori-test",),
    "cifar100": ("x-valid", "x-test", "ori-test"),
    "ImageNet16-120": ("x-valid", "x-test", "ori-test"),
}


def single(value: float) -> float:
    """The double that holds the single-precision value: what the official files store."""
    return float(np.float32(value))


# -- NAS-Bench-101 ----------------------------------------------------------------------------------------------------
def varint(number: int) -> bytes:
    digits = []
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*digits, number])


def evaluation(values: Sequence[float], extra: bytes = b"") -> bytes:
    fields = b"".join(
        struct.pack("<Bd", key, value) for key, value in zip(b"\x09\x11\x19\x21\x29", values, strict=True)
    )
    return b"\x0a" + varint(len(fields + extra)) + fields + extra


def nb101_message(
    evaluations: Sequence[Sequence[float]], parameters: int, total_time: float, extra: bytes = b""
) -> bytes:
    body = b"".join(evaluation(values, extra) for values in evaluations)
    return body + b"\x10" + varint(parameters) + b"\x19" + struct.pack("<d", total_time)


def nb101_payload(name: str, epochs: int, adjacency: str, operations: str, message: bytes) -> bytes:
    text = base64.encodebytes(message).decode()  # MIME: a newline after every 76 characters and at the end
    return json.dumps([name, epochs, adjacency, operations, text]).encode()


@pytest.fixture
def official_record() -> dict[str, Any]:
    """A complete record of nasbench_full.tfrecord: one 4-epoch run of one cell."""
    return {
        "name": "00005c142e6f48ac74fdcf73e3439874",
        "epochs": 4,
        "adjacency": "0100110001000000010010000010000001000000010000000",
        "operations": "input,conv3x3-bn-relu,maxpool3x3,conv3x3-bn-relu,conv3x3-bn-relu,conv1x1-bn-relu,output",
        "evaluations": [
            [0.0, 0.0, *map(single, (0.1002604141831398, 0.09775640815496445, 0.09985977411270142))],
            [2.0, *map(single, (45.152000427246094, 0.10166265815496445, 0.10526842623949051, 0.10436698794364929))],
            [4.0, *map(single, (89.9039993286133, 0.3498597741127014, 0.3489583432674408, 0.3504607379436493))],
        ],
        "parameters": 8555530,
        "total_time": 413.7015450000763,
    }


@pytest.fixture
def payload_of() -> Callable[[dict[str, Any]], bytes]:
    """Payload of a record given as `official_record` gives it."""

    def build(record: dict[str, Any]) -> bytes:
        message = nb101_message(
            record["evaluations"], record["parameters"], record["total_time"], record.get("extra", b"")
        )
        return nb101_payload(record["name"], record["epochs"], record["adjacency"], record["operations"], message)

    return build


CELLS = [  # (hash, matrix, operations, parameters); the hashes are published or follow from the published rule
    ("043721b9c7fe8c5fad811d47d83132ec", "0100", "input,output", 1_000_000),
    ("b49ac8c578b4561d79ac7087988f1c61", "010001000", "input,conv3x3-bn-relu,output", 2_000_001),
    (
        "b5fb4f6193360330b6ff6a52cbf0cad7",
        "0101001000010000",
        "input,conv3x3-bn-relu,conv3x3-bn-relu,output",
        49_979_275,
    ),
]


@pytest.fixture
def nb101_records() -> Callable[[Sequence[int]], list[dict[str, Any]]]:
    """Three runs per cell and budget; run r of cell c after b epochs validates at c / 10 + b / 1000 + r / 64."""

    def build(budgets: Sequence[int]) -> list[dict[str, Any]]:
        records = []
        for run in range(3):
            for cell, (name, adjacency, operations, parameters) in enumerate(CELLS):
                for epochs in budgets:
                    final = [single(cell / 10 + epochs / 1000 + run / 64 + shift) for shift in (0.05, 0.0, -0.01)]
                    stages = [
                        [0.0, 0.0, 0.1, 0.1, 0.1],
                        [epochs / 2, single(epochs * 5.0), *(single(value / 2) for value in final)],
                        [float(epochs), single(epochs * 10.0 + run), *final],
                    ]
                    records.append(
                        {
                            "name": name,
                            "epochs": epochs,
                            "adjacency": adjacency,
                            "operations": operations,
                            "evaluations": stages,
                            "parameters": parameters,
                            "total_time": epochs * 20.0,
                        }
                    )
        return records

    return build


# -- NAS-Bench-201 and NATS-Bench -------------------------------------------------------------------------------------
def trial(index: int, dataset: str, seed: int, epochs: int, times: bool = True) -> dict[str, Any]:
    """State of one `ResultsCount`; accuracies are 50 + index / 100 + seed / 1000 + epoch / 10, less by set."""
    base = 50 + index / 100 + seed / 1000
    run: dict[str, Any] = {
        "name": dataset,
        "net_state_dict": None,
        "train_acc1es": {epoch: base + epoch / 10 for epoch in range(epochs)},
        "train_acc5es": None,
        "train_losses": {epoch: np.float64(3 - epoch / 100) for epoch in range(epochs)},
        "train_times": OrderedDict((epoch, 2.5 + index) for epoch in range(epochs)) if times else None,
        "arch_config": {"channel": 16, "num_cells": 5, "arch_str": STRINGS[index], "class_num": 10},
        "params": COSTS[index][1],
        "flop": COSTS[index][0],
        "seed": f"{seed:04d}",
        "epochs": epochs,
        "latency": [0.01, 0.03] if times else None,
        "eval_names": list(SETS[dataset]),
        "eval_acc1es": {},
        "eval_losses": {},
        "eval_times": {},
    }
    for number, part in enumerate(SETS[dataset], 1):
        only_last = epochs == 200 and (dataset == "cifar10-valid") == (part == "ori-test") and dataset != "cifar10"
        only_last &= not (dataset != "cifar10-valid" and part == "ori-test")
        for epoch in range(epochs):
            key = f"{part}@{epoch}"
            run["eval_times"][key] = 0.5
            if epoch == epochs - 1 or not only_last:
                run["eval_acc1es"][key] = base + epoch / 10 - number
                run["eval_losses"][key] = 4 - epoch / 100
    return run


SEEDS = {12: {"cifar10-valid": (111, 777)}, 200: {"cifar10-valid": (777, 888, 999), "cifar10": (777, 888)}}


def results(index: int, epochs: int, times: bool = True) -> dict[str, Any]:
    """State of one `ArchResults`."""
    runs = {}
    for dataset in SETS:
        for seed in SEEDS[epochs].get(dataset, (111,) if epochs == 12 else (777,)):
            runs[dataset, seed] = trial(index, dataset, seed, epochs, times)
    return {
        "arch_index": index,
        "arch_str": STRINGS[index],
        "all_results": runs,
        "dataset_seed": {dataset: sorted(seed for name, seed in runs if name == dataset) for dataset in SETS},
        "clear_net_done": True,
    }


@pytest.fixture
def trial_results() -> Callable[..., dict[str, Any]]:
    return results


@pytest.fixture
def official_strings() -> dict[int, str]:
    return STRINGS


def meta_archs() -> list[str]:
    """A list of 285 strings with the three known ones at their official places."""
    ops = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
    shape = "|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|"
    others = (shape.format(*(ops[number // 5**place % 5] for place in range(6))) for number in range(15625))
    free = (text for text in others if text not in STRINGS.values())
    return [STRINGS[index] if index in STRINGS else next(free) for index in range(285)]


@pytest.fixture
def nb201_root() -> Callable[..., dict[str, Any]]:
    """Root dictionary of a .pth ("less", "full") or a NATS file ("12", "200") with the three architectures."""

    def build(groups: tuple[str, str] = ("less", "full"), times: bool = True) -> dict[str, Any]:
        infos = {
            index: {name: results(index, epochs, times) for name, epochs in zip(groups, (12, 200), strict=True)}
            for index in STRINGS
        }
        return {"meta_archs": meta_archs(), "total_archs": 285, "arch2infos": infos, "evaluated_indexes": set(STRINGS)}

    return build


@pytest.fixture
def nats_folder(tmp_path: Path) -> Path:
    """NATS-tss-v1_0-3ffb9-simple with three of its files."""
    folder = tmp_path / "NATS-tss-v1_0-3ffb9-simple"
    folder.mkdir()
    meta = {"meta_archs": meta_archs(), "total_archs": 285, "arch2infos": None, "evaluated_indexes": set()}
    (folder / "meta.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(meta, protocol=4)))
    for index in STRINGS:
        entry = OrderedDict([("12", results(index, 12)), ("200", results(index, 200))])
        (folder / f"{index:06d}.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(entry, protocol=4)))
    return folder
