"""The rows of the ranking by size, one result file per row and seed, so that the rest can be run later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from graphnas.bo.size_ranking import (
    RAW,
    RankingSizes,
    SizeParts,
    Values,
    encoder_note,
    predictor_note,
    rank_by_codes,
    rank_by_cost,
    rank_by_predictor,
)
from graphnas.bo.small_vaes import small_config, small_vae
from graphnas.errors import SpaceMismatch
from graphnas.models import GraphVAE
from graphnas.run_folder import plain
from graphnas.spaces import SearchSpace, get_space
from graphnas.train.board_text import interval_text, table_head, table_line
from graphnas.train.predictor_config import read_settings
from graphnas.train.result_files import finite, is_finished, read_result, write_result

Kind = Literal["label", "cost", "raw", "codes", "learned", "inside"]
HEADS = ("ridge", "gp")
COLUMNS = {
    "tau": ("kendall", 3),
    "tau, better half": ("kendall_top", 3),
    "Spearman": ("spearman", 3),
    "best rank@1": ("best_rank_at_1", 0),
    "best rank@10": ("best_rank_at_10", 0),
    "best rank@100": ("best_rank_at_100", 0),
}


@dataclass(frozen=True)
class Row:
    """One way to rank: a number that needs no label, raw features, codes of a VAE under a head, a learned predictor, or
    a predictor that learns from larger architectures too."""

    kind: Kind
    name: str
    head: str = ""

    @property
    def file(self) -> str:
        """Name of its results, without the seed."""
        return "_".join(["ranking", self.kind, self.name.replace("+", "_"), *([self.head] if self.head else [])])

    @property
    def title(self) -> str:
        """As the table has it."""
        return {
            "label": "mean of the labels",
            "cost": f"number of {self.name}",
            "raw": f"raw features, {self.name}",
            "codes": f"codes of {self.name}, {self.head}",
            "learned": self.name,
            "inside": f"{self.name} on larger cells (no extrapolation)",
        }[self.kind]


@dataclass(frozen=True)
class RankingStudy:
    """What is compared: where it lies, which small space VAEs learn, and how long."""

    folder: Path
    small: str = "nb101_6"
    vae_steps: int = 2000
    sizes: RankingSizes = field(default_factory=RankingSizes)

    def vae(self, name: str, space: SearchSpace, seed: int) -> GraphVAE:
        """The VAE of a seed, trained where it is not there yet."""
        config = small_config(name, self.small, space.family, seed, self.vae_steps)
        return small_vae(config, self.folder / "vaes" / f"{name}_{self.small}_{seed}")


def ranking_rows(encoders: Sequence[str], predictors: Sequence[str], heads: Sequence[str] = HEADS) -> list[Row]:
    """All rows, the ones that need no training first."""
    rows = [Row("label", "mean"), Row("cost", "params"), Row("cost", "flops")]
    rows += [Row("raw", name) for name in RAW] + [Row("inside", "blend")]
    rows += [Row("codes", name, head) for name in encoders for head in heads]
    return rows + [Row("learned", name) for name in predictors]


def run_row(row: Row, seed: int, parts: SizeParts, study: RankingStudy) -> Path:
    """Measure one row from one seed, unless its result is there.

    Raises:
        GraphnasError: a result made with other settings is there.
    """
    path = study.folder / "results" / f"{row.file}_{seed}.json"
    made = finite({"row": asdict(row), "sizes": asdict(study.sizes), **how_made(row, seed, parts, study)})
    if is_finished(path, made):
        return path
    torch.set_num_threads(1)
    values, note = measure_row(row, seed, parts, study)
    about = {"row": asdict(row), "seed": seed, "metric": parts.metric, "note": note}
    return write_result(path, {**about, "made": made, "values": values})


def how_made(row: Row, seed: int, parts: SizeParts, study: RankingStudy) -> dict[str, Any]:
    """What a result depends on beside its row: the VAE's run, a predictor's recipe, the numbers of labels."""
    found: dict[str, Any] = {"small": study.small, "labels": [len(parts.small_y), len(parts.larger_y)]}
    found["digest"] = parts.digest
    if row.kind == "codes":
        found["vae"] = plain(small_config(row.name, study.small, parts.space.family, seed, study.vae_steps))
    elif row.kind in ("raw", "learned", "inside"):
        found["settings"] = asdict(read_settings(row.name, parts.space.family))
    return found


def measure_row(row: Row, seed: int, parts: SizeParts, study: RankingStudy) -> tuple[Values, str]:
    """Values and what has to be said about them; no values where an encoder cannot read larger architectures."""
    drawn = parts.drawn(study.sizes.labels, seed)
    if row.kind in ("label", "cost"):
        return rank_by_cost(drawn, row.name), ""
    if row.kind == "codes":
        vae = study.vae(row.name, parts.space, seed)
        note = encoder_note(vae, parts.space)
        try:
            return rank_by_codes(drawn, vae, "ridge" if row.head == "ridge" else "gp", seed), note
        except SpaceMismatch as error:
            return {}, str(error)
    if row.kind == "inside":
        drawn = parts.inside(study.sizes.labels, seed)
    note = predictor_note(row.name, get_space(study.small), parts.space) if row.kind == "learned" else ""
    return rank_by_predictor(drawn, row.name, seed, study.sizes), note


def read_rows(folder: Path) -> list[dict[str, Any]]:
    """All results of the study, in the order of their files."""
    return [read_result(path) for path in sorted((folder / "results").glob("ranking_*.json"))]


def ranking_table(results: Sequence[dict[str, Any]]) -> list[str]:
    """Lines of a Markdown table: mean and half-width of the 95 % interval over seeds, best tau first."""
    groups: dict[Row, list[dict[str, Any]]] = {}
    for result in results:
        groups.setdefault(Row(**result["row"]), []).append(result)
    lines = []
    for row, found in groups.items():
        measured = [one["values"] for one in found if one["values"]]
        cells = [row.title]
        for key, digits in COLUMNS.values():
            numbers = [values[key] for values in measured if values[key] is not None]
            cells.append(interval_text(numbers, digits))
        tau = [values["kendall"] for values in measured if values["kendall"] is not None]
        order = sum(tau) / len(tau) if tau else -1.0
        lines.append((order, table_line([*cells, str(len(found)), short_note(found[0]["note"])])))
    lines.sort(key=lambda line: -line[0])
    return [*table_head([" ", *COLUMNS, "seeds", "remarks"]), *[line for _, line in lines]]


def short_note(note: str) -> str:
    """At most a line of a remark."""
    return note if len(note) <= 120 else f"{note[:117]}..."
