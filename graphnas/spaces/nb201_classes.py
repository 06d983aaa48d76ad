"""Which of the 15,625 NB201 strings are the same cell: two equivalences, spelled out as canonical strings.

Both build a string for every cell node from its in-edges, node 0 being "0", and compare the strings of node 3. Lists
run over all strings, the edge 0->1 slowest. 6,466 and 4,930 different strings come out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import TypeVar

Value = TypeVar("Value")

OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
ZERO = "#"


def published_strings(drop_none: bool = True, drop_skip: bool = True) -> list[str]:
    """The equivalence of the NAS-Bench-201 authors (Dong and Yang 2020, arXiv 2001.00326).

    A `none` edge, and an edge from a node whose string is exactly "#", contributes "#"; a `skip_connect` the string of
    its source; any other operation "(source)@op". A node is its contributions, sorted and joined. It is incomplete as
    an equality of functions: "#+#" is not recognised as zero, and sums inside sums are not flattened.

    Args:
        drop_none: False keeps `none` as an operation like others.
        drop_skip: False keeps `skip_connect` as an operation like others; with both off all 15,625 differ.
    """

    def edge(source: str, op: str) -> str:
        if drop_none and (op == "none" or source == ZERO):
            return ZERO
        return source if drop_skip and op == "skip_connect" else f"({source})@{op}"

    return list(_outputs("0", edge, lambda parts: "+".join(sorted(parts))))


def functional_strings() -> list[str]:
    """Full normalisation of zeros and sums: dead terms vanish and a node is the multiset of its flattened terms.

    What remains different may still be equal as a function (average pooling is linear and could be moved into sums).
    """

    def edge(source: tuple[str, ...], op: str) -> tuple[str, ...]:
        if op == "none" or not source:
            return ()
        return source if op == "skip_connect" else (f"({'+'.join(source)})@{op}",)

    start: tuple[str, ...] = ("0",)
    nodes = _outputs(start, edge, lambda parts: tuple(sorted(term for part in parts for term in part)))
    return ["+".join(node) or ZERO for node in nodes]


def _outputs(
    start: Value, edge: Callable[[Value, str], Value], join: Callable[[Sequence[Value]], Value]
) -> Iterator[Value]:
    """Values of node 3 for all strings, edge 0->1 slowest."""
    inputs = [edge(start, op) for op in OPS]
    for first in inputs:
        node1 = join([first])
        from1 = [edge(node1, op) for op in OPS]
        for pair in product(inputs, from1):
            node2 = join(pair)
            from2 = [edge(node2, op) for op in OPS]
            for triple in product(inputs, from1, from2):
                yield join(triple)
