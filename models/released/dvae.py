"""The checkpoints of muhanzhang/D-VAE (DVAE and DVAE_BN); its vertex types are in our order."""

from __future__ import annotations

from typing import Any

from graphnas.models.released.renaming import Published, Release

ENAS = ("input", "output", "conv_3x3", "sep_conv_3x3", "conv_5x5", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3")


def sizes(file: Published) -> dict[str, Any]:
    """Config fields: directions, vertex indices and the kind of aggregation show in the shapes."""
    latent_dim, hidden_dim = file.size("fc1.weight", 0), file.size("fc1.weight", 1)
    network = file.size("add_edge.0.weight", 1) == 3 * hidden_dim
    return {
        "hidden_dim": hidden_dim,
        "latent_dim": latent_dim,
        "bidirectional": "hg_unify.0.weight" in file.tensors,
        "bayesian_network": network,
        "vertex_ids": network or file.size("gate_forward.0.weight", 1) != hidden_dim,
        "accuracy_head": "predictor.0.weight" in file.tensors,
    }


DVAE = Release(
    model="dvae",
    mark="grue_forward.weight_ih",
    names={
        "encoder.cells.*": "grue_forward",
        "encoder.back_cells.*": "grue_backward",
        "encoder.aggregators.*.gate": "gate_forward.0",
        "encoder.aggregators.*.mapper": "mapper_forward.0",
        "encoder.back_aggregators.*.gate": "gate_backward.0",
        "encoder.back_aggregators.*.mapper": "mapper_backward.0",
        "encoder.merge": "hg_unify.0",
        "unify": "hv_unify.0",
        "heads.mean": "fc1",
        "heads.logvar": "fc2",
        "decoder.start": "fc3",
        "decoder.cells.*": "grud",
        "decoder.type_hidden": "add_vertex.0",
        "decoder.type_out": "add_vertex.2",
        "decoder.edge_hidden": "add_edge.0",
        "decoder.edge_out": "add_edge.2",
        "accuracy.hidden": "predictor.0",
        "accuracy.out": "predictor.2",
    },
    types={
        "encoder.cells.0.weight_ih": 1,
        "encoder.back_cells.0.weight_ih": 1,
        "decoder.cells.0.weight_ih": 1,
        "decoder.type_out.weight": 0,
        "decoder.type_out.bias": 0,
    },
    vocabularies={"enas6": ENAS, "enas12": ENAS, "bn8": ("input", "output", *"ASTLBEXD")},
    configure=sizes,
    unused=("grue_backward.", "gate_backward.", "mapper_backward."),  # of models that encode along the edges only
)
