"""A predictor of one space asked about another one: NAS-Bench-201 cells as cells of NAS-Bench-101."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from graphnas.bo.size_ranking import Values
from graphnas.errors import InvalidValues
from graphnas.models.layers.contract import contract, op_flags
from graphnas.spaces import OUTPUT, Architectures, SearchSpace
from graphnas.train.board_text import interval_text, table_head, table_line
from graphnas.train.data import random_rows
from graphnas.train.fitted import FittedPredictor
from graphnas.train.predictor import fit_predictor
from graphnas.train.predictor_evaluation import Labels, digest_of, measure
from graphnas.train.predictor_files import save_predictor
from graphnas.train.result_files import finite, is_finished, read_result, write_result

MEANINGS = {
    "nor_conv_1x1": "conv1x1-bn-relu",
    "nor_conv_3x3": "conv3x3-bn-relu",
    "avg_pool_3x3": "maxpool3x3",
}
"""Operations of NAS-Bench-201 and what is nearest to them in NAS-Bench-101; `none` and `skip_connect` become edges."""
CLOSED, OPEN = ("none",), ("skip_connect",)


def map_operations(
    archs: Architectures, source: SearchSpace, target: SearchSpace, meanings: Mapping[str, str] = MEANINGS
) -> tuple[Architectures, Tensor]:
    """Architectures of one space as members of another one that says the same in its own operations.

    Vertices that carry no signal go, those that carry it unchanged are bypassed, the others are renamed by meaning;
    what no path from input to output visits goes too. Parallel identities become one edge.

    Args:
        archs: B architectures of `source`.
        source: with `none` and `skip_connect` as operations.
        target: with room for what is left, such as `get_space("nb101_8e28")` for NAS-Bench-201.
        meanings: operation of the source -> operation of the target.

    Returns:
        The members, and int64 [M] the rows they come from; rows whose input and output nothing joins are left out.

    Raises:
        InvalidValues: an operation without a meaning.
    """
    kept = [op for op in source.vocabulary[2:] if op not in (*CLOSED, *OPEN)]
    unknown = [op for op in kept if op not in meanings]
    if unknown:
        raise InvalidValues(f"no operation of {target.name} is named for {', '.join(unknown)} of {source.name}")
    table = torch.zeros(source.num_ops, dtype=torch.uint8)
    table[OUTPUT] = OUTPUT
    for op in kept:
        table[source.op_index(op)] = target.op_index(meanings[op])
    thin = contract(archs, op_flags(source, CLOSED), op_flags(source, OPEN))
    stays = thin.adj.any(1) | thin.adj.any(2)
    rows = stays.any(1).nonzero().flatten()
    thin, stays = thin[rows], stays[rows]
    order = (~stays).long().argsort(dim=1, stable=True)  # what stays comes first, in its order
    places = torch.arange(len(rows))[:, None, None]
    ops = table[thin.ops.long()].gather(1, order)
    adj = thin.adj[places, order[:, :, None], order[:, None, :]]
    return Architectures(ops, adj, stays.sum(1)).clean().widen(target.max_nodes), rows


@dataclass(frozen=True)
class TransferSizes:
    """How much is fitted and judged."""

    source_labels: int = 2000
    few: tuple[int, ...] = (20, 50, 100, 200, 400)
    """Labels of the target space that predictors learn from alone, or after the source."""
    test: int = 7000


@dataclass(frozen=True)
class Transferred:
    """The source's labels as members of the space all is fitted in, and the target's."""

    space: SearchSpace
    source: Architectures
    source_y: Tensor
    target: Architectures
    target_y: Tensor

    @property
    def digest(self) -> str:
        """Of architectures and labels of both spaces."""
        return digest_of((self.source, self.source_y), (self.target, self.target_y))


def transferred(source: Labels, target: Labels, space: SearchSpace) -> Transferred:
    """Labels of two spaces in one: the source mapped, one label for each of its different cells, their mean."""
    archs, rows = map_operations(source.archs, source.space, space)
    _, groups = space.fingerprints(archs).unique(return_inverse=True)
    count = int(groups.max()) + 1
    sums = torch.zeros(count, dtype=torch.float64).index_add(0, groups, source.y[rows])
    first = torch.full((count,), len(groups)).scatter_reduce(0, groups, torch.arange(len(groups)), "amin")
    y = sums / groups.bincount(minlength=count)
    return Transferred(space, archs[first], y, target.archs.widen(space.max_nodes), target.y)


def run_transfer(name: str, data: Transferred, seed: int, sizes: TransferSizes, folder: Path, finetunes: bool) -> Path:
    """One predictor from one seed, unless its result is there.

    Values by number of target labels: `0` is the source alone, `n` the target alone, and with `finetunes` `+n` the
    source's weights trained on from n labels. The source's own held-out labels are judged under `source`.
    """
    path = folder / "results" / f"transfer_{name}_{seed}.json"
    made = finite({"sizes": asdict(sizes), "labels": data.digest})
    if is_finished(path, made):
        return path
    torch.set_num_threads(1)
    begin = time.process_time()
    order = random_rows(torch.arange(len(data.target_y)), len(data.target_y), seed)
    test, rest = order[: sizes.test], order[sizes.test :]
    learn = random_rows(torch.arange(len(data.source_y)), len(data.source_y), seed)
    few, held = learn[: sizes.source_labels], learn[sizes.source_labels :]
    archs, y = data.target[test], data.target_y[test]

    def fit(rows: Tensor, **options: Any) -> FittedPredictor:
        return fit_predictor(name, data.target[rows], data.target_y[rows], data.space, seed, "cpu", **options)

    source = fit_predictor(name, data.source[few], data.source_y[few], data.space, seed, "cpu")
    values = {"0": measure(source.predict(archs), y)}
    if len(held) > 1:
        values["source"] = measure(source.predict(data.source[held]), data.source_y[held])
    weights = folder / "transfer" / f"{name}_{seed}"
    if finetunes and not weights.exists():
        save_predictor(source, weights, {"made": "transfer"})
    for count in sizes.few:
        values[str(count)] = measure(fit(rest[:count]).predict(archs), y)
        if finetunes:
            start = str(weights / "member0.safetensors")
            values[f"+{count}"] = measure(fit(rest[:count], start_from=start).predict(archs), y)
    head = {"model": name, "seed": seed, "seconds": time.process_time() - begin}
    return write_result(path, {**head, "made": made, "values": values})


def read_transfer(folder: Path) -> list[dict[str, Any]]:
    """All results of the study."""
    return [read_result(path) for path in sorted((folder / "results").glob("transfer_*.json"))]


def transfer_table(results: Sequence[dict[str, Any]]) -> list[str]:
    """Lines of a Markdown table of Kendall's tau-b, a row per predictor and what it learned from."""
    groups: dict[str, list[dict[str, Values]]] = {}
    for result in results:
        groups.setdefault(result["model"], []).append(result["values"])
    counts = sorted({key for found in groups.values() for values in found for key in values if key.isdigit()}, key=int)
    lines = table_head(
        ["predictor", "learned from", *(f"{count} target labels" for count in counts), "source, held out", "seeds"]
    )
    for name, found in groups.items():
        for prefix, title in (("", "target alone (0: source alone)"), ("+", "source, then target")):
            keys = [f"{prefix}{count}" for count in counts]
            if any(key in values for values in found for key in keys):
                cells = [tau_text(found, key) for key in keys]
                lines.append(
                    table_line([name, title, *cells, "" if prefix else tau_text(found, "source"), str(len(found))])
                )
    return lines


def tau_text(found: Sequence[Mapping[str, Values]], key: str) -> str:
    """Mean and interval of tau over seeds."""
    return interval_text([values[key]["kendall"] for values in found if key in values], 3)
