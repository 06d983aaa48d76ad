"""A graph VAE of the zoo as a predictor: a regressor on its posterior mean (SVGe, D-VAE's joint one, arch2vec)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from graphnas.errors import CheckpointMismatch, InvalidValues
from graphnas.models.base import GraphModel, GraphVAE, load_weights
from graphnas.models.layers.heads import HalvingMLP
from graphnas.models.layers.latent import TanhHead
from graphnas.models.predictor import Predictor, PredictorConfig
from graphnas.models.zoo import create_model, register_model
from graphnas.spaces import Architectures, SearchSpace


@dataclass(frozen=True)
class EncoderConfig(PredictorConfig):
    """Hyper-parameters of a regressor on a VAE; the defaults are SVGE_acc's."""

    vae: str = "svge"
    """Name of the VAE in the zoo."""
    vae_args: dict[str, Any] = field(default_factory=dict)
    """Fields of its config that differ from its paper's."""
    mode: Literal["joint", "finetuned", "frozen"] = "joint"
    """All weights learn from both losses, all from labels alone, or the head only."""
    score_weight: float = 0.9
    """w, share of the loss on labels in the total, with `joint`; the VAE's has the rest."""
    head: Literal["halving", "tanh"] = "halving"
    """Z -> Z/2 -> Z/4 -> .. -> 1 with relu (SVGe), or Z -> `head_dim` -> 1 with tanh (D-VAE)."""
    head_layers: int = 4
    """Linear maps of the halving head."""
    head_dim: int = 501
    """Width of the tanh head's hidden layer."""

    def __post_init__(self) -> None:
        self.check_counts("head_layers", "head_dim")
        if self.mode not in ("joint", "finetuned", "frozen"):
            raise ValueError(f"mode must be joint, finetuned or frozen (got {self.mode!r})")
        if self.head not in ("halving", "tanh"):
            raise ValueError(f"head must be halving or tanh (got {self.head!r})")
        if not 0 < self.score_weight <= 1:
            raise ValueError(f"score_weight must be above 0 and at most 1 (got {self.score_weight})")


@register_model("encoder")
class EncoderHead(Predictor):
    """The posterior mean of a graph VAE, and an MLP that scores it.

        code = mean of q(z | G),   score = MLP(code),   total = (1 - w) loss of the VAE + w loss of the scores

    The VAE's loss counts in mode `joint` only. A `frozen` VAE stays in evaluation mode, without gradients. With `costs`
    the code ends on the mean logarithms of FLOPs and parameters over vertices. The VAE starts from random weights;
    `fit_predictor(..., start_from=)` gives it trained ones.

    Shapes: codes [B, Z (+ 2)], scores [B].

    Paper: https://arxiv.org/abs/2010.04683 (SVGE_acc), and that of the VAE.

    >>> from graphnas import create_model, get_space
    >>> model = create_model("encoder", "toy", vae="svge", vae_args={"node_dim": 8, "latent_dim": 4})
    >>> model.embed(get_space("toy").enumerate()[:3]).shape
    torch.Size([3, 4])
    """

    config_class = EncoderConfig

    def __init__(self, config: EncoderConfig, space: SearchSpace | str) -> None:
        super().__init__(config, space)
        vae = create_model(config.vae, self.space, **config.vae_args)
        if not isinstance(vae, GraphVAE):
            raise InvalidValues(f"{config.vae!r} is no VAE: see `graphnas models list --kind vae`")
        self.vae: GraphVAE = vae
        self.inference_batch = vae.inference_batch
        self.mode, self.score_weight = config.mode, config.score_weight
        self.embed_dim = vae.latent_dim + 2 * config.costs
        halving = config.head == "halving"
        self.head: nn.Module = (
            HalvingMLP(self.embed_dim, config.head_layers) if halving else TanhHead(self.embed_dim, config.head_dim)
        )
        if self.mode == "frozen":
            vae.requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if self.mode == "frozen":
            self.vae.eval()
        return self

    def take(self, vae: GraphModel, source: str) -> None:
        """Start from the weights of a trained VAE; a regression head it has beside is left behind.

        Raises:
            CheckpointMismatch: another model, or other shapes.
        """
        if vae.registered_name != self.vae.registered_name:
            raise CheckpointMismatch(f"{source} holds {vae.registered_name!r}, expected {self.vae.registered_name!r}")
        own = self.vae.state_dict()
        heads = {name for state in (own, vae.state_dict()) for name in state if name.startswith("accuracy.")}
        state = {name: tensor for name, tensor in vae.state_dict().items() if name not in heads}
        load_weights(self.vae, state | {name: own[name] for name in heads & own.keys()}, source)

    def embed(self, archs: Architectures) -> Tensor:
        archs = self.prepare(archs)
        if not len(archs):
            return next(self.parameters()).new_zeros(0, self.embed_dim)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.mode != "frozen"):
            code = self.vae.encode(archs)[0]
        if not self.costs:
            return code
        costs = self.vertex_inputs(archs)[:, :, -2:].sum(1) / archs.num_nodes[:, None]
        return torch.cat([code, costs], 1)

    def score(self, codes: Tensor) -> Tensor:
        scores: Tensor = self.head(codes)
        return scores

    def auxiliary_loss(self, archs: Architectures) -> Tensor | None:
        return self.vae.loss(archs)["total"] if self.mode == "joint" else None
