"""DVAE and DVAE_BN as muhanzhang/D-VAE computes them, by published names."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from tests.models.released.plain import Graph, Plain, bce, unit

START, END = 0, 1


class PlainDVAE(Plain):
    """The model for N vertices at most; `network` for DVAE_BN."""

    def __init__(self, state: Mapping[str, Tensor], vertices: int, network: bool = False) -> None:
        super().__init__(state)
        self.vertices, self.network = vertices, network
        self.types, self.hidden = self.w["grud.weight_ih"].shape[1], self.w["fc1.weight"].shape[1]
        self.ids = self.w["gate_forward.0.weight"].shape[1] != self.hidden

    def state(self, cell: str, way: str, graph: Graph, v: int, senders: list[int], states: dict[int, Tensor]) -> Tensor:
        """State of a vertex that hears some others."""
        heard = torch.zeros(self.hidden, dtype=torch.float64)
        for u in senders:
            sent = states[u]
            if self.network:
                sent = unit(graph.types[u], self.types)
            elif self.ids:
                sent = torch.cat([sent, unit(u, self.vertices)])
            heard = heard + torch.sigmoid(self.linear(f"gate_{way}.0", sent)) * self.linear(f"mapper_{way}.0", sent)
        return self.gru(cell, unit(graph.types[v], self.types), heard)

    def encode(self, graph: Graph) -> tuple[Tensor, Tensor]:
        size = len(graph.types)
        forward: dict[int, Tensor] = {}
        backward: dict[int, Tensor] = {}
        for v in range(size):
            senders = [u for u, t in graph.edges if t == v]
            forward[v] = self.state("grue_forward", "forward", graph, v, senders, forward)
        for v in range(size - 1, -1, -1):
            senders = [t for u, t in graph.edges if u == v]
            backward[v] = self.state("grue_backward", "backward", graph, v, senders, backward)
        inner = range(1, size - 1)
        read = [sum(forward[v] for v in inner), sum(backward[v] for v in inner)]
        if not self.network:
            read = [forward[size - 1], backward[0]]
        both = "hg_unify.0.weight" in self.w
        state = self.linear("hg_unify.0", torch.cat(read)) if both else read[0]
        return self.linear("fc1", state), self.linear("fc2", state)

    def accuracy(self, code: Tensor) -> Tensor:
        return self.linear("predictor.2", torch.tanh(self.linear("predictor.0", code)))[0]

    # -- decoder -----------------------------------------------------------------------------------------------------
    def kinds(self, states: dict[int, Tensor], v: int) -> Tensor:
        """Logits of the next type, of vertex v."""
        graph = sum(states[u] for u in range(v)) if self.network else states[v - 1]
        assert isinstance(graph, Tensor)
        return self.linear("add_vertex.2", torch.relu(self.linear("add_vertex.0", graph)))

    def edge(self, source: Tensor, target: Tensor, code_state: Tensor) -> Tensor:
        pair = [source, target, code_state] if self.network else [source, target]
        return self.linear("add_edge.2", torch.relu(self.linear("add_edge.0", torch.cat(pair))))[0]

    def losses(self, graph: Graph, code: Tensor) -> tuple[Tensor, Tensor]:
        """The released reconstruction loss of a graph, and -log p of drawing it, whose last type is a rule."""
        first = torch.tanh(self.linear("fc3", code))
        states = {0: self.gru("grud", unit(START, self.types), first)}
        total = forced = torch.zeros((), dtype=torch.float64)
        for v in range(1, len(graph.types)):
            forced = -self.kinds(states, v).log_softmax(0)[graph.types[v]]
            total = total + forced
            accepted: list[int] = []
            for u in range(v - 1, -1, -1):
                target = self.state("grud", "forward", graph, v, accepted, states)
                total = total + bce(self.edge(states[u], target, first), (u, v) in graph.edges)
                accepted += [u] if (u, v) in graph.edges else []
            states[v] = self.state("grud", "forward", graph, v, accepted, states)
        return total, total - (forced if len(graph.types) == self.vertices else 0)

    def greedy(self, code: Tensor) -> Graph:
        """The most probable choice at every step; the end hears every vertex that nobody hears."""
        first = torch.tanh(self.linear("fc3", code))
        states, graph = {0: self.gru("grud", unit(START, self.types), first)}, Graph([START], set())
        for v in range(1, self.vertices):
            kind = int(self.kinds(states, v).argmax()) if v < self.vertices - 1 else END
            graph.types.append(kind)
            if kind == END:
                loose = set(range(v)) - {u for u, _ in graph.edges}
                graph.edges.update((u, v) for u in loose)
                break
            accepted: list[int] = []
            for u in range(v - 1, -1, -1):
                target = self.state("grud", "forward", graph, v, accepted, states)
                accepted += [u] if self.edge(states[u], target, first) > 0 else []
            graph.edges.update((u, v) for u in accepted)
            states[v] = self.state("grud", "forward", graph, v, accepted, states)
        return graph
