"""A second classifier inside a network, which only training looks at."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor, nn

from graphnas.errors import InvalidValues
from graphnas.networks.base import Network
from graphnas.networks.layers import ConvNorm

SMALLEST = 8  # height and width of the smallest maps the head can read


class AuxiliaryHead(nn.Module):
    """Classifier on maps from inside a network, for a second loss in training (Szegedy et al. 2015, 1409.4842).

    As in the NASNet and DARTS networks, where the maps are 8x8; the answers on larger maps are averaged. In training
    mode a batch of one on 8x8 maps leaves the last normalisation a single value, which PyTorch refuses.

    Shapes: [B, channels, size, size] -> logits [B, K].

    Args:
        channels: of the maps.
        size: their height and width.
        num_classes: K.

    Raises:
        InvalidValues: maps smaller than 8x8.
    """

    def __init__(self, channels: int, size: int, num_classes: int) -> None:
        super().__init__()
        if size < SMALLEST:
            raise InvalidValues(
                f"an auxiliary head needs maps of at least {SMALLEST}x{SMALLEST} pixels at its place (got "
                f"{size}x{size}): take larger images or leave it out"
            )
        self.features = nn.Sequential(
            nn.ReLU(),
            nn.AvgPool2d(5, stride=3),
            *ConvNorm(channels, 128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
            nn.BatchNorm2d(768),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(768, num_classes)

    def forward(self, maps: Tensor) -> Tensor:
        return self.classifier(self.features(maps).mean((2, 3)))


class AuxiliaryNetwork(Network):
    """A network that ends in a global mean and `classifier`, and may have an `auxiliary_head` on maps from its middle.

    The head is built last, so that a seed gives the same network with and without it, and only `forward_auxiliary`
    computes it.
    """

    classifier: nn.Linear
    auxiliary_head: AuxiliaryHead | None

    @abstractmethod
    def maps(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What the classifier takes the mean of, and what the auxiliary head reads."""

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.maps(images)[0].mean((2, 3)))

    def forward_auxiliary(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        last, middle = self.maps(images)
        extra = None if self.auxiliary_head is None else self.auxiliary_head(middle)
        return self.classifier(last.mean((2, 3))), extra
