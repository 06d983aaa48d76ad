"""A graph VAE of your own, on a search space of your own, trained by the loop of graphnas; seconds on one core.

python examples/own_model.py --out runs/mine

Imported instead of run it only registers both, and the command line knows them:

python -c "import own_model; from graphnas.cli import main; main()" train vae --model flat --space small --quick
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphnas.errors import GraphnasError
from graphnas.models import register_model
from graphnas.models.latent_vae import LatentConfig, LatentVAE, Reconstruction
from graphnas.models.layers.rollout import Draws, draw_graphs
from graphnas.spaces import Architectures, register_space
from graphnas.spaces.dag import DagSpace
from graphnas.train import DataConfig, FitConfig, VAEConfig, train_vae


@register_space
class Small(DagSpace):
    """All connected graphs of at most five vertices and seven edges over three operations."""

    name = "small"
    vocabulary = ("input", "output", "conv", "pool", "skip")
    max_nodes, max_edges, size = 5, 7, 1_776

    def canonical_keys(self, archs: Architectures) -> list[str]:
        return [f"{number:016x}" for number in self.fingerprints(archs).tolist()]

    def cost(self, archs: Architectures) -> dict[str, Tensor]:
        return {"params": archs.num_nodes, "flops": archs.num_edges}


@dataclass(frozen=True)
class FlatConfig(LatentConfig):
    """Hyper-parameters; those of every VAE (latent_dim, kl_weight, ...) come with LatentConfig."""

    hidden_dim: int = 128
    noise_scale: float = 1.0


@register_model("flat")
class Flat(LatentVAE):
    """An MLP each way between the code and the flat list of types and edges.

    LatentVAE brings the loss, regression head and contract of the zoo; it asks for three methods. Shapes: B graphs, N
    vertices, T types, codes [B, Z].
    """

    config_class = FlatConfig

    def __init__(self, config: FlatConfig, space: str) -> None:
        super().__init__(config, space)
        width, types, hidden = self.space.max_nodes, self.space.num_ops, config.hidden_dim
        size = width * types + width * width
        self.reader = nn.Sequential(nn.Linear(size, hidden), nn.ReLU(), nn.Linear(hidden, 2 * config.latent_dim))
        self.writer = nn.Sequential(nn.Linear(config.latent_dim, hidden), nn.ReLU(), nn.Linear(hidden, size))

    def encode_prepared(self, archs: Architectures) -> tuple[Tensor, Tensor]:
        """Posterior mean and log-variance; `archs` are on the device and as wide as the space."""
        types = F.one_hot(archs.ops.long(), self.space.num_ops) * archs.node_mask[:, :, None]
        flat = torch.cat([types.flatten(1), archs.adj.flatten(1)], 1).to(self.reader[0].weight.dtype)
        mean, log_variance = self.reader(flat).chunk(2, 1)
        return mean, log_variance

    def scores(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of types [B, N, T] and of edges [B, N, N], first index the source."""
        width, types = self.space.max_nodes, self.space.num_ops
        of_types, of_edges = self.writer(z).split([width * types, width * width], 1)
        return of_types.view(-1, width, types), of_edges.view(-1, width, width)

    def reconstruct(self, archs: Architectures, z: Tensor) -> Reconstruction:
        """What is minimised and -log p(graph | code), here the same, nats [B]."""
        types, edges = self.scores(z)
        real = archs.node_mask
        drawn = real[:, 1:-1]  # the first vertex is the input, one at the limit can only be the output
        wrong_type = F.cross_entropy(types.flatten(0, 1), archs.ops.long().flatten(), reduction="none").view_as(real)
        wrong_edge = F.binary_cross_entropy_with_logits(edges, archs.adj.to(edges.dtype), reduction="none")
        pairs = torch.ones_like(archs.adj).triu(1) & real[:, None, :]
        nll = (wrong_type[:, 1:-1] * drawn).sum(1) + (wrong_edge * pairs).flatten(1).sum(1)
        return Reconstruction(nll, nll)

    def roll_out(self, z: Tensor, draws: Draws) -> Architectures:
        """Graphs drawn vertex by vertex under the masks of the space."""
        return draw_graphs(*self.scores(z), draws, self.space)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/mine"), help="run folder")
    options = parser.parse_args()
    fit = FitConfig(max_steps=1000, batch_size=64, learning_rate=3e-3, warmup_steps=50, validate_every=250)
    config = VAEConfig("flat", {"latent_dim": 16}, DataConfig("small"), fit)
    try:
        result = train_vae(config, options.out)
    except GraphnasError as error:
        raise SystemExit(str(error)) from None
    for record in result.records:
        print(record["step"], f"{record['validation/exact']:.3f} of the held-out graphs given back exactly")


if __name__ == "__main__":
    main()
