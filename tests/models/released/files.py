"""State dicts with the keys and shapes of the released checkpoints, and random weights."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from graphnas.testing import seeded

State = OrderedDict[str, Tensor]

GENERATORS = ("svge", "dgmg")
NB101 = ("conv1x1-bn-relu", "conv3x3-bn-relu", "maxpool3x3")
SVGE_ENAS = ("output", "input", "conv_3x3", "sep_conv_3x3", "conv_5x5", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3")
SVGE_NB201 = ("output", "input", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "skip_connect", "none")
DVAE_ENAS = ("input", "output", *SVGE_ENAS[2:])
VOCABULARIES: dict[tuple[str, str], tuple[str, ...]] = {
    **{(system, "nb101"): ("output", "input", *NB101) for system in GENERATORS},
    **{(system, "nb201"): SVGE_NB201 for system in GENERATORS},
    **{(system, space): SVGE_ENAS for system in GENERATORS for space in ("enas6", "enas12")},
    ("dvae", "enas6"): DVAE_ENAS,
    ("dvae", "enas12"): DVAE_ENAS,
    ("dvae", "bn8"): ("input", "output", "A", "S", "T", "L", "B", "E", "X", "D"),
    ("arch2vec", "nb101"): ("input", *NB101, "output"),
    ("arch2vec", "nb201"): ("input", *SVGE_NB201[2:], "output"),
}
"""By system and space: what the type numbers of the released data sets stand for."""


class Weights:
    """A state dict under construction; values depend on `seed` and the order of calls."""

    def __init__(self, seed: int = 0) -> None:
        self.state: State = OrderedDict()
        self.state._metadata = OrderedDict({"": {"version": 1}})  # type: ignore[attr-defined]  # as torch.nn leaves it
        self.generator = seeded(seed)

    def draw(self, name: str, *shape: int) -> None:
        fan_in = shape[-1] if len(shape) > 1 else 10
        self.state[name] = torch.randn(*shape, generator=self.generator) * 1.3 * fan_in**-0.5

    def linear(self, name: str, fan_in: int, fan_out: int, bias: bool = True) -> None:
        self.draw(f"{name}.weight", fan_out, fan_in)
        if bias:
            self.draw(f"{name}.bias", fan_out)

    def gru(self, name: str, fan_in: int, width: int) -> None:
        self.draw(f"{name}.weight_ih", 3 * width, fan_in)
        self.draw(f"{name}.weight_hh", 3 * width, width)
        self.draw(f"{name}.bias_ih", 3 * width)
        self.draw(f"{name}.bias_hh", 3 * width)

    def norm(self, name: str, width: int) -> None:
        for part in ("weight", "bias", "running_mean", "running_var"):
            self.draw(f"{name}.{part}", width)
        self.state[f"{name}.running_var"] = self.state[f"{name}.running_var"].abs() + 0.3
        self.state[f"{name}.num_batches_tracked"] = torch.tensor(17)


def generator_state(
    system: str, types: int, node: int = 8, graph: int = 4, rounds: int = 2, head: bool = False, seed: int = 0
) -> State:
    """SVGE(_acc) or DGMG(_acc) of automl/SVGe."""
    made = Weights(seed)

    def layers(prefix: str) -> None:
        for layer in range(rounds):
            if system == "dgmg":
                made.linear(f"{prefix}.GNNLayers.{layer}.msg", 2 * node, 2 * node)
                made.linear(f"{prefix}.GNNLayers.{layer}.msg_rev", 2 * node, 2 * node)
                made.gru(f"{prefix}.GNNLayers.{layer}.upd", 2 * node, node)
                continue
            for direction in ("forward", "backward"):
                made.linear(f"{prefix}.GNNLayers_{direction}.{layer}.msg", node, node)
                made.gru(f"{prefix}.GNNLayers_{direction}.{layer}.upd", node, node // 2)

    made.draw("Encoder.NodeEmb.NodeInit.weight", types, node if system == "dgmg" else node // 2)
    layers("Encoder.NodeEmb")
    step = "Decoder.generator"
    for readout in ("Encoder.GraphEmb_mean", "Encoder.GraphEmb_var", *(f"{step}.prop.{n}" for n in READOUTS)):
        made.linear(f"{readout}.f_m", node, graph)
        made.linear(f"{readout}.g_m", node, 1)
    layers(f"{step}.prop.NodeEmb")
    made.linear(f"{step}.nodeAdd.f_an", 2 * graph, graph)
    made.linear(f"{step}.nodeAdd.f_an_2", graph, types)
    made.draw(f"{step}.nodeInit.NodeInits.weight", types, node)
    made.linear(f"{step}.nodeInit.f_init", node + 2 * graph, node + graph)
    made.linear(f"{step}.nodeInit.f_init_2", node + graph, node)
    made.linear(f"{step}.nodeInit.f_start", node + graph, node + graph)
    made.linear(f"{step}.nodeInit.f_start_2", node + graph, node)
    made.linear(f"{step}.nodes.f_s_1", 2 * node + 2 * graph, node + graph)
    made.linear(f"{step}.nodes.f_s_2", node + graph, 1)
    if head:
        for layer in range(3):
            made.linear(f"Accuracy.lin_layers.{layer}", graph >> layer, graph >> layer + 1 if layer < 2 else 1)
    return made.state


READOUTS = ("GraphEmb", "GraphEmb_init")


def dvae_state(
    types: int = 8,
    vertices: int = 8,
    hidden: int = 6,
    latent: int = 4,
    both: bool = True,
    ids: bool = True,
    network: bool = False,
    head: bool = False,
    seed: int = 0,
) -> State:
    """DVAE, or DVAE_BN with `network`, of muhanzhang/D-VAE; with the predictor of `--predictor` if `head`."""
    made = Weights(seed)
    sent = types if network else hidden + (vertices if ids else 0)
    for name in ("grue_forward", "grue_backward", "grud"):
        made.gru(name, types, hidden)
    made.linear("fc1", hidden, latent)
    made.linear("fc2", hidden, latent)
    made.linear("fc3", latent, hidden)
    made.linear("add_vertex.0", hidden, 2 * hidden)
    made.linear("add_vertex.2", 2 * hidden, types)
    made.linear("add_edge.0", (3 if network else 2) * hidden, hidden if network else 4 * hidden)
    made.linear("add_edge.2", hidden if network else 4 * hidden, 1)
    for direction in ("forward", "backward"):
        made.linear(f"gate_{direction}.0", sent, hidden)
        made.linear(f"mapper_{direction}.0", sent, hidden, bias=False)
    if both:
        made.linear("hv_unify.0", 2 * hidden, hidden)
        made.linear("hg_unify.0", 2 * hidden, hidden)
    if head:
        made.linear("predictor.0", latent, hidden)
        made.linear("predictor.2", hidden, 1)
    return made.state


def arch2vec_state(types: int, hidden: int = 6, latent: int = 3, layers: int = 3, seed: int = 0) -> State:
    """Model of arch2vec."""
    made = Weights(seed)
    made.draw("eps", layers)
    for layer in range(layers):
        made.linear(f"mlps.{layer}.linears.0", types if layer == 0 else hidden, hidden)
        made.linear(f"mlps.{layer}.linears.1", hidden, hidden)
        made.norm(f"mlps.{layer}.batch_norms.0", hidden)
        made.norm(f"batch_norms.{layer}", hidden)
    made.linear("fc1", hidden, latent)
    made.linear("fc2", hidden, latent)
    made.linear("decoder.weight", latent, types)
    return made.state


def save(content: Any, path: Path, old: bool = True) -> Path:
    """`content` as torch wrote it before release 1.6 (`old`), which is when these codes were released, or since."""
    torch.save(content, path, _use_new_zipfile_serialization=not old)
    return path
