"""What models promise: configs that rebuild them, and the GraphVAE contract."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, ClassVar, Union, cast, get_args, get_origin, get_type_hints

import torch
from torch import Generator, Tensor, nn

from graphnas.errors import CheckpointMismatch, InvalidValues, SpaceMismatch
from graphnas.models.layers.heads import masked_mse
from graphnas.spaces import Architectures, SearchSpace, get_space
from graphnas.spaces.architectures import expect_architectures


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Hyper-parameters of a model; subclasses add fields whose defaults are the paper's."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return dataclasses.asdict(self)

    @classmethod
    def check_types(cls, values: dict[str, Any]) -> None:
        """Refuse values of another type than their fields declare: those of a command line may be anything.

        Raises:
            TypeError: naming the first of them.
        """
        try:
            hints = get_type_hints(cls)
        except NameError:  # a user's config with types imported for the checker only
            return
        for name, value in values.items():
            if not fits(value, hints[name]):
                kinds = " or ".join(kind.__name__.removesuffix("Type") for kind in _alternatives(hints[name]))
                raise TypeError(f"{name} must be {kinds} (got {value!r})")

    def check_weights(self, *names: str) -> None:
        """Refuse fields that are negative, infinite or NaN.

        Raises:
            ValueError: naming the first of them.
        """
        self._refuse(names, lambda value: 0 <= value < math.inf, "at least 0 and finite")

    def check_counts(self, *names: str) -> None:
        """Refuse fields below 1; None passes.

        Raises:
            ValueError: naming the first of them.
        """
        self._refuse(names, lambda value: value is None or value >= 1, "at least 1")

    def _refuse(self, names: Sequence[str], holds: Callable[[Any], bool], expected: str) -> None:
        for name in names:
            value = getattr(self, name)
            if not holds(value):
                raise ValueError(f"{name} must be {expected} (got {value})")


def _alternatives(hint: Any) -> tuple[Any, ...]:
    """The types of a union, or the one type there is."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


PLAIN = {int: Integral, float: Real, bool: bool, str: str, NoneType: NoneType}
"""Types of config fields that are checked, and what passes for them; True is no number here."""


def fits(value: Any, hint: Any) -> bool:
    """Whether a value may stand in a field declared as `hint`; anything may where the hint is none of :data:`PLAIN`."""
    kinds = _alternatives(hint)
    if any(kind not in PLAIN for kind in kinds):
        return True
    return any(isinstance(value, PLAIN[kind]) and (kind is bool or not isinstance(value, bool)) for kind in kinds)


class GraphModel(nn.Module):
    """A model built from a config for one search space.

    Args:
        config: hyper-parameters.
        space: the space whose vocabulary and vertex limit fix the shapes.
    """

    registered_name: ClassVar[str]
    config_class: ClassVar[type[ModelConfig]]
    inference_batch: int = 1024
    """Graphs that are run together where there are many and no gradients are asked for."""

    def __init__(self, config: ModelConfig, space: SearchSpace | str) -> None:
        super().__init__()
        self.config = config
        self.space = get_space(space)

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def num_parameters(self) -> int:
        """Trainable scalars."""
        return sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)

    def description(self) -> dict[str, Any]:
        """All that rebuilds the untrained model: name, space, vocabulary hash and config."""
        return {
            "model": self.registered_name,
            "space": self.space.name,
            "vocabulary": vocabulary_hash(self.space),
            "config": self.config.to_dict(),
        }

    def prepare(self, archs: Architectures) -> Architectures:
        """The batch on the model's device, padded to the width of the space.

        Raises:
            SpaceMismatch: an operation index or a size that the space does not have.
        """
        if expect_architectures(archs).max_nodes > self.space.max_nodes:
            archs = archs.widen(max(self.space.max_nodes, int(archs.num_nodes.max()) if len(archs) else 0))
        archs = archs.widen(max(self.space.max_nodes, archs.max_nodes)).to(self.device)
        if len(archs) and int(archs.ops.max()) >= self.space.num_ops:
            raise SpaceMismatch(
                f"expected operations of {self.space.name} (indices below {self.space.num_ops}), "
                f"got index {int(archs.ops.max())}: were these architectures made for another space?"
            )
        return archs


