"""A trained model for a larger space: the same weights, where its mathematics does not count vertices."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from graphnas.errors import InvalidValues, SpaceMismatch
from graphnas.models.base import GraphModel, GraphVAE
from graphnas.models.zoo import create_model
from graphnas.spaces import SearchSpace

M = TypeVar("M", bound=GraphModel)


class SizeBound(NamedTuple):
    """Tensors of a model whose shapes depend on the number of vertices of its space, by name: those that codes of a VAE
    depend on, and the rest."""

    encoder: list[str]
    rest: list[str]

    def __bool__(self) -> bool:
        return bool(self.encoder or self.rest)

    def __str__(self) -> str:
        names = [*self.encoder, *self.rest]
        return f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"


def size_bound(model: GraphModel, space: SearchSpace) -> SizeBound:
    """What keeps a model from another space with the same vocabulary: its tensors that have another shape there."""
    other = _like(model, space).state_dict()
    names = [name for name, tensor in model.state_dict().items() if other[name].shape != tensor.shape]
    read = behind_codes(model) if names and isinstance(model, GraphVAE) else set()
    return SizeBound([name for name in names if name in read], [name for name in names if name not in read])


def behind_codes(model: GraphVAE) -> set[str]:
    """Names of the weights that the codes of a VAE depend on."""
    fresh = _like(model, model.space)
    archs = model.space.sample(2, torch.Generator().manual_seed(0)).to(model.device)
    with torch.enable_grad():
        mu, logvar = fresh.encode(archs)
        names, weights = zip(*fresh.named_parameters(), strict=True)
        slopes = torch.autograd.grad(mu.sum() + logvar.sum(), weights, allow_unused=True)
    return {name for name, slope in zip(names, slopes, strict=True) if slope is not None}


def enlarge(model: M, space: SearchSpace, new_places: str = "refuse") -> M:
    """The same trained model for architectures of a larger space, in eval mode; the given one is left as it is.

    Message passing, asynchronous recurrences and vertex-by-vertex decoders do not count vertices: nothing but the masks
    and the limit of the space change. Weights for a certain place, the index of a vertex or the bit of a source, exist
    up to the trained size only. With `new_places="repeat"` the places beyond it get those of the last trained one;
    for N trained and M new vertices a tensor's one dimension of K entries that has K + M - N in the larger space grows
    so by its last slice.

    Args:
        model: of any kind with weights.
        space: larger, with the same vocabulary.
        new_places: `refuse` or `repeat`.

    Raises:
        SpaceMismatch: another vocabulary, a space that is no larger, or weights that cannot be carried over, named.
        InvalidValues: another value of `new_places`.
    """
    if new_places not in ("refuse", "repeat"):
        raise InvalidValues(f"new_places must be refuse or repeat (got {new_places!r})")
    extra = space.max_nodes - model.space.max_nodes
    if space.vocabulary != model.space.vocabulary:
        raise SpaceMismatch(
            f"expected a space with the operations of {model.space.name}, {', '.join(model.space.vocabulary)} "
            f"({space.name} has {', '.join(space.vocabulary)})"
        )
    if extra < 0:
        raise SpaceMismatch(
            f"expected a space of at least {model.space.max_nodes} vertices, as {model.space.name} has "
            f"(got {space.name} with up to {space.max_nodes})"
        )
    bound = size_bound(model, space)
    if bound and new_places == "refuse":
        raise SpaceMismatch(
            f"{model.registered_name} has weights for every place of a graph of {model.space.max_nodes} vertices "
            f"({bound}): new_places repeat (--new_places repeat) uses those of the last place beyond it"
        )
    grown = _like(model, space)
    shapes = {name: tensor.shape for name, tensor in grown.state_dict().items()}
    grown.load_state_dict(
        {name: _grow(name, tensor, shapes[name], extra) for name, tensor in model.state_dict().items()}
    )
    return grown.eval()


def _like(model: M, space: SearchSpace) -> M:
    """A model of the same name and config for another space; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        other = create_model(model.registered_name, space, **model.config.to_dict())
    assert isinstance(other, type(model))
    return other.to(model.device)


def _grow(name: str, tensor: Tensor, shape: torch.Size, extra: int) -> Tensor:
    """A tensor in its new shape, its last slice repeated where a dimension has `extra` entries more."""
    if tensor.shape == shape:
        return tensor.clone()
    more = [new - old for old, new in zip(tensor.shape, shape, strict=True)]
    if sorted(more)[:-1] != [0] * (len(more) - 1) or max(more) != extra:
        raise SpaceMismatch(
            f"{name} has shape {list(tensor.shape)} and would need {list(shape)}: its places are not its last entries, "
            "so none can be repeated"
        )
    dim = more.index(extra)
    last = tensor.narrow(dim, tensor.shape[dim] - 1, 1)
    return torch.cat([tensor, *[last] * extra], dim)
