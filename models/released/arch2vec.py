"""The checkpoints of arch2vec's cells on one adjacency matrix (Model of its models/model.py)."""

from __future__ import annotations

from typing import Any

from graphnas.models.released.renaming import Published, Release


def sizes(file: Published) -> dict[str, Any]:
    """Config fields."""
    return {
        "hidden_dim": file.size("fc1.weight", 1),
        "latent_dim": file.size("fc1.weight", 0),
        "layers": file.count("mlps"),
    }


ARCH2VEC = Release(
    model="arch2vec",
    mark="mlps.0.linears.0.weight",
    names={
        "encoder.layers.*.eps": "eps[*]",
        "encoder.layers.*.hidden": "mlps.*.linears.0",
        "encoder.layers.*.hidden_norm": "mlps.*.batch_norms.0",
        "encoder.layers.*.out": "mlps.*.linears.1",
        "encoder.layers.*.out_norm": "batch_norms.*",
        "encoder.heads.mean": "fc1",
        "encoder.heads.logvar": "fc2",
        "types": "decoder.weight",
    },
    types={"encoder.layers.0.hidden.weight": 1, "types.weight": 0, "types.bias": 0},
    vocabularies={
        "nb101": ("input", "conv1x1-bn-relu", "conv3x3-bn-relu", "maxpool3x3", "output"),
        "nb201": ("input", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "skip_connect", "none", "output"),
    },
    configure=sizes,
    inside="model_state",
)
