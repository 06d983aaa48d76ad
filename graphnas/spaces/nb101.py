"""The NAS-Bench-101 cell space."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from graphnas.spaces.architectures import Architectures
from graphnas.spaces.cell_matrices import CellLayout
from graphnas.spaces.dag import DagSpace
from graphnas.spaces.isomorphism import canonical, relabel
from graphnas.spaces.nb101_cost import network_cost
from graphnas.spaces.nb101_hash import module_hashes


class NB101(DagSpace):
    """Cells of at most 7 vertices and 9 edges with three operations; 423,624 classes (Ying et al., ICML 2019).

    The network stacks nine copies of the cell in three stages of 128, 256 and 512 channels on 32x32 images
    (https://arxiv.org/abs/1902.09635). `enumerate()` takes the first cell of every class in the generation order of
    the benchmark, which is the one that was trained: the parameter counts of the official file are its counts. The
    matrix stored in that file is another member of the class in about 3 % of the rows.

    >>> from graphnas import get_space
    >>> space = get_space("nb101")
    >>> cell = space.build([[0, 1, 1], [0, 0, 1], [0, 0, 0]], ["input", "conv3x3-bn-relu", "output"])
    >>> space.format(cell), space.cost(cell)["params"].tolist()
    (['011/001/000:conv3x3-bn-relu'], [11051402])
    """

    name: ClassVar[str] = "nb101"
    vocabulary: ClassVar[tuple[str, ...]] = ("input", "output", "conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
    max_nodes: ClassVar[int] = 7
    max_edges: ClassVar[int] = 9
    size: ClassVar[int] = 423_624

    def canonical_keys(self, archs: Architectures) -> list[str]:
        """The official md5 module hash of every row, 32 hexadecimal digits.

        Raises:
            InvalidArchitecture: a row outside the space; `prune` comes first for cells with dangling vertices.
        """
        return module_hashes(self.check(archs))

    def cost(self, archs: Architectures) -> dict[str, Tensor]:
        """Exact cost on CIFAR-10: `flops`, `params` int64 [B], `vertex_flops`, `vertex_params` int64 [B, 9, N].

        The nine modules run from stack 0, module 0 to stack 2, module 2. A multiply-add counts as two FLOPs, batch
        norm and ReLU as none. The projection that an edge input -> output needs, and its addition, are booked on the
        output vertex.

        Where the channels of the output do not divide evenly, the order of the vertices decides which of them is
        wider, so isomorphic cells can differ by a few hundred parameters. The benchmark trained the cell that
        `canonical` gives, and so that one is priced here; its vertices are reported where the given row has them.
        `network_cost` prices rows as they stand.

        Raises:
            InvalidArchitecture: a row outside the space.
        """
        places = canonical(self.check(archs), self.num_labels).places
        cost = network_cost(relabel(archs, places))
        spread = places[:, None, :].expand(-1, cost["vertex_flops"].shape[1], -1)
        return {
            name: values.gather(2, spread) if name.startswith("vertex") else values for name, values in cost.items()
        }

    @property
    def cell_layout(self) -> CellLayout:
        return CellLayout(9, self.max_nodes, 1e7, 1e5)

    def _type_codes(self) -> Tensor:
        return torch.tensor([1, 5, 3, 2, 4])  # input first, output last, convolutions by kernel
