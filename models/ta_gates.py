"""TA-GATES: encodings that imitate training, forward and backward (Ning et al., NeurIPS 2022)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from graphnas.models.gates import GATES, GATESConfig, Wires
from graphnas.models.layers.flow import FlowStack
from graphnas.models.zoo import register_model
from graphnas.spaces import Architectures, SearchSpace


@dataclass(frozen=True)
class TAGATESConfig(GATESConfig):
    """Hyper-parameters of TA-GATES; the defaults are those of its released NAS-Bench-101 file."""

    layers: int = 5
    """Flow layers, forward and backward each."""
    steps: int = 3
    """T, forward flows."""
    update_scale: float = 0.1
    """Weight of an update of the operation embeddings."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_counts("steps")


@register_model("ta_gates")
class TAGATES(GATES):
    """GATES whose operation embeddings are updated T - 1 times by information that flows back (TA-GATES).

    From operation embeddings e, the first states X and a second stack of flow layers on the reversed graph, a step is

        Y = flow(A, X, e),    Z = flow(A^T, MLP(y of the output) at the output and 0 elsewhere, e)
        e <- e + 0.1 MLP([stop(e); stop(Y); Z])

    where stop passes no gradient. The last forward flow gives the code as in :class:`GATES`. The published symmetry
    breaking by zero-cost statistics needs gradients of real networks; `costs` tells operations apart without them.

    Shapes: vertex states [B, N, D], codes [B, D], scores [B].

    Paper: https://openreview.net/forum?id=74fJwNrBlPI

    >>> from graphnas import create_model, get_space
    >>> create_model("ta_gates", "toy").eval()(get_space("toy").enumerate()[:3]).shape
    torch.Size([3])
    """

    config_class = TAGATESConfig

    def __init__(self, config: TAGATESConfig, space: SearchSpace | str) -> None:
        super().__init__(config, space)
        self.steps, self.update_scale = config.steps, config.update_scale
        if config.steps == 1:
            return
        width, op_dim = config.layer_dim, config.op_dim
        self.turn = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
        # what an operation on an edge sends forward it gets backward, so that the gate changes sides
        self.back = FlowStack([width] * (config.layers + 1), op_dim, lambda i, o: self.layer(config, i, o, False))
        self.update = nn.Sequential(nn.Linear(op_dim + 2 * width, width), nn.ReLU(), nn.Linear(width, op_dim))

    def run(self, archs: Architectures, wires: Wires, hidden: Tensor | None = None) -> Tensor:
        start, backward = self.first_states(wires.types.shape[1]), wires.forward.reversed()
        ops = self.operations(archs, hidden)
        seen = None if self.by_type else ops
        states: Tensor = self.stack(start, wires.forward, self.gates(self.stack, wires, seen))
        for _ in range(self.steps - 1):
            turned = self.turn((states * wires.last).sum(1))[:, None] * wires.last
            back = self.back(turned, backward, self.gates(self.back, wires, seen))
            seen = ops = ops + self.update_scale * self.update(torch.cat([ops.detach(), states.detach(), back], 2))
            states = self.stack(start, wires.forward, self.gates(self.stack, wires, seen))
        return states
