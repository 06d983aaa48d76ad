"""A fitted predictor on disk: one weights file per network, the labels it learned from, and a table of contents."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from graphnas.checkpoint import read_model_file, write_model_file, write_text
from graphnas.errors import CorruptFile, GraphnasError, InvalidValues, MissingData, UnknownName
from graphnas.models import Predictor, load_model, save_model
from graphnas.models.base import vocabulary_hash
from graphnas.spaces import Architectures, SearchSpace, get_space
from graphnas.train.fitted import FittedFeatures, FittedPredictor, Line, Member
from graphnas.train.predictor import fit_features
from graphnas.train.predictor_config import PredictorSettings

CONTENTS, LABELS = "predictor.json", "labels.safetensors"


def save_predictor(fitted: FittedPredictor, folder: Path | str, extra: dict[str, Any] | None = None) -> Path:
    """Write a fitted predictor; the table of contents comes last, so that a folder with one is whole.

    Args:
        fitted: the predictor.
        folder: where to; may exist, but hold no other predictor.
        extra: further JSON for the table of contents (metric, scores).

    Raises:
        GraphnasError: the folder holds a predictor already, or cannot be written.
    """
    folder = Path(folder)
    contents = folder / CONTENTS
    if contents.exists():
        raise GraphnasError(f"{folder} holds a predictor already: choose another folder")
    for number, member in enumerate(fitted.members):
        save_model(member.network, folder / f"member{number}.safetensors")
    write_labels(folder / LABELS, fitted.space, fitted.archs, fitted.y)
    lines = [{**member.line._asdict(), "error": None if member.error != member.error else member.error}
             for member in fitted.members]  # fmt: skip
    content = {
        "model": fitted.name,
        "space": fitted.space.name,
        "settings": asdict(fitted.settings),
        "members": lines,
        **({"seed": fitted.seed} if isinstance(fitted, FittedFeatures) else {}),
        **(extra or {}),
    }
    return write_text(contents, json.dumps(content, indent=1) + "\n")


def load_predictor(folder: Path | str) -> FittedPredictor:
    """The predictor that :func:`save_predictor` wrote.

    Raises:
        MissingData: no predictor there.
        CorruptFile: a damaged file.
        CheckpointMismatch: weights that do not fit this graphnas.
    """
    folder = Path(folder)
    content = read_contents(folder)
    try:
        space = get_space(content["space"])
        settings = PredictorSettings(**content["settings"])
        lines = [(Line(one["slope"], one["offset"]), one["error"]) for one in content["members"]]
    except (KeyError, TypeError, InvalidValues) as error:
        raise CorruptFile(f"{folder / CONTENTS} is damaged or of another graphnas: {error}") from error
    rows = read_rows(folder / LABELS, space)
    if "seed" in content:
        return refit(content["model"], space, settings, rows, content["seed"], folder)
    members = []
    for number, (line, spread) in enumerate(lines):
        with torch.random.fork_rng():  # weights are drawn before they are read
            network = load_model(folder / f"member{number}.safetensors", expect=(content["model"], space))
        if not isinstance(network, Predictor):
            raise CorruptFile(f"{folder} holds a {type(network).__name__}, which is no predictor")
        members.append(Member(network, line, float("nan") if spread is None else spread))
    return FittedPredictor(content["model"], space, settings, members, *rows)


def refit(
    name: str, space: SearchSpace, settings: PredictorSettings, rows: tuple[Architectures, Tensor], seed: Any,
    folder: Path,
) -> FittedFeatures:  # fmt: skip
    """A regression on fixed features, fitted again on its labels: nothing else of it is on the disk.

    Raises:
        CorruptFile: another kind of model, or labels that cannot be learned.
    """
    if not isinstance(seed, int):
        raise CorruptFile(f"{folder / CONTENTS} is damaged: the seed is {seed!r}")
    try:
        return fit_features(name, space, settings, *rows, seed)
    except (UnknownName, InvalidValues) as error:
        raise CorruptFile(f"{folder} holds no predictor: {error}") from error


def read_contents(folder: Path) -> dict[str, Any]:
    """The table of contents.

    Raises:
        MissingData: no predictor there.
        CorruptFile: damaged.
    """
    path = folder / CONTENTS
    if not path.is_file():
        raise MissingData(f"no predictor in {folder}: `graphnas train predictor` makes one")
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise CorruptFile(f"{path} is damaged: {error}") from error
    if not isinstance(content, dict):
        raise CorruptFile(f"{path} is damaged: expected a mapping")
    return content


def write_labels(path: Path, space: SearchSpace, archs: Architectures, y: Tensor) -> Path:
    """Architectures and labels, float64 [B]."""
    archs = archs.to("cpu")
    tensors = {"ops": archs.ops, "adj": archs.adj, "num_nodes": archs.num_nodes, "y": y}
    header = {"model": "labels", "space": space.name, "vocabulary": vocabulary_hash(space), "config": {}}
    return write_model_file(path, header, tensors)


def read_rows(path: Path, space: SearchSpace) -> tuple[Architectures, Tensor]:
    """What :func:`write_labels` wrote.

    Raises:
        CorruptFile: damaged, or no such tensors.
    """
    tensors = read_model_file(path)[1]
    try:
        archs = Architectures(*(tensors[name] for name in ("ops", "adj", "num_nodes")))
        y = tensors["y"]
    except (KeyError, ValueError) as error:
        raise CorruptFile(f"{path} holds no labelled architectures: {error}") from error
    if len(y) != len(archs) or not bool(space.is_valid(archs).all()) or not bool(torch.isfinite(y).all()):
        raise CorruptFile(f"{path} holds no labelled architectures of {space.name}")
    return archs, y
