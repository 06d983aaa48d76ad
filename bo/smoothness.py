"""How smoothly architectures follow one another in a latent space: paths, circles and grids of codes, and figures."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from graphnas.bo.decoding import CommonDecodes, most_common_decode
from graphnas.errors import InvalidValues
from graphnas.models import GraphVAE
from graphnas.spaces import Architectures, SearchSpace
from graphnas.train.evaluate import decode_all

# -- codes ----------------------------------------------------------------------------------------------------------


def linear_path(start: Tensor, end: Tensor, steps: int = 10) -> Tensor:
    """Codes evenly spaced on the segment between two codes [Z], both ends among them: float [steps, Z].

    Raises:
        InvalidValues: fewer than two steps, or codes of different shapes.
    """
    if steps < 2:
        raise InvalidValues(f"a path takes at least 2 steps (got {steps})")
    if start.dim() != 1 or start.shape != end.shape:
        raise InvalidValues(f"expected two codes [Z] (got {list(start.shape)} and {list(end.shape)})")
    share = torch.linspace(0, 1, steps, dtype=start.dtype, device=start.device)[:, None]
    return (1 - share) * start + share * end


def great_circle(z0: Tensor, generator: Generator | None = None, steps: int = 36) -> Tensor:
    """Codes at equal angles on a circle about the origin through z0 [Z]: float [steps, Z], z0 first.

    The circle z0 cos t + z1 sin t lies in a random plane: z1 is a Gaussian direction made orthogonal to z0 and as long.
    The step after the last returns to z0.

    Raises:
        InvalidValues: fewer than two steps, fewer than two dimensions, or a code of length 0, which has no direction.
    """
    if steps < 2:
        raise InvalidValues(f"a circle takes at least 2 steps (got {steps})")
    first = _code(z0)
    radius = first.norm()
    if not 0 < float(radius) < math.inf:
        raise InvalidValues(f"a circle needs a code of positive length (got {float(radius)})")
    axis = first / radius
    drawn = torch.randn(len(first), generator=generator, dtype=torch.float64)
    for _ in range(2):  # the second pass removes the rounding error that the first leaves
        drawn = drawn - (drawn @ axis) * axis
        drawn = drawn / drawn.norm()
    turn = 2 * math.pi * torch.arange(steps, dtype=torch.float64)[:, None] / steps
    return (radius * (axis * turn.cos() + drawn * turn.sin())).to(z0)


def neighbourhood_grid(center: Tensor, generator: Generator | None = None, size: int = 9, step: float = 0.1) -> Tensor:
    """Codes around `center` [Z] on a plane of two random orthonormal directions: float [size * size, Z].

    Row by row: `step` apart along one direction down the rows, along the other over the columns; the centre is exactly
    in the middle.

    Raises:
        InvalidValues: an even size, a step that is not positive, or fewer than two dimensions.
    """
    if size < 1 or size % 2 == 0:
        raise InvalidValues(f"a grid with a centre has an odd size (got {size})")
    if not 0 < step < math.inf:
        raise InvalidValues(f"the step of a grid must be positive (got {step})")
    middle = _code(center)
    drawn = torch.randn(len(middle), 2, generator=generator, dtype=torch.float64)
    down, across = torch.linalg.qr(drawn).Q.T  # the factor, not the Gaussian draw, which is neither orthogonal nor unit
    offset = step * (torch.arange(size, dtype=torch.float64) - size // 2)
    plane = offset[:, None, None] * down + offset[:, None] * across
    return (middle + plane).flatten(0, 1).to(center)


def angle(a: Tensor, b: Tensor) -> Tensor:
    """Angle between vectors [..., Z] in radians, float64 [...]; NaN where one of them has no length.

    Half-angle form: defined and accurate up to equal and opposite vectors, where the arc cosine of a dot product loses
    digits or leaves its domain.
    """
    unit_a, unit_b = (part.double() / part.double().norm(dim=-1, keepdim=True) for part in (a, b))
    return 2 * torch.atan2((unit_a - unit_b).norm(dim=-1), (unit_a + unit_b).norm(dim=-1))


def _code(code: Tensor) -> Tensor:
    """A code [Z] in double precision on the CPU."""
    if code.dim() != 1 or len(code) < 2:
        raise InvalidValues(f"expected a code [Z >= 2] (got shape {list(code.shape)})")
    return code.detach().cpu().double()


# -- decodes --------------------------------------------------------------------------------------------------------


def decode_codes(model: GraphVAE, codes: Tensor, draws: int = 500, generator: Generator | None = None) -> CommonDecodes:
    """The architecture of every code [B, Z]: the most common of `draws` valid decodes, or with 0 the most probable one.

    The most probable one counts as a single vote.

    Raises:
        InvalidValues: a negative number of draws.
    """
    if draws < 0:
        raise InvalidValues(f"draws must be at least 0 (got {draws})")
    if draws:
        return most_common_decode(model, codes, draws, generator)
    best = decode_all(model, codes, sample=False)
    return CommonDecodes(best, torch.ones(len(best), dtype=torch.int64), model.space.is_valid(best).long())


def class_numbers(space: SearchSpace, archs: Architectures) -> Tensor:
    """Numbers 1, 2, ... of isomorphism classes in the order in which they first appear: int64 [B]."""
    seen: dict[int, int] = {}
    return torch.tensor([seen.setdefault(key, len(seen) + 1) for key in space.fingerprints(archs).tolist()]).long()


# -- figures --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Smoothness:
    """How architectures change between neighbouring codes.

    Attributes:
        steps: pairs of neighbouring codes.
        changed: share of them whose architectures are not isomorphic.
        edit_distance: mean over all pairs of the vertex types and edges that differ.
        distinct: architectures that occur, isomorphic ones counted once.
    """

    steps: int
    changed: float
    edit_distance: float
    distinct: int


def smoothness(space: SearchSpace, archs: Architectures, pairs: Tensor) -> Smoothness:
    """Figures of B decoded architectures for the neighbours `pairs`, int64 [P, 2] (:func:`path_pairs`, `grid_pairs`).

    Raises:
        InvalidValues: no pair.
    """
    if pairs.dim() != 2 or not len(pairs):
        raise InvalidValues(f"expected pairs of neighbours [P >= 1, 2] (got shape {list(pairs.shape)})")
    numbers = class_numbers(space, archs)
    left, right = pairs.T
    changed = numbers[left] != numbers[right]
    # an isomorphic neighbour is at distance 0, however its vertices are numbered
    distance = edit_distance(archs[left], archs[right]) * changed
    return Smoothness(len(pairs), float(changed.double().mean()), float(distance.double().mean()), int(numbers.max()))


def edit_distance(a: Architectures, b: Architectures) -> Tensor:
    """Vertex types and edges that differ index by index, int64 [B]: an upper bound of the graph edit distance.

    A vertex that only one of the two has counts as one difference, and so does each of its edges.
    """
    if len(a) != len(b):
        raise InvalidValues(f"cannot compare {len(a)} graphs with {len(b)}")
    width = max(a.max_nodes, b.max_nodes)
    a, b = a.widen(width).clean(), b.widen(width).clean()
    types = [graphs.ops.long().masked_fill(~graphs.node_mask, -1) for graphs in (a, b)]
    return (types[0] != types[1]).sum(1) + (a.adj != b.adj).flatten(1).sum(1)


def path_pairs(count: int, closed: bool = False) -> Tensor:
    """Neighbours along a path of `count` codes; a closed one returns to its start: int64 [P, 2]."""
    rows = torch.arange(count)
    pairs = torch.stack([rows, (rows + 1) % max(count, 1)], 1)
    return pairs if closed else pairs[:-1]


def grid_pairs(size: int) -> Tensor:
    """Neighbours across and down a grid [size * size] given row by row: int64 [2 * size * (size - 1), 2]."""
    cells = torch.arange(size * size).view(size, size)
    across = torch.stack([cells[:, :-1], cells[:, 1:]], -1)
    down = torch.stack([cells[:-1], cells[1:]], -1)
    return torch.cat([across.flatten(0, 1), down.flatten(0, 1)])
