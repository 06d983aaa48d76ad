"""Making shipped weights: train, measure, halve the precision where that changes nothing, write weights and card."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from graphnas.bo.vae_board import BoardSizes
from graphnas.bo.zoo_metrics import Metric, latent_metrics, latent_rows, vae_metrics, vae_values
from graphnas.checkpoint import digest, write_bytes, write_text
from graphnas.errors import CorruptFile, GraphnasError
from graphnas.models import GraphModel, load_model, save_model
from graphnas.models.base import vocabulary_hash
from graphnas.models.zoo import kind_of
from graphnas.run_folder import RunFolder, plain
from graphnas.state_dicts import CARD_FORMAT
from graphnas.train.config import VAEConfig
from graphnas.train.data import Prepared, prepare
from graphnas.train.result_files import finite, read_result, settled
from graphnas.train.vae import load_vae, train_or_continue

UNCHANGED = 5e-4
"""A share, correlation or error that moves less than this, and a likelihood by so many nats, has not changed."""


@dataclass(frozen=True)
class Entry:
    """One line of the list of shipped weights."""

    name: str
    """MODEL_SPACE or MODEL_SPACE-TAG."""
    about: str
    """What it was trained on, in a line."""
    recipe: str
    """Name of the recipe."""
    command: str
    """Command line that trains it."""
    run: dict[str, Any] = field(hash=False)
    """The whole configuration of that training."""
    seed: int
    bar: float
    """Least share of test architectures that must come back exactly; of a predictor, least mean correlation of its code
    with properties."""
    tag: str = ""


@dataclass(frozen=True)
class Made:
    """What a training leaves to be shipped."""

    model: GraphModel
    data_hash: str
    split_hash: str
    versions: dict[str, str]
    cpu_minutes: float


def release_vae(
    entry: Entry, config: VAEConfig, run: Path, out: Path, board: Path | None, sizes: BoardSizes | None = None
) -> dict[str, Any]:
    """Train (or go on with) a VAE, measure it and write its weights and card; the card.

    Args:
        entry: what it is.
        config: its training.
        run: run folder; a finished one is not trained again.
        out: folder of weights and cards.
        board: folder of leaderboard results, from which the latent space's r is taken where the space has no built-in
            labels and the result is that of this very run.
        sizes: how much is measured.

    Raises:
        GraphnasError: reconstruction below the bar, or a run that cannot be continued.
    """
    sizes = sizes or BoardSizes()
    torch.set_num_threads(1)
    records = train_or_continue(config, run)
    data, model, draft = prepare(config.data), load_vae(run), run / "half.safetensors"
    known = board_values(board, config, sizes)
    made = Made(model, data_hash(data), split_hash(data), read_versions(run), records[-1]["cpu_seconds"] / 60)
    shipped, precision = halve(
        model, known or vae_values(model, data, sizes), draft, lambda it: vae_values(it, data, sizes)
    )
    if shipped["exact"] < entry.bar:
        raise GraphnasError(f"{entry.name} gives back {shipped['exact']:.4f} of the test part, below {entry.bar}")
    latent = latent_metrics(load_vae(draft), data, sizes) or board_metrics(known, config)
    return write_release(entry, made, draft, precision, vae_metrics(shipped, data, sizes) | latent, out)


def halve(
    model: GraphModel, values: Mapping[str, Any], draft: Path, measure: Callable[[Any], dict[str, float]]
) -> tuple[dict[str, float], dict[str, Any]]:
    """Write the weights to `draft`, in half precision where no value changes by it.

    Args:
        model: in single precision.
        values: measured on it.
        draft: file to write.
        measure: what gives the values.

    Returns:
        The values of what was written, and its precision with the value that half precision moved most.
    """
    save_model(model, draft, half=True)
    after = measure(load_model(draft, (model.registered_name, model.space)))
    moved = {
        name: abs(after[name] - values[name]) for name in after if values.get(name) is not None and name[-3:] != "_ci"
    }
    worst = max(moved, key=lambda name: moved[name])
    change = {"metric": worst, "by": moved[worst]}
    if moved[worst] < UNCHANGED:
        return after, {"precision": "float16", "largest_change": change}
    save_model(model, draft)
    return measure(model), {"precision": "float32", "largest_change": change}


def board_values(board: Path | None, config: VAEConfig, sizes: BoardSizes) -> dict[str, Any] | None:
    """What the leaderboard measured on the single-precision weights of this very run; None where it did not.

    `source` tells which labels its latent space was judged by, `functions` how many different functions these label,
    and `folder` where the result lies.
    """
    path = None if board is None else board / board_name(config)
    if path is None or not path.is_file():
        return None
    result = read_result(path)
    made = result["made"]
    if settled(made["run"]) != settled(finite(plain(config))) or made["sizes"]["evaluation"] != finite(
        asdict(sizes.evaluation)
    ):
        return None
    labels = made["labels"]
    values: dict[str, Any] = result["values"]
    source = f"{Path(labels['source'] or 'built-in table').name}, {labels['metric'] or 'default metric'}"
    functions = result["judged_on"]["functions"]
    return {**values, "source": source, "functions": functions, "folder": path.parent.name}


def board_metrics(known: dict[str, Any] | None, config: VAEConfig) -> dict[str, Metric]:
    """r of the latent space as the leaderboard measured it; empty where it did not."""
    if known is None or known.get("converged_pearson") is None:
        return {}
    return latent_rows(
        known, known["functions"], "Gaussian process on codes of the float32 weights, test labels of "
        f"{known['source']}, {known['functions']:,} different functions, "
        f"docs/leaderboard/{known['folder']}/{board_name(config)}"
    )  # fmt: skip


def board_name(config: VAEConfig) -> str:
    """File of a training in the leaderboard's results."""
    return f"{config.model}_{config.data.space}_{config.fit.seed}.json"


