"""Places a small DAG in layers so that every edge can be drawn without crossing a vertex (Sugiyama et al. 1981)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Routes = dict[tuple[int, int], list[float]]
STRAIGHT = 16  # pull between two waypoints of an edge, against 1 at its ends: long edges run straight
PORT, REACH, SNAP = 0.16, 0.32, 0.12  # in vertex widths: between two ports, furthest port from the centre, bend removed


@dataclass(frozen=True)
class Layout:
    """Where vertices and edges go; x to the right, layers counted downwards.

    Args:
        x: float [N], centre of every vertex.
        layer: int [N], length of the longest path from a source.
        routes: for every edge (u, v) its x in each layer from that of u to that of v; the first is where it leaves the
            lower rim of u, the last where it meets the upper rim of v.
    """

    x: NDArray[np.float64]
    layer: NDArray[np.int64]
    routes: Routes


def layered_layout(adj: NDArray[np.bool_], width: float = 1.0, lane: float = 0.36, gap: float = 0.35) -> Layout:
    """Layout of one DAG.

    An edge over several layers gets a waypoint in each layer between; vertices and waypoints of a layer are ordered to
    keep crossings few and then moved as close to their neighbours as the distances allow.

    Args:
        adj: bool [N, N], strictly upper triangular.
        width: width of a vertex.
        lane: width kept free for a passing edge.
        gap: least distance between two vertices of a layer.
    """
    layer = _longest_path(adj)
    chains = _chains(adj, layer)
    num_points = max((max(chain) for chain in chains.values()), default=len(adj) - 1) + 1
    level = np.concatenate([layer, np.zeros(max(num_points - len(adj), 0), dtype=np.int64)])
    for (source, _), chain in chains.items():
        level[chain] = layer[source] + np.arange(len(chain))
    links = np.zeros((len(level), len(level)))
    for chain in chains.values():
        for up, down in pairwise(chain):
            links[up, down] = STRAIGHT if up >= len(adj) and down >= len(adj) else 1
    order = _order(level, links)
    sizes = np.where(np.arange(len(level)) < len(adj), width + gap, lane)
    x = _place(order, links + links.T, sizes)
    for _ in range(4):
        _align_lanes(order, [chain[1:-1] for chain in chains.values()], sizes, x)
    routes = {edge: x[chain].tolist() for edge, chain in chains.items()}
    _spread_ports(routes, x, width)
    _straighten(routes, x, width)
    return Layout(x[: len(adj)], layer, routes)


def _longest_path(adj: NDArray[np.bool_]) -> NDArray[np.int64]:
    layer = np.zeros(len(adj), dtype=np.int64)
    for vertex in range(1, len(adj)):
        layer[vertex] = max((layer[source] + 1 for source in np.flatnonzero(adj[:, vertex])), default=0)
    return layer


def _chains(adj: NDArray[np.bool_], layer: NDArray[np.int64]) -> dict[tuple[int, int], list[int]]:
    """Every edge as vertex, waypoints, vertex; waypoints are numbered after the vertices."""
    chains, fresh = {}, len(adj)
    for source, target in np.argwhere(adj).tolist():
        between = int(layer[target] - layer[source]) - 1
        chains[source, target] = [source, *range(fresh, fresh + between), target]
        fresh += between
    return chains


def _order(level: NDArray[np.int64], links: NDArray[np.float64], starts: int = 8, sweeps: int = 8) -> list[list[int]]:
    """Points of every layer from left to right: sweeps of barycentres and swaps from several fixed random starts."""
    rng = np.random.default_rng(0)
    both = links + links.T > 0
    best: list[list[int]] = []
    fewest = np.inf
    for start in range(starts):
        rank = np.arange(len(level)) if start == 0 else rng.permutation(len(level))
        order = [
            sorted(np.flatnonzero(level == value).tolist(), key=rank.item) for value in range(int(level.max()) + 1)
        ]
        for sweep in range(sweeps):
            downwards = sweep % 2 == 0
            for value in range(1, len(order)) if downwards else range(len(order) - 2, -1, -1):
                _sort_by_neighbours(order, value, order[value - 1 if downwards else value + 1], both)
            _swap_neighbours(order, both)
            crossings = sum(_crossings(up, down, both) for up, down in pairwise(order))
            if crossings < fewest:
                fewest, best = crossings, [list(points) for points in order]
            if fewest == 0:
                return best
    return best


def _sort_by_neighbours(order: list[list[int]], value: int, fixed: Sequence[int], both: NDArray[np.bool_]) -> None:
    joined = both[np.ix_(order[value], fixed)]
    count = joined.sum(1)
    own = np.arange(len(count)) / max(len(count) - 1, 1) * max(len(fixed) - 1, 0)
    mean = np.where(count > 0, joined @ np.arange(len(fixed)) / np.maximum(count, 1), own)
    order[value] = [order[value][i] for i in np.argsort(mean, kind="stable")]


def _swap_neighbours(order: list[list[int]], both: NDArray[np.bool_]) -> None:
    """Exchanges adjacent points wherever that removes a crossing."""
    for value, points in enumerate(order):
        around = [order[i] for i in (value - 1, value + 1) if 0 <= i < len(order)]
        for i in range(len(points) - 1):
            pair = points[i : i + 2]
            now = sum(_crossings(pair, other, both) for other in around)
            if now and sum(_crossings(pair[::-1], other, both) for other in around) < now:
                points[i : i + 2] = pair[::-1]


def _crossings(up: Sequence[int], down: Sequence[int], both: NDArray[np.bool_]) -> int:
    """Pairs of edges between two layers that cross."""
    joined = both[np.ix_(up, down)].astype(np.int64)
    left = joined.cumsum(1) - joined  # edges of the same row that end further left
    crossed = left[::-1].cumsum(0)[::-1] - left  # ... and of all rows further right
    return int((joined * crossed).sum())


def _place(
    order: list[list[int]], links: NDArray[np.float64], sizes: NDArray[np.float64], rounds: int = 100
) -> NDArray[np.float64]:
    """x of every point: weighted means of the neighbours, kept apart within each layer in the given order."""
    from scipy.optimize import isotonic_regression

    offsets = []
    x = np.zeros(len(links))
    for points in order:
        half = sizes[points] / 2
        offset = np.concatenate([[0.0], np.cumsum(half[:-1] + half[1:])])
        offsets.append(offset)
        x[points] = offset - offset.mean()
    for step in range(rounds):
        layers = range(len(order)) if step % 2 == 0 else range(len(order) - 1, -1, -1)
        for value in layers:
            points = order[value]
            weight = links[points].sum(1)
            wish = np.where(weight > 0, links[points] @ x / np.maximum(weight, 1e-9), x[points])
            x[points] = isotonic_regression(wish - offsets[value], weights=np.maximum(weight, 0.1)).x + offsets[value]
    return x - (x.min() + x.max()) / 2


def _align_lanes(
    order: list[list[int]], lanes: Iterable[list[int]], sizes: NDArray[np.float64], x: NDArray[np.float64]
) -> None:
    """Moves the waypoints of every edge into as few vertical runs as their neighbours leave room for, in place."""
    low, high = np.full(len(x), -np.inf), np.full(len(x), np.inf)
    for lane in filter(None, lanes):
        for points in order:
            apart = (sizes[points][:-1] + sizes[points][1:]) / 2
            low[points[1:]] = x[points[:-1]] + apart
            high[points[:-1]] = x[points[1:]] - apart
        start = 0
        for end in range(1, len(lane) + 1):
            run = lane[start : end + 1]
            if end == len(lane) or low[run].max() > high[run].min():
                run = lane[start:end]
                x[run] = np.clip(x[run].mean(), low[run].max(), max(high[run].min(), low[run].max()))
                start = end


# -- where edges meet vertices --------------------------------------------------------------------------------------


def _spread_ports(routes: Routes, x: NDArray[np.float64], width: float) -> None:
    """Moves the ends of edges apart along the rim, each as near as possible to straight below its next waypoint."""
    from scipy.optimize import isotonic_regression

    wishes = {edge: (route[1], route[-2]) for edge, route in routes.items()}
    for side in (0, 1):
        for vertex in {edge[side] for edge in routes}:
            edges = sorted((edge for edge in routes if edge[side] == vertex), key=lambda edge: wishes[edge][side])
            apart = np.arange(len(edges)) * min(PORT, 2 * REACH / max(len(edges) - 1, 1)) * width
            wish = np.array([wishes[edge][side] for edge in edges]) - x[vertex]
            ports = isotonic_regression(np.clip(wish, -REACH * width, REACH * width) - apart).x + apart
            ports = np.clip(ports, apart - REACH * width, REACH * width - apart[::-1])
            for edge, port in zip(edges, ports, strict=True):
                routes[edge][-side] = float(x[vertex] + port)


def _straighten(routes: Routes, x: NDArray[np.float64], width: float) -> None:
    """Removes bends too small to mean anything: moves lanes below their port, and lone ports below each other."""
    alone = [Counter(edge[side] for edge in routes) for side in (0, 1)]
    for (source, target), route in routes.items():
        if len(route) > 2:
            for port, lane in ((route[0], route[1]), (route[-1], route[-2])):
                if abs(port - lane) < SNAP * width:
                    route[1:-1] = [port if abs(other - lane) < 1e-3 else other for other in route[1:-1]]
        elif abs(route[0] - route[1]) < 3 * SNAP * width:
            for end, vertex in ((0, source), (-1, target)):
                other = route[-1 - end]
                if alone[-end][vertex] == 1 and abs(other - x[vertex]) <= REACH * width:
                    route[end] = other
