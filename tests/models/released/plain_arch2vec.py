"""arch2vec's Model as its authors compute it in evaluation mode, by published names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from tests.models.released.plain import Graph, Plain, bce, unit


class PlainArch2Vec(Plain):
    """The model for cells padded to N vertices by rows of zeros."""

    def __init__(self, state: Mapping[str, Tensor], vertices: int) -> None:
        super().__init__(state)
        self.vertices, self.types = vertices, self.w["decoder.weight.weight"].shape[0]

    def encode(self, graph: Graph) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the standard deviation of every vertex, [N, D] each."""
        places = range(self.vertices)
        x = [unit(graph.types[v], self.types) if v < len(graph.types) else unit(0, self.types) * 0 for v in places]
        for layer, eps in enumerate(self.w["eps"]):
            new = []
            for v in places:
                heard = (1 + eps) * x[v]
                for u, t in graph.edges:
                    heard = heard + (x[u] if t == v else 0) + (x[t] if u == v else 0)
                hidden = self.norm(f"mlps.{layer}.batch_norms.0", self.linear(f"mlps.{layer}.linears.0", heard))
                hidden = self.linear(f"mlps.{layer}.linears.1", torch.relu(hidden))
                new.append(torch.relu(self.norm(f"batch_norms.{layer}", hidden)))
            x = new
        return torch.stack([self.linear("fc1", h) for h in x]), torch.stack([self.linear("fc2", h) for h in x])

    def decode(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of types [N, T] in the published order and of edges [N, N]."""
        return torch.stack([self.linear("decoder.weight", row) for row in z]), z @ z.T

    def loss(self, graphs: Sequence[Graph]) -> Tensor:
        """The released loss of a batch."""
        kinds, edges, kl = [], [], []
        for graph in graphs:
            mu, log_sd = self.encode(graph)
            types, pairs = self.decode(mu)
            for v in range(self.vertices):
                true = graph.types[v] if v < len(graph.types) else None
                kinds += [bce(types[v, kind], kind == true) for kind in range(self.types)]
                upper = [bce(pairs[v, u], (v, u) in graph.edges) for u in range(v + 1, self.vertices)]
                edges += [*upper, *[torch.zeros((), dtype=torch.float64)] * (v + 1)]
                kl.append(-0.5 * (1 + 2 * log_sd[v] - mu[v] ** 2 - (2 * log_sd[v]).exp()).sum())
        return torch.stack(kinds).mean() + torch.stack(edges).mean() + torch.stack(kl).mean() / len(kl)
