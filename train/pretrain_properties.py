"""What a predictor's code can learn without labels or training: size, cost and shape of the architecture."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from graphnas.metrics import pearson
from graphnas.models import Predictor
from graphnas.models.layers.order import depths
from graphnas.spaces import OUTPUT, Architectures
from graphnas.train.config import FitConfig
from graphnas.train.data import random_rows
from graphnas.train.loop import fit
from graphnas.train.objectives import Objective
from graphnas.train.trainer import Labelled

CHUNK = 16_384


def properties(predictor: Predictor, archs: Architectures) -> dict[str, Tensor]:
    """What an architecture is worth knowing by before it is trained, float64 [B] each, by name.

    Decimal logarithms of 1 + FLOPs and 1 + parameters, edges of the longest path, number of paths from input to output
    (decimal logarithm of 1 + n), and how often each operation occurs.
    """
    space, parts = predictor.space, []
    for i in range(0, len(archs), CHUNK):
        some = archs[i : i + CHUNK]
        cost, ends = space.cost(some), some.num_nodes - 1
        found = {name: (1 + cost[name].double()).log10() for name in ("flops", "params")}
        found["depth"] = depths(some.adj).gather(1, ends[:, None])[:, 0].double()
        found["paths"] = (1 + count_paths(some)).log10()
        kinds = (one_hot(some.ops.long(), space.num_ops) * some.node_mask[..., None]).sum(1).double()
        found |= {name: kinds[:, OUTPUT + 1 + i] for i, name in enumerate(space.vocabulary[OUTPUT + 1 :])}
        parts.append(found)
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def count_paths(archs: Architectures) -> Tensor:
    """Paths from the first to the last vertex, float64 [B]."""
    adj, (rows, width) = archs.adj.double(), archs.ops.shape
    reach = torch.zeros(rows, width, dtype=torch.float64)
    reach[:, 0] = 1
    for vertex in range(1, width):
        reach[:, vertex] = (reach * adj[:, :, vertex]).sum(1)
    return reach.gather(1, archs.num_nodes[:, None] - 1)[:, 0]


class Properties(Objective):
    """Mean squared error of all properties, in units of their spread, foretold from the code by a linear map.

    Args:
        model: a predictor.
        archs: architectures of which a sample gives every property's mean and spread.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, model: Predictor, archs: Architectures) -> None:
        super().__init__()
        self.model: Predictor = model
        found = properties(model, archs[random_rows(torch.arange(len(archs)), CHUNK, 0)])
        self.names = [name for name, values in found.items() if float(values.std()) > 0]
        table = torch.stack([found[name] for name in self.names], 1)
        self.register_buffer("mean", table.mean(0))
        self.register_buffer("spread", table.std(0))
        self.head = nn.Linear(model.embed_dim, len(self.names))

    def targets(self, archs: Architectures) -> Tensor:
        """Standardised properties, float [B, P]."""
        found = properties(self.model, archs)
        table = torch.stack([found[name] for name in self.names], 1)
        return ((table - self.mean) / self.spread).float()

    def forward(self, archs: Architectures, y: Tensor | None = None) -> dict[str, Tensor]:
        archs = archs.to("cpu")
        target = self.targets(archs).to(self.head.weight.device)
        return {"total": (self.head(self.model.embed(archs)) - target).square().mean()}

    @torch.no_grad()
    def correlations(self, archs: Architectures) -> dict[str, float]:
        """Pearson's r of every property of architectures that were kept aside, and its mean."""
        self.eval()
        parts = [self.head(self.model.embed(archs[i : i + 1024])) for i in range(0, len(archs), 1024)]
        found, actual = torch.cat(parts).cpu(), self.targets(archs)
        values = {f"r_{name}": pearson(found[:, i], actual[:, i]) for i, name in enumerate(self.names)}
        return {"r_mean": sum(values.values()) / len(values), **values}


def learn_properties(
    model: Predictor, train: Architectures, judge: Architectures, steps: int, seed: int
) -> tuple[Properties, float]:
    """Teach a predictor's code the properties of architectures, in place, on the CPU.

    Returns:
        The objective with its linear map, and the CPU-seconds it took.
    """
    objective = Properties(model, train)
    config = FitConfig(
        max_steps=steps, batch_size=256, learning_rate=2e-3, warmup_steps=min(100, steps // 10), validate_every=steps,
        seed=seed, device="cpu",
    )  # fmt: skip
    few = judge[random_rows(torch.arange(len(judge)), 1000, seed)]
    records = fit(objective, Labelled(train), Labelled(few), config, progress=False).records
    return objective, float(records[-1]["cpu_seconds"])
