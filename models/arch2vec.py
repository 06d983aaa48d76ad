"""arch2vec: unsupervised codes from a graph isomorphism network (Yan et al., NeurIPS 2020, arXiv 2006.06936)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphnas.errors import SpaceMismatch
from graphnas.models.latent_vae import LatentConfig, LatentVAE, Reconstruction
from graphnas.models.layers.latent import LatentHeads, TanhHead
from graphnas.models.layers.rollout import Draws, draw_graphs
from graphnas.models.zoo import register_model
from graphnas.spaces import Architectures, SearchSpace


@dataclass(frozen=True)
class Arch2VecConfig(LatentConfig):
    """Hyper-parameters of arch2vec; the defaults are the published ones, with the loss of a calibrated VAE."""

    latent_dim: int = 16
    """D, width of the code of one vertex; the code of a graph has D for every vertex the space allows."""
    hidden_dim: int = 128
    """H, width of a vertex state."""
    layers: int = 4
    """Propagation layers (the released code calls four of them five hops)."""
    dropout: float = 0.3
    """Share of a drawn code's entries that is set to zero before decoding, in training."""
    kl_weight: float = 0.005
    """Weight of the KL term of one graph, nats against nats; 1 is the evidence lower bound, at which small spaces lose
    their codes. Without effect if `faithful`, whose weight is 1 / (B N N)."""
    noise_scale: float = 1.0
    """Factor on the posterior's standard deviation when a code is drawn in training."""
    vertex_ids: bool = False
    """Adds a one-hot position to the type of every vertex: without it, vertices that the undirected graph does not tell
    apart share one code."""
    edge_decoder: Literal["inner", "bilinear"] = "inner"
    """Edge logits z_u . z_v, or (W z_u + b) . z_v."""
    faithful: bool = False
    """The released code's losses and padding, see :class:`Arch2Vec`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_counts("layers")
        if self.input_scale != 1:
            raise ValueError(f"input_scale must be 1, as there are no recurrent cells (got {self.input_scale})")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1 (got {self.dropout})")
        if self.edge_decoder not in ("inner", "bilinear"):
            raise ValueError(f"edge_decoder must be inner or bilinear (got {self.edge_decoder!r})")


def linear_norm(linear: nn.Linear, norm: nn.BatchNorm1d, x: Tensor) -> Tensor:
    """norm(linear(x)) of [R, I] -> [R, O]; with fixed statistics both are one affine map."""
    if norm.training:
        return cast(Tensor, norm(linear(x)))
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    scale = norm.weight * (variance + norm.eps).rsqrt()
    return F.linear(x, linear.weight * scale[:, None], (linear.bias - mean) * scale + norm.bias)


class GINLayer(nn.Module):
    """x <- relu(BN(MLP((1 + eps) x + A x))), MLP = Linear, BN, relu, Linear.

    Args:
        in_dim: width of the states that come in.
        out_dim: width of the states that go out.
    """

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.eps = nn.Parameter(torch.zeros(()))
        self.hidden, self.hidden_norm = nn.Linear(in_dim, out_dim), nn.BatchNorm1d(out_dim)
        self.out, self.out_norm = nn.Linear(out_dim, out_dim), nn.BatchNorm1d(out_dim)

    def forward(self, x: Tensor, adj: Tensor, rows: Tensor | None) -> Tensor:
        """States [R, I] of the vertices `rows` (None: all) of graphs with symmetric adjacency [B, N, N] -> [R, O]."""
        mix = adj + (1 + self.eps) * torch.eye(adj.shape[1], dtype=adj.dtype, device=adj.device)
        x = (mix @ spread(x, rows, len(adj), adj.shape[1])).flatten(0, 1)
        x = x if rows is None else x[rows]
        x = linear_norm(self.hidden, self.hidden_norm, x).relu_()
        return linear_norm(self.out, self.out_norm, x).relu_()


def spread(x: Tensor, rows: Tensor | None, count: int, width: int) -> Tensor:
    """States [R, D] of the vertices `rows` as [count, width, D], zero elsewhere."""
    if rows is not None:
        x = x.new_zeros(count * width, x.shape[1]).index_copy(0, rows, x)
    return x.view(count, width, x.shape[1])


class GINEncoder(nn.Module):
    """Types and undirected adjacency to the posterior of every vertex's code.

    Args:
        config: sizes.
        space: gives the number of types T and of vertices N.
    """

    def __init__(self, config: Arch2VecConfig, space: SearchSpace) -> None:
        super().__init__()
        self.num_ops, self.width = space.num_ops, space.max_nodes
        self.vertex_ids, self.padded_vertices = config.vertex_ids, config.faithful
        in_dim = self.num_ops + (self.width if config.vertex_ids else 0)
        widths = [in_dim, *[config.hidden_dim] * config.layers]
        self.layers = nn.ModuleList(GINLayer(*pair) for pair in pairwise(widths))
        self.heads = LatentHeads(config.hidden_dim, config.latent_dim)

    def forward(self, archs: Architectures) -> tuple[Tensor, Tensor]:
        """Outputs of the two heads, [B, N, D] each, zero at padded vertices unless those are encoded too."""
        real, dtype = archs.node_mask, self.heads.mean.weight.dtype
        rows = None
        if not self.padded_vertices and not bool(real.all()):
            rows = real.flatten().nonzero().flatten()
        adj = (archs.adj | archs.adj.transpose(1, 2)).to(dtype)
        x = self._inputs(archs.ops, real, dtype)
        x = x if rows is None else x[rows]
        for layer in self.layers:
            x = layer(x, adj, rows)
        mean, spare = (spread(part, rows, *real.shape) for part in self.heads(x))
        return mean, spare

    def _inputs(self, ops: Tensor, real: Tensor, dtype: torch.dtype) -> Tensor:
        """One-hot types, and positions where wanted, of all vertices; zero where padded; [B N, T (+ N)]."""
        x = F.one_hot(ops.long(), self.num_ops).to(dtype)
        if self.vertex_ids:
            places = torch.eye(self.width, dtype=dtype, device=ops.device)
            x = torch.cat([x, places.expand(len(x), -1, -1)], 2)
        return (x * real[:, :, None]).flatten(0, 1)


@register_model("arch2vec")
class Arch2Vec(LatentVAE):
    """arch2vec, a code per vertex from a graph isomorphism network, decoded in one shot (arXiv 2006.06936).

    N vertices, T types, D wide codes, A the adjacency made symmetric, X one-hot types:

        X <- relu(BN(MLP((1 + eps) X + A X)))          4 times, MLP = Linear(H) BN relu Linear(H), eps learnt
        mu, log-variance = Linear(X), Linear(X)        [N, D] each, a code of Z = N D numbers when laid flat
        z = dropout(mu + noise_scale exp(logvar / 2) e)
        p(type of v) = softmax(Linear(z_v)),  p(edge u -> v) = sigmoid(z_u . z_v),  u < v

    A graph ends at its first vertex of the output type, and in any case at the space's limit, so that sizes need no
    class or weight of their own: the negative log-likelihood adds up the types of vertices 1 to n - 1 (less the end at
    the limit, which is certain) and all pairs of real vertices. Padded vertices have the prior as their posterior
    (mu = logvar = 0), and batch statistics count real vertices only. `embed` gives the published 16 numbers per
    architecture, the mean of mu over its vertices.

    The loss is that likelihood in nats per graph plus `kl_weight` KL. With `faithful=True` it is the released code's:

    * binary cross-entropy of sigmoids on types although softmax was meant, averaged over N T entries;
    * binary cross-entropy of edges averaged over all N N entries, the lower triangle counting as solved;
    * KL averaged over vertices and then divided by B N again, so that it hardly counts;
    * padded vertices are zero rows that take part in batch statistics, losses and code;
    * the second head is the logarithm of the standard deviation, half the log-variance.

    Generation and `log_prob` read softmax types in both versions. The released loop leaves the model in evaluation
    mode after its first epoch; here only the caller switches modes.

    Paper: https://arxiv.org/abs/2006.06936

    >>> from graphnas import create_model, get_space
    >>> model, toy = create_model("arch2vec", "toy", hidden_dim=16, latent_dim=4), get_space("toy")
    >>> model.encode(toy.enumerate()[:3])[0].shape
    torch.Size([3, 20])

    Args:
        config: sizes.
        space: fixes T and N.
    """

    config_class = Arch2VecConfig
    later: Tensor

    def __init__(self, config: Arch2VecConfig, space: SearchSpace | str) -> None:
        super().__init__(config, space)
        self.settings = config
        self.latent_dim = self.space.max_nodes * config.latent_dim
        if config.accuracy_head:
            self.accuracy = TanhHead(self.latent_dim, config.hidden_dim)
        self.encoder = GINEncoder(config, self.space)
        self.types = nn.Linear(config.latent_dim, self.space.num_ops)
        bilinear = config.edge_decoder == "bilinear"
        self.pairs = nn.Linear(config.latent_dim, config.latent_dim) if bilinear else None
        pair_mask = torch.ones(self.space.max_nodes, self.space.max_nodes, dtype=torch.bool).triu(1)
        self.register_buffer("later", pair_mask, persistent=False)

    def encode_prepared(self, archs: Architectures) -> tuple[Tensor, Tensor]:
        mean, spread_out = self.encoder(self._fitting(archs))
        return mean.flatten(1), (2 if self.settings.faithful else 1) * spread_out.flatten(1)

    def embed(self, archs: Architectures) -> Tensor:
        """The published code of an architecture: mean of mu over its vertices, [B, D]."""
        archs = self.prepare(archs)
        mu = self.encode_prepared(archs)[0].view(len(archs), self.space.max_nodes, -1)
        if self.settings.faithful:
            return mu.mean(1)
        return (mu * archs.node_mask[:, :, None]).sum(1) / archs.num_nodes[:, None]

    def scores(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of types [B, N, T] and of edges [B, N, N] (first index the source) from codes [B, Z]."""
        vertices = z.view(len(z), self.space.max_nodes, -1)
        sources = vertices if self.pairs is None else self.pairs(vertices)
        return self.types(vertices), sources @ vertices.transpose(1, 2)

    def loss(self, archs: Architectures, y: Tensor | None = None) -> dict[str, Tensor]:
        losses = super().loss(archs, y)
        if self.settings.faithful:
            share = 1 - self.settings.accuracy_weight if "accuracy" in losses else 1.0
            weight = 1 / (len(archs) * self.space.max_nodes**2)
            losses["total"] = losses["total"] + share * (weight - self.settings.kl_weight) * losses["kl"]
        return losses

    def reconstruct(self, archs: Architectures, z: Tensor) -> Reconstruction:
        """Losses given codes [B, Z], some of whose entries are dropped in training."""
        z = F.dropout(z, self.settings.dropout, self.training)
        types, edges = self.scores(z)
        nll = self._nll(archs, types, edges)
        return Reconstruction(self._released_loss(archs, types, edges) if self.settings.faithful else nll, nll)

    def log_prob(self, archs: Architectures, z: Tensor) -> Tensor:
        archs, z = self._fitting(self.prepare(archs)), self.prepare_codes(z, len(archs))
        return -self._nll(archs, *self.scores(z))

    def roll_out(self, z: Tensor, draws: Draws) -> Architectures:
        return draw_graphs(*self.scores(z), draws, self.space)

    def _nll(self, archs: Architectures, types: Tensor, edges: Tensor) -> Tensor:
        """-log p of unmasked generation, [B]."""
        real = archs.node_mask
        wrong_type = F.cross_entropy(types.flatten(0, 1), archs.ops.long().flatten(), reduction="none")
        drawn = real[:, 1:-1]  # the first vertex is given, one at the limit can only be the output
        pairs = self.later & real[:, None, :]  # u < v < n
        wrong_edge = F.binary_cross_entropy_with_logits(edges, archs.adj.to(edges.dtype), reduction="none")
        return (wrong_type.view_as(real)[:, 1:-1] * drawn).sum(1) + (wrong_edge * pairs).flatten(1).sum(1)

    def _released_loss(self, archs: Architectures, types: Tensor, edges: Tensor) -> Tensor:
        """Means over N T and N N entries of binary cross-entropies, padding among them, [B]."""
        target = F.one_hot(archs.ops.long(), self.space.num_ops) * archs.node_mask[:, :, None]
        wrong_type = F.binary_cross_entropy_with_logits(types, target.to(types.dtype), reduction="none")
        wrong_edge = F.binary_cross_entropy_with_logits(edges, archs.adj.to(edges.dtype), reduction="none")
        return wrong_type.flatten(1).mean(1) + (wrong_edge * self.later).flatten(1).mean(1)

    def _fitting(self, archs: Architectures) -> Architectures:
        """The batch, whose vertices all have a place in the code.

        Raises:
            SpaceMismatch: a graph larger than the space allows.
        """
        if archs.max_nodes > self.space.max_nodes:
            raise SpaceMismatch(
                f"expected at most {self.space.max_nodes} vertices, one code each (got {archs.max_nodes}): "
                f"create the model for a larger space"
            )
        return archs
