"""What ranks architectures by name: the folder of a fitted predictor, or shipped weights with a regression head."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from torch import Tensor

from graphnas.errors import InvalidValues, MissingData
from graphnas.models import GraphVAE, load_model
from graphnas.spaces import Architectures
from graphnas.state_dicts import find, is_place, is_shipped, list_pretrained
from graphnas.train.evaluate import head_values
from graphnas.train.fitted import FittedPredictor
from graphnas.train.predictor_files import CONTENTS, LABELS, load_predictor

Ranker = FittedPredictor | GraphVAE
OWN, MEMBER = (CONTENTS, LABELS), "member"
"""Files of a fitted predictor, and how those of its networks begin."""


def load_ranker(name: str) -> Ranker:
    """A fitted predictor by its folder, or a VAE with a regression head by the name of shipped weights.

    Raises:
        MissingData: neither; CorruptFile, CheckpointMismatch: see :func:`load_predictor`.
        InvalidValues: shipped weights that learned no label.
    """
    if is_shipped(name):
        return load_head(name)
    if not is_place(name):
        raise MissingData(
            f"no predictor in {name}: `graphnas train predictor` makes one, and shipped weights that rank are "
            f"{', '.join(ranking_weights())}"
        )
    return load_predictor(Path(name))


def ranking_weights() -> list[str]:
    """Names of shipped weights with a regression head."""
    return [card["name"] for card in list_pretrained() if "prediction_kendall" in card["metrics"]]


def load_head(name: str) -> GraphVAE:
    """Shipped weights with a regression head.

    Raises:
        InvalidValues: weights that learned no label.
    """
    model = load_model(find(name))
    if not isinstance(model, GraphVAE) or not model.predicts:
        able = ", ".join(ranking_weights())
        raise InvalidValues(f"{name} learned no label and ranks nothing: shipped weights that do are {able}")
    return model


def digest_of_ranker(name: str) -> str:
    """A fingerprint of the files behind a name: another one when they have changed."""
    place = find(name) if is_shipped(name) else Path(name)
    own = [path for path in place.glob("*") if path.name in OWN or path.name.startswith(MEMBER)]
    files = [place] if place.is_file() else sorted(own)
    whole = hashlib.sha256()
    for path in files:
        whole.update(path.read_bytes())
    return whole.hexdigest()[:16]


def predictions_of(ranker: Ranker) -> Callable[[Architectures], Tensor]:
    """Architectures [B] -> what is predicted of them, float [B]."""
    return partial(head_values, ranker) if isinstance(ranker, GraphVAE) else ranker.predict
