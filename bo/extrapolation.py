"""Beyond the size a VAE was trained on: its decoder goes on under the masks of a larger space."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from graphnas.errors import InvalidValues, SpaceMismatch
from graphnas.metrics import NAN, novelty, uniqueness
from graphnas.models import GraphVAE
from graphnas.models.enlarge import enlarge
from graphnas.spaces import Architectures, SearchSpace
from graphnas.train.evaluate import decode_all


def generate_beyond(
    model: GraphVAE,
    larger_space: SearchSpace,
    codes: Tensor,
    generator: Generator | None = None,
    draws: int = 1,
    sample: bool = True,
    mask: bool = True,
    min_nodes: int | None = None,
    new_places: str = "refuse",
) -> Architectures:
    """Architectures of a larger space from codes of the one a VAE was trained on.

    The decoder keeps its weights and goes on, vertex by vertex, under the masks of the larger space. It has learned to
    end at the trained size; so under masks it may not end before `min_nodes`, by default one vertex more than it was
    trained on. Without masks it is left to itself, up to the limit of the larger space.

    Args:
        model: any VAE whose weights can be carried over, see :func:`graphnas.models.enlarge.enlarge`.
        larger_space: with the vocabulary of the model's space, such as `get_space("nb101_8")` or `enas12`.
        codes: float [B, Z]; of arch2vec, which has a code for every vertex, those of the larger space.
        generator: of the draws.
        draws: graphs per code.
        sample: draw; otherwise the most probable choices.
        mask: only members of the larger space can come out.
        min_nodes: fewest vertices, with `mask`; 2 lets the decoder end where it likes.
        new_places: `repeat` lets models with weights for every place go on with those of the last one.

    Returns:
        [B * draws] graphs padded to the larger space, those of one code side by side.

    Raises:
        SpaceMismatch: a model whose weights cannot be carried over, or another vocabulary.
        OutsideSpace: `min_nodes` beyond the larger space.
        InvalidValues: codes of another width.

    >>> from graphnas import create_model, get_space
    >>> model = create_model("svge", "toy_4", node_dim=16, latent_dim=4)
    >>> graphs = generate_beyond(model, get_space("toy"), torch.zeros(3, 4), torch.Generator().manual_seed(0))
    >>> graphs.num_nodes.tolist(), get_space("toy").is_valid(graphs).all().item()
    ([5, 5, 5], True)
    """
    if larger_space.max_nodes <= model.space.max_nodes:
        raise SpaceMismatch(
            f"expected a space of more than {model.space.max_nodes} vertices (got {larger_space.name} with up to "
            f"{larger_space.max_nodes})"
        )
    fewest = model.space.max_nodes + 1 if min_nodes is None else min_nodes
    target = larger_space.at_least(fewest) if mask else larger_space
    grown = enlarge(model, target, new_places)
    if codes.ndim != 2 or codes.shape[1] != grown.latent_dim:
        per_vertex = "" if grown.latent_dim == model.latent_dim else ", a part for every vertex of the larger space"
        raise InvalidValues(f"expected codes [B, {grown.latent_dim}]{per_vertex} (got {list(codes.shape)})")
    return decode_all(grown, codes, sample, generator, mask, draws)


def describe_generated(
    space: SearchSpace, graphs: Architectures, trained_nodes: int, known: Architectures
) -> dict[str, float]:
    """What B generated graphs are, as shares.

    `valid` of all; `larger` of the valid: more than `trained_nodes` vertices; `valid_larger` of all: both; `unique` of
    the valid and larger: different classes; `novel` of the valid: not a class of `known`. NaN for a share of none.
    """
    valid = space.is_valid(graphs)
    larger = valid & (graphs.num_nodes > trained_nodes)
    kept, members = graphs[larger], known[space.is_valid(known)]
    return {
        "valid": float(valid.double().mean()),
        "larger": float(larger.sum() / valid.sum()) if bool(valid.any()) else NAN,
        "valid_larger": float(larger.double().mean()),
        "unique": uniqueness(space.canonical_keys(kept)),
        "novel": novelty(space.canonical_keys(graphs[valid]), space.canonical_keys(members)),
        "distinct": float(len(set(space.canonical_keys(kept)))),
    }


def around(codes: Tensor, count: int, spread: float, generator: Generator) -> Tensor:
    """`count` codes near given ones [B, Z]: one of them each, with normal noise of `spread` of their deviations.

    Raises:
        InvalidValues: fewer than two codes.
    """
    if len(codes) < 2:
        raise InvalidValues(f"expected at least 2 codes, whose spread sets the noise (got {len(codes)})")
    rows = torch.randint(len(codes), (count,), generator=generator)
    noise = torch.randn(count, codes.shape[1], generator=generator)
    return codes[rows] + spread * codes.std(0) * noise
