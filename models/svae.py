"""S-VAE: architectures as sequences of rows (the baseline of Zhang et al., NeurIPS 2019, arXiv 1904.11088)."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor, nn

from graphnas.models.latent_vae import LatentConfig, LatentVAE, Reconstruction
from graphnas.models.layers.rollout import Draws
from graphnas.models.layers.rows import RowEncoder, SequenceDecoder
from graphnas.models.zoo import register_model
from graphnas.spaces import Architectures, SearchSpace


class RowShape(NamedTuple):
    """Sizes T, N, Z and H of a row-wise encoder or decoder."""

    num_types: int
    max_nodes: int
    latent_dim: int
    hidden_dim: int


@dataclass(frozen=True)
class RowConfig(LatentConfig):
    """Hyper-parameters of the VAEs that read a graph row by row; the defaults are the published ones."""

    bidirectional: bool = False
    """The encoder reads the rows in both directions."""
    faithful: bool = False
    """The released code's behaviour where it differs, see the model."""


class RowVAE(LatentVAE):
    """A VAE that reads a graph row by row; subclasses say how it is written."""

    config_class = RowConfig

    def __init__(self, config: RowConfig, space: SearchSpace | str) -> None:
        super().__init__(config, space)
        shape = RowShape(self.space.num_ops, self.space.max_nodes, config.latent_dim, config.hidden_dim)
        self.encoder = RowEncoder(*shape, config.bidirectional, config.faithful, config.input_scale)
        self.decoder: Any = self.make_decoder(config, shape)

    @abstractmethod
    def make_decoder(self, config: RowConfig, shape: RowShape) -> nn.Module:
        """A module with `reconstruct` and `roll_out` of :class:`SequenceDecoder`."""

    def encode_prepared(self, archs: Architectures) -> tuple[Tensor, Tensor]:
        mu, logvar = self.encoder(archs)
        return mu, logvar

    def reconstruct(self, archs: Architectures, z: Tensor) -> Reconstruction:
        losses: Reconstruction = self.decoder.reconstruct(archs, z)
        return losses

    def roll_out(self, z: Tensor, draws: Draws) -> Architectures:
        graphs: Architectures = self.decoder.roll_out(z, draws, self.space)
        return graphs


@register_model("svae")
class SVAE(RowVAE):
    """Sequence VAE: a GRU reads a graph's rows into a code, another writes all rows from the code alone.

    A graph of up to N vertices is a sequence of rows x_v = [one-hot type T ; bits e_v of N - 1 possible sources], one
    for every vertex but the first, in the space's order. With B graphs, state width H and code width Z

        h_v = GRU(x_v, h_{v-1}),  h_0 = 0,    (mu, logvar) = two linear maps of the state at the last row,  [B, Z] each
        s_v = GRU(relu(W z), s_{v-1}),  s_0 = 0,    types_v = MLP(s_v) [B, T],  edges_v = MLP(s_v) [B, N - 1]
        loss = sum over rows v [ CE(types_v) + sum over u < v of BCE(edges_vu) ] + kl_weight KL(q(z | G) || N(0, I))

    The decoder is not autoregressive: given the code, every type and edge is drawn on its own. `log_prob` counts the
    edges into the end vertex as such draws.

    With `faithful=True` the model behaves as the released code does:
        * graphs are padded to N - 1 rows with rows of the start type, which the encoder reads and the loss scores;
        * the loss scores all N - 1 bits of every row, those of sources v and later too;
        * generation joins the end vertex to all vertices without an out-edge, whatever its bits say (`log_prob` does
          not know that).
    The released bidirectional encoder mixes the states of different graphs; that is not reproduced.

    Paper: https://arxiv.org/abs/1904.11088

    >>> from graphnas import create_model, get_space
    >>> model, toy = create_model("svae", "toy", hidden_dim=16, latent_dim=4), get_space("toy")
    >>> model.encode(toy.enumerate()[:3])[0].shape
    torch.Size([3, 4])
    """

    def make_decoder(self, config: RowConfig, shape: RowShape) -> nn.Module:
        return SequenceDecoder(*shape, config.faithful)
