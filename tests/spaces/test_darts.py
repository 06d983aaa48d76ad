"""DARTS: genotype text, layout, canonical form and costs against networks really built."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch
from torch import Generator, Tensor, nn

from graphnas.errors import InvalidArchitecture, OutsideSpace
from graphnas.spaces import Architectures, get_space
from graphnas.spaces.darts import DARTS
from graphnas.spaces.darts_cells import join, ordered, split

V2 = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], "
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])"
)
V2_SORTED = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('skip_connect', 0), ('sep_conv_3x3', 1), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], "
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('max_pool_3x3', 1), ('skip_connect', 2)], reduce_concat=[2, 3, 4, 5])"
)
Pair = tuple[str, int]


@pytest.fixture(scope="module")
def space() -> DARTS:
    found = get_space("darts")
    assert isinstance(found, DARTS)
    return found


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def genotypes(space: DARTS, archs: Architectures) -> list[list[list[Pair]]]:
    """Two lists of (operation, source) per row, read from the tensors."""
    sources, operations = (part.flatten(2).tolist() for part in split(space.choices(archs)))
    names = space.vocabulary[6:]
    return [
        [[(names[op], source) for op, source in zip(*cell, strict=True)] for cell in zip(ops, srcs, strict=True)]
        for ops, srcs in zip(operations, sources, strict=True)
    ]


def test_size_is_the_square_of_180_wirings_and_7_operations(space: DARTS) -> None:
    assert space.size == (180 * 7**8) ** 2
    with pytest.raises(OutsideSpace, match="cannot be enumerated"):
        space.enumerate()


def test_the_layout_of_a_published_genotype(space: DARTS) -> None:
    arch = space.parse(V2)
    names = [space.vocabulary[op] for op in arch.ops[0].tolist()]
    assert names[:5] == ["input", "c_{k-2}", "c_{k-1}", "sep_conv_3x3", "sep_conv_3x3"]
    assert (names[11], names[20], names[21]) == ("normal", "reduce", "output")
    into = {v: arch.adj[0, :, v].nonzero().flatten().tolist() for v in range(22)}
    assert into[1] == into[2] == [0]
    assert [into[v] for v in range(3, 11)] == [[1], [2], [1], [2], [1], [2], [1], [3, 4]]
    assert [into[v] for v in range(12, 20)] == [[1], [2], [2], [12, 13], [1], [12, 13], [2], [12, 13]]
    assert (into[11], into[20], into[21]) == (list(range(3, 11)), list(range(12, 20)), [11, 20])


def test_text_is_read_in_any_order_and_written_sorted(space: DARTS) -> None:
    assert space.format(space.parse(V2)) == [V2_SORTED]
    assert space.parse(V2_SORTED) == space.parse(V2)
    other = V2.replace("normal_concat=[2, 3, 4, 5]", "normal_concat=range(2, 6)")
    assert space.parse(other) == space.parse(V2)


def test_all_180_wirings_of_both_cells_come_out_of_the_masks(space: DARTS) -> None:
    """Only the wirings are drawn here: choices of both cells, decoded edge by edge with fair coins."""
    size, generator = 20_000, seeded(1)
    partial = space.sample(size, generator)
    partial.adj.zero_()
    for vertex in range(22):
        for source in reversed(range(vertex)):
            may, must = space.edge_mask(partial, vertex, source)
            partial.adj[:, source, vertex] = must | (may & (torch.rand(size, generator=generator) < 0.5))
    choices = space.choices(partial)
    for start in (0, 12):
        assert len(choices[:, start : start + 4].unique(dim=0)) == 180


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("('sep_conv_3x3', 0)", "('sep_conv_7x7', 0)", "one of max_pool_3x3"),
        ("('sep_conv_3x3', 0)", "('none', 0)", "got 'none'"),
        ("('dil_conv_3x3', 2)", "('dil_conv_3x3', 5)", "a source from 0 to 4 at node 5 of normal (got 5)"),
        ("('dil_conv_3x3', 2)", "('dil_conv_3x3', -1)", "a pair (operation, source) as entry 7 of normal"),
        ("('dil_conv_3x3', 2)", "('dil_conv_3x3', True)", "a pair (operation, source) as entry 7 of normal"),
        ("('dil_conv_3x3', 2)", "('dil_conv_3x3', 0)", "two different sources at node 5 of normal (got twice 0)"),
        ("('dil_conv_3x3', 2)", "('dil_conv_3x3',)", "a pair (operation, source)"),
        (", ('dil_conv_3x3', 2)", "", "normal=[8 pairs (operation, source)]"),
        ("normal_concat=[2, 3, 4, 5]", "normal_concat=[2, 3, 4]", "normal_concat=[2, 3, 4, 5] or range(2, 6)"),
        ("normal_concat=[2, 3, 4, 5]", "normal_concat=range(2, 7)", "got range(2, 7)"),
        ("normal_concat=[2, 3, 4, 5]", "normal_concat=open('x')", "got open('x')"),
        (", reduce_concat=[2, 3, 4, 5]", "", "the fields normal, normal_concat, reduce, reduce_concat"),
        ("reduce=", "normal=", "the fields normal, normal_concat, reduce, reduce_concat"),
        ("Genotype(", "__import__(", "Genotype(normal=[...], ...)"),
        ("Genotype(", "Genotype(1, ", "Genotype(normal=[...], ...)"),
        ("])", "]", "Genotype(normal=[...], ...)"),
        ("[('sep_conv_3x3', 0)", "[" + "-" * 3000 + "1", "a pair (operation, source) as entry 0 of normal"),
        ("Genotype(", "(" * 3000 + "Genotype(", "Genotype(normal=[...], ...)"),
        ("Genotype(", " " * 4000 + "Genotype(", "at most 4000 characters"),
    ],
)
def test_text_outside_the_grammar_is_refused(space: DARTS, old: str, new: str, reason: str) -> None:
    text = V2.replace(old, new, 1)
    if "at most" in reason:
        text = "1" + text  # blanks in front are stripped
    with pytest.raises(InvalidArchitecture, match="row 1 is not in darts") as caught:
        space.parse([V2, text])
    assert len(str(caught.value)) < 500
    if "-" * 9 not in new:  # the depth at which the parser gives up differs between Python versions
        assert reason in str(caught.value)


def test_invalid_tensors_are_refused(space: DARTS) -> None:
    arch = space.parse(V2)
    arch.adj[0, 4, 10] = False  # half of a node
    with pytest.raises(InvalidArchitecture, match=r"one source of every operation.*edges from \[3\] to vertex 10"):
        space.check(arch)
    arch = space.parse(V2)
    arch.adj[0, 2, 10] = True  # two sources
    with pytest.raises(InvalidArchitecture, match=r"edges from \[2, 3, 4\] to vertex 10"):
        space.check(arch)
    arch = space.parse(V2)
    arch.adj[0, :3, 3:5] = arch.adj[0, :3, 3:5].flip(1)  # the same pair, higher source first
    with pytest.raises(
        InvalidArchitecture, match=r"lower one first \(got sources \[1, 0\] at node 2 of the normal cell"
    ):
        space.check(arch)
    arch = space.parse(V2)
    arch.adj[0, 1:3, 13] = torch.tensor([True, False])
    with pytest.raises(InvalidArchitecture, match=r"sources \[0, 0\] at node 2 of the reduction cell"):
        space.check(arch)
    arch = space.parse(V2)
    arch.adj[0, 3:5, 19] = True  # from the other cell
    with pytest.raises(InvalidArchitecture, match=r"got edges \[\[3, 19\], \[4, 19\]\]"):
        space.check(arch)
    arch = space.parse(V2)
    arch.ops[0, 11] = space.vocabulary.index("reduce")
    with pytest.raises(InvalidArchitecture, match="'reduce' at vertex 11"):
        space.check(arch)


# -- identity -----------------------------------------------------------------------------------------------------
def renumbered(cell: list[Pair], order: tuple[int, ...]) -> list[Pair] | None:
    """The cell whose node p is the old node order[p]; nothing where a node would read a later one."""
    names = {0: 0, 1: 1, **{old + 2: new + 2 for new, old in enumerate(order)}}
    pairs = []
    for new, old in enumerate(order):
        pair = sorted(((op, names[source]) for op, source in cell[2 * old : 2 * old + 2]), key=lambda entry: entry[1])
        if pair[1][1] >= new + 2:
            return None
        pairs += pair
    return pairs


def reference_class(cell: list[Pair]) -> frozenset[tuple[Pair, ...]]:
    found = (renumbered(cell, order) for order in permutations(range(4)))
    return frozenset(tuple(cell) for cell in found if cell is not None)


def test_keys_are_equal_exactly_for_renumbered_cells(space: DARTS) -> None:
    """Random cells with many symmetries, renumberings of them, and near misses, against a search over permutations."""
    choices = space.choices(space.sample(400, seeded(2)))
    sources, operations = split(choices)
    sources[:, :, :3] = torch.where(
        torch.rand(400, 2, 3, 1, generator=seeded(3)) < 0.6, torch.tensor([0, 1]), sources[:, :, :3]
    )
    operations = operations % 2
    archs = space.from_choices(join(*ordered(sources, operations)))
    texts, rows = [], genotypes(space, archs)
    for row, cells in enumerate(rows):
        picks = [sorted(reference_class(cell))[row % len(reference_class(cell))] for cell in cells]
        texts.append(
            f"Genotype(normal={list(picks[0])}, normal_concat=[2, 3, 4, 5], "
            f"reduce={list(picks[1])}, reduce_concat=[2, 3, 4, 5])"
        )
    twins = space.parse(texts)
    assert (~archs.equal(twins)).sum() > 100
    assert space.canonical_keys(archs) == space.canonical_keys(twins)
    together = Architectures.concat([archs, twins, space.mutate(twins, seeded(8)), space.edits(twins[0])])
    keys = space.canonical_keys(together)
    classes = [tuple(reference_class(cell) for cell in cells) for cells in genotypes(space, together)]
    assert len(set(zip(keys, classes, strict=True))) == len(set(keys)) == len(set(classes))


def test_the_fingerprint_is_the_rank_of_a_member_of_the_class(space: DARTS) -> None:
    archs = space.sample(500, seeded(4))
    first = space.unrank(space.fingerprints(archs))
    assert space.canonical_keys(first) == space.canonical_keys(archs)
    assert (space.fingerprints(archs) <= space.rank(archs)).all()


def test_edits_are_96_operations_and_24_sources(space: DARTS) -> None:
    arch = space.sample(1, seeded(5))
    edits = space.edits(arch)
    assert len(edits) == len(set(edits.index_keys())) == 120
    before, after = split(space.choices(arch)), split(space.choices(edits))
    moved = (before[0] != after[0]).flatten(1).any(1)
    assert moved.tolist() == [False] * 96 + [True] * 24
    assert ((before[1] != after[1])[:96].flatten(1).sum(1) == 1).all()
    old = [set(cell) for cell in _slots(genotypes(space, arch)[0])]
    for cells in genotypes(space, edits):
        assert sum(len(left - right) for left, right in zip(old, map(set, _slots(cells)), strict=True)) == 1


def _slots(cells: list[list[Pair]]) -> list[list[Pair]]:
    return [cell[2 * node : 2 * node + 2] for cell in cells for node in range(4)]


def test_neighbors_and_mutants_are_of_other_classes(space: DARTS) -> None:
    """In this genotype nodes 2 and 3 are twins, so that a few changes coincide or only renumber."""
    arch = space.parse(V2)
    own, neighbors = space.canonical_keys(arch)[0], space.neighbors(arch)
    keys = space.canonical_keys(neighbors)
    assert own not in keys
    assert len(set(keys)) == len(keys) < 120
    assert set(keys) == set(space.canonical_keys(space.edits(arch))) - {own}
    mutants = space.mutate(arch[[0] * 3000], seeded(6))
    assert set(space.canonical_keys(mutants)) == set(keys)


# -- costs --------------------------------------------------------------------------------------------------------
def conv(
    width_in: int, width_out: int, kernel: int = 1, stride: int = 1, groups: int = 1, dilation: int = 1
) -> nn.Conv2d:
    padding = dilation * (kernel // 2)
    return nn.Conv2d(width_in, width_out, kernel, stride, padding, dilation, groups, bias=False)


class Halve(nn.Module):
    """Factorised reduction: two strided 1x1 convolutions, side by side."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.left, self.right = (conv(width_in, width_out // 2, stride=2) for _ in range(2))
        self.norm = nn.BatchNorm2d(width_out)

    def forward(self, maps: Tensor) -> Tensor:
        return self.norm(torch.cat([self.left(maps), self.right(maps[:, :, 1:, 1:])], 1))