def write_release(
    entry: Entry, made: Made, weights: Path, precision: dict[str, Any], metrics: dict[str, Metric], out: Path
) -> dict[str, Any]:
    """Copy the weights to their place and write the card beside them; the card, which comes last, says all is there."""
    content, model = weights.read_bytes(), made.model
    (out / "plots" / f"{entry.name}.png").unlink(missing_ok=True)  # of other weights
    write_bytes(out / f"{entry.name}.safetensors", content)
    card = {
        "format": CARD_FORMAT,
        "model": model.registered_name,
        "kind": kind_of(type(model)),
        "space": model.space.name,
        "tag": entry.tag,
        "about": entry.about,
        "config": model.config.to_dict(),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "vocabulary_hash": vocabulary_hash(model.space),
        "data_hash": made.data_hash,
        "split_hash": made.split_hash,
        "recipe": entry.recipe,
        "command": entry.command,
        "run": entry.run,
        "versions": made.versions,
        "seed": entry.seed,
        "cpu_minutes": made.cpu_minutes,
        **precision,
        "metrics": metrics,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "url": None,
        "licence": "MIT",
    }
    write_text(out / f"{entry.name}.json", json.dumps(finite(card), indent=1) + "\n")
    return card


def is_released(entry: Entry, out: Path) -> bool:
    """Whether weights and card of the entry are there, made by the same training, and belong together.

    Raises:
        CorruptFile: a card that cannot be read.
    """
    path, weights = out / f"{entry.name}.json", out / f"{entry.name}.safetensors"
    if not path.is_file() or not weights.is_file():
        return False
    try:
        card = json.loads(path.read_text())
        same = settled(card["run"]) == settled(finite(entry.run)) and card["format"] == CARD_FORMAT
        return bool(same and card["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest())
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptFile(f"{path} is damaged: delete it to make it again") from error


def data_hash(data: Prepared) -> str:
    """SHA-256 of the architectures that were trained on, in their order."""
    train = data.archs[data.split.train].to("cpu")
    return digest(train.ops, train.adj, train.num_nodes)


def split_hash(data: Prepared) -> str:
    """SHA-256 of the rows of the three parts."""
    return digest(*(getattr(data.split, part) for part in ("train", "validation", "test")))


def read_versions(run: Path) -> dict[str, str]:
    """The versions a run was made with."""
    content: dict[str, str] = json.loads((RunFolder(run).path / "versions.json").read_text())
    return content
