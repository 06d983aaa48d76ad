"""Records of the Neural Architecture Ranker's files: what they say about an architecture besides its labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from torch import Tensor

from graphnas.errors import CorruptFile
from graphnas.spaces import Architectures, get_space
from graphnas.spaces.nb101_cost import network_cost
from graphnas.spaces.nb201 import NB201

Record = dict[str, Any]
Records = Callable[[Architectures], list[Record]]

NB101_MODULES = [f"stack{stack}/module{module}" for stack in range(3) for module in range(3)]
NB201_CELLS = [f"cells{place}" for place in range(17) if place not in (5, 11)]  # those two halve the resolution
NB201_DATASETS = ("cifar10-valid", "cifar100", "ImageNet16-120")


@dataclass(frozen=True)
class Form:
    """What a file of one space looks like.

    Args:
        keyed: whether the root is an object with row numbers as keys; otherwise it is a list.
        labels: name of a label in the file -> metric of a table.
        records: the records of architectures, without labels.
        variants: other records that mean the same.
        text: the native text form of the architecture of a record.
        budget: training epochs of the labels.
        units: of the labels.
        ignored: keys of a record that are not compared, because of what else it says.
    """

    keyed: bool
    labels: dict[str, str]
    records: Records
    text: Callable[[Record], str]
    budget: int
    units: dict[str, str]
    variants: tuple[Records, ...] = ()
    ignored: Callable[[Record], tuple[str, ...]] = field(default=lambda record: ())

    def wrong_key(self, place: int, record: Record, expected: list[list[Record]]) -> str | None:
        """The first key whose value differs from that of the first variant, None where all are those of one variant."""
        skipped = self.ignored(record)
        found = [
            next(
                (key for key, value in records[place].items() if key not in skipped and record.get(key) != value), None
            )
            for records in expected
        ]
        return None if None in found else found[0]


def _by_module(names: list[str], values: Tensor) -> list[dict[str, list[int]]]:
    """One mapping per row of int64 [B, M, N]."""
    return [dict(zip(names, row, strict=True)) for row in values.tolist()]


# -- NAS-Bench-101 ----------------------------------------------------------------------------------------------------
def nb101_records(archs: Architectures, output_costs: bool = True, as_it_stands: bool = False) -> list[Record]:
    """Records of cells.

    Args:
        archs: B cells.
        output_costs: the projection of an edge input -> output is booked on the output vertex; otherwise nowhere.
        as_it_stands: widths by the order of the vertices as given, not by that of the cell that was trained.
    """
    space = get_space("nb101")
    cost = network_cost(archs) if as_it_stands else space.cost(archs)
    flops, params = cost["vertex_flops"].clone(), cost["vertex_params"].clone()
    sizes = archs.num_nodes.tolist()
    if not output_costs:
        for table in (flops, params):
            table.scatter_(2, (archs.num_nodes - 1)[:, None, None].expand(-1, table.shape[1], 1), 0)
    columns = zip(
        sizes, archs.adj.long().tolist(), archs.ops.tolist(), space.cost(archs)["params"].tolist(),
        space.canonical_keys(archs), _by_module(NB101_MODULES, flops), _by_module(NB101_MODULES, params),
        cost["flops"].tolist(), strict=True,
    )  # fmt: skip
    return [
        {
            "module_adjacency": [row[:size] for row in adj[:size]],
            "module_operations": [space.vocabulary[op] for op in ops[:size]],
            "trainable_parameters": total_params,
            "unique_hash": key,
            "vertex_flops": {name: values[:size] for name, values in by_flops.items()},
            "vertex_params": {name: values[:size] for name, values in by_params.items()},
            "flops": total_flops,
        }
        for size, adj, ops, total_params, key, by_flops, by_params, total_flops in columns
    ]


def _nb101_text(record: Record) -> str:
    rows = "/".join("".join(map(str, row)) for row in record["module_adjacency"])
    first, *inner, last = record["module_operations"]
    if (first, last) != ("input", "output"):
        raise CorruptFile(f"operations begin with input and end with output (got {first!r} and {last!r})")
    return f"{rows}:{','.join(inner)}"


def _nb101_ignored(record: Record) -> tuple[str, ...]:
    """No published record with an edge input -> output is known: whether its total counts the addition is open."""
    return ("flops",) if record["module_adjacency"][0][-1] else ()


# -- NAS-Bench-201 ----------------------------------------------------------------------------------------------------
def nb201_records(archs: Architectures) -> list[Record]:
    """Records of cells."""
    space = cast(NB201, get_space("nb201"))
    records: list[Record] = [{} for _ in range(len(archs))]
    entries: dict[str, list[Any]] = {
        "cell_adjacency": space.cell_matrices(archs).types.tolist(),
        "arch_str": space.format(archs),
    }
    for dataset in NB201_DATASETS:
        cost = space.cost(archs, dataset)
        for kind in ("flops", "params"):
            entries[f"{dataset}_total_{kind}"] = cost[kind].tolist()
            entries[f"{dataset}_opt_{kind}"] = _by_module(NB201_CELLS, cost[f"vertex_{kind}"][..., 1:-1])
    for name, column in entries.items():
        for record, value in zip(records, column, strict=True):
            record[name] = value
    return records


_NB101_LABELS = {
    "avg_training_time": "training_seconds",
    "avg_train_accuracy": "train_accuracy",
    "avg_validation_accuracy": "validation_accuracy",
    "avg_test_accuracy": "test_accuracy",
}
_NB201_LABELS = {
    "cifar10_val_acc": "cifar10-valid/x-valid/accuracy",
    "cifar10_test_acc": "cifar10/ori-test/accuracy",
    "cifar100_val_acc": "cifar100/x-valid/accuracy",
    "cifar100_test_acc": "cifar100/x-test/accuracy",
    "imagenet16_val_acc": "ImageNet16-120/x-valid/accuracy",
    "imagenet16_test_acc": "ImageNet16-120/x-test/accuracy",
    "cifar10_latency": "cifar10-valid/latency",
    "cifar100_latency": "cifar100/latency",
    "imagenet16_latency": "ImageNet16-120/latency",
}

FORMS = {
    "nb101": Form(
        keyed=False,
        labels=_NB101_LABELS,
        records=nb101_records,
        text=_nb101_text,
        budget=108,
        units={name: "seconds" if "seconds" in name else "fraction" for name in _NB101_LABELS.values()},
        variants=(
            lambda archs: nb101_records(archs, output_costs=False),
            lambda archs: nb101_records(archs, as_it_stands=True),
            lambda archs: nb101_records(archs, output_costs=False, as_it_stands=True),
        ),
        ignored=_nb101_ignored,
    ),
    "nb201": Form(
        keyed=True,
        labels=_NB201_LABELS,
        records=nb201_records,
        text=lambda record: str(record["arch_str"]),
        budget=200,
        units={name: "seconds" if "latency" in name else "percent" for name in _NB201_LABELS.values()},
    ),
}
"""By the space whose architectures a file has."""
