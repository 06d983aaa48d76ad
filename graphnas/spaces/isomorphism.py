"""Exact isomorphism of small DAGs with typed vertices: every order of the interior vertices is tried at once.

A DAG of n vertices is numbered in the order in which NAS-Bench-101 was generated (Ying et al., ICML 2019,
https://arxiv.org/abs/1902.09635): matrices by ascending bits, where edge x -> y is bit x + y (y - 1) / 2, and for each
matrix the labelings of the interior vertices in the order of `itertools.product`. That number is linear in the edge
bits and in the labels, so the numbers of a batch under all (n - 2)! orders of its interior vertices are one matrix
product, and the least of them says which class a graph belongs to. The member of a class with the least number
represents it.
"""

from __future__ import annotations

from functools import cache
from itertools import permutations, product
from typing import NamedTuple

import torch
from torch import Tensor

from graphnas.spaces.architectures import Architectures
from graphnas.spaces.base import OUTPUT

CHUNK = 8192  # graphs numbered at once: 8 MB under the 120 orders of seven vertices


class Orders(NamedTuple):
    """All orders of the interior vertices of n-vertex graphs as the columns of one matrix.

    Attributes:
        weights: float64 [P + n - 2, (n - 2)!], what each edge bit (P = n (n - 1) / 2, in bit order) and each label adds
            to the number of the graph; column 0 keeps the order. An edge that would point backwards adds more than any
            number.
        places: int64 [(n - 2)!, n], where each order puts every vertex.
        base: numbers taken by the graphs of fewer vertices.
    """

    weights: Tensor
    places: Tensor
    base: int


@cache
def vertex_pairs(num_nodes: int) -> Tensor:
    """int64 [2, n (n - 1) / 2]: sources and targets of all edges in bit order; fewer vertices are a prefix of it."""
    pairs = [(source, target) for target in range(num_nodes) for source in range(target)]
    return torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).T.contiguous()