def stack(width: int, kernel: int, stride: int, dilation: int) -> list[nn.Module]:
    depthwise = conv(width, width, kernel, stride, width, dilation)
    return [nn.ReLU(), depthwise, conv(width, width), nn.BatchNorm2d(width)]


def operation(name: str, width: int, stride: int) -> nn.Module:
    if "pool" in name:
        return nn.MaxPool2d(3, stride, 1)
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else Halve(width, width)
    kernel = int(name[-1])
    if name.startswith("dil"):
        return nn.Sequential(*stack(width, kernel, stride, 2))
    return nn.Sequential(*stack(width, kernel, stride, 1), *stack(width, kernel, 1, 1))


class Cell(nn.Module):
    def __init__(self, pairs: list[Pair], older: int, last: int, width: int, reduces: bool, after: bool) -> None:
        super().__init__()
        self.pairs = pairs
        older_map = Halve(older, width) if after else nn.Sequential(conv(older, width), nn.BatchNorm2d(width))
        self.inputs = nn.ModuleList([older_map, nn.Sequential(conv(last, width), nn.BatchNorm2d(width))])
        strides = [2 if reduces and source < 2 else 1 for _, source in pairs]
        self.ops = nn.ModuleList(operation(op, width, step) for (op, _), step in zip(pairs, strides, strict=True))

    def forward(self, older: Tensor, last: Tensor) -> Tensor:
        states = [self.inputs[0](older), self.inputs[1](last)]
        for node in range(4):
            parts = [self.ops[2 * node + side](states[self.pairs[2 * node + side][1]]) for side in (0, 1)]
            states.append(parts[0] + parts[1])
        return torch.cat(states[2:], 1)


