"""GATES: operations are gates on the information that flows through a graph (Ning et al. 2020, arXiv 2004.01899)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphnas.models.layers.contract import contract, op_flags
from graphnas.models.layers.flow import FlowLayer, FlowStack, GraphFlow, Hearing
from graphnas.models.predictor import Predictor, PredictorConfig
from graphnas.models.zoo import register_model
from graphnas.spaces import INPUT, Architectures, SearchSpace


@dataclass(frozen=True)
class GATESConfig(PredictorConfig):
    """Hyper-parameters of GATES; the defaults are the published ones for operations on vertices."""

    op_dim: int = 48
    """O, width of operation embeddings."""
    node_dim: int = 48
    """Width of the embeddings that tell the input from the other vertices."""
    hidden_dim: int = 96
    """Width of vertex states before the first layer."""
    layers: int = 4
    """Flow layers."""
    layer_dim: int = 128
    """D, width of vertex states in the flow layers and of the code."""
    head_layers: int = 1
    """Hidden layers of the score head."""
    head_dim: int = 200
    """Their width."""
    dropout: float = 0.1
    """After every hidden layer of the head."""
    flow: Literal["node", "edge"] = "node"
    """Whether an operation gates what its vertex gets, or what it sends, as operations on edges do."""
    readout: Literal["mean", "sum", "output"] = "mean"
    """The code: mean of the states behind the input, their sum over N - 1, or the output's state."""
    closed_ops: tuple[str, ...] = ()
    """Operations that let nothing through: their vertices are taken out of the graph."""
    open_ops: tuple[str, ...] = ()
    """Operations that let everything through: their gates are 1."""
    live_only: bool = False
    """Vertices on no path from input to output are taken out too."""
    bypassed_ops: tuple[str, ...] = ()
    """Operations whose vertices are bypassed, every predecessor joined to every successor, as BRP-NAS prepares graphs
    (:func:`contract`). Then all vertices without edges, those of `closed_ops` too, stay in the mean, as in FLAN."""

    def __post_init__(self) -> None:
        self.check_counts("op_dim", "node_dim", "hidden_dim", "layers", "layer_dim", "head_dim")
        if self.head_layers < 0 or not 0 <= self.dropout < 1:
            raise ValueError(
                f"expected head_layers >= 0 and 0 <= dropout < 1 (got {self.head_layers} and {self.dropout})"
            )
        for name, known in (("flow", ("node", "edge")), ("readout", ("mean", "sum", "output"))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)} (got {getattr(self, name)!r})")
        for name in ("closed_ops", "open_ops", "bypassed_ops"):  # recipes and checkpoints give lists
            object.__setattr__(self, name, tuple(getattr(self, name)))


class Wires(NamedTuple):
    """What flows where in prepared graphs."""

    types: Tensor
    """int64 [B, N], operations; T where hidden, T + 1 where padded."""
    kept: Tensor
    """bool [B, N], vertices that are left in the graph."""
    last: Tensor
    """float [B, N, 1], 1 at the output."""
    forward: Hearing
    """Who hears whom."""


