"""Graph convolutions: the predictors of BRP-NAS (Dudziak et al. 2020, arXiv 2007.08668) and of Wen et al. 2019."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, embedding_bag, pad, relu

from graphnas.models.layers.contract import contract, op_flags
from graphnas.models.layers.distinct import Level, every_vertex, same_states
from graphnas.models.predictor import Predictor, PredictorConfig
from graphnas.models.zoo import register_model
from graphnas.spaces import Architectures, SearchSpace


@dataclass(frozen=True)
class GCNConfig(PredictorConfig):
    """Hyper-parameters of the graph convolutions; the defaults are the published ones of BRP-NAS."""

    hidden_dim: int | None = None
    """H, width of vertex states; None is 600, or 144 with `directed_mean`."""
    layers: int = 4
    """Graph convolutions."""
    dropout: float | None = None
    """Share of states that is dropped after every layer; None is 0.2, or 0.1 with `directed_mean`."""
    closed_ops: tuple[str, ...] = ()
    """Operations whose vertices are deleted, with all that then lies on no path from input to output."""
    open_ops: tuple[str, ...] = ()
    """Operations whose vertices are bypassed: predecessors and successors are joined."""
    directed_mean: bool = False
    """The directed network of Wen et al. instead, see :class:`GCN`."""
    head_dim: int = 128
    """Width of the linear map before the score, with `directed_mean`."""

    def __post_init__(self) -> None:
        for name in ("closed_ops", "open_ops"):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # JSON has lists
        self.check_counts("hidden_dim", "layers", "head_dim")
        if not 0 <= self.rate < 1:
            raise ValueError(f"dropout must be at least 0 and below 1 (got {self.rate})")

    @property
    def width(self) -> int:
        """H."""
        return self.hidden_dim if self.hidden_dim is not None else 144 if self.directed_mean else 600

    @property
    def rate(self) -> float:
        """Dropout."""
        return self.dropout if self.dropout is not None else 0.1 if self.directed_mean else 0.2


class Convolution(nn.Linear):
    """Linear map whose weights and biases start uniform within 1 / sqrt(fan-out), as Kipf's do."""

    def reset_parameters(self) -> None:
        bound = self.out_features**-0.5
        for parameter in (self.weight, self.bias):
            nn.init.uniform_(parameter, -bound, bound)


class GlobalVertex(nn.Module):
    """BRP-NAS's convolutions; vertices of a batch are packed, and equal ones computed once where nothing is dropped.

    Args:
        in_dim: F, width of a vertex's input.
        config: sizes.
    """

    def __init__(self, in_dim: int, config: GCNConfig) -> None:
        super().__init__()
        self.rate, self.depth = config.rate, config.layers
        widths = [in_dim + 1, *[config.width] * config.layers]  # the last input says that it is the global vertex
        self.layers = nn.ModuleList(Convolution(*pair) for pair in pairwise(widths))
        self.norms = nn.ModuleList(nn.LayerNorm(config.width) for _ in range(config.layers))

    def convolve(self, layer: int, sums: Tensor) -> Tensor:
        """One layer's states [R, H] from the sums [R, I] of what their vertices read."""
        return dropout(relu(self.norms[layer](self.layers[layer](sums))), self.rate, self.training)

    def vertices(self, inputs: Tensor, adj: Tensor, real: Tensor) -> Tensor:
        """States of all vertices after the last layer, [B, N, H], from [B, N, F], edges and real vertices."""
        x, reader, read = pack(inputs, adj, real)
        levels = every_vertex(len(x), self.depth, x.device)
        for layer in range(self.depth):
            x = self.convolve(layer, gather(x, reader, read, levels[0], levels[0]))
        out = x.new_zeros(*real.shape, x.shape[1])
        out[real] = x
        return out

    def forward(self, inputs: Tensor, adj: Tensor, real: Tensor) -> Tensor:
        """State of the global vertex after the last layer, [B, H]; the others' are not needed there."""
        x, reader, read = pack(inputs, adj, real)
        if self.training and self.rate > 0:
            levels = every_vertex(len(x), self.depth, x.device)
        else:
            levels = same_states(x, reader, read, self.depth)
        sizes = real.sum(1)
        starts, count = sizes.cumsum(0) - sizes, len(real)
        x = x[levels[0].vertex]
        top = pad(x.new_zeros(count, inputs.shape[2]), (0, 1), value=1.0)
        for layer in range(self.depth):
            heard = top + embedding_bag(levels[layer].row, x, starts, mode="sum")
            if layer == self.depth - 1:
                return self.convolve(layer, heard)
            sums = gather(x, reader, read, levels[layer], levels[layer + 1])
            top, x = self.convolve(layer, torch.cat([heard, sums])).split([count, len(sums)])
        return top