class GraphVAE(GraphModel, ABC):
    """A variational autoencoder of architectures; every result of a row is independent of the rest of the batch."""

    latent_dim: int
    accuracy: nn.Module | None
    """Regression head on the posterior mean, where the model has one."""

    @abstractmethod
    def encode(self, archs: Architectures) -> tuple[Tensor, Tensor]:
        """Posterior mean and log-variance, float [B, Z] each."""

    @abstractmethod
    def loss(self, archs: Architectures, y: Tensor | None = None) -> dict[str, Tensor]:
        """Scalars averaged over graphs (nats per graph), of which `total` is minimised."""

    @abstractmethod
    def decode(
        self, z: Tensor, sample: bool = True, generator: Generator | None = None, mask: bool = True, repeats: int = 1
    ) -> Architectures:
        """Architectures from codes [B, Z]; [B * repeats] graphs, those of one code side by side.

        `sample=False` takes the most probable choice at every step. With `mask=True` only architectures valid in the
        space can come out. Row i uses its own random numbers, so a prefix of the batch decodes to the same graphs.

        Raises:
            InvalidValues: codes of another shape, or that are not finite.
        """

    @abstractmethod
    def log_prob(self, archs: Architectures, z: Tensor) -> Tensor:
        """log p(archs | z) in nats, float [B].

        Raises:
            InvalidValues: codes of another shape or number, or that are not finite.
        """

    @property
    def predicts(self) -> bool:
        """Whether the model has a regression head (`accuracy`), so that `predict` works."""
        return getattr(self, "accuracy", None) is not None

    def predict(self, archs: Architectures) -> Tensor:
        """The regression head's value of every architecture, float [B].

        Raises:
            RuntimeError: the model was made without `accuracy_head=True`, or cannot have one.
            InvalidArchitecture: what is no architecture of the space.
        """
        head = getattr(self, "accuracy", None)
        if head is None:
            raise RuntimeError(f"this {type(self).__name__} has no accuracy head: create it with accuracy_head=True")
        self.space.check(archs)
        return cast(Tensor, head(self.encode(archs)[0]))

    def add_accuracy(self, losses: dict[str, Tensor], mu: Tensor, y: Tensor | None, share: float) -> dict[str, Tensor]:
        """`losses` with the squared error of the head where there are one and targets [B], NaN among them left out.

        It gets `share` of the total, what was the total the rest.

        Raises:
            InvalidValues: targets of another shape.
        """
        head = getattr(self, "accuracy", None)
        if y is not None and head is not None:
            if y.shape != mu.shape[:1]:
                raise InvalidValues(f"expected targets of shape [{len(mu)}] (got {list(y.shape)})")
            losses["accuracy"] = masked_mse(head(mu), y.to(mu))
            losses["total"] = (1 - share) * losses["total"] + share * losses["accuracy"]
        return losses

    def prepare_codes(self, z: Tensor, count: int | None = None) -> Tensor:
        """Codes [B, Z] on the model's device, in its precision.

        Args:
            z: the codes.
            count: how many architectures they belong to, where they belong to some.

        Raises:
            InvalidValues: no tensor, another shape or number, or a code that is not finite, whose row is named.
        """
        if not isinstance(z, Tensor):
            raise InvalidValues(f"expected codes as a tensor (got {type(z).__name__}): torch.as_tensor(z) makes one")
        if z.ndim != 2 or z.shape[1] != self.latent_dim:
            raise InvalidValues(f"expected codes of shape [B, {self.latent_dim}] (got {list(z.shape)})")
        if count not in (None, len(z)):
            raise InvalidValues(f"expected one code per architecture (got {len(z)} codes for {count} architectures)")
        odd = (~z.isfinite().all(1)).nonzero().flatten()
        if len(odd):
            raise InvalidValues(f"codes must be finite (row {int(odd[0])} is not)")
        return z.to(next(self.parameters()))

    def forward(self, archs: Architectures) -> Tensor:
        """The code of an architecture: its posterior mean, float [B, Z]."""
        return self.encode(archs)[0]


def kl_divergence(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mu, exp(logvar)) || N(0, I)) per graph, nats [B]."""
    return -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum(1)


def vocabulary_hash(space: SearchSpace) -> str:
    """Short fingerprint of a space's vocabulary and vertex limit, stored with weights."""
    text = "|".join((space.name, str(space.max_nodes), *space.vocabulary))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def load_weights(model: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Strictly load a state dict.

    Raises:
        CheckpointMismatch: naming the first missing, unexpected or misshapen tensor.
    """
    check_shapes(model.state_dict(), state, source, type(model).__name__)
    model.load_state_dict(state)


def check_shapes(own: Mapping[str, Tensor], state: Mapping[str, Tensor], source: str, kind: str) -> None:
    """Refuse a state dict whose names or shapes are not those of a model's `own`, which may be on the meta device.

    Raises:
        CheckpointMismatch: see :func:`load_weights`.
    """
    missing, unexpected = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    if missing or unexpected:
        raise CheckpointMismatch(
            f"{source} does not fit {kind}: {len(missing)} tensors missing {missing[:2]}, "
            f"{len(unexpected)} unexpected {unexpected[:2]}"
        )
    for name, tensor in own.items():
        if state[name].shape != tensor.shape:
            raise CheckpointMismatch(
                f"{source} does not fit {kind}: {name} should be {list(tensor.shape)} (got {list(state[name].shape)})"
            )
