"""Checkpoints that the authors of a model released, as models of the zoo that compute what theirs do."""

from __future__ import annotations

from pathlib import Path

import torch

from graphnas.errors import CheckpointMismatch, GraphnasError, UnknownName
from graphnas.models.base import GraphModel, load_weights
from graphnas.models.released.arch2vec import ARCH2VEC
from graphnas.models.released.dgmg import DGMG
from graphnas.models.released.dvae import DVAE
from graphnas.models.released.reading import read_state_dict
from graphnas.models.released.renaming import Published, Release, rename
from graphnas.models.released.svge import SVGE
from graphnas.models.zoo import create_model
from graphnas.spaces import SearchSpace, get_space

RELEASES = {release.model: release for release in (SVGE, DGMG, DVAE, ARCH2VEC)}
"""By system: how its released checkpoints are laid out."""


def import_released(path: str | Path, system: str, space: str | SearchSpace) -> GraphModel:
    """The model that a released checkpoint holds, with `faithful=True` and in eval mode; `save_model` keeps it.

    Sizes are read off the tensors. Nothing in the file is executed.

    Args:
        path: a state dict written by `torch.save`, on any device, with or without DataParallel's prefix.
        system: whose it is: svge, dgmg, dvae or arch2vec.
        space: what it was trained on, which the file does not say.

    Raises:
        UnknownName: no such system or space.
        SpaceMismatch: nothing was released for that space.
        MissingData, UnsafeFile, CorruptFile: the file cannot be read.
        CheckpointMismatch: it is no such checkpoint, or is of another space.
    """
    path, space = Path(path), get_space(space)
    if system not in RELEASES:
        raise UnknownName("system", system, RELEASES)
    release = RELEASES[system]
    order = release.order(space)
    published = Published(read_state_dict(path, release.inside), path)
    check_mark(published, release)
    config = {**release.configure(published), "faithful": True}
    try:
        with torch.device("meta"):  # shapes are compared before memory is taken for them
            shapes = create_model(release.model, space, **config).state_dict()
    except (GraphnasError, RuntimeError) as error:  # sizes that no model can have
        raise CheckpointMismatch(f"{path}: no {system} can have the sizes of its tensors: {error}") from error
    state = rename(published, release, shapes, order)
    model = create_model(release.model, space, **config)
    load_weights(model, state, str(path))
    return model.eval()


def check_mark(published: Published, release: Release) -> None:
    """Refuse the checkpoint of something else altogether.

    Raises:
        CheckpointMismatch: saying what it looks like.
    """
    if release.mark in published.tensors:
        return
    others = [other.model for other in RELEASES.values() if other.mark in published.tensors]
    looks = f"it looks like one of {others[0]}" if others else f"its keys begin with {min(published.tensors)}"
    raise CheckpointMismatch(
        f"{published.source} is no released checkpoint of {release.model}: it has no {release.mark}; {looks}"
    )
