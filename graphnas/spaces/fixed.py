"""Spaces whose members share one vertex layout: the common part of NB201, ENAS and DARTS."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import ClassVar, NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn.functional import pad

from graphnas.errors import InvalidArchitecture, OutsideSpace
from graphnas.spaces.architectures import Architectures
from graphnas.spaces.base import Rule, SearchSpace


class Layout(NamedTuple):
    """Types a position may carry, bool [N, T], and the edges that every or any member has, bool [N, N]."""

    types: Tensor
    required: Tensor
    possible: Tensor


class FixedSpace(SearchSpace):
    """Spaces in which every member has `max_nodes` vertices and is a row of G independent choices.

    Choice g is an integer in 0..radix[g]-1 and the product of `radix` is the size of the space, so that members can be
    counted (`rank`), drawn uniformly and edited choice by choice. A subclass states `radix`, its :class:`Layout` and
    the translation between choices and tensors.
    """

    radix: ClassVar[tuple[int, ...]]

    @abstractmethod
    def _build_layout(self) -> Layout:
        """The layout of the space."""

    @abstractmethod
    def _read(self, ops: Tensor, adj: Tensor) -> Tensor:
        """Choices int64 [B, G] of valid rows given as ops int64 [B, N] and adj bool [B, N, N]."""

    @abstractmethod
    def _write(self, choices: Tensor) -> tuple[Tensor, Tensor]:
        """Inverse of :meth:`_read`."""

    @cached_property
    def layout(self) -> Layout:
        """What the positions of the space allow."""
        return self._build_layout()

    # -- membership ---------------------------------------------------------------------------------------------
    def rules(self, archs: Architectures) -> Iterable[Rule]:
        yield from super().rules(archs)
        size = archs.num_nodes
        yield Rule(
            f"exactly {self.max_nodes} vertices", size == self.max_nodes, lambda row: f"{int(size[row])} vertices"
        )
        ops, adj = self._fit(archs)
        types, required, possible = (part.to(archs.device) for part in self.layout)
        known = types[torch.arange(self.max_nodes, device=archs.device), ops.clamp(max=self.num_ops - 1)]

        def misplaced(row: int) -> str:
            vertex = int((~known[row]).nonzero()[0])
            return f"{self.vocabulary[int(ops[row, vertex])]!r} at vertex {vertex}"

        yield Rule("at every vertex one of the types its position allows", known.all(1), misplaced)
        missing, extra = required & ~adj, adj & ~possible
        yield Rule(
            "all edges that every architecture of the space has",
            ~missing.flatten(1).any(1),
            lambda row: f"no edges {missing[row].nonzero().tolist()}",
        )
        yield Rule(
            "no edges but the possible ones of the space",
            ~extra.flatten(1).any(1),
            lambda row: f"edges {extra[row].nonzero().tolist()}",
        )

    def _fit(self, archs: Architectures) -> tuple[Tensor, Tensor]:
        """ops int64 [B, max_nodes] and adj, padded or cut to the width of the space."""
        extra = self.max_nodes - archs.max_nodes
        return pad(archs.ops, (0, extra)).long(), pad(archs.adj, (0, extra, 0, extra))

    # -- choices ------------------------------------------------------------------------------------------------
    def choices(self, archs: Architectures) -> Tensor:
        """int64 [B, G]: the choices every row consists of.

        Raises:
            InvalidArchitecture: a row outside the space.
        """
        return self._read(*self._fit(self.check(archs)))

    def from_choices(self, choices: Tensor) -> Architectures:
        """Architectures of int64 choices [B, G].

        Raises:
            InvalidArchitecture: a choice outside its range.
        """
        radix = self._radix(choices.device)
        if choices.ndim != 2 or choices.shape[1] != len(radix):
            raise InvalidArchitecture(f"{self.name} has [B, {len(radix)}] choices (got shape {list(choices.shape)})")
        bad = ((choices < 0) | (choices >= radix)).nonzero()
        if len(bad):
            row, place = bad[0].tolist()
            got = int(choices[row, place])
            raise InvalidArchitecture(
                f"row {row} is not in {self.name}: expected choice {place} in 0..{self.radix[place] - 1} (got {got})"
            )
        ops, adj = self._write(choices)
        sizes = torch.full((len(choices),), self.max_nodes, device=choices.device)
        return Architectures(ops.to(torch.uint8), adj, sizes)

    def rank(self, archs: Architectures) -> Tensor:
        """int64 [B]: place of every row when all choices are counted through, the last one fastest.

        Raises:
            OutsideSpace: the space has more than 2^63 members.
        """
        return self._rank(self.choices(archs))

    def unrank(self, rank: Tensor) -> Architectures:
        """Inverse of :meth:`rank`."""
        weights = self._weights().to(rank.device)
        return self.from_choices(rank[:, None] // weights % self._radix(rank.device))

    def _rank(self, choices: Tensor) -> Tensor:
        return (choices * self._weights().to(choices.device)).sum(1)

    def _weights(self) -> Tensor:
        if self.size > 2**63:
            raise OutsideSpace(f"{self.name} has {self.size:.3g} members, more than 64 bits count: use fingerprints()")
        return place_values(self.radix)

    def _radix(self, device: torch.device) -> Tensor:
        return torch.tensor(self.radix, device=device)

    # -- members ------------------------------------------------------------------------------------------------
    def sample(self, n: int, generator: Generator | None = None) -> Architectures:
        """`n` rows drawn uniformly from the whole space, with replacement."""
        device = generator.device if generator is not None else torch.device("cpu")
        common = math.lcm(*self.radix)  # one draw serves all ranges and each stays exactly uniform
        draws = torch.randint(common, (n, len(self.radix)), generator=generator, device=device)
        return self.from_choices(draws % self._radix(device))

    @cached_property
    def _edits(self) -> Tensor:
        """int64 [E, 2]: place and shift of every single change."""
        return torch.tensor([(place, shift) for place, high in enumerate(self.radix) for shift in range(1, high)])

    @property
    def num_edits(self) -> int:
        """E, single changes every member admits."""
        return len(self._edits)

    def _edit(self, choices: Tensor, edit: Tensor) -> Tensor:
        """Choices [B, G] with change number `edit` int64 [B] made."""
        place, shift = self._edits.to(choices.device)[edit].unbind(1)
        rows, changed = torch.arange(len(choices), device=choices.device), choices.clone()
        changed[rows, place] = (choices[rows, place] + shift) % self._radix(choices.device)[place]
        return changed

    def edits(self, arch: Architectures) -> Architectures:
        """All `num_edits` single changes of a batch of one, in the fixed order of the choices, duplicates kept."""
        if len(arch) != 1:
            raise InvalidArchitecture(f"expected a batch of one architecture (got {len(arch)}): pass archs[row]")
        edit = torch.arange(self.num_edits, device=arch.device)
        return self.from_choices(self._edit(self.choices(arch).expand(self.num_edits, -1), edit))

    def neighbors(self, arch: Architectures) -> Architectures:
        """All `num_edits` architectures that differ in one choice."""
        return self.edits(arch)

    def mutate(self, archs: Architectures, generator: Generator | None = None) -> Architectures:
        """One of the `num_edits` single changes of every row, drawn uniformly."""
        return self.from_choices(self._mutate(self.choices(archs), generator))

    def _mutate(self, choices: Tensor, generator: Generator | None) -> Tensor:
        device = generator.device if generator is not None else choices.device
        edit = torch.randint(self.num_edits, (len(choices),), generator=generator, device=device)
        return self._edit(choices, edit.to(choices.device))

    # -- identity -----------------------------------------------------------------------------------------------
    def fingerprints(self, archs: Architectures) -> Tensor:
        """int64 [B], equal exactly where `canonical_keys` are equal.

        The rank where the space has at most 2^63 members; beyond that a 64-bit hash of the choices, for which two
        different architectures collide with a probability of about 2^-61.
        """
        choices = self.choices(archs)
        return self._rank(choices) if self.size <= 2**63 else hash_rows(choices)

    # -- decoding -----------------------------------------------------------------------------------------------
    def type_mask(self, partial: Architectures, vertex: int) -> Tensor:
        return self.layout.types[vertex].to(partial.device).repeat(len(partial), 1)

    def edge_mask(self, partial: Architectures, vertex: int, source: int) -> tuple[Tensor, Tensor]:
        _, required, possible = self.layout
        may, must = (edges[source, vertex].to(partial.device).repeat(len(partial)) for edges in (possible, required))
        return may, must


def build_layout(
    vocabulary: Sequence[str],
    types: Sequence[Sequence[str]],
    required: Iterable[tuple[int, int]],
    optional: Iterable[tuple[int, int]] = (),
) -> Layout:
    """Layout from the names every position may carry and two edge lists."""
    allowed = torch.tensor([[entry in names for entry in vocabulary] for names in types])
    fixed, free = (torch.zeros(len(types), len(types), dtype=torch.bool) for _ in range(2))
    for edges, mask in ((required, fixed), (optional, free)):
        for source, target in edges:
            mask[source, target] = True
    return Layout(allowed, fixed, fixed | free)


def place_values(radix: Sequence[int]) -> Tensor:
    """int64 [G]: what one step of each digit of a mixed-radix number counts, the last digit fastest."""
    return torch.tensor([math.prod(radix[place + 1 :]) for place in range(len(radix))])


def hash_rows(rows: Tensor) -> Tensor:
    """64-bit hash int64 [B] of rows of small integers [B, G]: a sum weighted with fixed odd numbers modulo 2^64."""
    state, weights = 0, []
    for _ in range(rows.shape[1]):
        state = (state + 0x9E3779B97F4A7C15) % 2**64  # splitmix64 (Steele, Lea and Flood 2014)
        word = ((state ^ state >> 30) * 0xBF58476D1CE4E5B9) % 2**64
        word = ((word ^ word >> 27) * 0x94D049BB133111EB) % 2**64
        word = (word ^ word >> 31) | 1
        weights.append(word - 2**64 if word >= 2**63 else word)
    return (rows * torch.tensor(weights, device=rows.device)).sum(1)
