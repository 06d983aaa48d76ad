"""What a network of an architecture is, and the one door that builds it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from graphnas.errors import InvalidArchitecture, InvalidValues
from graphnas.registry import Registry
from graphnas.spaces import Architectures, SearchSpace, get_space


@dataclass(frozen=True)
class Images:
    """The images a network is built for.

    Attributes:
        channels: of an image, 3 for colour and 1 for grey.
        size: height and width in pixels.
        num_classes: K, number of logits.
    """

    channels: int = 3
    size: int = 32
    num_classes: int = 10

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not isinstance(value, int) or value < 1:
                raise InvalidValues(f"expected {name} of the images to be a positive integer (got {value!r})")


class Network(nn.Module, ABC):
    """A trainable convolutional network of one architecture.

    `forward` maps float images [B, channels, size, size] to logits [B, K].

    Attributes:
        drop_path: probability with which a path is dropped in training mode, set by the training loop; networks without
            droppable paths ignore it.
        auxiliary: whether the network has an auxiliary head.
    """

    drop_path: float = 0.0
    auxiliary: bool = False

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, K]."""

    def forward_auxiliary(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits [B, K], and those of the auxiliary head where there is one."""
        return self(images), None

    @property
    def num_parameters(self) -> int:
        """Trainable numbers, those of an auxiliary head left out."""
        return sum(
            weight.numel()
            for name, weight in self.named_parameters()
            if weight.requires_grad and not name.startswith("auxiliary_head")
        )


Config = TypeVar("Config")


def read_config(config_class: type[Config], options: Mapping[str, object]) -> Config:
    """The config of a network, a dataclass with a default for every field, from options by name.

    Raises:
        InvalidValues: an option the config does not have, or a value of another kind than the default of its field.
    """
    description: Any = config_class  # a dataclass, which types cannot say
    defaults = {field.name: field.default for field in fields(description)}
    unknown = sorted(options.keys() - defaults.keys())
    if unknown:
        raise InvalidValues(f"unknown options of a network: {', '.join(unknown)}; known are {', '.join(defaults)}")
    for name, value in options.items():
        kind = type(defaults[name])
        if type(value) is not kind and not (kind is float and type(value) is int):
            raise InvalidValues(f"expected {name} of type {kind.__name__}, such as {defaults[name]!r} (got {value!r})")
    return description(**options)


def check_positive(config: object) -> None:
    """Passes a config, an instance of a dataclass, whose numbers are all positive.

    Raises:
        InvalidValues: naming the field and the value.
    """
    for name, value in vars(config).items():
        if type(value) in (int, float) and not value > 0:
            raise InvalidValues(f"expected {name} of a network to be positive (got {value})")


Builder = Callable[..., Network]
NETWORKS = Registry[Builder]("space with a network")
"""Search space name -> builder `(space, arch, images, **options) -> Network`; `arch` is a checked batch of one."""


def build_network(
    space: str | SearchSpace, arch: str | Architectures, images: Images | None = None, **options: object
) -> Network:
    """The network of one architecture, freshly initialised from torch's global generator.

    >>> net = build_network("nb201", "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|", channels=8, cells=1)
    >>> net.num_parameters
    30946

    Args:
        space: a search space that has a network.
        arch: a batch of one, or its native text form.
        images: what the network sees; 32x32 colour images of 10 classes by default.
        options: widths and depths, fields of the config of the space's network; the defaults are the published ones.

    Raises:
        UnknownName: a space that has no network.
        InvalidArchitecture: not one valid architecture.
        InvalidValues: unknown options, or sizes that do not go together.
    """
    space = get_space(space)
    builder = NETWORKS[space.family]
    with torch.device("cpu"):  # what the space keeps must not end on the meta device a network may be built on
        archs = space.check(space.parse(arch) if isinstance(arch, str) else arch)
    if len(archs) != 1:
        raise InvalidArchitecture(f"a network is built from one architecture (got {len(archs)})")
    return builder(space, archs, images or Images(), **options)
