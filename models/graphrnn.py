"""GraphRNN as the decoder of a VAE (You et al., ICML 2018, arXiv 1802.08773; a baseline of arXiv 1904.11088)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot

from graphnas.models.latent_vae import Reconstruction
from graphnas.models.layers.gru import one_hot_cell
from graphnas.models.layers.rollout import Canvas, Draws, distinct, draw_types
from graphnas.models.layers.rows import (
    Layout,
    RowTargets,
    draw_edge,
    head,
    row_losses,
    scan,
    tie_up,
)
from graphnas.models.svae import RowConfig, RowShape, RowVAE
from graphnas.models.zoo import register_model
from graphnas.spaces import Architectures, SearchSpace


class RecurrentDecoder(nn.Module):
    """A graph-level GRU over rows, whose states start an edge-level GRU over the bits of the next row.

    Args:
        num_types: T.
        max_nodes: N.
        latent_dim: Z.
        hidden_dim: H.
        input_scale: factor on the initial weights of the rows.
        faithful: train on impossible bits and padded rows too, and connect loose ends to the end vertex in generation.
    """

    def __init__(
        self,
        num_types: int,
        max_nodes: int,
        latent_dim: int,
        hidden_dim: int,
        faithful: bool = False,
        input_scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.num_types, self.max_nodes, self.faithful = num_types, max_nodes, faithful
        self.start = nn.Linear(latent_dim, hidden_dim)
        self.gru = one_hot_cell(num_types + max_nodes - 1, hidden_dim, input_scale)
        self.edge_gru = nn.GRUCell(1, hidden_dim)
        self.types, self.edges = head(hidden_dim, num_types), head(hidden_dim, 1)

    def reconstruct(self, archs: Architectures, z: Tensor) -> Reconstruction:
        """Losses of graphs padded to N vertices given codes [B, Z]."""
        targets = RowTargets.of(archs, self.max_nodes)
        layout = targets.layout(self.faithful)
        start = torch.relu(self.start(z[layout.order]))
        previous = targets.rows(layout.graph, layout.vertex - 1, self.num_types, self.gru.weight_ih)
        states = scan(self.gru, previous, start, layout.active)
        possible = torch.arange(self.max_nodes - 1, device=z.device) < layout.vertex[:, None]
        return row_losses(
            self.types(states), self.edge_losses(states, targets, layout), possible, targets, layout, self.faithful
        )

    def edge_losses(self, states: Tensor, targets: RowTargets, layout: Layout) -> Tensor:
        """Binary cross-entropies [P, N - 1] of every row's bits in the order they are drawn, 0 where none is scored.

        Edge sequences are as long as their vertex has sources, so that the rows from the last one on are sorted.
        """
        steps = torch.arange(self.max_nodes - 1, device=states.device)
        vertex = layout.vertex.flip(0)
        source = vertex[:, None] - 1 - steps
        source = torch.where(source < 0, steps, source)  # impossible sources come last, in their own order
        bits = targets.bits(layout.graph.flip(0), vertex).gather(1, source)
        scored = torch.ones_like(bits) if self.faithful else steps < vertex[:, None]
        step, row = scored.T.nonzero(as_tuple=True)
        before = bits[row, (step - 1).clamp_min(0)] & (step > 0)
        active = [count for count in scored.sum(0).tolist() if count] or [0]
        hidden = scan(self.edge_gru, before[:, None].to(states.dtype), states.flip(0), active)
        logits = self.edges(hidden).squeeze(1)
        wrong = binary_cross_entropy_with_logits(logits, bits[row, step].to(logits.dtype), reduction="none")
        return wrong.new_zeros(bits.shape).index_put((row, step), wrong).flip(0)

    def roll_out(self, z: Tensor, draws: Draws, space: SearchSpace) -> Architectures:
        """Graphs drawn row by row from codes [B, Z]; draws of one code share states while they agree."""
        canvas = Canvas(draws, space.max_nodes)
        group, first = distinct(draws.group)
        state = torch.relu(self.start(z[draws.group[first]]))
        row = state.new_zeros(len(state), self.gru.input_size)
        for vertex in range(1, space.max_nodes):
            state = self.gru(row, state)
            kinds = draw_types(self.types(state)[group], vertex, space, canvas)
            branch = self.draw_row(state, group, kinds, vertex, space, canvas)
            going = canvas.finish(kinds, vertex)
            if len(canvas.live) == 0:
                break
            parent, kinds = group[going], kinds[going]
            group, first = distinct(branch[going] * self.num_types + kinds)
            state, rows = state[parent[first]], canvas.live[first]
            bits = canvas.adj[rows, : self.max_nodes - 1, vertex]
            row = torch.cat([one_hot(kinds[first], self.num_types), bits], 1).to(state.dtype)
        return Architectures(canvas.ops, canvas.adj, canvas.sizes).clean()

    def draw_row(
        self, state: Tensor, group: Tensor, kinds: Tensor, vertex: int, space: SearchSpace, canvas: Canvas
    ) -> Tensor:
        """Draw and write the in-edges of `vertex` from states [G, H]; int64 [L], equal where state and bits are."""
        loose = ~canvas.adj[canvas.live, :vertex, :vertex].any(2)  # without an out-edge yet
        bit = state.new_zeros(len(state), 1)
        for source in range(vertex - 1, -1, -1):
            state = self.edge_gru(bit, state)
            logits = self.edges(state)[group]
            if self.faithful:
                logits = tie_up(logits, loose[:, source, None], kinds)
            chosen = draw_edge(logits[:, 0], vertex, source, space, canvas)
            parent = group
            group, first = distinct(parent * 2 + chosen)
            state, bit = state[parent[first]], chosen[first, None].to(state.dtype)
        return group


@register_model("graphrnn")
class GraphRNN(RowVAE):
    """GraphRNN in a VAE: S-VAE's encoder, and a decoder that writes a graph row by row and each row bit by bit.

    Rows x_v = [one-hot type T ; bits of N - 1 possible sources] and the encoder are those of :class:`SVAE`. With B
    graphs, state width H and code width Z

        s_v = GRU(x_{v-1}, s_{v-1}),  s_0 = relu(W z),  first row 0,    types_v = MLP(s_v) [B, T]
        r_k = GRU'(bit k - 1, r_{k-1}),  r_0 = s_v,  first bit 0,    edge_vk = MLP(r_k) [B]
        loss = sum over rows v [ CE(types_v) + sum over k of BCE(edge_vk) ] + kl_weight KL(q(z | G) || N(0, I))

    Bit k of row v is the edge from source v - 1 - k: the latest source first, the order in which the masks of a space
    are asked (the released code starts at source 0). Training feeds the true rows and bits, and the edge sequences of
    all vertices run side by side.

    With `faithful=True` the model behaves as the released code does:
        * graphs are padded to N - 1 rows with rows of the start type, which the encoder reads and the loss scores;
        * every row has N - 1 bits in the loss, those of sources v and later after the others;
        * generation joins the end vertex to all vertices without an out-edge, whatever its bits say (`log_prob` does
          not know that).
    The released model has 255,016 parameters more on ENAS: an edge head of S-VAE that it does not use. Its
    bidirectional encoder mixes the states of different graphs and its decoder then reads ahead; neither is reproduced.

    Papers: https://arxiv.org/abs/1802.08773, https://arxiv.org/abs/1904.11088

    >>> from graphnas import create_model, get_space
    >>> model, toy = create_model("graphrnn", "toy", hidden_dim=16, latent_dim=4), get_space("toy")
    >>> model.encode(toy.enumerate()[:3])[0].shape
    torch.Size([3, 4])
    """

    def make_decoder(self, config: RowConfig, shape: RowShape) -> nn.Module:
        return RecurrentDecoder(*shape, config.faithful, config.input_scale)
