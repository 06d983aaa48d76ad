"""SVGE and DGMG as automl/SVGe computes them, by published names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from tests.models.released.plain import Graph, Plain, bce

Edges = set[tuple[int, int]]
END, START = 0, 1


class PlainGenerator(Plain):
    """Both models; `two_way` for SVGE."""

    def __init__(self, state: Mapping[str, Tensor], two_way: bool) -> None:
        super().__init__(state)
        self.two_way = two_way

    # -- message passing ---------------------------------------------------------------------------------------------
    def stream(self, prefix: str, states: list[Tensor], edges: Edges) -> list[Tensor]:
        """SVGE: rounds of one direction, for edges that lead where messages go."""
        layer = 0
        while f"{prefix}.{layer}.msg.weight" in self.w:
            states = [
                self.gru(
                    f"{prefix}.{layer}.upd",
                    self.total(
                        [self.linear(f"{prefix}.{layer}.msg", torch.cat([states[u], h])) for u, t in edges if t == v],
                        2 * len(h),
                    ),
                    h,
                )
                for v, h in enumerate(states)
            ]
            layer += 1
        return states

    def both_ways(self, prefix: str, states: list[Tensor], edges: Edges) -> list[Tensor]:
        """DGMG: rounds in which a vertex hears predecessors and, through another map, successors."""
        layer = 0
        while f"{prefix}.{layer}.msg.weight" in self.w:
            new = []
            for v, h in enumerate(states):
                along = [self.linear(f"{prefix}.{layer}.msg", torch.cat([states[u], h])) for u, t in edges if t == v]
                back = [self.linear(f"{prefix}.{layer}.msg_rev", torch.cat([states[t], h])) for u, t in edges if u == v]
                new.append(self.gru(f"{prefix}.{layer}.upd", self.total(along + back, 2 * len(h)), h))
            states, layer = new, layer + 1
        return states

    def total(self, messages: list[Tensor], width: int) -> Tensor:
        return sum(messages, torch.zeros(width, dtype=torch.float64))

    def propagate(self, prefix: str, halves: tuple[list[Tensor], list[Tensor]], edges: Edges) -> list[Tensor]:
        """Final states from the states of the two streams; DGMG has the first only."""
        if not self.two_way:
            return self.both_ways(f"{prefix}.GNNLayers", halves[0], edges)
        forward = self.stream(f"{prefix}.GNNLayers_forward", halves[0], edges)
        backward = self.stream(f"{prefix}.GNNLayers_backward", halves[1], {(v, u) for u, v in edges})
        return [torch.cat(pair) for pair in zip(forward, backward, strict=True)]

    def gated(self, name: str, states: list[Tensor]) -> Tensor:
        parts = [torch.sigmoid(self.linear(f"{name}.g_m", h)) * self.linear(f"{name}.f_m", h) for h in states]
        return torch.stack(parts).sum(0)

    def encode(self, graph: Graph) -> tuple[Tensor, Tensor]:
        first = [self.w["Encoder.NodeEmb.NodeInit.weight"][kind] for kind in graph.types]
        states = self.propagate("Encoder.NodeEmb", (first, first), graph.edges)
        return self.gated("Encoder.GraphEmb_mean", states), self.gated("Encoder.GraphEmb_var", states)

    def accuracy(self, code: Tensor) -> Tensor:
        names = sorted({name.rpartition(".")[0] for name in self.w if name.startswith("Accuracy.")})
        for name in names[:-1]:
            code = torch.relu(self.linear(name, code))
        return self.linear(names[-1], code)[0]

    # -- the generator -----------------------------------------------------------------------------------------------
    def start(self, kind: int, c: Tensor) -> Tensor:
        name = "Decoder.generator.nodeInit"
        hidden = self.linear(f"{name}.f_start", torch.cat([self.w[f"{name}.NodeInits.weight"][kind], c]))
        return self.linear(f"{name}.f_start_2", torch.relu(hidden))

    def step(self, states: list[Tensor], edges: Edges) -> tuple[list[Tensor], Tensor, Tensor]:
        """Propagated states of a partial graph and its two readouts."""
        name = "Decoder.generator.prop"
        if len(states) == 1:
            return (
                states,
                self.linear(f"{name}.GraphEmb.f_m", states[0]),
                self.linear(f"{name}.GraphEmb_init.f_m", states[0]),
            )
        halves = [h.chunk(2) for h in states]
        split = ([h[0] for h in halves], [h[1] for h in halves]) if self.two_way else (states, [])
        states = self.propagate(f"{name}.NodeEmb", split, edges)
        return states, self.gated(f"{name}.GraphEmb", states), self.gated(f"{name}.GraphEmb_init", states)

    def kinds(self, graph: Tensor, c: Tensor) -> Tensor:
        name = "Decoder.generator.nodeAdd"
        return self.linear(f"{name}.f_an_2", torch.relu(self.linear(f"{name}.f_an", torch.cat([graph, c]))))

    def new(self, kind: int, init: Tensor, c: Tensor) -> Tensor:
        name = "Decoder.generator.nodeInit"
        hidden = self.linear(f"{name}.f_init", torch.cat([self.w[f"{name}.NodeInits.weight"][kind], init, c]))
        return self.linear(f"{name}.f_init_2", torch.relu(hidden))

    def edge(self, source: Tensor, new: Tensor, graph: Tensor, c: Tensor) -> Tensor:
        name = "Decoder.generator.nodes"
        hidden = self.linear(f"{name}.f_s_1", torch.cat([source, new, graph, c]))
        return self.linear(f"{name}.f_s_2", torch.relu(hidden))[0]

    def losses(self, graphs: Sequence[Graph], codes: Sequence[Tensor]) -> list[list[tuple[Tensor, list[Tensor]]]]:
        """For every graph and step the type's loss and those of its edges; graphs of one size, which share a batch.

        The score of source u of graph i uses readout and code of graph (i k + u) mod B.
        """
        count = len(graphs)
        states = [[self.start(graph.types[0], c)] for graph, c in zip(graphs, codes, strict=True)]
        found: list[list[tuple[Tensor, list[Tensor]]]] = [[] for _ in graphs]
        for k in range(1, len(graphs[0].types)):
            done = [
                self.step(own, {(u, v) for u, v in graph.edges if v < k})
                for own, graph in zip(states, graphs, strict=True)
            ]
            for i, graph in enumerate(graphs):
                existing, readout, init = done[i]
                kind = -self.kinds(readout, codes[i]).log_softmax(0)[graph.types[k]]
                new = self.new(graph.types[k], init, codes[i])
                mates = [(i * k + u) % count for u in range(k)]
                edges = [
                    bce(self.edge(existing[u], new, done[mate][1], codes[mate]), (u, k) in graph.edges)
                    for u, mate in enumerate(mates)
                ]
                found[i].append((kind, edges if k > 1 else []))
                states[i] = [*existing, new]
        return found

    def reconstruction(self, graphs: Sequence[Graph], codes: Sequence[Tensor]) -> Tensor:
        """The released loss of graphs of one size, without KL."""
        sides = [graphs, [mirror(graph) for graph in graphs]] if self.two_way else [graphs]
        total = torch.zeros((), dtype=torch.float64)
        for side in sides:
            for steps in self.losses(side, codes):
                for kind, edges in steps:
                    total = total + kind + (torch.stack(edges).mean() if edges else 0)
        return total / len(graphs)

    def nll(self, graph: Graph, code: Tensor, limit: int) -> Tensor:
        """-log p of drawing the graph forward; a vertex at the limit has its type by rule."""
        total = torch.zeros((), dtype=torch.float64)
        for k, (kind, edges) in enumerate(self.losses([graph], [code])[0], start=1):
            total = total + (kind if k < limit - 1 else 0) + sum(edges)
        return total

    def greedy(self, code: Tensor, limit: int, backward: bool = False) -> Graph:
        """The most probable choice at every step, as drawn."""
        first, last, ends = (END, START, (START, END)) if backward else (START, END, (END,))
        states, graph = [self.start(first, code)], Graph([first], set())
        while len(graph.types) < limit:
            k = len(graph.types)
            states, readout, init = self.step(states, graph.edges)
            kind = int(self.kinds(readout, code).argmax()) if k < limit - 1 else last
            new = self.new(kind, init, code)
            logits = [self.edge(source, new, readout, code) for source in states]
            graph.edges.update((u, k) for u in range(k) if k == 1 or logits[u] > 0)
            graph.types.append(kind)
            states = [*states, new]
            if kind in ends:
                break
        return graph


def mirror(graph: Graph) -> Graph:
    """Read from the last vertex to the first, against the edges."""
    last = len(graph.types) - 1
    return Graph(graph.types[::-1], {(last - v, last - u) for u, v in graph.edges})
