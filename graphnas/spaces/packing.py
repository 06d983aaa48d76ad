"""Architectures as a few bytes each: the form they are stored, hashed and compared in."""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graphnas.errors import InvalidArchitecture
from graphnas.spaces.architectures import Architectures

_CHUNK = 4096  # rows unpacked at once, so that they stay in the cache of the processor


class Packed(NamedTuple):
    """B architectures of width N on the CPU, 11 bytes each where N = 7.

    The possible edge u -> v is bit u + v (v - 1) / 2 of a row of `edges`, lowest bit of the first byte first: the order
    of the official NAS-Bench-101 enumeration, and one in which a wider padding only appends zero bits.

    Args:
        ops: uint8 [B, N].
        edges: uint8 [B, ceil(N (N - 1) / 16)].
        num_nodes: uint8 [B].
    """

    ops: Tensor
    edges: Tensor
    num_nodes: Tensor


def _num_bits(width: int) -> int:
    return width * (width - 1) // 2


def _edge_cells(width: int) -> NDArray[np.intp]:
    """Position of every possible edge in a flattened [N, N] matrix, in bit order."""
    target = np.repeat(np.arange(width), np.arange(width))
    source = np.arange(len(target)) - target * (target - 1) // 2
    return source * width + target


def pack(archs: Architectures) -> Packed:
    """Compact form of a batch, padding zeroed; :func:`unpack` is its inverse.

    Raises:
        InvalidArchitecture: an edge that does not go from a lower to a higher index.
    """
    real = archs.clean().to("cpu")
    flat = real.adj.flatten(1).numpy()
    bits = np.take(flat, _edge_cells(real.max_nodes), axis=1)
    if np.count_nonzero(bits) != np.count_nonzero(flat):
        row = int(torch.tril(real.adj).flatten(1).any(1).nonzero()[0])
        raise InvalidArchitecture(
            f"row {row} has an edge from a higher to a lower index and cannot be packed (got {real.describe(row)})"
        )
    edges = torch.from_numpy(np.packbits(bits, axis=1, bitorder="little"))
    return Packed(real.ops.contiguous(), edges, real.num_nodes.to(torch.uint8))


def unpack(packed: Packed) -> Architectures:
    """The batch :func:`pack` was given.

    Raises:
        InvalidArchitecture: tensors whose dtypes or shapes do not fit each other.
    """
    size, width = len(packed.num_nodes), packed.ops.shape[-1]
    wanted = {"ops": (size, width), "edges": (size, -(-_num_bits(width) // 8)), "num_nodes": (size,)}
    for name, shape in wanted.items():
        tensor = getattr(packed, name)
        if tensor.dtype != torch.uint8 or tensor.shape != shape:
            raise InvalidArchitecture(
                f"{name} must be uint8 of shape {list(shape)} (got {tensor.dtype} of shape {list(tensor.shape)})"
            )
    adj = np.zeros((size, width, width), dtype=np.bool_)
    for start in range(0, size, _CHUNK):
        rows = slice(start, start + _CHUNK)
        bits = np.unpackbits(packed.edges[rows].numpy(), axis=1, count=_num_bits(width), bitorder="little")
        for target in range(1, width):
            adj[rows, :target, target] = bits[:, _num_bits(target) : _num_bits(target + 1)]
    return Architectures(packed.ops.clone(), torch.from_numpy(adj), packed.num_nodes.to(torch.int64))


def unpack_codes(codes: Tensor, ops: Tensor, num_nodes: Tensor) -> Architectures:
    """Architectures whose edges come as one integer each, with the bit order of :class:`Packed`.

    Args:
        codes: int32 or int64 [B]; enough for 8 and 11 vertices.
        ops: uint8 [B, N].
        num_nodes: integers [B].

    Raises:
        InvalidArchitecture: a code too short for N, negative, or with bits beyond the last edge.
    """
    width, bits = ops.shape[-1], _num_bits(ops.shape[-1])
    if codes.dtype not in (torch.int32, torch.int64) or bits >= 8 * codes.itemsize:
        raise InvalidArchitecture(
            f"{width} vertices need a signed integer of more than {bits} bits per graph (got {codes.dtype})"
        )
    if len(codes) and (int(codes.min()) < 0 or int(codes.max()) >= 1 << bits):
        raise InvalidArchitecture(
            f"edge codes of {width} vertices lie in 0..{(1 << bits) - 1} (got {int(codes.min())}..{int(codes.max())})"
        )
    little = codes.cpu().numpy().astype(f"<i{codes.itemsize}", copy=False)
    rows = np.ascontiguousarray(little).view(np.uint8).reshape(len(codes), codes.itemsize)
    edges = torch.from_numpy(rows[:, : -(-bits // 8)].copy())
    return unpack(Packed(ops.cpu(), edges, num_nodes.cpu().to(torch.uint8)))


def digest(archs: Architectures) -> str:
    """SHA-256 of a batch: equal for index-wise equal graphs in the same order, on every platform and in any padding."""
    width = int(archs.num_nodes.max()) if len(archs) else 1
    total = sha256(f"{len(archs)} graphs of {width}".encode())
    for tensor in pack(archs.widen(width)):
        total.update(tensor.numpy().tobytes())
    return total.hexdigest()
