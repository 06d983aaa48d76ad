"""Files of trained networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from graphnas.checkpoint import read_model_file, write_model_file
from graphnas.errors import CheckpointMismatch, CorruptFile, MissingData
from graphnas.models import create_model, save_model
from graphnas.networks import Images, build_network
from graphnas.networks.weights import load_network, save_network

ARCH = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|none~1|avg_pool_3x3~2|"
IMAGES = Images(1, 8, 7)
OPTIONS = {"channels": 3, "cells": 1}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = build_network("nb201", ARCH, IMAGES, **OPTIONS)
    network(torch.randn(5, 1, 8, 8))  # moves the running statistics
    return save_network(network, tmp_path / "last.safetensors", "nb201", ARCH, IMAGES, OPTIONS)


def test_round_trip(file: Path) -> None:
    state = torch.get_rng_state()
    network, again = load_network(file), load_network(file.parent)
    assert torch.equal(torch.get_rng_state(), state)
    x = torch.randn(2, 1, 8, 8)
    assert not network.training and network(x).shape == (2, 7) and torch.equal(network(x), again(x))
    assert torch.equal(network.state_dict()["last.0.running_mean"], read_model_file(file)[1]["last.0.running_mean"])


def test_double_precision_stays(tmp_path: Path) -> None:
    network = build_network("nb201", ARCH, IMAGES, **OPTIONS).double()
    file = save_network(network, tmp_path / "double.safetensors", "nb201", ARCH, IMAGES, OPTIONS)
    x = torch.randn(2, 1, 8, 8, dtype=torch.float64)
    assert torch.equal(load_network(file)(x), network.eval()(x))


def test_files_that_hold_something_else(file: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingData, match="no model file at"):
        load_network(tmp_path / "none.safetensors")
    save_model(create_model("svge", "toy", node_dim=8, latent_dim=4), tmp_path / "vae.safetensors")
    with pytest.raises(CheckpointMismatch, match="holds a model 'svge', expected the network of an architecture"):
        load_network(tmp_path / "vae.safetensors")
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(CorruptFile, match="truncated, damaged"):
        load_network(file)


@pytest.mark.parametrize(
    ("changes", "error", "reason"),
    [
        ({"config": {}}, CorruptFile, "does not say which network"),
        ({"config": {"arch": ARCH, "images": {"depth": 3}, "options": {}}}, CorruptFile, "does not say which network"),
        ({"space": "mars"}, CheckpointMismatch, "unknown search space 'mars'"),
        ({"options": {"channels": 4, "cells": 1}}, CheckpointMismatch, "size mismatch"),
        ({"options": {"layers": 4}}, CheckpointMismatch, "unknown options of a network"),
        ({"arch": ARCH.replace("none", "nor_conv_1x1")}, CheckpointMismatch, "Missing key"),
    ],
)
def test_headers_that_do_not_fit(changes: dict[str, Any], error: type[Exception], reason: str, file: Path) -> None:
    header, tensors = read_model_file(file)
    for name, value in changes.items():
        (header if name in header else header["config"])[name] = value
    write_model_file(file, header, tensors)
    with pytest.raises(error, match=reason):
        load_network(file)
