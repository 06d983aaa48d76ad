"""The checkpoints of automl/SVGe: what its two models share, and SVGe itself (SVGE and SVGE_acc)."""

from __future__ import annotations

from typing import Any

from graphnas.models.released.renaming import Published, Release

ENAS = ("output", "input", "conv_3x3", "sep_conv_3x3", "conv_5x5", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3")
VOCABULARIES = {
    "nb101": ("output", "input", "conv1x1-bn-relu", "conv3x3-bn-relu", "maxpool3x3"),
    "nb201": ("output", "input", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "skip_connect", "none"),
    "enas6": ENAS,
    "enas12": ENAS,
}
TYPES = {"encoder.types.weight": 0, "decoder.types.weight": 0, "decoder.type_out.weight": 0, "decoder.type_out.bias": 0}

ENCODER = "Encoder.NodeEmb"
STEP = "Decoder.generator.prop.NodeEmb"
SHARED = {
    "encoder.types": "Encoder.NodeEmb.NodeInit",
    "encoder.readout.values": "Encoder.GraphEmb_mean.f_m + Encoder.GraphEmb_var.f_m",
    "encoder.readout.gates": "Encoder.GraphEmb_mean.g_m + Encoder.GraphEmb_var.g_m",
    "decoder.types": "Decoder.generator.nodeInit.NodeInits",
    "decoder.readout.values": "Decoder.generator.prop.GraphEmb.f_m + Decoder.generator.prop.GraphEmb_init.f_m",
    "decoder.readout.gates": "Decoder.generator.prop.GraphEmb.g_m + Decoder.generator.prop.GraphEmb_init.g_m",
    "decoder.start_hidden": "Decoder.generator.nodeInit.f_start",
    "decoder.start_out": "Decoder.generator.nodeInit.f_start_2",
    "decoder.init_hidden": "Decoder.generator.nodeInit.f_init",
    "decoder.init_out": "Decoder.generator.nodeInit.f_init_2",
    "decoder.edge_hidden": "Decoder.generator.nodes.f_s_1",
    "decoder.edge_out": "Decoder.generator.nodes.f_s_2",
    "decoder.type_hidden": "Decoder.generator.nodeAdd.f_an",
    "decoder.type_out": "Decoder.generator.nodeAdd.f_an_2",
    "accuracy.layers.*": "Accuracy.lin_layers.*",
}


def sizes(file: Published, layers: str) -> dict[str, Any]:
    """Config fields of both models; `layers` names the list of their message-passing rounds."""
    encoder_rounds, rounds = file.count(f"{ENCODER}.{layers}"), file.count(f"{STEP}.{layers}")
    head = "Accuracy.lin_layers.0.weight" in file.tensors
    return {
        "node_dim": file.size("Decoder.generator.nodeInit.NodeInits.weight", 1),
        "latent_dim": file.size("Encoder.GraphEmb_mean.f_m.weight", 0),
        "rounds": rounds,
        "encoder_rounds": None if encoder_rounds == rounds else encoder_rounds,
        "accuracy_head": head,
        **({"accuracy_layers": file.count("Accuracy.lin_layers")} if head else {}),
    }


SVGE = Release(
    model="svge",
    mark=f"{ENCODER}.GNNLayers_forward.0.msg.weight",
    names={
        **SHARED,
        "encoder.propagate.along.*.message": "Encoder.NodeEmb.GNNLayers_forward.*.msg",
        "encoder.propagate.along.*.update": "Encoder.NodeEmb.GNNLayers_forward.*.upd",
        "encoder.propagate.against.*.message": "Encoder.NodeEmb.GNNLayers_backward.*.msg",
        "encoder.propagate.against.*.update": "Encoder.NodeEmb.GNNLayers_backward.*.upd",
        "decoder.propagate.along.*.message": "Decoder.generator.prop.NodeEmb.GNNLayers_forward.*.msg",
        "decoder.propagate.along.*.update": "Decoder.generator.prop.NodeEmb.GNNLayers_forward.*.upd",
        "decoder.propagate.against.*.message": "Decoder.generator.prop.NodeEmb.GNNLayers_backward.*.msg",
        "decoder.propagate.against.*.update": "Decoder.generator.prop.NodeEmb.GNNLayers_backward.*.upd",
    },
    types=TYPES,
    vocabularies=VOCABULARIES,
    configure=lambda file: sizes(file, "GNNLayers_forward"),
)
