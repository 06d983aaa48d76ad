"""What decoders make when they go on past the size they were trained on, and how good it is where labels tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from graphnas.bo.extrapolation import around, describe_generated, generate_beyond
from graphnas.bo.size_ranking import SizeParts, Values
from graphnas.errors import GraphnasError
from graphnas.metrics import NAN, mean_confidence_interval
from graphnas.models import GraphVAE
from graphnas.spaces import Architectures, SearchSpace
from graphnas.tables import Table
from graphnas.train.board_text import interval_text, table_head, table_line
from graphnas.train.data import random_rows, seeded
from graphnas.train.evaluate import encode_all
from graphnas.train.result_files import finite, is_finished, read_result, write_result

MODES: dict[str, tuple[bool, int | None]] = {
    "unmasked": (False, 2),
    "masked": (True, 2),
    "masked, larger": (True, None),
}
"""How the decoder is led: by nothing, by the masks of the larger space, and by masks that do not let it end early."""
SHARES = ("valid", "larger", "valid_larger", "unique", "novel")


@dataclass(frozen=True)
class GenerationSizes:
    """How much is generated."""

    points: int = 1000
    """Codes from a normal distribution with the means and spreads of the training codes; one graph each."""
    starts: int = 100
    """Labelled small architectures, best or random, around whose codes is decoded."""
    near: int = 4000
    """Graphs decoded around either, of which those with a label are counted."""
    spread: float = 0.5
    """Noise on those codes, in spreads of theirs."""


def prior_codes(codes: Tensor, count: int, seed: int) -> Tensor:
    """Normal codes with the mean and spread of given ones, float [count, Z]."""
    return torch.randn(count, codes.shape[1], generator=seeded(seed)) * codes.std(0) + codes.mean(0)


def generation_values(
    model: GraphVAE, larger: SearchSpace, known: Architectures, sizes: GenerationSizes, seed: int
) -> dict[str, Values]:
    """Shares of what is decoded from random codes, by mode.

    Args:
        model: trained on `known`, or on a space they are members of.
        larger: where it goes on.
        known: architectures of the model's space: they scale the codes, and novelty is judged against them.
        sizes: how much.
        seed: of codes and draws.

    Raises:
        GraphnasError: a model that cannot go on.
    """
    codes, found = prior_codes(encode_all(model, known), sizes.points, seed), {}
    for name, (mask, fewest) in MODES.items():
        graphs = generate_beyond(model, larger, codes, seeded(seed), 1, True, mask, fewest, "repeat")
        found[name] = describe_generated(larger, graphs, model.space.max_nodes, known)
    return found


def labelled_quality(
    model: GraphVAE, parts: SizeParts, table: Table, metric: str, sizes: GenerationSizes, seed: int
) -> Values:
    """Mean labels of what is decoded around the best small architectures, around random ones, and of all larger ones.

    Only a part of the space has labels: `best_labelled` and `random_labelled` are the different generated ones that do.
    """
    rows = {
        "best": parts.small_y.argsort(descending=True)[: sizes.starts],
        "random": random_rows(torch.arange(len(parts.small_y)), sizes.starts, seed),
    }
    values: Values = {"all": float(parts.larger_y.mean())}
    for name, chosen in rows.items():
        codes = around(encode_all(model, parts.small[chosen]), sizes.near, sizes.spread, seeded(seed))
        graphs = generate_beyond(model, parts.space, codes, seeded(seed), new_places="repeat")
        keys = parts.space.fingerprints(graphs)
        first = torch.tensor(list({key: row for row, key in enumerate(keys.tolist())}.values()))
        y = table.query(graphs[first], metric).double()
        y = y[~y.isnan()]
        values |= {name: float(y.mean()) if len(y) else NAN, f"{name}_labelled": float(len(y))}
        values[f"{name}_distinct"] = float(len(first))
    return values


def run_generation(
    name: str, seed: int, model: GraphVAE, larger: SearchSpace, known: Architectures, sizes: GenerationSizes,
    folder: Path, labelled: tuple[SizeParts, Table, str] | None = None,
) -> Path:  # fmt: skip
    """Measure one VAE in one larger space, unless its result is there; a model that cannot go on leaves the reason.

    `labelled` are labels of the larger space, its table and metric, where there are any.
    """
    path = folder / "results" / f"generation_{name.replace('+', '_')}_{model.space.name}_{larger.name}_{seed}.json"
    made = finite({"sizes": asdict(sizes), "model": model.description(), "known": len(known)})
    if labelled is not None:
        made["labels"] = [labelled[0].digest, labelled[2]]
    if is_finished(path, made):
        return path
    note, values = "", {}
    try:
        values = generation_values(model, larger, known, sizes, seed)
        if labelled is not None:
            values["quality"] = labelled_quality(model, *labelled, sizes, seed)
    except GraphnasError as error:
        note = str(error)
    head = {"model": name, "trained": model.space.name, "larger": larger.name, "seed": seed, "note": note}
    return write_result(path, {**head, "made": made, "values": values})


def read_generation(folder: Path) -> list[dict[str, Any]]:
    """All results of the study."""
    return [read_result(path) for path in sorted((folder / "results").glob("generation_*.json"))]


def generation_table(results: Sequence[dict[str, Any]]) -> list[str]:
    """Lines of a Markdown table in percent, a row per model, larger space and mode."""
    groups: dict[tuple[str, str, str, str], list[dict[str, Any]]] = {}
    for result in results:
        for mode in MODES if result["values"] else [result["note"]]:
            groups.setdefault((result["model"], result["trained"], result["larger"], mode), []).append(result)
    lines = table_head(
        ["model", "trained on", "goes on in", "decoder", *(f"{s.replace('_', ', ')} %" for s in SHARES), "seeds"]
    )
    for (model, trained, larger, mode), found in groups.items():
        cells = []
        for share in SHARES:
            values = [one["values"].get(mode, {}).get(share) for one in found]
            cells.append(interval_text([100 * value for value in values if value is not None], 1))
        lines.append(table_line([model, trained, larger, mode, *cells, str(len(found))]))
    return lines


def quality_table(results: Sequence[dict[str, Any]]) -> list[str]:
    """Lines of a Markdown table of mean labels, in their unit."""
    groups: dict[str, list[Values]] = {}
    for result in results:
        if "quality" in result["values"]:
            groups.setdefault(f"{result['model']} to {result['larger']}", []).append(result["values"]["quality"])
    if not groups:
        return []
    titles = ["model", "around the best small", "around random small", "all larger", "labelled of different", "seeds"]
    lines = table_head(titles)
    for name, found in groups.items():
        cells = [
            interval_text([one[key] for one in found if one[key] is not None], 4) for key in ("best", "random", "all")
        ]
        counts = [
            mean_confidence_interval([one[key] for one in found]).mean for key in ("best_labelled", "best_distinct")
        ]
        lines.append(table_line([name, *cells, f"{counts[0]:.0f} of {counts[1]:.0f}", str(len(found))]))
    return lines
