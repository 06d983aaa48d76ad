"""What a predictor learns before it sees a label: hidden operations, or the weights of an earlier run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from graphnas.errors import CheckpointMismatch, InvalidValues
from graphnas.models import EncoderHead, GraphVAE, Predictor, load_model
from graphnas.models.base import load_weights
from graphnas.spaces import OUTPUT, Architectures, SearchSpace
from graphnas.state_dicts import resolve
from graphnas.train.config import FitConfig
from graphnas.train.data import random_rows, seeded
from graphnas.train.loop import fit
from graphnas.train.objectives import Objective
from graphnas.train.trainer import Labelled

SHARE = 0.2
LARGEST = 100_000
HELD_OUT = 512
FIRST_MEMBER = "member0.safetensors"
"""File in the folder of a fitted predictor."""


class MaskedOps(Objective):
    """Cross-entropy of the types of hidden vertices, guessed from their states by a linear map (BERT's task).

    Of every graph a fifth of the vertices between input and output is hidden at random, one at least; graphs without
    such a vertex teach nothing. In evaluation the choice is the same every time.

    Args:
        model: a predictor with a state per vertex.

    Raises:
        InvalidValues: a model without one.
    """

    def __init__(self, model: Predictor) -> None:
        super().__init__()
        self.model: Predictor = model
        with torch.no_grad():
            archs = model.prepare(model.space.sample(1, seeded(0)))
            try:
                width = model.vertex_states(archs).shape[2]
            except NotImplementedError as error:
                raise InvalidValues(f"{model.registered_name!r} cannot be pre-trained: {error}") from error
        self.head = nn.Linear(width, model.space.num_ops)

    def hide(self, archs: Architectures) -> Tensor:
        """Which vertices are hidden, bool [B, N]."""
        shape = archs.ops.shape
        draw = torch.rand(shape, generator=None if self.training else seeded(0)).to(archs.device)
        places = torch.arange(shape[1], device=archs.device)
        inner = archs.node_mask & (places > 0) & (places < archs.num_nodes[:, None] - 1)
        draw = draw.masked_fill(~inner, 2.0)
        return inner & ((draw < SHARE) | (draw == draw.amin(1, keepdim=True)))

    def forward(self, archs: Architectures, y: Tensor | None = None) -> dict[str, Tensor]:
        archs = self.model.prepare(archs)
        hidden = self.hide(archs)
        guesses = self.head(self.model.vertex_states(archs, hidden)[hidden])
        guesses[:, : OUTPUT + 1] = -torch.inf  # no vertex between the ends has their types
        true = archs.ops[hidden].long()
        count = max(1, len(true))
        total = cross_entropy(guesses, true, reduction="sum") / count
        return {"total": total, "accuracy": (guesses.argmax(1) == true).sum() / count}


def pretrain(
    model: Predictor, space: SearchSpace, steps: int, seed: int, device: str, batch_size: int = 256,
    progress: bool = False,
) -> float:  # fmt: skip
    """Train a predictor's vertex states on hidden operations, in place.

    Architectures are all of a space of up to 100,000, or so many samples of a larger one.

    Args:
        model: with a state per vertex.
        space: its space.
        steps: optimiser steps, with a cosine from 1e-3.
        seed: of order, samples and what is hidden.
        device: where.
        batch_size: graphs per step, all of them where there are fewer.
        progress: show how far it is, see :func:`graphnas.train.loop.fit`.

    Returns:
        Share of hidden operations guessed right on architectures kept aside.

    Raises:
        InvalidValues: a model without vertex states.
    """
    objective = MaskedOps(model)
    archs = space.enumerate() if space.size <= LARGEST else space.sample(LARGEST, seeded(seed))
    order = random_rows(torch.arange(len(archs)), len(archs), seed)
    kept = min(HELD_OUT, len(archs) // 10)
    learn, judge = archs[order[kept:]], archs[order[:kept]]
    config = FitConfig(
        max_steps=steps, batch_size=min(batch_size, len(learn)), warmup_steps=min(100, steps // 10),
        validate_every=steps, seed=seed, device=device,
    )  # fmt: skip
    result = fit(objective, Labelled(learn), Labelled(judge), config, progress=progress)
    return float(result.records[-1]["validation/accuracy"])


def weights_file(path: str) -> Path:
    """Where the weights of a run, a file or a name are; of a predictor's folder those of its first network.

    Raises:
        UnknownName: no such file, nor such weights.
    """
    place = resolve(path)
    member = place / FIRST_MEMBER
    return member if member.is_file() else place


def start_from(model: Predictor, path: str) -> None:
    """Give a predictor the weights of a trained one of its kind, or its VAE those of a trained VAE.

    Args:
        model: changed in place.
        path: run folder, model file, or name of shipped weights.

    Raises:
        UnknownName: no such file, nor such weights.
        CorruptFile: a damaged file.
        CheckpointMismatch: another model, space or shape.
    """
    found = load_model(weights_file(path))
    if found.space.name != model.space.name:
        raise CheckpointMismatch(f"{path} was trained on {found.space.name!r}, expected {model.space.name!r}")
    if isinstance(model, EncoderHead) and isinstance(found, GraphVAE):
        model.take(found, path)
    elif found.registered_name == model.registered_name:
        load_weights(model, found.state_dict(), path)
    else:
        raise CheckpointMismatch(f"{path} holds {found.registered_name!r}, expected {model.registered_name!r}")


def shaped_like(path: str, model_args: dict[str, Any], recipe: dict[str, Any]) -> dict[str, Any]:
    """The fields of an encoder that starts from the VAE in a file: sizes of that, not those of the recipe.

    Args:
        path: run folder, model file, or name of shipped weights; of another model it changes nothing.
        model_args: fields asked for; those of the VAE that differ from the recipe stay.
        recipe: the fields of the recipe.
    """
    found = load_model(weights_file(path))
    if not isinstance(found, GraphVAE) or model_args.get("vae") not in (None, found.registered_name):
        return model_args
    usual, chosen = recipe.get("vae_args", {}), model_args.get("vae_args", {})
    own = {key: value for key, value in chosen.items() if key not in usual or usual[key] != value}
    return {**model_args, "vae": found.registered_name, "vae_args": found.config.to_dict() | own}