@cache
def orders(num_nodes: int, num_labels: int) -> Orders:
    """The :class:`Orders` of graphs with `num_nodes` vertices and `num_labels` interior types."""
    interior, pairs = num_nodes - 2, vertex_pairs(num_nodes).T.tolist()
    labelings = num_labels**interior
    places = [[0, *permutation, num_nodes - 1] for permutation in permutations(range(1, num_nodes - 1))]
    columns = []
    for place in places:
        moved = [(place[source], place[target]) for source, target in pairs]
        bits = [2 ** (x + y * (y - 1) // 2) if x < y else 2 ** len(pairs) for x, y in moved]
        digits = [num_labels ** (interior - place[vertex]) for vertex in range(1, num_nodes - 1)]
        columns.append([bit * labelings for bit in bits] + digits)
    smaller = (2 ** (n * (n - 1) // 2) * num_labels ** (n - 2) for n in range(2, num_nodes))
    return Orders(torch.tensor(columns, dtype=torch.float64).T.contiguous(), torch.tensor(places), sum(smaller))


class Canonical(NamedTuple):
    """What :func:`canonical` finds for every row.

    Attributes:
        numbers: int64 [B], number of the representative: equal exactly for isomorphic graphs.
        places: int64 [B, N], the vertex of the representative that each vertex is; padding keeps its place. Where
            automorphisms leave a choice, the first in the order of `itertools.permutations`.
    """

    numbers: Tensor
    places: Tensor


def canonical(archs: Architectures, num_labels: int) -> Canonical:
    """The least-numbered graph isomorphic to every row, as its number and the way to it.

    Rows must be strictly upper triangular with the input first, the output last and interior ops in between; they need
    not be connected. Work grows with (n - 2)!, which suits up to eight vertices. All values stay below 2^53.
    Representatives keep the order of :func:`enumerate_dags`, fewer vertices first.
    """
    numbers = torch.zeros(len(archs), dtype=torch.int64, device=archs.device)
    places = torch.arange(archs.max_nodes, device=archs.device).repeat(len(archs), 1)
    for size in archs.num_nodes.unique().tolist():  # a handful of sizes
        order = orders(size, num_labels)
        weights, targets = order.weights.to(archs.device), order.places.to(archs.device)
        for rows in (archs.num_nodes == size).nonzero().flatten().split(CHUNK):
            least = (_features(archs, rows, size) @ weights).min(1)
            numbers[rows] = least.values.long() + order.base
            places[rows, :size] = targets[least.indices]
    return Canonical(numbers, places)


def relabel(archs: Architectures, places: Tensor) -> Architectures:
    """The same graphs with vertex v of every row moved to places[row, v]; int64 [B, N], one permutation per row."""
    old = places.argsort(1)
    rows = torch.arange(len(archs), device=archs.device)[:, None, None]
    return Architectures(archs.ops.gather(1, old), archs.adj[rows, old[:, :, None], old[:, None, :]], archs.num_nodes)


def _features(archs: Architectures, rows: Tensor, size: int) -> Tensor:
    """Edge bits and labels of `rows`, all of `size` vertices: float64 [rows, P + size - 2]."""
    source, target = vertex_pairs(size).to(archs.device)
    labels = archs.ops[rows, 1 : size - 1].double() - (OUTPUT + 1)
    return torch.cat([archs.adj[rows][:, source, target].double(), labels], 1)


def enumerate_dags(num_nodes: int, num_labels: int, max_edges: int) -> Architectures:
    """One representative per class of DAGs with `num_nodes` vertices, all of them on an input-output path.

    A class has the least number on its least matrix, and there the least labeling among those that the automorphisms
    of the matrix carry into each other; so both are found without visiting every labelled DAG.
    """
    bits = _connected_matrices(num_nodes, max_edges)
    weights = orders(num_nodes, num_labels).weights
    numbers = bits.double() @ weights[: bits.shape[1]]
    least = numbers.amin(1) == numbers[:, 0]
    automorphic = (numbers[least] == numbers[least, :1]).float()  # [matrices, orders]
    labelings = torch.tensor(list(product(range(num_labels), repeat=num_nodes - 2)), dtype=torch.uint8)
    labels = labelings.double() @ weights[bits.shape[1] :]
    reducible = (labels < labels[:, :1]).float()  # [labelings, orders]
    matrix, labeling = (automorphic @ reducible.T == 0).nonzero(as_tuple=True)
    return _assemble(bits[least][matrix], labelings[labeling], num_nodes)


def _connected_matrices(num_nodes: int, max_edges: int) -> Tensor:
    """Edge bits, bool [M, P], of all matrices with enough and not too many edges, by ascending bits."""
    pairs = vertex_pairs(num_nodes)
    masks = torch.arange(2 ** pairs.shape[1], dtype=torch.int32)
    place = 2 ** torch.arange(pairs.shape[1])
    for vertex in range(num_nodes - 1):
        leaving, entering = int(place[pairs[0] == vertex].sum()), int(place[pairs[1] == vertex + 1].sum())
        masks = masks[(masks & leaving != 0) & (masks & entering != 0)]
    bits = (masks[:, None] & place.int()) != 0
    return bits[bits.sum(1) <= max_edges]


def _assemble(bits: Tensor, labels: Tensor, num_nodes: int) -> Architectures:
    """A batch from edge bits (bool [B, P]) and labels (uint8 [B, n - 2])."""
    count = len(bits)
    source, target = vertex_pairs(num_nodes)
    adj = torch.zeros(count, num_nodes, num_nodes, dtype=torch.bool)
    adj[:, source, target] = bits
    ops = torch.zeros(count, num_nodes, dtype=torch.uint8)
    ops[:, 1:-1] = labels + (OUTPUT + 1)
    ops[:, -1] = OUTPUT
    return Architectures(ops, adj, torch.full((count,), num_nodes))
