"""The checkpoints of automl/SVGe's other model (DGMG and DGMG_acc)."""

from __future__ import annotations

from graphnas.models.released.renaming import Release
from graphnas.models.released.svge import SHARED, TYPES, VOCABULARIES, sizes

DGMG = Release(
    model="dgmg",
    mark="Encoder.NodeEmb.GNNLayers.0.msg_rev.weight",
    names={
        **SHARED,
        "encoder.propagate.layers.*.along": "Encoder.NodeEmb.GNNLayers.*.msg",
        "encoder.propagate.layers.*.against": "Encoder.NodeEmb.GNNLayers.*.msg_rev",
        "encoder.propagate.layers.*.update": "Encoder.NodeEmb.GNNLayers.*.upd",
        "decoder.propagate.layers.*.along": "Decoder.generator.prop.NodeEmb.GNNLayers.*.msg",
        "decoder.propagate.layers.*.against": "Decoder.generator.prop.NodeEmb.GNNLayers.*.msg_rev",
        "decoder.propagate.layers.*.update": "Decoder.generator.prop.NodeEmb.GNNLayers.*.upd",
    },
    types=TYPES,
    vocabularies=VOCABULARIES,
    configure=lambda file: sizes(file, "GNNLayers"),
)
