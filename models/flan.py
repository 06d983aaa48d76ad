"""FLAN: TA-GATES with attention beside the flow (Akhauri and Abdelfattah 2024, arXiv 2403.02484)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from graphnas.models.gates import GATESConfig
from graphnas.models.layers.flow import FlowAttention, FlowLayer, GraphAttention, GraphFlow
from graphnas.models.ta_gates import TAGATES, TAGATESConfig
from graphnas.models.zoo import register_model
from graphnas.spaces import SearchSpace


@dataclass(frozen=True)
class FLANConfig(TAGATESConfig):
    """Hyper-parameters of FLAN; the defaults are the published ones."""

    steps: int = 2
    """T, forward flows."""
    head_layers: int = 3
    """Hidden layers of the score head."""
    faithful: bool = False
    """Attention as released: vertices that are no neighbours get the weight exp(0) instead of none."""


@register_model("flan")
class FLAN(TAGATES):
    """Two steps of TA-GATES whose layers are the mean of graph flow and graph attention (FLAN, ICML 2024).

    With g the gates of the operations, two per layer, a layer computes

        y = (flow(x) + attention(x)) / 2,    flow(x) = g * (A^T x W) + x W + b,
        attention(x) = LayerNorm(g' * softmax over predecessors u of leaky_relu(c . (V x_u * V x_v)) V x)

    Supplementary codes and the transfer between spaces of the paper are not part of the model.

    Shapes: vertex states [B, N, D], codes [B, D], scores [B].

    Paper: https://arxiv.org/abs/2403.02484

    >>> from graphnas import create_model, get_space
    >>> create_model("flan", "toy").eval()(get_space("toy").enumerate()[:3]).shape
    torch.Size([3])
    """

    config_class = FLANConfig

    def __init__(self, config: FLANConfig, space: SearchSpace | str) -> None:
        super().__init__(config, space)
        if config.steps > 1:
            # idle: all states but the output's are zero there, and products of two states with them
            first = cast(FlowAttention, self.back.layers[0])
            first.attention.compare.requires_grad_(False)

    def layer(self, config: GATESConfig, in_dim: int, out_dim: int, by_sender: bool) -> FlowLayer:
        faithful = cast(FLANConfig, config).faithful
        attention = GraphAttention(in_dim, out_dim, by_sender, faithful)
        return FlowAttention(GraphFlow(in_dim, out_dim, by_sender), attention)