class Network(nn.Module):
    """The CIFAR-10 evaluation network of a genotype without its auxiliary head."""

    def __init__(self, cells: list[list[Pair]], channels: int, depth: int) -> None:
        super().__init__()
        older = last = 3 * channels
        self.stem = nn.Sequential(conv(3, last, 3), nn.BatchNorm2d(last))
        self.cells, after = nn.ModuleList(), False
        for index in range(depth):
            reduces = index in (depth // 3, 2 * depth // 3)
            channels *= 2 if reduces else 1
            self.cells.append(Cell(cells[reduces], older, last, channels, reduces, after))
            older, last, after = last, 4 * channels, reduces
        self.classifier = nn.Linear(last, 10)

    def forward(self, images: Tensor) -> Tensor:
        older = last = self.stem(images)
        for cell in self.cells:
            older, last = last, cell(older, last)
        return self.classifier(last.mean((2, 3)))


def count(network: nn.Module) -> tuple[int, int]:
    """FLOPs of convolutions and linear maps, 2 per multiply-accumulate, in a forward pass without data; parameters."""
    flops = []

    def note(module: nn.Module, _: object, out: Tensor) -> None:
        weight = module.weight
        assert isinstance(weight, Tensor)
        flops.append(2 * weight.numel() * (out[0, 0].numel() if out.ndim == 4 else 1))

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(note)
    network(torch.empty(2, 3, 32, 32, device="meta"))
    return sum(flops), sum(weight.numel() for weight in network.parameters())


def test_parameters_of_the_published_genotype(space: DARTS) -> None:
    """DARTS_V2 is reported with 3.3 M parameters; 3,349,342 is the exact count without the auxiliary head."""
    cost = space.cost(space.parse(V2))
    assert cost["params"].item() == 3_349_342
    cells = genotypes(space, space.parse(V2))[0]
    with torch.device("meta"):
        network = Network(cells, 36, 20)
    assert count(network) == (cost["flops"].item(), 3_349_342)


@pytest.mark.parametrize(("channels", "depth"), [(36, 20), (16, 8)])
def test_cost_equals_that_of_a_network_built_from_the_genotype(space: DARTS, channels: int, depth: int) -> None:
    archs = space.sample(3, seeded(7))
    cost = space.cost(archs, channels, depth)
    for row, cells in enumerate(genotypes(space, archs)):
        with torch.device("meta"):
            network = Network(cells, channels, depth)
        assert count(network) == (cost["flops"][row].item(), cost["params"][row].item())
        for index, cell in enumerate(network.cells):
            assert isinstance(cell, Cell)
            start = 12 if index in (depth // 3, 2 * depth // 3) else 3
            per_op = [sum(weight.numel() for weight in op.parameters()) for op in cell.ops]
            assert cost["vertex_params"][row, index, start : start + 8].tolist() == per_op
            assert cost["vertex_params"][row, index].sum() == sum(weight.numel() for weight in cell.parameters())


def test_a_strided_skip_costs_what_a_plain_one_does_not(space: DARTS) -> None:
    text = V2.replace(
        "('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2)",
        "('skip_connect', 0), ('max_pool_3x3', 1), ('skip_connect', 2)",
    )
    cost = space.cost(space.parse([V2, text]))
    extra = cost["vertex_params"][1] - cost["vertex_params"][0]
    assert extra.nonzero().tolist() == [[6, 12], [13, 12]]
    assert extra[6, 12] == 72 * 72 + 2 * 72
    assert cost["vertex_flops"][1, 6, 12] == 2 * 72 * 72 * 256
    with pytest.raises(OutsideSpace, match="at least 1 channel"):
        space.cost(space.parse(V2), channels=0)