@register_model("gates")
class GATES(Predictor):
    """Operations gate what flows from the input to the other vertices (GATES, ECCV 2020).

    With X the states, A the adjacency matrix, g = sigmoid(Linear(embedding of the operation)), a layer computes

        Y = g * (A^T X W) + X W + b

    from a learnt state of the input and one that all other vertices share, which starts at zero. The code is the mean
    over the vertices behind the input, the score an MLP of it. `flow="edge"` restates the layer for operations on
    edges: a state is then what arrives at a vertex before its operation, and the operation acts on what is sent on,

        y_v = sum over u -> v of g_u * x_u W + x_v W + b

    Vertices that share their predecessors are the edges leaving one node of the cell, so that in NAS-Bench-201 this is
    the published layer over its four nodes. There the input has no operation and sends everything.

    Shapes: vertex states [B, N, D], codes [B, D], scores [B].

    Paper: https://arxiv.org/abs/2004.01899

    >>> from graphnas import create_model, get_space
    >>> create_model("gates", "toy").eval()(get_space("toy").enumerate()[:3]).shape
    torch.Size([3])
    """

    config_class = GATESConfig
    closed: Tensor
    unhindered: Tensor
    bypassed: Tensor

    def __init__(self, config: GATESConfig, space: SearchSpace | str) -> None:
        super().__init__(config, space)
        self.readout, self.live_only, self.embed_dim = config.readout, config.live_only, config.layer_dim
        self.op_embedding = nn.Linear(self.vertex_dim, config.op_dim, bias=False)
        with torch.no_grad():  # types and places like rows of nn.Embedding, costs like a linear layer
            self.op_embedding.weight[:, : self.space.num_ops + 1 + self.num_places].normal_()
        self.input_embedding = nn.Parameter(torch.randn(config.node_dim))
        self.other_embedding = nn.Parameter(torch.zeros(config.node_dim))
        self.start = nn.Linear(config.node_dim, config.hidden_dim)
        widths = [config.hidden_dim, *[config.layer_dim] * config.layers]
        self.stack = FlowStack(widths, config.op_dim, lambda i, o: self.layer(config, i, o, config.flow == "edge"))
        self.head = make_head(config.layer_dim, config.head_dim, config.head_layers, config.dropout)
        self.register_buffer("closed", flags(self.space, config.closed_ops), persistent=False)
        self.register_buffer("unhindered", flags(self.space, config.open_ops), persistent=False)
        self.register_buffer("bypassed", op_flags(self.space, config.bypassed_ops), persistent=False)
        self.unhindered[INPUT] = config.flow == "edge"
        self.opens = bool(config.open_ops) or config.flow == "edge"
        self.contracts = bool(config.bypassed_ops)
        self.by_type = not (self.costs or self.num_places)  # equal types are equal operations

    def layer(self, config: GATESConfig, in_dim: int, out_dim: int, by_sender: bool) -> FlowLayer:
        """A layer of the stack."""
        return GraphFlow(in_dim, out_dim, by_sender)

    def wires(self, archs: Architectures, hidden: Tensor | None = None) -> Wires:
        """Prepared graphs without closed vertices; a hidden operation neither blocks nor opens anything."""
        types = archs.ops.long()
        if hidden is not None:
            types = types.masked_fill(hidden, self.space.num_ops)
        types = types.masked_fill(~archs.node_mask, self.space.num_ops + 1)
        last = torch.arange(archs.max_nodes, device=archs.device) == archs.num_nodes[:, None] - 1
        adj, kept = self.flow_edges(archs, types, last, hidden)
        like = self.start.weight
        return Wires(types, kept, last[..., None].to(like.dtype), Hearing.of(adj.transpose(1, 2), like))

    def flow_edges(
        self, archs: Architectures, types: Tensor, last: Tensor, hidden: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Edges bool [B, N, N] along which anything flows, and the vertices bool [B, N] that are left in the graph."""
        if self.contracts:
            return contract(archs, self.closed[: self.space.num_ops], self.bypassed, hidden).adj, archs.node_mask
        kept = archs.node_mask & ~self.closed[types]
        if self.live_only:
            kept = live_vertices(archs.adj & kept[:, :, None] & kept[:, None, :], last)
        return archs.adj & kept[:, :, None] & kept[:, None, :], kept

    def first_states(self, width: int) -> Tensor:
        """States [1, N, hidden_dim] of any graph before any flow: one of the input, one of all others."""
        given, other = self.start(torch.stack([self.input_embedding, self.other_embedding]))
        return torch.cat([given[None], other.expand(width - 1, -1)])[None]

    def gates(self, stack: FlowStack, wires: Wires, ops: Tensor | None) -> Iterator[Tensor]:
        """Gates [B, N, G] of every layer, of operations [B, N, O]; None stands for those of the types."""
        if ops is not None:
            return stack.open(ops, self.unhindered[wires.types] if self.opens else None)
        table = F.pad(self.op_embedding.weight.T, (0, 0, 0, 1))
        return stack.open(table, self.unhindered if self.opens else None, wires.types)

    def operations(self, archs: Architectures, hidden: Tensor | None) -> Tensor:
        """Embeddings [B, N, O]."""
        ops: Tensor = self.op_embedding(self.vertex_inputs(archs, hidden))
        return ops

    def vertex_states(self, archs: Architectures, hidden: Tensor | None = None) -> Tensor:
        return self.run(archs, self.wires(archs, hidden), hidden)

    def run(self, archs: Architectures, wires: Wires, hidden: Tensor | None = None) -> Tensor:
        """Vertex states [B, N, D]."""
        ops = None if self.by_type else self.operations(archs, hidden)
        states: Tensor = self.stack(
            self.first_states(wires.types.shape[1]), wires.forward, self.gates(self.stack, wires, ops)
        )
        return states

    def embed(self, archs: Architectures) -> Tensor:
        archs = self.prepare(archs)
        wires = self.wires(archs)
        states = self.run(archs, wires)
        if self.readout == "output":
            return (states * wires.last).sum(1)
        kept = wires.kept[:, 1:]
        total = (states[:, 1:] * kept[..., None]).sum(1)
        return total / (kept.sum(1)[:, None] if self.readout == "mean" else self.space.max_nodes - 1)


def flags(space: SearchSpace, names: Sequence[str]) -> Tensor:
    """bool [T + 2], True at these operations; the last two places are for hidden ones and padding."""
    return F.pad(op_flags(space, names), (0, 2))


def make_head(in_dim: int, width: int, layers: int, dropout: float) -> nn.Sequential:
    """MLP to a score [B, 1]: hidden layers with relu and dropout, then a linear one."""
    widths = [in_dim, *[width] * layers]
    hidden = [nn.Sequential(nn.Linear(*pair), nn.ReLU(), nn.Dropout(dropout)) for pair in pairwise(widths)]
    return nn.Sequential(*hidden, nn.Linear(widths[-1], 1))


def live_vertices(adj: Tensor, last: Tensor) -> Tensor:
    """bool [B, N]: vertex 0, the `last` one bool [B, N], and all on a path between them along adj bool [B, N, N]."""
    reach = adj.float() + torch.eye(adj.shape[1], device=adj.device)
    for _ in range(max(1, (adj.shape[1] - 1).bit_length())):  # each product doubles the length of the paths
        reach = (torch.bmm(reach, reach) > 0).float()
    to_last = torch.bmm(reach, last[..., None].float())[..., 0] > 0
    live = (reach[:, 0] > 0) & to_last | last
    live[:, 0] = True
    return live
