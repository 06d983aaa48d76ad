"""The module hash of NAS-Bench-101, computed for whole batches.

The hash gives every vertex the md5 of its degrees and label, then as many times as there are vertices replaces it by
the md5 of the sorted hashes of its predecessors, those of its successors and its own, and ends with the md5 of the
sorted list. Rows share most states of the early rounds, so vertices are told apart by 64-bit numbers and md5 runs once
per distinct state.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import md5
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from graphnas.spaces.architectures import Architectures

CHUNK = 4096  # graphs hashed together: intermediates stay in the processor's cache
_HEX = np.array([f"{byte:02x}".encode() for byte in range(256)])

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]
Hexes = NDArray[np.bytes_]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]


def module_hashes(archs: Architectures) -> list[str]:
    """md5 of every row, 32 hexadecimal digits; rows are members of NB101."""
    archs = archs.to("cpu")
    keys = np.empty(len(archs), dtype=object)
    for size in archs.num_nodes.unique().tolist():
        for rows in (archs.num_nodes == size).nonzero().flatten().split(CHUNK):
            labels = archs.ops[rows, :size].numpy().astype(np.int64) - 2
            labels[:, 0], labels[:, -1] = -1, -2
            keys[rows.numpy()] = _hash_graphs(labels, archs.adj[rows, :size, :size].numpy())
    return list(keys)


class Partition(NamedTuple):
    """Vertices of a batch grouped by state.

    Attributes:
        states: int64 [B, n], the state of every vertex.
        graph, vertex: int64 [S], one vertex of each state.
        rows: the states by in- and out-degree, since the texts of one shape have one length.
    """

    states: Indices
    graph: Indices
    vertex: Indices
    rows: list[Indices]


def _hash_graphs(labels: Indices, adj: Mask) -> list[str]:
    """Hashes of graphs of one size from labels [B, n] and edges [B, n, n]."""
    degrees = np.stack([adj.sum(2), adj.sum(1)], axis=2)  # out, in
    triples = np.concatenate([degrees, labels[:, :, None]], axis=2)
    partition = _partition((triples + 2) @ np.array([256, 16, 1]), degrees)
    texts = triples[partition.graph, partition.vertex].tolist()
    digests, stable = _digest([str(tuple(triple)).encode() for triple in texts]), False
    for _ in range(adj.shape[1]):
        following = partition if stable else _partition(_neighbourhood_codes(partition.states, digests, adj), degrees)
        stable = len(following.vertex) == len(digests)  # states only ever split: none did, so none will
        partition, digests = following, _next_digests(partition.states, digests, following, adj)
    order = _hash_order(partition.states, digests)
    hexes = np.take(_hexadecimal(digests), np.take_along_axis(partition.states, order, axis=1))  # [B, n]
    text = np.empty((*hexes.shape, 36), dtype=np.uint8)  # "'<hash>', " per vertex
    text[:, :, 1:33] = hexes.view(np.uint8).reshape(*hexes.shape, 32)
    text[:, :, :1], text[:, :, 33:] = ord("'"), np.frombuffer(b"', ", dtype=np.uint8)
    lists = [b"[" + text[:-2] + b"]" for text in _texts(text.reshape(len(adj), -1))]
    return [key.decode() for key in _hexadecimal(_digest(lists)).tolist()]


def _partition(codes: NDArray[Any], degrees: Indices) -> Partition:
    """Vertices grouped by their codes [B, n]; degrees int64 [B, n, 2]."""
    _, first, states = np.unique(codes, return_index=True, return_inverse=True)
    graph, vertex = np.divmod(first, codes.shape[1])
    shape = degrees[graph, vertex] @ np.array([codes.shape[1], 1])
    rows = [np.flatnonzero(shape == kind) for kind in np.unique(shape)]
    return Partition(states.reshape(codes.shape), graph, vertex, rows)


def _next_digests(states: Indices, digests: Bytes, following: Partition, adj: Mask) -> Bytes:
    """Digests of the following states from the present states of all vertices and their digests."""
    graph, vertex, num_nodes = following.graph, following.vertex, states.shape[1]
    order = _hash_order(states, digests)
    hexes = _hexadecimal(digests)
    around = np.take(hexes, np.take_along_axis(states, order, axis=1)[graph])  # [S, n], the graph's hashes in order
    own = hexes[states[graph, vertex]]
    near, start = order[graph], graph[:, None] * num_nodes**2
    before = np.take(adj, start + near * num_nodes + vertex[:, None])
    after = np.take(adj, start + vertex[:, None] * num_nodes + near)
    result = np.empty((len(graph), 16), dtype=np.uint8)
    for rows in following.rows:
        left, right = around[rows][before[rows]], around[rows][after[rows]]
        result[rows] = _digest(_texts(_joined(left, right, own[rows])))
    return result


def _joined(left: Hexes, right: Hexes, own: Hexes) -> Bytes:
    """Characters `<left>|<right>|<own>` of S texts that take equally many hashes from both sides: uint8 [S, L]."""
    parts = [side.view(np.uint8).reshape(len(own), -1) for side in (left, right, own)]
    bar = parts[0].shape[1]
    end = bar + 1 + parts[1].shape[1]
    text = np.full((len(own), end + 33), ord("|"), dtype=np.uint8)
    text[:, :bar], text[:, bar + 1 : end], text[:, end + 1 :] = parts
    return text


def _hash_order(states: Indices, digests: Bytes) -> Indices:
    """Vertices of every graph in the order of their hashes, int64 [B, n]; their first 64 bits decide it."""
    return np.argsort(np.take(_words(digests)[:, 0], states), axis=1)


def _neighbourhood_codes(states: Indices, digests: Bytes, adj: Mask) -> Words:
    """uint64 [B, n], equal for vertices that agree in state, in the states around and in their directions."""
    own = _words(digests)[states]  # [B, n, 2]: both halves of a digest serve as random numbers, one per direction
    entering, leaving = np.zeros_like(own[:, :, 0]), np.zeros_like(own[:, :, 0])
    for source in range(adj.shape[1]):
        for target in range(source + 1, adj.shape[1]):
            present = adj[:, source, target]
            entering[:, target] += own[:, source, 0] * present
            leaving[:, source] += own[:, target, 1] * present
    return _mix(entering) + _mix(leaving) * np.uint64(3) + own[:, :, 0] * np.uint64(5)


def _mix(x: Words) -> Words:
    """A bijection of 64-bit numbers that spreads every bit (the finaliser of splitmix64)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _digest(texts: Sequence[bytes]) -> Bytes:
    """md5 of every text: uint8 [S, 16]."""
    joined = b"".join([md5(text, usedforsecurity=False).digest() for text in texts])
    return np.frombuffer(joined, dtype=np.uint8).reshape(-1, 16)


def _words(digests: Bytes) -> Words:
    """Digests as two numbers, uint64 [S, 2]; the first orders like the hexadecimal text."""
    return digests.view(">u8").astype(np.uint64)


def _hexadecimal(digests: Bytes) -> Hexes:
    """Digests in hexadecimal: S32 [S]."""
    return np.take(_HEX, digests).view("S32")[:, 0]


def _texts(characters: Bytes) -> list[bytes]:
    """Rows of ASCII characters, uint8 [S, L], as byte strings."""
    texts: list[bytes] = characters.view(f"S{characters.shape[1]}")[:, 0].tolist()
    return texts