def pack(inputs: Tensor, adj: Tensor, real: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs float [P, F + 1] of the real vertices, graph after graph, and who reads from whom, int64 [E] each.

    A vertex reads from itself and from its successors: the row of A + I. Readers ascend.
    """
    loops = torch.diag_embed(real)
    number = real.flatten().cumsum(0).view_as(real) - 1
    graph, reader, read = (adj | loops).nonzero(as_tuple=True)
    return pad(inputs[real], (0, 1)), number[graph, reader], number[graph, read]


def gather(x: Tensor, reader: Tensor, read: Tensor, before: Level, after: Level) -> Tensor:
    """Sums [U', I] of what the example vertices of rows `after` read, from the states [U, I] of rows `before`."""
    if len(after.vertex) < len(after.row):
        chosen = torch.zeros_like(after.row, dtype=torch.bool)
        chosen[after.vertex] = True
        edges = chosen[reader]
        reader, read = reader[edges], read[edges]
    sizes = torch.bincount(after.row[reader], minlength=len(after.vertex))
    return embedding_bag(before.row[read], x, sizes.cumsum(0) - sizes, mode="sum")


class DirectedMean(nn.Module):
    """x <- mean of relu(A' x W) and relu(A'^T x V), A' = A + I with the rows of each scaled to a sum of 1.

    Args:
        in_dim: F, width of a vertex's input.
        config: sizes.
    """

    def __init__(self, in_dim: int, config: GCNConfig) -> None:
        super().__init__()
        self.rate = config.rate
        widths = [in_dim, *[config.width] * config.layers]
        self.down = nn.ModuleList(nn.Linear(*pair, bias=False) for pair in pairwise(widths))
        self.up = nn.ModuleList(nn.Linear(*pair, bias=False) for pair in pairwise(widths))

    def vertices(self, x: Tensor, adj: Tensor, real: Tensor) -> Tensor:
        """States [B, N, H] from inputs [B, N, F], edges and real vertices; zero elsewhere."""
        near = (adj | torch.diag_embed(real)).to(x.dtype)
        reads, heard = (part / part.sum(2, keepdim=True).clamp(min=1) for part in (near, near.transpose(1, 2)))
        for down, up in zip(self.down, self.up, strict=True):
            x = (relu(reads @ down(x)) + relu(heard @ up(x))) / 2
            x = dropout(x, self.rate, self.training)
        return x

    def forward(self, x: Tensor, adj: Tensor, real: Tensor) -> Tensor:
        """Mean over real vertices, [B, H]."""
        return self.vertices(x, adj, real).sum(1) / real.sum(1, keepdim=True)


@register_model("gcn")
class GCN(Predictor):
    """Graph convolutions read out at a vertex that reads all others (BRP-NAS's accuracy predictor).

    An extra vertex has an edge to every vertex. With A the adjacency of the whole, A[u, v] = 1 for u -> v, and one-hot
    types X,

        X <- dropout(relu(LayerNorm((A + I) X W + b)))      4 times, without degrees;    code = X[extra vertex]
        score = Linear(code)

    so that a vertex hears its successors and nobody hears the extra one. Sums come first and products with W after
    them, over real vertices only, of the last layer at the extra vertex only. In evaluation, vertices with the same
    type and the same successors so far have one state, which is computed once; most are such when a space is ranked.
    The released code works in double precision; this one in single.

    `directed_mean=True` is the predictor of Wen et al. (arXiv 1912.00848), which hears both sides:

        X <- dropout((relu(D^-1 (A + I) X W) + relu(D'^-1 (A + I)^T X V)) / 2),   code = mean over vertices
        score = Linear(dropout(Linear(code)))       H -> 128 -> 1 without biases

    published with 300 epochs of Adam at 1e-4, weight decay 3e-4, a cosine, batches of 7 and the squared error.

    Shapes: vertex states [B, N, H], codes [B, H], scores [B].

    Paper: https://arxiv.org/abs/2007.08668

    >>> from graphnas import create_model, get_space
    >>> create_model("gcn", "toy").eval()(get_space("toy").enumerate()[:3]).shape
    torch.Size([3])
    """

    config_class = GCNConfig
    closed: Tensor
    opened: Tensor

    def __init__(self, config: GCNConfig, space: SearchSpace | str) -> None:
        super().__init__(config, space)
        self.embed_dim, self.rewires = config.width, bool(config.closed_ops or config.open_ops)
        self.register_buffer("closed", op_flags(self.space, config.closed_ops), persistent=False)
        self.register_buffer("opened", op_flags(self.space, config.open_ops), persistent=False)
        kind = DirectedMean if config.directed_mean else GlobalVertex
        self.graph: GlobalVertex | DirectedMean = kind(self.vertex_dim, config)
        if config.directed_mean:
            hidden = nn.Linear(config.width, config.head_dim, bias=False)
            self.head = nn.Sequential(hidden, nn.Dropout(config.rate), nn.Linear(config.head_dim, 1, bias=False))
        else:
            self.head = nn.Sequential(nn.Linear(config.width, 1))

    def inputs(self, archs: Architectures, hidden: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Vertex inputs [B, N, F], edges bool [B, N, N] and the vertices that count bool [B, N]."""
        x, real = self.vertex_inputs(archs, hidden), archs.node_mask
        if not self.rewires:
            return x, archs.adj & real[:, :, None] & real[:, None, :], real
        adj = contract(archs, self.closed, self.opened, hidden).adj
        real = adj.any(1) | adj.any(2)
        real[:, 0] = True  # input and output stay where nothing joins them
        real[torch.arange(len(real), device=real.device), archs.num_nodes - 1] = True
        return x * real[:, :, None], adj, real

    def vertex_states(self, archs: Architectures, hidden: Tensor | None = None) -> Tensor:
        states: Tensor = self.graph.vertices(*self.inputs(archs, hidden))
        return states

    def embed(self, archs: Architectures) -> Tensor:
        code: Tensor = self.graph(*self.inputs(self.prepare(archs)))
        return code
